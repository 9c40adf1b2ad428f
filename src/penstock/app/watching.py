"""Logs that are followed: from lines to the engine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from penstock.app.node import Node
from penstock.config.settings import LogSource
from penstock.core.events import Accepted
from penstock.engine import EVERYBODY, LOCAL, Engine
from penstock.servers.follow.files import FileSource
from penstock.servers.follow.follower import Follower
from penstock.wire.maillog.facts import Fact
from penstock.wire.maillog.join import Join
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.stamps import Clock
from penstock.zones import zone_of

CHARGED: Final = {"local": LOCAL, "all": EVERYBODY, "none": frozenset[str]()}
"""Whose mail is counted from a log, by the word of the policy file."""


AHEAD: Final = 60.0
"""Seconds that a stamp may lie in the future; one that lies further is taken for now, or it would end
pauses and age counts before their time."""


class JournalLine(NamedTuple):
    """A message of the journal. ``at``: seconds since the epoch."""

    at: float
    host: str
    program: str
    text: str


class LogFeed:
    """Lines of one log → facts → events → engine. ``newest``: stamp of the newest line understood."""

    def __init__(
        self, engine: Engine, charged: frozenset[str], zone: str, host: str, clock: Callable[[], float]
    ) -> None:
        self.newest = 0.0
        self.reader = Reader(Clock(None, zone_of(zone), clock()), host)
        self._clock = clock
        self.join = Join()
        self._engine = engine
        self._charged = charged

    def feed(self, lines: Sequence[str], silent: bool) -> None:
        """Take lines. Silent ones were counted before: they only tell the join what it must know, and
        the index of sent mail what may have been lost with the crash."""
        read = self.reader.feed
        for line in lines:
            fact = read(line)
            if fact is not None:
                self.take(fact, silent)

    def take(self, fact: Fact, silent: bool) -> None:
        """One fact."""
        now = self._clock()
        if fact.at > now + AHEAD:
            fact = fact._replace(at=now)
        self.newest = max(self.newest, fact.at)
        for event in self.join.feed(fact):
            if not silent:
                self._engine.observe(event, self._charged)
            elif type(event) is Accepted:
                self._engine.observer.remember(event)

    def pack(self) -> Iterator[bytes]:
        """The join's memory."""
        return self.join.pack()

    def load(self, chunks: Iterator[bytes]) -> None:
        """What an earlier run has packed."""
        self.join.load(chunks)


class JournalFeed(LogFeed):
    """The same for messages of the journal, which come in parts."""

    def feed(self, lines: Sequence[JournalLine], silent: bool) -> None:  # type: ignore[override]
        """Take messages."""
        read = self.reader.feed_parts
        for line in lines:
            fact = read(line.at, line.host, line.program, line.text)
            if fact is not None:
                self.take(fact, silent)


class Watched:
    """One log that is followed."""

    def __init__(self, node: Node, name: str, source: LogSource) -> None:
        self.name = name
        self.source = source
        self._node = node
        make = JournalFeed if source.journal else LogFeed
        self.feed: LogFeed = make(
            node.engine, CHARGED[source.counted], source.time_zone, socket.gethostname(), node.clock
        )
        lines: Any = (
            JournalSource(name, source.journal)
            if source.file is None
            else FileSource(name, source.file, source.from_beginning)
        )
        self.follower: Follower[Any] = Follower(
            lines, self.feed, node.counts, node.settings.state, clock=node.clock
        )

    @property
    def silent_for(self) -> float:
        """Seconds since the last line came."""
        return self._node.clock() - (self.follower.last_line_at or self._node.started_at)

    def problems(self) -> list[str]:
        """What is wrong with it, as sentences."""
        found = [f"log {self.name}: {self.follower.source.problem}"] if self.follower.source.problem else []
        if self.source.silence and self.silent_for > self.source.silence:
            found.append(f"no line in log {self.name} for {self.silent_for:.0f} s")
        return found
