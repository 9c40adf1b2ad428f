"""A database of each kind for the records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from penstock.stores.schema import sqlite_url
from rig.databases import PostgreSQL


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One server for all tests of the records."""
    with ExitStack() as stack:
        yield stack.enter_context(PostgreSQL())


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> str:
    """The server's database, emptied."""
    engine = sa.create_engine(postgresql.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return postgresql.url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "records.db")
    found: str = request.getfixturevalue("postgresql_url")
    return found
