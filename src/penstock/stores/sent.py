"""Whose message it was: Message-ID and queue id → sender, for reports that come in days later.

An index that may be lost, not a record: an SQLite file of its own with one table for each day, so that
old days go away in one piece and a day's tree stays small. It keeps 64-bit hashes of the ids, about
50 bytes each, and no address of any recipient. Writing is behind the caller's back, in batches, in a
thread that owns the only connection (see the trap of SQLite's WAL with several).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import structlog

from penstock.core.events import Message
from penstock.stores.wal import open_wal

log = structlog.get_logger()
T = TypeVar("T")

DAY: Final = 86400
KEEP_DAYS: Final = 8
"""Complaints come within days; a bounce at the latest when the remote queue has given up (5 days)."""

MOST_WAITING: Final = 200_000
MOST_RECIPIENTS: Final = 1 << 30
FLUSH: Final = 1.0

Row = tuple[int, str, int, int]


class Found(NamedTuple):
    """Who sent a message, when (seconds since the epoch), and to how many."""

    sender: str
    at: int
    recipients: int


def key_of(kind: str, text: str) -> int:
    """A signed 64-bit key for an id."""
    digest = blake2b(f"{kind}\0{text}".encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class SentIndex:
    """The index of one node. ``remember`` may be called from the loop's thread only."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._waiting: deque[Row] = deque(maxlen=MOST_WAITING)
        self._pool = ThreadPoolExecutor(1, "sent")
        self._connection: sqlite3.Connection | None = None
        self._tables: set[int] = set()
        self._chore: asyncio.Task[None] | None = None
        self.problem = ""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the file and begin to write."""
        self._pool.submit(self._guard, self._open)
        self._chore = loop.create_task(self._flush_now_and_then())

    def remember(self, message: Message, sender: str) -> None:
        """Keep whose message it is."""
        at, recipients = int(message.at), min(message.recipients, MOST_RECIPIENTS)
        sender = sender.encode("utf-8", "backslashreplace").decode()  # SQLite takes no lone surrogates
        if message.message_id:
            self._waiting.append((key_of("m", message.message_id), sender, at, recipients))
        self._waiting.append((key_of("q", message.queue_id), sender, at, recipients))

    async def find(self, message_id: str, queue_id: str) -> Found | None:
        """The sender of the message with that Message-ID, else of the one with that queue id."""
        await self.flush()  # a host may bounce within the second in which it took the mail
        for kind, text in (("m", message_id), ("q", queue_id)):
            found = await self._run(partial(self._find, key_of(kind, text))) if text else None
            if found is not None:
                return found
        return None

    async def senders_of(self, queue_ids: Sequence[str]) -> dict[str, Found]:
        """The latest message of each of these queue ids, as far as they are known."""
        await self.flush()
        return await self._run(partial(self._find_all, queue_ids)) or {}

    async def once(self, what: str) -> bool:
        """True the first time that this is asked about ``what`` (a report), False when asked again."""
        return await self.at_most(1, what)

    async def at_most(self, times: int, what: str) -> bool:
        """True the first so many times that this is asked about ``what``."""
        return await self._run(partial(self._at_most, times, key_of("r", what))) is not False

    async def flush(self) -> None:
        """Write what waits."""
        rows = list(self._waiting)
        self._waiting.clear()
        if rows or self.problem:
            await self._run(partial(self._write, rows))

    async def close(self) -> None:
        """Write the rest and close the file."""
        if self._chore is not None:
            self._chore.cancel()
            await asyncio.gather(self._chore, return_exceptions=True)
        await self.flush()
        await self._run(self._close)
        self._pool.shutdown()

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(FLUSH)
            await self.flush()

    async def _run(self, work: Callable[[], T]) -> T | None:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._guard, work)

    # --- in the thread ----------------------------------------------------------------------

    def _guard(self, work: Callable[[], T]) -> T | None:
        """A full disk or a damaged file costs this index, never the mail."""
        try:
            found = work()
        except sqlite3.Error as error:
            if not self.problem:
                log.error("the index of sent mail fails", file=str(self._path), why=str(error))
            self.problem = f"the index of sent mail fails: {error}"
            if any(words in str(error) for words in ("malformed", "not a database")):
                self._begin_anew()
            return None
        if self.problem:
            log.info("the index of sent mail works again")
            self.problem = ""
        return found

    def _begin_anew(self) -> None:
        """A damaged file is put aside; the index fills again."""
        with contextlib.suppress(sqlite3.Error):
            self._close()
        self._connection = None
        with contextlib.suppress(OSError):
            self._path.replace(self._path.with_suffix(".damaged"))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_wal(self._path, "NORMAL", self._find_tables)
        return self._connection

    def _find_tables(self, connection: sqlite3.Connection) -> None:
        self._tables = set(_days(connection))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, rows: Iterable[Row]) -> None:
        by_day: dict[int, list[Row]] = {}
        today = int(self._clock()) // DAY
        oldest = today - KEEP_DAYS
        for row in rows:
            by_day.setdefault(min(max(row[2] // DAY, oldest), today + 1), []).append(row)
        connection = self._open()
        try:
            connection.execute("BEGIN")
            for day, part in by_day.items():
                self._make(connection, day)
                connection.executemany(f"INSERT OR REPLACE INTO day_{day} VALUES (?, ?, ?, ?)", part)
            connection.execute("COMMIT")
        except sqlite3.Error:
            self._close()  # what was begun is undone, new tables included: look at them again
            raise
        self._forget(connection, oldest)

    def _make(self, connection: sqlite3.Connection, day: int) -> None:
        if day not in self._tables:
            columns = "key INTEGER PRIMARY KEY, sender TEXT, at INTEGER, recipients INTEGER"
            connection.execute(f"CREATE TABLE IF NOT EXISTS day_{day} ({columns})")
            self._tables.add(day)

    def _forget(self, connection: sqlite3.Connection, oldest: int) -> None:
        for day in [day for day in self._tables if day < oldest]:
            connection.execute(f"DROP TABLE day_{day}")
            self._tables.discard(day)

    def _find(self, key: int) -> Found | None:
        connection = self._open()
        for day in sorted(self._tables, reverse=True):
            query = f"SELECT sender, at, recipients FROM day_{day} WHERE key = ?"
            row = connection.execute(query, (key,)).fetchone()
            if row is not None:
                return Found(*row)
        return None

    def _find_all(self, queue_ids: Sequence[str]) -> dict[str, Found]:
        found = ((queue_id, self._find(key_of("q", queue_id))) for queue_id in queue_ids)
        return {queue_id: message for queue_id, message in found if message is not None}

    def _at_most(self, times: int, key: int) -> bool:
        known = self._find(key)
        if known is not None and known.recipients >= times:
            return False
        at, before = (known.at, known.recipients) if known is not None else (int(self._clock()), 0)
        self._write([(key, "", at, before + 1)])
        return True


def _days(connection: sqlite3.Connection) -> list[int]:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'day_[0-9]*'"
    )
    return [int(name.removeprefix("day_")) for (name,) in names]
