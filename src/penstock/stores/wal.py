"""SQLite files that one thread owns, in write-ahead mode."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path


def open_wal(
    path: Path, synchronous: str, prepare: Callable[[sqlite3.Connection], object]
) -> sqlite3.Connection:
    """Open or make a file, for this thread; raises sqlite3.Error, and then nothing stays open.

    ``synchronous``: FULL, or NORMAL where a power cut may take the last transactions back.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        prepare(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
