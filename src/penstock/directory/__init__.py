"""Who is this sender? Login, address or customer -> ``Entry``, from file, database or command.

Static entries win key by key. Then the database is asked, then the command: the first that knows
the sender answers, and the next one is asked only when the one before has nothing (or is down).
``get`` answers from memory; what arrives later is announced by ``on_news(key)``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from penstock.core.policy import Entry
from penstock.directory.blocking import Blocking
from penstock.directory.cache import USUAL, Asker, Cache, Figures, Keeping, ignore
from penstock.directory.complaints import Complaints
from penstock.directory.static import Static

__all__ = [
    "Blocking",
    "Chain",
    "Database",
    "Figures",
    "Keeping",
    "Program",
    "open_blocking",
    "open_directory",
]


class Chain:
    """All sources in their order. Use it in the event loop's thread only."""

    def __init__(self, static: Static, *asked: Cache) -> None:
        self.on_news: Callable[[str], None] = ignore
        self._static = static
        self._asked = asked
        for number, source in enumerate(asked):
            source.on_news = self._heard
            source.on_blank = partial(self._ask, number + 1)

    def get(self, key: str) -> Entry | None:
        """The entry as far as it is known now."""
        found = self._static.get(key)
        return self._ask(0, key) if found is None else found

    def _ask(self, first: int, key: str) -> Entry | None:
        for source in self._asked[first:]:
            found = source.get(key)
            if found is not None or not source.settled(key):
                return found
        return None

    def _heard(self, key: str) -> None:
        if self._static.get(key) is None:
            self.on_news(key)

    def adopt(self, entries: Mapping[str, Entry], networks: Mapping[str, Entry]) -> None:
        """Exchange the static entries after a reload; what was looked up stays."""
        self._static = Static(entries, networks)

    def figures(self) -> dict[str, Figures]:
        """Counters by source, for metrics."""
        return {source.name: source.figures() for source in self._asked}

    def close(self) -> None:
        """End all threads; memory still answers."""
        for source in self._asked:
            source.close()


@dataclass(frozen=True)
class Database:
    """Where an SQL query is asked. ``timeout``: seconds."""

    url: str
    query: str
    timeout: float = 5.0
    keeping: Keeping = USUAL


@dataclass(frozen=True)
class Program:
    """A command that is asked, by so many at a time. ``timeout``: seconds."""

    argv: Sequence[str]
    timeout: float = 5.0
    keeping: Keeping = USUAL
    workers: int = 4


def open_directory(
    *,
    entries: Mapping[str, Entry] | None = None,
    networks: Mapping[str, Entry] | None = None,
    database: Database | None = None,
    program: Program | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Chain:
    """The directory from plain values, inside a running event loop; raises ValueError.

    Set ``on_news`` of what it returns. Nothing is connected to before the first ``get``.
    """
    complain_sql, complain_command = Complaints("sql", clock), Complaints("command", clock)
    asked = []
    if database is not None:
        asked.append(Cache(_database(database, complain_sql), complain_sql, database.keeping, clock))
    if program is not None:
        asker = _program(program, complain_command)
        asked.append(Cache(asker, complain_command, program.keeping, clock))
    return Chain(Static(entries or {}, networks or {}), *asked)


def open_blocking(
    entries: Mapping[str, Entry],
    networks: Mapping[str, Entry],
    database: Database | None,
    program: Program | None,
    clock: Callable[[], float] = time.monotonic,
) -> Blocking:
    """The same directory for a replay: ``get`` waits for the answer. Raises ValueError."""
    askers: list[Asker] = []
    if database is not None:
        askers.append(_database(database, Complaints("sql", clock)))
    if program is not None:
        askers.append(_program(program, Complaints("command", clock)))
    return Blocking(Static(entries, networks), askers)


def _database(database: Database, complain: Complaints) -> Asker:
    from penstock.directory.sql import SqlAsker  # SQLAlchemy takes its time to import

    return SqlAsker(database.url, database.query, complain, database.timeout)


def _program(program: Program, complain: Complaints) -> Asker:
    from penstock.directory.command import CommandAsker

    return CommandAsker(program.argv, complain, program.timeout, program.workers)
