"""A moment for the log's word about local mail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from ipaddress import ip_network
from typing import Any

import pytest

from penstock.core.witness import Claim, Witness
from penstock.engine.origins import Origins
from penstock.servers import milter_locals
from penstock.servers.milter_locals import PAUSE, VAIN, Locals
from penstock.wire.milter.commands import Connect, Mail
from penstock.wire.milter.envelope import Envelope

HERE = Connect("localhost", "4", 0, "127.0.0.1")
RELAY = Connect("web1.example.net", "4", 41234, "192.0.2.33")
OTHER = Connect("client.example.net", "4", 41234, "198.51.100.7")


class Gate:
    """Locals whose look at the log finds what ``lines`` says; ``answered`` counts."""

    def __init__(self, *lines: tuple[str, str]) -> None:
        self.at = 1_700_000_000.0
        self.origins = Origins(lambda key, under, at: None)
        self.locals = Locals(self.origins, lambda: self.at)
        self.lines = dict(lines)
        self.looks = 0
        self.stuck = False
        self.locals.look = self._look
        self.locals.relays = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))

    def _look(self, looked: Callable[[], None]) -> None:
        self.looks += 1
        for queue_id, user in self.lines.items():
            if self.looks == 2:
                self.origins.picked_up(queue_id, user)
        if not self.stuck:
            looked()

    async def wait(self, queue_id: str, client: Connect = HERE) -> bool:
        """Whether it had to wait; it always ends."""
        done = asyncio.Event()
        waits = self.locals.must_wait(queue_id, client, done.set)
        if waits:
            await asyncio.wait_for(done.wait(), 10)
        return waits


def story(tale: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(tale())


def test_the_logs_word_is_waited_for() -> None:
    async def tale() -> None:
        gate = Gate(("q", "1033"))
        assert await gate.wait("q")
        assert gate.origins.knows("q") and gate.looks == 3
        assert gate.origins.waits == {"told": 1}

    story(tale)


def test_what_is_known_gives_the_other_logs_a_look_only() -> None:
    async def tale() -> None:
        gate = Gate()
        gate.origins.picked_up("q", "1033")
        assert await gate.wait("q") and gate.looks == 1
        assert gate.origins.waits == {}

    story(tale)


def test_a_log_that_cannot_be_looked_at_delays_nobody_for_long() -> None:
    async def tale() -> None:
        gate = Gate(("q", "1033"))
        gate.stuck = True
        assert await gate.wait("q") and await gate.wait("q")

    story(tale)


def test_nobody_waits_where_no_log_tells() -> None:
    async def tale() -> None:
        gate = Gate()
        assert not await gate.wait("") and not await gate.wait("q", RELAY)
        gate.locals.look = None
        assert not await gate.wait("q")

    story(tale)


def test_vain_waits_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milter_locals, "STEPS", (0.0, 0.0))

    async def tale() -> None:
        gate = Gate()
        for i in range(VAIN):
            assert await gate.wait(f"q{i}")
        assert not await gate.wait("later")
        assert gate.origins.waits == {"vain": VAIN}
        gate.at += PAUSE
        assert await gate.wait("again")

    story(tale)


def test_relays_are_decided_like_local_mail() -> None:
    gate = Gate()
    assert gate.locals.covers(HERE) and gate.locals.covers(RELAY) and not gate.locals.covers(OTHER)
    for address in ("", "unknown", "x" * 300, "2001:db9::1"):
        assert not gate.locals.covers(Connect("x", "6", 25, address))
    assert gate.locals.covers(Connect("x", "6", 25, "2001:db8::1"))


def test_a_relay_that_names_nobody_is_charged_itself() -> None:
    gate = Gate()
    envelope = Envelope(RELAY, Mail("", ()), "1")
    envelope.login = "web1"
    assert gate.locals.name(envelope) and (envelope.origin.key, envelope.login) == ("", "web1")
    envelope.claims = (Claim(Witness.RELAY, "33"),)
    assert gate.locals.name(envelope) and (envelope.origin.key, envelope.login) == ("uid:33", "")
    assert not gate.locals.name(Envelope(HERE, Mail("", ()), "2"))
