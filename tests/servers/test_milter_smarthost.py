"""The listener of professional customers on an engine in memory: what an MTA is told, also when we fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from app.live import run, until
from penstock.core.limits import parse_outcome
from penstock.core.policy import DEFER, PASS_ON, REJECT, Action
from penstock.core.tags import TagRule
from penstock.engine.professionals import REPEATS, Professional, Professionals
from penstock.servers.milter_smarthost import SmarthostConnection, SmarthostKeeper
from penstock.servers.milter_traffic import SMARTHOST, MilterTraffic
from penstock.wire.dkim.keys import generate
from penstock.wire.dkim.sign import Signer
from penstock.wire.milter.envelope import MOST_NAMED
from penstock.wire.milter.smarthost import MOST_TAGS, Orders
from servers.test_milter import Mta
from support import T0, World, policy
from wire.milter import mta

SECRET = "a-secret-of-acme-2026"
ACME, ELSEWHERE = "customer:acme", "ip:198.51.100.7"
SIGNERS = (Signer("acme.example", "s1", generate("ed25519")),)
FROM = mta.header("From", "news@acme.example")
TAG = mta.header("X-Tag", SECRET)
STRIPPED = (b"m", b"\0\0\0\1x-tag\0\0")
GO_ON = (b"c", b"")


class Rig:
    """A listener on a Unix socket, with one customer."""

    def __init__(self, path: Path, limits: tuple[str, ...], on_error: Action, over_limit: Action) -> None:
        self.path = path
        self.world = World(policy(*limits, parent_limits=(), over_limit=over_limit))
        incidents = self.world.engine.casework.incidents
        self.known = Professionals(self.world.engine.roster, incidents, b"key")
        rule = TagRule("acme", "x-tag", (SECRET.encode(),), (ip_network("192.0.2.0/28"),))
        notice = (parse_outcome("complaints 5/d"),)
        self.known.adopt({"acme": Professional(rule, Orders(SIGNERS), notice)})
        self.traffic = MilterTraffic(SMARTHOST)
        self.keeper = SmarthostKeeper(
            self.world.engine,
            self.world.records,
            lambda: self.world.at,
            self.traffic,
            lambda: on_error,
            self.known,
        )
        self.peers: list[Mta] = []

    async def session(self, address: str = "192.0.2.7", offer: bytes = b"") -> Mta:
        """A connection with a client on it."""
        found = Mta(*await asyncio.open_unix_connection(self.path), silent=True)
        self.peers.append(found)
        await found.hello(mta.connect(address=address), offer)
        return found

    def figures(self, what: str) -> dict[tuple[str, str], int]:
        return {(customer, detail): n for customer, detail, n in self.known.of(what)}


def story(
    folder: Path,
    tale: Callable[[Rig], Any],
    *limits: str,
    on_error: Action = PASS_ON,
    over_limit: Action = DEFER,
) -> None:
    """Run a tale on a rig."""

    @contextlib.asynccontextmanager
    async def listening() -> AsyncIterator[Rig]:
        rig = Rig(folder / "milter", limits, on_error, over_limit)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: SmarthostConnection(rig.keeper), rig.path)
        try:
            yield rig
        finally:
            server.close()
            for peer in rig.peers:
                peer.writer.close()
            await until(lambda: not rig.keeper.connections)

    async def told() -> None:
        async with listening() as rig:
            await tale(rig)

    run(told())


async def all_of(peer: Mta) -> list[tuple[bytes, bytes]]:
    """The replies to the end of a message, the last one included."""
    found = [await peer.reply()]
    while found[-1][0] in b"im":
        found.append(await peer.reply())
    return found


def one(*fields: bytes, to: int = 1, body: bytes = b"text\r\n") -> bytes:
    """A message from MAIL to its end."""
    named = b"".join(mta.rcpt(f"r{i}@example.net") for i in range(to))
    return mta.mail() + named + b"".join(fields) + mta.EOH + mta.end(body)


async def send(peer: Mta, *fields: bytes, **more: Any) -> list[tuple[bytes, bytes]]:
    """One message; the replies to its end."""
    peer.writer.write(one(*fields, **more))
    return await all_of(peer)


def test_a_customers_message_is_charged_to_it_stripped_and_signed(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        stripped, signed, last = await send(peer, FROM, TAG, to=3)
        assert (stripped, last) == (STRIPPED, GO_ON)
        assert signed[0] == b"i" and signed[1].startswith(b"\0\0\0\0DKIM-Signature\0v=1; a=ed25519-sha256;")
        assert rig.world.counted(ACME) == (3, 1)
        assert rig.figures("tag") == {("acme", "ok"): 1}
        assert rig.figures("signed") == {("acme", "ed25519"): 1}
        assert rig.traffic.results == {"pass": 1}

    story(folder, tale)


def test_another_client_is_charged_itself(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session("198.51.100.7")
        assert await send(peer, FROM, TAG) == [STRIPPED, GO_ON]
        assert await send(peer, FROM) == [GO_ON]
        assert rig.world.counted(ELSEWHERE) == (2, 2) and rig.world.counted(ACME) == (0, 0)
        assert rig.figures("tag") == {("acme", "foreign"): 1} and not rig.figures("signed")

    story(folder, tale)


def test_what_is_refused_is_not_queued_and_needs_no_change(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session("198.51.100.7")
        assert (await send(peer, FROM, TAG))[-1] == GO_ON
        ((letter, said),) = await send(peer, FROM, TAG)
        assert letter == b"y" and said.startswith(b"451 4.7.1 ")
        assert rig.world.counted(ELSEWHERE) == (1, 1)
        assert rig.traffic.results == {"pass": 1, "defer": 1}

    story(folder, tale, "1/h")


def test_recipients_beyond_those_named_are_charged_in_the_very_second_of_the_start(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        rig.world.engine.started_at = rig.world.at = T0 + 0.7
        peer = await rig.session()
        await send(peer, FROM, TAG, to=MOST_NAMED + 500)
        assert rig.world.counted(ACME) == (MOST_NAMED + 500, 1)

    story(folder, tale)


def test_a_held_message_is_changed_as_well(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session("198.51.100.7")
        await send(peer, FROM, TAG)
        peer.writer.write(one(FROM, TAG))
        assert [(await peer.reply())[0] for _ in range(3)] == [b"m", b"q", b"c"]

    from penstock.core.policy import HOLD

    story(folder, tale, "1/h", over_limit=HOLD)


@pytest.mark.parametrize("on_error", [PASS_ON, DEFER, REJECT])
def test_where_we_fail_the_tag_stays_in_the_house(
    folder: Path, on_error: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        monkeypatch.setattr(rig.world.engine, "decide", lambda *_: 1 / 0)
        told = await send(peer, FROM, TAG)
        assert told == [STRIPPED, GO_ON] if on_error is PASS_ON else [told[0][0]] == [b"y"]
        monkeypatch.undo()
        assert (await send(peer, FROM))[-1] == GO_ON
        assert rig.figures("tag") == {("acme", "missing"): 1}
        assert rig.traffic.errors == 1

    story(folder, tale, on_error=on_error)


def test_where_we_fail_after_a_refusal_the_tag_stays_in_the_house(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session("198.51.100.7")
        await send(peer, FROM)
        monkeypatch.setattr(rig.known, "judged", lambda *_: 1 / 0)
        assert await send(peer, FROM, TAG) == [STRIPPED, GO_ON]

    story(folder, tale, "1/h", over_limit=DEFER)


def test_an_mta_that_cannot_change_fields_does_not_get_a_tag_through(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session(offer=mta.offer(actions=0x1FF & ~0x10))
        for _ in range(2):
            ((letter, said),) = await send(peer, FROM, TAG)
            assert letter == b"y" and said.startswith(b"451 4.7.1 The tag")
        assert rig.world.counted(ACME) == (0, 0)
        assert (await send(peer, FROM))[-1] == GO_ON

    story(folder, tale)


def test_too_many_tags_are_no_work_for_the_mta(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        ((letter, said),) = await send(peer, FROM, *[TAG] * (MOST_TAGS + 1))
        assert letter == b"y" and said.startswith(b"550 5.7.1 There are too many tags")
        assert rig.world.counted(ACME) == (0, 0)
        assert len(await send(peer, FROM, *[TAG] * MOST_TAGS)) == MOST_TAGS + 2

    story(folder, tale)


def test_a_message_without_an_end_leaves_nothing_behind(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        peer.writer.write(mta.mail() + mta.rcpt() + FROM + TAG + mta.EOH + mta.body(b"x") + mta.ABORT)
        assert await send(peer, FROM) == [GO_ON]
        assert rig.figures("tag") == {("acme", "missing"): 1}
        assert rig.world.counted(ACME) == (0, 0)

    story(folder, tale)


def test_repeated_bad_tags_are_an_incident(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session("198.51.100.7")
        for _ in range(REPEATS):
            await send(peer, FROM, TAG)
        (incident,) = rig.world.engine.casework.incidents.by_id.values()
        assert incident.worst.sender == ELSEWHERE and incident.is_notice

    story(folder, tale)


def test_a_new_policy_holds_for_the_next_message(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        rig.known.adopt({})
        assert await send(peer, FROM, TAG) == [GO_ON]
        assert rig.world.counted(ACME) == (0, 0)

    story(folder, tale)
