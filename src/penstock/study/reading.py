"""From logs to events in the order of time, with counts of what was understood.

Each log has a reader and a clock of its own, because the year of a classic stamp follows from the lines
before. Several logs (hosts, services) are merged by the time of their facts; one is opened when its first
line is due, so a hundred of them cost no more memory than those that overlap.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import chain
from typing import Final

from penstock.core.events import Event
from penstock.study.sources import Log, Sources, first_bytes, last_bytes, lines_of
from penstock.wire.maillog.facts import Fact
from penstock.wire.maillog.join import Join
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.stamps import Clock, starting_year
from penstock.wire.weblog import Roots

_LOOK: Final = 200
"""Lines of a file's beginning or end in which a stamp is looked for."""

LATEST: Final = 4e9
"""Seconds since the epoch (the year 2096): a later stamp cannot be meant."""

_SETTLED: Final = 3600.0
"""Seconds after the last line in which nothing that was waited for has come."""

_CLASSIC: Final = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ")


@dataclass
class Reading:
    """Logs being read. ``year``: of each log's first line (None: find out). ``now``: seconds since 1970.
    ``roots``: by which a web server's log names scripts."""

    sources: Sources
    zone: tzinfo
    year: int | None
    now: float
    roots: Roots = field(default_factory=Roots)
    lines: int = 0
    first_at: float = math.inf
    last_at: float = 0.0
    readers: list[Reader] = field(default_factory=list)

    def events(self, join: Join) -> Iterator[Event]:
        """What became of the mail, oldest first."""
        for facts in self.facts():
            yield from join.feed_facts(facts)
        yield from join.settle(self.last_at + _SETTLED)

    def facts(self) -> Iterator[Iterable[Fact]]:
        """What the lines say, some thousands at a time, oldest first as far as each log is in order."""
        streams = [self._stream(log) for log in self.sources.logs]
        if len(streams) == 1:
            return streams[0][1]
        return iter((merged([(begins, chain.from_iterable(facts)) for begins, facts in streams]),))

    def _stream(self, log: Log) -> tuple[float, Iterator[list[Fact]]]:
        """When the log begins (-inf: not known), and its facts."""
        heads = [lines_of(first_bytes(one.path))[:_LOOK] for one in log.members if one.path and one.size]
        year = self.year or self._year_of(log, heads)
        begins = _first_time(heads[0], Clock(year, self.zone, self.now)) if heads else -math.inf
        reader = Reader(Clock(year, self.zone, self.now), roots=self.roots)
        self.readers.append(reader)
        return begins, self._facts(log, reader)

    def _year_of(self, log: Log, heads: list[list[str]]) -> int | None:
        """The year of the first line: the latest that leaves the last one in the past."""
        stamps = [stamp for head in heads for stamp in _classic_stamp(head)]
        live = log.members[-1]
        if not stamps or live.path is None:
            return None
        stamps += _classic_stamp(lines_of(last_bytes(live.path))[:-_LOOK:-1])
        return starting_year(stamps, self.zone, self.now)

    def _facts(self, log: Log, reader: Reader) -> Iterator[list[Fact]]:
        for lines in self.sources.batches(log):
            self.lines += len(lines)
            facts = reader.feed_lines(lines)
            for fact in (*facts[:1], *facts[-1:]):
                if 0 < fact.at < LATEST:
                    self.first_at = min(self.first_at, fact.at)
                    self.last_at = max(self.last_at, fact.at)
            yield facts

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


def _classic_stamp(lines: list[str]) -> list[str]:
    """The first stamp without a year in these lines, if there is one."""
    return next(([line[:15]] for line in lines if _CLASSIC.match(line)), [])


def _first_time(lines: list[str], clock: Clock) -> float:
    """Seconds since the epoch of the first line with a stamp; -inf when there is none."""
    for line in lines:
        at = clock.classic(line[:15])
        if at is not None:
            return at
        found = clock.dated(line) or clock.php(line[1:])
        if found is not None:
            return found[0]
    return -math.inf
