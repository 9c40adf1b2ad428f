"""Local mail at the milter: which sessions are local, and who handed a message in.

At the end of a message its pickup line has been written a few milliseconds ago, but hardly read. So the
followed logs are made to look at once and the answer waits for the line, up to ``STEPS`` in sum: what it
costs is a look at a file. Where the line never comes (no log of that host is followed) nobody waits for long:
after some vain waits in a row we decide without it for a while, and the log corrects the charge later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from penstock.engine.origins import Origins
from penstock.wire.milter.commands import Connect
from penstock.wire.milter.envelope import Envelope, is_local

STEPS: Final = (0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.13)
"""Seconds between two looks."""

OTHERS: Final = 0.05
"""Seconds at most that one more look at all logs gets, PHP's among them: their line was written before, and
may be read after."""

VAIN: Final = 5
"""Waits in vain in a row after which nobody waits for ``PAUSE`` seconds."""

PAUSE: Final = 60.0

Network = IPv4Network | IPv6Network


class Locals:
    """``relays``: networks of our own web servers, whose local mail comes by SMTP. ``look``: makes the
    followed logs look at once and calls back when all have; None: no log tells who hands mail in."""

    def __init__(self, origins: Origins, clock: Callable[[], float]) -> None:
        self.relays: Sequence[Network] = ()
        self.look: Callable[[Callable[[], None]], None] | None = None
        self._origins = origins
        self._clock = clock
        self._in_a_row = 0
        self._not_before = 0.0

    def covers(self, client: Connect) -> bool:
        """Whether mail of that client is decided as a whole, at its end."""
        return is_local(client) or self._is_relay(client.address)

    def _is_relay(self, address: str) -> bool:
        if not self.relays:
            return False
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self.relays)

    def name(self, envelope: Envelope) -> bool:
        """Find out who sent it; whether it can be charged to anybody."""
        envelope.origin = self._origins.at_gate(envelope.queue_id, envelope.claims, self._clock())
        if envelope.origin.key:
            envelope.login = ""
        return bool(envelope.origin.key) or not is_local(envelope.client)

    def must_wait(self, queue_id: str, client: Connect, ready: Callable[[], None]) -> bool:
        """Whether what the logs say is worth a moment; then ``ready`` is called, with it or without."""
        if self.look is None or not queue_id or not is_local(client) or self._clock() < self._not_before:
            return False
        if self._origins.knows(queue_id):
            self._look_once_more(ready)
            return True
        timers: list[asyncio.TimerHandle] = []

        def told() -> None:
            for timer in timers:
                timer.cancel()
            self._in_a_row = 0
            self._origins.waits["told"] += 1
            self._look_once_more(ready)

        self._origins.wait(queue_id, told)
        self._step(timers, 0, queue_id, ready)
        return True

    def _look_once_more(self, ready: Callable[[], None]) -> None:
        """Go on when every log has been looked at."""
        loop = asyncio.get_running_loop()
        looked: asyncio.Future[None] = loop.create_future()
        looked.add_done_callback(lambda _: ready())

        def once() -> None:
            timer.cancel()
            if not looked.done():
                looked.set_result(None)

        timer = loop.call_later(OTHERS, once)
        if self.look is not None:
            self.look(once)

    def _step(
        self, timers: list[asyncio.TimerHandle], number: int, queue_id: str, ready: Callable[[], None]
    ) -> None:
        """Have the logs looked at, and come again."""
        timers.clear()
        if number == len(STEPS) or self.look is None:
            self._origins.give_up(queue_id)
            self._count_vain()
            ready()
            return
        self.look(lambda: None)
        if self._origins.knows(queue_id):
            return
        again = partial(self._step, timers, number + 1, queue_id, ready)
        timers.append(asyncio.get_running_loop().call_later(STEPS[number], again))

    def _count_vain(self) -> None:
        self._origins.waits["vain"] += 1
        self._in_a_row += 1
        if self._in_a_row >= VAIN:
            self._in_a_row = 0
            self._not_before = self._clock() + PAUSE
