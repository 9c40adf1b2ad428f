"""What is wanted of mail in the MTA's queue, over a crash: an SQLite file of its own.

A row is committed before anything is done to its message, so that no message lies on hold of which nobody
knows why.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from penstock.engine.holding import Key, Row, Wish
from penstock.stores.wal import open_wal

T = TypeVar("T")

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS held (
    instance TEXT, queue_id TEXT, arrival INTEGER, envelope TEXT, owner TEXT, size INTEGER,
    since REAL, wish TEXT, auto INTEGER, seen INTEGER, PRIMARY KEY (instance, queue_id)
) WITHOUT ROWID
"""
_COLUMNS: Final = "instance, queue_id, arrival, envelope, owner, size, since, wish, auto, seen"


class HeldError(Exception):
    """The file cannot be read or written; the message says why."""


class HeldMail:
    """The rows of one node. Everything runs in one thread, which owns the connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(1, "held")
        self._connection: sqlite3.Connection | None = None

    async def load(self) -> dict[Key, Row]:
        """All rows; raises HeldError."""
        return {row.key: row for row in await self._run(self._load)}

    async def write(self, rows: Iterable[Row], gone: Iterable[Key] = ()) -> None:
        """Keep rows, forget others; returns when it is on the disk, and no row may change until then.

        Raises HeldError.
        """
        kept, forgotten = list(rows), list(gone)
        if kept or forgotten:
            await self._run(partial(self._write, kept, forgotten))

    async def close(self) -> None:
        """Close the file."""
        await self._run(self._close)
        self._pool.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except sqlite3.Error as error:
            raise HeldError(f"what is held cannot be written down ({self._path.name}): {error}") from None

    # --- in the thread ----------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_wal(self._path, "FULL", lambda opened: opened.execute(_TABLE))
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _load(self) -> list[Row]:
        return [_row(*values) for values in self._open().execute(f"SELECT {_COLUMNS} FROM held")]

    def _write(self, kept: list[Row], forgotten: list[Key]) -> None:
        connection = self._open()
        try:
            connection.execute("BEGIN")
            connection.executemany("DELETE FROM held WHERE instance = ? AND queue_id = ?", forgotten)
            marks = ", ".join("?" * 10)
            connection.executemany(
                f"INSERT OR REPLACE INTO held ({_COLUMNS}) VALUES ({marks})", map(_values, kept)
            )
            connection.execute("COMMIT")
        except sqlite3.Error:
            self._close()
            raise


def _values(row: Row) -> tuple[object, ...]:
    return (
        row.instance, row.queue_id, row.arrival, row.envelope, row.owner, row.size,
        row.since, str(row.wish), row.auto, row.seen,
    )  # fmt: skip


def _row(
    instance: str, queue_id: str, arrival: int, envelope: str, owner: str, size: int,
    since: float, wish: str, auto: int, seen: int,
) -> Row:  # fmt: skip
    return Row(instance, queue_id, arrival, envelope, owner, size, since, Wish(wish), bool(auto), bool(seen))
