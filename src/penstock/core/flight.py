"""Messages in flight: reserved at RCPT, committed at END-OF-MESSAGE, given back when they die.

Postfix asks several times about one message (each RCPT, DATA, END-OF-MESSAGE) and repeats a
question when the connection broke, so what is charged is remembered per (host, instance,
recipient). One smtpd process keeps one connection and receives one message after the other on
it (a Channel), so a new instance on a channel tells that the last message is over: without an
END-OF-MESSAGE it was refused or abandoned, and what it had reserved goes back. That is true
only where Postfix asks at END-OF-MESSAGE at all: either the set-up says so (``policy_context``)
or the channel has seen it.

A flight that comes back to life (a slow upload) is checked and charged again as if new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from penstock.core.decision import Decision
from penstock.core.sender import Sender

ASKS_END = "penstock/rcpt+eom"
"""The ``policy_context`` of a set-up in which END-OF-MESSAGE is always asked."""

RELEASED = "released"
"""The context of mail that was held, asked about again by ourselves."""

IDLE = 10.0
"""Seconds without a question after which a message that should end is taken for dead."""

KEPT_PER_CHANNEL = 64
"""Messages remembered for each connection, so that a repeated question finds its message."""

KEPT_WHEN_MANY = 16
MANY_FLIGHTS = 20_000
"""From so many messages on, each connection keeps fewer."""

MOST_ORPHANS = 20_000
MOST_LANDED = 10_000
"""Committed messages remembered by queue id: a header check or a milter may refuse them yet."""

CRASHES_WITHIN = 600.0
"""Seconds between the end of a message and the MTA's word that it refused it (milters have 300 s)."""

MOST_RECIPIENTS = 50_000


class Flight:
    """One message while it is received.

    ``recipients``: address → the second it was charged at, or the decision that refused it.
    ``charged``: how many are charged; ``unnamed``: second → how many of them by their number only.
    ``repeats``: questions about a recipient that was charged already: a client that names an
    address twice (Postfix counts it twice and delivers it once), or a broken connection.
    ``live``: what it has charged stands in the ledgers. ``landed_at`` (seconds) and ``kib``: when it was
    committed, and the size charged then. ``verdict``: the decision that holds for
    the whole message. ``foreign``: the client's network if it is not the sender's own; ``strangers``:
    recipients that were new to the sender. ``released``: it was held and goes now, without its sender.
    """

    __slots__ = (
        "channel",
        "charged",
        "committed",
        "foreign",
        "key",
        "kib",
        "landed_at",
        "last_at",
        "live",
        "message_at",
        "recipients",
        "released",
        "repeats",
        "senders",
        "strangers",
        "unnamed",
        "verdict",
    )

    def __init__(
        self, key: str, senders: Sequence[Sender], channel: Channel, at: float, released: bool = False
    ) -> None:
        self.key = key
        self.senders = senders
        self.channel = channel
        self.last_at = at
        self.recipients: dict[str, int | Decision] = {}
        self.charged = 0
        self.unnamed: dict[int, int] | None = None
        self.repeats = 0
        self.message_at = 0
        self.live = True
        self.committed = False
        self.landed_at = 0
        self.kib = 0
        self.verdict: Decision | None = None
        self.foreign = ""
        self.strangers = 0
        self.released = released

    @property
    def airborne(self) -> bool:
        """Charged, and its end is still to come."""
        return self.live and not self.committed and self.charged > 0

    def refused_some(self) -> bool:
        """Some of its recipients were refused (under warn_if_reject Postfix accepts them all the same)."""
        return any(isinstance(known, Decision) for known in self.recipients.values())

    @property
    def named(self) -> int:
        """How many recipients were told of, one that was named again counted again (as Postfix does)."""
        return len(self.recipients) + sum((self.unnamed or {}).values()) + self.repeats

    def stop(self, decision: Decision) -> int:
        """Nothing of it goes: the decision is every recipient's. How many had passed."""
        n, self.charged, self.verdict = self.charged, 0, decision
        self.recipients = dict.fromkeys(self.recipients, decision)
        return n

    def add_unnamed(self, second: int, n: int) -> None:
        """Remember recipients that are known by their number only."""
        if self.unnamed is None:
            self.unnamed = {}
        self.unnamed[second] = self.unnamed.get(second, 0) + n

    def seconds(self) -> dict[int, int]:
        """Second → recipients charged at it."""
        found = dict(self.unnamed or {})
        for second in self.recipients.values():
            if isinstance(second, int):
                found[second] = found.get(second, 0) + 1
        return found


class Channel:
    """One policy connection: an smtpd process, which receives one message at a time.

    ``recent``: its latest messages, the last being the present one. ``asks_end``: it asks at
    END-OF-MESSAGE; ``asks_rcpt``: it asks at RCPT.
    """

    __slots__ = ("asks_end", "asks_rcpt", "host", "recent")

    def __init__(self, host: str) -> None:
        self.host = host
        self.asks_rcpt = False
        self.asks_end = False
        self.recent: deque[Flight] = deque()


class Flights:
    """Messages in flight and the latest landed ones, by (host, instance); bounded."""

    def __init__(self) -> None:
        self._by_key: dict[str, Flight] = {}
        self._orphans: deque[Flight] = deque()
        self._landed: dict[str, Flight] = {}
        self.get = self._by_key.get

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, flight: Flight) -> None:
        """Keep a new flight; the channel's oldest gives way."""
        recent = flight.channel.recent
        if len(recent) >= KEPT_WHEN_MANY:
            many = len(self._by_key) >= MANY_FLIGHTS
            while len(recent) >= (KEPT_WHEN_MANY if many else KEPT_PER_CHANNEL):
                self._by_key.pop(recent.popleft().key, None)
        recent.append(flight)
        self._by_key[flight.key] = flight

    def land(self, queue_id: str, flight: Flight) -> None:
        """The message is committed and lies in the MTA's queue under that id."""
        landed = self._landed
        landed.pop(queue_id, None)
        if len(landed) >= MOST_LANDED:
            del landed[next(iter(landed))]
        landed[queue_id] = flight

    def landed(self, queue_id: str, at: float) -> Flight | None:
        """The message of that queue id that was committed just before or after ``at``.

        Short queue ids recur: what is told of an earlier message says nothing about this one.
        """
        found = self._landed.get(queue_id)
        return found if found is not None and abs(at - found.landed_at) <= CRASHES_WITHIN else None

    def crash(self, queue_id: str, at: float) -> Flight | None:
        """The same, handed over once."""
        return self._landed.pop(queue_id) if self.landed(queue_id, at) is not None else None

    def orphan(self, channel: Channel) -> None:
        """The connection is closed: its messages are kept a while, Postfix may ask again on another."""
        self._orphans.extend(channel.recent)
        channel.recent.clear()
        while len(self._orphans) > MOST_ORPHANS:
            self._by_key.pop(self._orphans.popleft().key, None)

    def idle(self, at: float) -> Iterator[Flight]:
        """Messages under way that nobody has asked about for a while."""
        for flight in list(self._by_key.values()):
            if flight.airborne and flight.last_at + IDLE <= at:
                yield flight

    def forget_before(self, at: float) -> None:
        """Drop messages of closed connections, and landed ones, that were last asked about before ``at``."""
        while self._orphans and self._orphans[0].last_at < at:
            self._by_key.pop(self._orphans.popleft().key, None)
        while self._landed and self._landed[first := next(iter(self._landed))].landed_at < at:
            del self._landed[first]
