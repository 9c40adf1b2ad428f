"""From logs to events in the order of time, with counts of what was understood.

Each log has a reader and a clock of its own, because the year of a classic stamp follows from the lines
before. Several logs (hosts, services) are merged by the time of their facts; one is opened when its first
line is due, so a hundred of them cost no more memory than those that overlap.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

from penstock.core.events import Event
from penstock.study.folder import Member
from penstock.study.sources import Log, Sources, first_bytes, last_bytes, lines_of
from penstock.wire.maillog.facts import Fact
from penstock.wire.maillog.join import Join
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.stamps import Clock, starting_year

_LOOK: Final = 200
"""Lines of a file's beginning or end in which a stamp is looked for."""


@dataclass
class Reading:
    """Logs being read. ``year``: of each log's first line, None: found out; ``now``: seconds since the epoch."""

    sources: Sources
    zone: tzinfo
    year: int | None
    now: float
    lines: int = 0
    readers: list[Reader] = field(default_factory=list)

    def events(self, join: Join) -> Iterator[Event]:
        """What became of the mail, oldest first."""
        feed = join.feed
        for fact in self.facts():
            yield from feed(fact)

    def facts(self) -> Iterator[Fact]:
        """What the lines say, oldest first as far as each log is in order."""
        streams = [self._stream(log) for log in self.sources.logs]
        if len(streams) == 1:
            return streams[0][1]
        return merged(streams)

    def _stream(self, log: Log) -> tuple[float, Iterator[Fact]]:
        """When the log begins (-inf: not known), and its facts."""
        stamps = _stamps(log)
        begins, year = -math.inf, self.year
        if stamps:
            if year is None:
                year = starting_year(stamps, self.zone, self.now)
            begins = first_time(stamps[:1], Clock(year, self.zone, self.now)) or begins
        reader = Reader(Clock(year, self.zone, self.now))
        self.readers.append(reader)
        return begins, self._facts(log, reader)

    def _facts(self, log: Log, reader: Reader) -> Iterator[Fact]:
        feed = reader.feed
        for lines in self.sources.batches(log):
            self.lines += len(lines)
            for line in lines:
                fact = feed(line)
                if fact is not None:
                    yield fact

    @property
    def understood(self) -> int:
        """Lines that were read or are knowingly ignored; other programs' lines are neither."""
        return sum(reader.understood + reader.ignored for reader in self.readers)

    @property
    def foreign(self) -> int:
        """Lines of programs that have nothing to do with mail."""
        return sum(reader.foreign for reader in self.readers)

    @property
    def unknown(self) -> Counter[str]:
        """Lines that were not understood, by daemon."""
        found: Counter[str] = Counter()
        for reader in self.readers:
            found.update(reader.unknown)
        return found


def merged(streams: list[tuple[float, Iterator[Fact]]]) -> Iterator[Fact]:
    """The facts of several logs by time; each comes with a time at or before its first fact."""
    waiting: list[tuple[float, int, Fact | None]] = [(at, i, None) for i, (at, _) in enumerate(streams)]
    heapq.heapify(waiting)
    while waiting:
        _, i, first = heapq.heappop(waiting)
        if first is not None:
            yield first
        next_at = waiting[0][0] if waiting else math.inf
        for fact in streams[i][1]:
            if fact.at > next_at:
                heapq.heappush(waiting, (fact.at, i, fact))
                break
            yield fact


def _stamps(log: Log) -> list[str]:
    """The first stamp of each file, and the last one of a plain live file."""
    found = []
    for member in log.members:
        if member.path is not None and member.size:
            found += _first_stamp(lines_of(first_bytes(member.path)))
    live = log.members[-1]
    if found and live.path is not None and live.size:
        found += _first_stamp(lines_of(last_bytes(live.path))[::-1])
    return found
