"""Databases and commands that know the same accounts."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from directory.support import ACCOUNTS, ENTRIES, QUERY, SCRIPT, TABLE, fill
from penstock.directory import Database, Program
from rig.databases import MariaDB, PostgreSQL


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with MariaDB() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> str:
    fill(postgresql.url, "", "TIMESTAMP")
    return postgresql.url


@pytest.fixture
def mariadb_url(mariadb: MariaDB) -> str:
    fill(mariadb.url, "CHARACTER SET utf8mb4", "DATETIME")
    return mariadb.url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    path = tmp_path / "accounts.db"
    with sqlite3.connect(path) as base:
        base.execute(TABLE.format(collation="", moment="TEXT"))
        rows = [(login, *row) for login, row in ACCOUNTS.items()]
        base.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?)", rows)
    base.close()
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """A database with accounts, of each kind."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A command that knows the accounts."""
    script = tmp_path / "who"
    script.write_text(SCRIPT.format(accounts=json.dumps(ACCOUNTS)))
    return [sys.executable, "-I", str(script)]


@pytest.fixture(params=["static", "sqlite", "postgresql", "mariadb", "command"])
def source(request: pytest.FixtureRequest) -> dict[str, Any]:
    """open_directory's arguments for each kind of source, all with the same accounts."""
    if request.param == "static":
        return {"entries": ENTRIES}
    if request.param == "command":
        return {"program": Program(request.getfixturevalue("command"))}
    return {"database": Database(request.getfixturevalue(f"{request.param}_url"), QUERY)}


@pytest.fixture
def threads_end() -> Iterator[None]:
    """No thread of a directory is left afterwards."""
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("directory-")]
    assert not left
