"""Databases: what a query may say, what columns may hold, and databases that misbehave."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from directory.support import ENTRIES, QUERY, Heard, ask, fill, until
from penstock.core.policy import Entry
from penstock.directory import Database, Keeping, open_directory
from penstock.directory.cache import LookupFailed, SourceDown
from penstock.directory.complaints import Complaints
from penstock.directory.dial import Line, parse
from penstock.directory.sql import SqlAsker
from rig.base import wait_until
from rig.databases import MariaDB, PostgreSQL

pytestmark = pytest.mark.usefixtures("threads_end")

BOB = "login:bob"


def asker(url: str, query: str = QUERY, timeout: float = 20) -> SqlAsker:
    return SqlAsker(url, query, Complaints("sql", time.monotonic), timeout)


def answer(url: str, query: str, key: str = "login:alice@example.com") -> Entry | None:
    """One question on a connection of its own."""
    one = asker(url, query)
    try:
        return one.ask(key)
    finally:
        one.close()


# --- queries --------------------------------------------------------------------------------


def test_parameters(url: str) -> None:
    own = "SELECT :login AS contact, :local AS profile, :domain AS language, :key AS customer"
    assert answer(url, own) == Entry("login:alice@example.com", "alice", "example.com", "alice@example.com")
    assert answer(url, own, BOB) == Entry(BOB, "bob", "", "bob")
    assert answer(url, own, "login:a@b@c") == Entry("login:a@b@c", "a@b", "c", "a@b@c")
    assert answer(url, own, "customer:4711") == Entry("customer:4711")


def test_a_query_with_key_is_asked_for_every_kind(sqlite_url: str) -> None:
    by_key = asker(sqlite_url, "SELECT 'x' AS profile WHERE :key = 'customer:4711'")
    assert by_key.wants("customer:4711") and by_key.wants("ip:192.0.2.7")
    assert by_key.ask("customer:4711") == Entry(profile="x")
    assert by_key.ask("customer:4712") is None
    by_key.close()


def test_percent_signs_casts_and_colons(url: str) -> None:
    assert answer(url, f"{QUERY} AND login LIKE '%example%' AND '12:30' <> :key") is not None


@pytest.mark.parametrize("query", ["SELECT 1 AS customer", "SELECT :user AS customer", ""])
def test_queries_that_cannot_work(query: str) -> None:
    with pytest.raises(ValueError, match=":login, :local, :domain and :key"):
        asker("sqlite:///accounts.db", query)


@pytest.mark.parametrize(
    "bad",
    ["", "nonsense", "oracle://u:secret@h/d", "postgresql+psycopg://u:secret@h/d", "sqlite://",
     "sqlite:///:memory:", "mysql://u:secret@h:port/d"],
)  # fmt: skip
def test_urls_that_lead_nowhere(bad: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(bad)
    assert "secret" not in str(caught.value)


def test_urls() -> None:
    assert parse("postgresql://u@h/d").drivername == "postgresql+pg8000"
    assert parse("mariadb://u@h/d").drivername == "mysql+pymysql"
    assert parse("mysql:///d").host == "localhost"
    assert parse("sqlite:////var/lib/x.db").database == "/var/lib/x.db"


def test_a_wrong_query_is_each_keys_failure_not_an_outage(url: str) -> None:
    for query in (
        "SELECT x FROM nowhere WHERE l = :login",
        "SELEC :login",
        "SELECT login FROM accounts WHERE login = :login",
    ):
        with pytest.raises(LookupFailed) as caught:
            answer(url, query)
        assert not isinstance(caught.value, SourceDown)
        assert len(str(caught.value)) <= 300 and "\n" not in str(caught.value)


def test_a_login_that_the_database_chokes_on_fails_alone(postgresql_url: str) -> None:
    query = "SELECT customer FROM accounts WHERE 7 = CAST(:local AS INTEGER) AND login = 'bob'"
    one = asker(postgresql_url, query)
    for key, entry in (("login:7", Entry("4712")), ("login:seven", None), ("login:7@b", Entry("4712"))):
        if entry is None:
            with pytest.raises(LookupFailed, match="seven"):
                one.ask(key)
        else:
            assert one.ask(key) == entry
    one.close()


# --- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database", "value", "at"),
    [
        ("postgresql", "DATE '2024-01-31'", 1706659200.0),
        ("postgresql", "TIMESTAMP '2024-01-31 12:30'", 1706704200.0),
        ("postgresql", "TIMESTAMPTZ '2024-01-31 14:30+02'", 1706704200.0),
        ("postgresql", "EXTRACT(EPOCH FROM TIMESTAMP '2024-01-31 12:30')", 1706704200.0),
        ("postgresql", "1706704200::bigint", 1706704200.0),
        ("postgresql", "'2024-01-31'::text", 1706659200.0),
        ("mariadb", "DATE '2024-01-31'", 1706659200.0),
        ("mariadb", "TIMESTAMP '2024-01-31 12:30:00'", 1706704200.0),
        ("mariadb", "1706704200", 1706704200.0),
        ("mariadb", "1706704200.0", 1706704200.0),
        ("mariadb", "CAST('2024-01-31' AS BINARY)", 1706659200.0),
        ("mariadb", "CAST('0000-00-00' AS DATE)", None),
        ("sqlite", "datetime('2024-01-31 12:30')", 1706704200.0),
        ("sqlite", "1706704200", 1706704200.0),
        ("sqlite", "NULL", None),
    ],
)
def test_created(request: pytest.FixtureRequest, database: str, value: str, at: float | None) -> None:
    url = request.getfixturevalue(f"{database}_url")
    query = f"SELECT customer, {value} AS created FROM accounts WHERE login = :login"
    assert answer(url, query, BOB) == Entry("4712", created_at=at)


def test_bad_values_are_reported_once_a_key(url: str) -> None:
    one = asker(url, "SELECT customer, 'soon' AS created, 7 AS profile FROM accounts WHERE login = :login")
    with capture_logs() as logs:
        for _ in range(3):
            assert one.ask(BOB) == Entry("4712", "7")
    one.close()
    assert [(log["key"], list(log["what"])) for log in logs] == [(BOB, ["created"])]


def test_the_database_cannot_be_written_to_by_a_sqlite_query(sqlite_url: str) -> None:
    with pytest.raises(LookupFailed, match="readonly"):
        answer(sqlite_url, "DELETE FROM accounts WHERE login = :login")


# --- databases that misbehave ---------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_database_that_never_answers_blocks_nobody(silent: int, scheme: str) -> None:
    async def run() -> None:
        url = f"{scheme}://user@127.0.0.1:{silent}/accounts"
        keeping = Keeping(first_pause=0.01, longest_pause=0.1, most_waiting=100)
        directory = open_directory(database=Database(url, QUERY, 0.2, keeping))
        started = time.monotonic()
        assert not any(directory.get(f"login:{n}") for n in range(100_000))
        assert time.monotonic() - started < 20, "a hundred that wait, 0.2 s each, take as long"
        with capture_logs() as logs:
            await until(lambda: directory.figures()["sql"].errors >= 3)
        figures = directory.figures()["sql"]
        assert figures.waiting == 100 and figures.down and figures.age is None
        assert [log["event"] for log in logs] == ["directory source is down"]
        directory.close()

    asyncio.run(run())


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_closing_does_not_wait_for_a_database_that_hangs(silent: int, scheme: str) -> None:
    async def run() -> None:
        url = f"{scheme}://user@127.0.0.1:{silent}/accounts"
        directory = open_directory(database=Database(url, QUERY, 300))
        directory.get(BOB)
        await until(lambda: directory._asked[0]._asker._line._handle)  # type: ignore[attr-defined]
        directory.close()

    started = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started < 10


def test_closing_interrupts_a_long_query(url: str) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
        " SELECT MAX(i) AS customer FROM n WHERE :login <> ''"
    )
    query = {"p": "SELECT pg_sleep(100), :login AS customer", "m": "SELECT SLEEP(100), :login AS customer"}

    async def run() -> None:
        directory = open_directory(database=Database(url, query.get(url[0], endless), 300))
        directory.get(BOB)
        await until(lambda: directory._asked[0]._asker._line._connection)  # type: ignore[attr-defined]
        directory.close()

    started = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_a_slow_query_counts_as_down(request: pytest.FixtureRequest, name: str) -> None:
    url = request.getfixturevalue(f"{name}_url")
    sleep = "pg_sleep" if name == "postgresql" else "SLEEP"
    one = asker(url, f"SELECT {sleep}(60), :login AS customer", timeout=0.3)
    with pytest.raises(SourceDown):
        one.ask(BOB)
    one.close()


def accepts(url: str) -> bool:
    """Whether the server takes queries; its port answers sooner than that."""
    line = Line(url, 5)
    try:
        line.connection()
    except Exception:
        return False
    finally:
        line.hang_up()
    return True


@pytest.mark.parametrize(
    ("kind", "table"),
    [(PostgreSQL, ("", "TIMESTAMP")), (MariaDB, ("CHARACTER SET utf8mb4", "DATETIME"))],
)
def test_one_that_dies_and_comes_back(kind: type[PostgreSQL | MariaDB], table: tuple[str, str]) -> None:
    async def live(server: PostgreSQL | MariaDB) -> None:
        alice, zoe = "login:alice@example.com", "login:zoë%a'b@example.com"
        keeping = Keeping(first_pause=0.01, longest_pause=0.1)
        directory = open_directory(database=Database(server.url, QUERY, 5, keeping))
        heard = directory.on_news = Heard()
        try:
            assert await ask(directory, BOB) == ENTRIES[BOB]
            server.stop()
            assert directory.get(BOB) == ENTRIES[BOB] and directory.get(alice) is None
            await until(lambda: directory.figures()["sql"].errors >= 3)
            assert directory.get(BOB) == ENTRIES[BOB] and directory.figures()["sql"].down
            server.start()
            await until(lambda: alice in heard.keys)
            assert directory.get(alice) == ENTRIES[alice] and not directory.figures()["sql"].down
            errors = directory.figures()["sql"].errors
            server.stop()
            server.start()
            wait_until(lambda: accepts(server.url))
            assert await ask(directory, zoe) == ENTRIES[zoe]
            assert directory.figures()["sql"].errors == errors, "a dead connection is replaced at once"
        finally:
            directory.close()

    with kind() as server:
        fill(server.url, *table)
        asyncio.run(live(server))


def test_a_locked_sqlite_is_down_and_comes_back(sqlite_url: str) -> None:
    owner = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    one = asker(sqlite_url, timeout=0.2)
    owner.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SourceDown, match="locked"):
        one.ask(BOB)
    owner.execute("COMMIT")
    assert one.ask(BOB) == ENTRIES[BOB]
    owner.close()
    one.close()


def test_a_sqlite_file_that_was_replaced_is_found(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = asker(sqlite_url)
    assert one.ask(BOB) == ENTRIES[BOB]
    (tmp_path / "accounts.db").unlink()
    assert one.ask(BOB) == ENTRIES[BOB], "the old file is still open"
    monkeypatch.setattr("penstock.directory.sql.KEPT", 0.0)
    with pytest.raises(SourceDown, match="unable to open"):
        one.ask(BOB)
    one.close()


def test_threads(sqlite_url: str) -> None:
    async def run() -> None:
        seen: set[str] = set()
        directory = open_directory(database=Database(sqlite_url, QUERY))
        line: Any = directory._asked[0]._asker._line  # type: ignore[attr-defined]
        dialled = line.connection

        def connection() -> Any:
            seen.add(threading.current_thread().name)
            return dialled()

        line.connection = connection
        await ask(directory, BOB)
        assert seen == {"directory-sql-0"}
        directory.close()

    asyncio.run(run())


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_tls_that_the_server_does_not_have(postgresql_url: str, mode: str) -> None:
    line = Line(f"{postgresql_url}?sslmode={mode}", 5)
    with pytest.raises(Exception, match="refuses SSL"):
        line.connection()
    line.hang_up()


def test_unix_sockets(
    postgresql: PostgreSQL, mariadb: MariaDB, postgresql_url: str, mariadb_url: str
) -> None:
    way = f"{postgresql.folder.path}/.s.PGSQL.{postgresql.port}"
    assert answer(f"postgresql://postgres@/postgres?unix_sock={way}", QUERY, BOB) == ENTRIES[BOB]
    way = f"{mariadb.folder.path}/socket"
    assert answer(f"mariadb://root@/penstock?unix_socket={way}", QUERY, BOB) == ENTRIES[BOB]
