"""Logs that are followed: from lines to the engine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import structlog

from penstock.app.node import Node
from penstock.config.settings import LogSource
from penstock.core.events import Accepted, Seen
from penstock.engine import EVERYBODY, LOCAL, Engine
from penstock.servers.follow.export import Entry
from penstock.servers.follow.files import FileSource
from penstock.servers.follow.follower import Follower
from penstock.servers.follow.journal import JournalSource
from penstock.wire.maillog.facts import Fact, PickedUp
from penstock.wire.maillog.join import Join
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.stamps import Clock
from penstock.zones import zone_of

log = structlog.get_logger()

CHARGED: Final = {"local": LOCAL, "all": EVERYBODY, "none": frozenset[str]()}
"""Whose mail is counted from a log, by the word of the policy file."""

AHEAD: Final = 60.0
"""Seconds that a stamp may lie in the future; one that lies further is taken for now, or it would end
pauses and age counts before their time."""


class LogFeed:
    """Lines of one log → facts → events → engine. ``newest``: stamp of the newest line understood.
    ``faults``: lines and events that raised, which is a bug; each is passed over alone."""

    def __init__(self, engine: Engine, source: LogSource, host: str, clock: Callable[[], float]) -> None:
        self.newest = 0.0
        self.faults = 0
        self.reader = Reader(Clock(None, zone_of(source.time_zone), clock()), host, source.roots)
        self._clock = clock
        self.join = Join()
        self._engine = engine
        self._charged = CHARGED[source.counted]

    def feed(self, lines: Sequence[Any], silent: bool) -> None:
        """Take lines. Silent ones were counted before: they only tell the join what it must know, and
        the index of sent mail what may have been lost with the crash."""
        for line in lines:
            try:
                fact = self.read(line)
                if fact is not None:
                    self.take(fact, silent)
            except Exception:
                self._note_fault()

    def read(self, line: Any) -> Fact | None:
        """What a line says."""
        return self.reader.feed(line)

    def take(self, fact: Fact, silent: bool) -> None:
        """One fact."""
        now = self._clock()
        if fact.at > now + AHEAD:
            fact = fact._replace(at=now)
        self.newest = max(self.newest, fact.at)
        if type(fact) is PickedUp:
            self._engine.origins.picked_up(fact.queue_id, str(fact.uid))
        for event in self.join.feed(fact):
            try:
                if not silent:
                    self._engine.observe(event, self._charged)
                elif type(event) is Accepted:
                    self._engine.observer.remember(event)
                elif isinstance(event, Seen):
                    self._engine.origins.hear(event)
            except Exception:
                self._note_fault()

    def _note_fault(self) -> None:
        """Log the first, the second, the fourth and so on: a bug in every line must not fill a disk."""
        self.faults += 1
        if self.faults & (self.faults - 1) == 0:
            log.exception("a line of a log is passed over: a bug", faults=self.faults)

    def pack(self) -> Iterator[bytes]:
        """The join's memory."""
        return self.join.pack()

    def load(self, chunks: Iterator[bytes]) -> None:
        """What an earlier run has packed."""
        self.join.load(chunks)


class JournalFeed(LogFeed):
    """The same for entries of the journal, which come in parts."""

    def read(self, line: Entry) -> Fact | None:
        """What an entry says."""
        return self.reader.feed_parts(line.at, line.host, line.program, line.text)


class AccessFeed(LogFeed):
    """The same for a web server's log."""

    def read(self, line: str) -> Fact | None:
        """What a line says."""
        return self.reader.feed_request(line)


class Watched:
    """One log that is followed."""

    def __init__(self, node: Node, name: str, source: LogSource) -> None:
        self.name = name
        self.source = source
        self._node = node
        make = JournalFeed if source.journal else AccessFeed if source.roots else LogFeed
        self.feed: LogFeed = make(node.engine, source, socket.gethostname(), node.clock)
        lines: Any = (
            JournalSource(name, source.journal, begin_at_start=source.from_beginning)
            if source.file is None
            else FileSource(name, source.file, source.from_beginning)
        )
        self.follower: Follower[Any] = Follower(
            lines, self.feed, node.counts, node.settings.state, clock=node.clock
        )

    @property
    def where(self) -> str:
        """The file, or the journal's units."""
        return str(self.source.file or f"journal of {', '.join(self.source.journal)}")

    @property
    def faults(self) -> int:
        """Lines, events and slices that failed inside, which is a bug."""
        return self.feed.faults + self.follower.faults

    @property
    def silent_for(self) -> float:
        """Seconds since the last line came, or since the start when none has come."""
        return self._node.clock() - (self.follower.last_line_at or self._node.started_at)

    def problems(self) -> list[str]:
        """What is wrong with it, as sentences."""
        found = [f"log {self.name}: {self.follower.source.problem}"] if self.follower.source.problem else []
        if self.source.silence and self.silent_for > self.source.silence:
            found.append(f"no line in log {self.name} for {self.silent_for:.0f} s")
        return found
