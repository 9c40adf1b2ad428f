"""The records: one contract on SQLite and PostgreSQL, and what happens when the database fails."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from penstock.core.decision import Refusal
from penstock.core.policy import Override
from penstock.core.standing import INITIAL, Standing, State
from penstock.stores import records
from penstock.stores.records import RecordStore
from penstock.stores.schema import Memory, sqlite_url
from rig.base import free_port
from rig.databases import PostgreSQL
from support import limits

T0 = 1_700_000_000.0
PAUSED = Standing(State.PAUSED, T0, "admin:alice", "spam", T0 + 3600.5, State.PROBATION)
LOCKED = Standing(State.LOCKED, T0 + 9, "admin:bob", "fraud: 'quoted' – ünïcode")
OVERRIDE = Override(
    "login:a", "big", limits("200/h", "bytes 5MB/d", "shadow messages 7/m"), T0 + 99, "admin:a", "why"
)
FIGURES: dict[str, str | int | float] = {"used": 3, "limit": "3/h", "since": 1.5}
REFUSAL = Refusal("AAAA-BBBB", "login:a", "limit:recipients 3/h", "defer", False, T0, T0 + 1, FIGURES, 5)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing databases are tried again at once."""
    monkeypatch.setattr(records, "RETRY", 0.02)


@asynccontextmanager
async def opened(url: str, now: float = T0) -> AsyncIterator[tuple[RecordStore, Memory]]:
    """A store with what it remembers; closed at the end, its connections too."""
    store = RecordStore(url)
    memory = store.start(asyncio.get_running_loop(), now)
    try:
        yield store, memory
    finally:
        await asyncio.wait_for(store.close(), 20)


async def durable(store: RecordStore, ticket: int, seconds: float = 60) -> bool:
    return await asyncio.wait_for(store.durably(ticket), seconds)


async def until(probe: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.005)


# --- the contract ------------------------------------------------------------------------------


def test_an_empty_database_remembers_nothing_but_its_beginning(url: str) -> None:
    async def story() -> None:
        async with opened(url, T0) as (_, memory):
            assert (memory.standings, memory.overrides, memory.installed_at) == ({}, {}, T0)
        async with opened(url, T0 + 500) as (_, memory):
            assert memory.installed_at == T0

    run(story)


def test_standings_come_back_exactly(url: str) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            assert await durable(store, store.put_standing("login:a", INITIAL, PAUSED))
            assert await durable(store, store.put_standing("login:b", INITIAL, LOCKED))
            assert await durable(store, store.put_standing("login:a", PAUSED, LOCKED))
            assert await durable(store, store.put_standing("login:ü@x", INITIAL, PAUSED))
        async with opened(url) as (_, memory):
            assert memory.standings == {"login:a": LOCKED, "login:b": LOCKED, "login:ü@x": PAUSED}

    run(story)


def test_a_burst_of_changes_of_one_sender_ends_with_the_last(url: str) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            for i in range(500):
                ticket = store.put_standing(
                    "login:a", INITIAL, Standing(State.PAUSED, T0 + i, "admin:a", f"no. {i}")
                )
            assert await durable(store, ticket)
            rows = await asyncio.wrap_future(store.history("login:a", 1000))
            assert [row["why"] for row in rows] == [f"no. {i}" for i in reversed(range(500))]
        async with opened(url) as (_, memory):
            assert memory.standings["login:a"].why == "no. 499"

    run(story)


def test_overrides_come_back_and_go(url: str) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            store.put_override(Override("login:b", None, limits("5/h")), T0)
            store.put_override(Override("login:a", None, limits("5/h")), T0)
            assert await durable(store, store.put_override(OVERRIDE, T0))
        async with opened(url) as (store, memory):
            assert memory.overrides["login:a"] == OVERRIDE
            assert await durable(store, store.drop_override("login:a", T0 + 5, "admin:b"))
        async with opened(url) as (store, memory):
            assert set(memory.overrides) == {"login:b"}
            first, *_ = await asyncio.wrap_future(store.history("login:a"))
            assert (first["what"], first["by"], first["why"]) == ("limit", "admin:b", "exception taken back")

    run(story)


def test_put_and_dropped_at_once(url: str) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            store.put_override(OVERRIDE, T0)
            store.drop_override("login:a", T0, "admin:a")
            store.put_override(Override("login:b", "big"), T0)
            store.drop_override("login:b", T0, "admin:a")
            assert await durable(store, store.put_override(Override("login:b", "small"), T0))
        async with opened(url) as (_, memory):
            assert {key: o.profile for key, o in memory.overrides.items()} == {"login:b": "small"}

    run(story)


def test_history_is_newest_first_and_says_who_when_why(url: str) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            store.put_standing("login:a", INITIAL, PAUSED)
            store.put_standing("login:other", INITIAL, PAUSED)
            store.put_standing("login:a", PAUSED, LOCKED)
            rows = await asyncio.wrap_future(store.history("login:a"))
            assert [(r["before"], r["after"], r["by"], r["why"], r["at"]) for r in rows] == [
                ("paused", "locked", LOCKED.by, LOCKED.why, LOCKED.since),
                ("open", "paused", PAUSED.by, PAUSED.why, PAUSED.since),
            ]
            assert rows[1]["until"] == PAUSED.until
            rows = await asyncio.wrap_future(store.history("login:a", 1))
            assert len(rows) == 1

    run(story)


def test_refusals_are_found_by_reference_and_by_sender(url: str) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            store.put_refusal(REFUSAL)
            store.put_refusal(
                Refusal("CCCC-DDDD", "login:a", "standing:paused", "defer", True, T0, T0 + 50, {}, 2)
            )
            REFUSAL.recipients, REFUSAL.last_at = 12, T0 + 9
            assert await durable(store, store.put_refusal(REFUSAL))
            (row,) = await asyncio.wrap_future(store.refusal("AAAA-BBBB"))
            assert (row["recipients"], row["last_at"], row["first_at"], row["rule"]) == (
                *(12, T0 + 9, T0),
                REFUSAL.rule,
            )
            assert row["shadow"] in (False, 0)
            assert '"used": 3' in row["figures"]
            rows = await asyncio.wrap_future(store.refusals("login:a"))
            assert [row["reference"] for row in rows] == ["CCCC-DDDD", "AAAA-BBBB"]
            assert await asyncio.wrap_future(store.refusal("ZZZZ-ZZZZ")) == []

    run(story)


def test_old_refusals_are_forgotten_at_start(url: str) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            await durable(store, store.put_refusal(REFUSAL))
        async with opened(url, T0 + 91 * 86400) as (store, _):
            assert await asyncio.wrap_future(store.refusal("AAAA-BBBB")) == []

    run(story)


def test_what_waits_is_written_at_close(url: str) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            for i in range(300):
                store.put_standing(f"login:{i}", INITIAL, PAUSED)
        async with opened(url) as (_, memory):
            assert len(memory.standings) == 300

    run(story)


# --- no wake-up is lost ------------------------------------------------------------------------


def test_every_waiter_is_called_once(tmp_path: Path) -> None:
    """Hundreds of waiters in every phase of the writing thread, without a pause between them."""

    async def story() -> None:
        async with opened(sqlite_url(tmp_path / "r.db")) as (store, _):
            called: list[int] = []
            ticket = 0
            for i in range(3000):
                if i % 7 == 0:
                    ticket = store.put_standing(f"login:{i % 50}", INITIAL, PAUSED)
                store.when_durable(ticket, lambda i=i: called.append(i))  # type: ignore[misc]
                if i % 3 == 0:
                    await asyncio.sleep(0)
            await until(lambda: len(called) == 3000)
            assert sorted(called) == list(range(3000))
            waits = [durable(store, store.put_standing(f"login:{i}", INITIAL, PAUSED)) for i in range(200)]
            assert all(await asyncio.gather(*waits))
            assert await durable(store, 0)

    run(story)


def test_nobody_is_lost_when_the_thread_moves_on_at_any_moment(tmp_path: Path) -> None:
    """Whatever is durable has grown again at every next look: the thread writes while the loop calls back."""

    class Hurrying(RecordStore):
        looks = 0

        @property
        def durable(self) -> int:
            self.looks += 40
            return self.looks

        @durable.setter
        def durable(self, value: int) -> None:
            pass

    async def story() -> None:
        store = Hurrying(sqlite_url(tmp_path / "r.db"))
        store.start(asyncio.get_running_loop(), T0)
        called: list[int] = []
        for ticket in range(1, 40):
            store.when_durable(10_000 + ticket, lambda ticket=ticket: called.append(ticket))  # type: ignore[misc]
        for _ in range(400):
            store._call_back()
        await asyncio.wait_for(store.close(), 20)
        assert sorted(called) == list(range(1, 40))

    run(story)


def test_calls_come_on_the_loop_s_thread_and_after_the_fact(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "r.db"
        async with opened(sqlite_url(path)) as (store, _):
            seen: list[tuple[bool, int]] = []
            main = threading.current_thread()

            def look(n: int) -> None:
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as base:
                    (count,) = base.execute("SELECT count(*) FROM standings").fetchone()
                base.close()
                seen.append((threading.current_thread() is main, count - n))

            for i in range(1, 40):
                store.when_durable(store.put_standing(f"login:{i}", INITIAL, PAUSED), lambda i=i: look(i))  # type: ignore[misc]
                await asyncio.sleep(0.001 * (i % 3))
            await until(lambda: len(seen) == 39)
            assert all(on_loop and more >= 0 for on_loop, more in seen)

    run(story)


CHILD = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from penstock.core.standing import INITIAL, Standing, State
from penstock.stores.records import RecordStore

async def main():
    store = RecordStore(sys.argv[1])
    store.start(asyncio.get_running_loop(), 1.0)
    n = 0
    while True:
        n += 1
        ticket = store.put_standing(f"login:{{n}}", INITIAL, Standing(State.PAUSED, 5.0, "admin:a", "spam"))
        assert await store.durably(ticket)
        os.write(1, f"{{n}}\\n".encode())

asyncio.run(main())
"""


def test_kill_9_forgets_no_pause_that_was_reported(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "records.db")
    code = CHILD.format(tests=str(Path(__file__).parents[1]))
    for turn in range(2):
        child = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE)
        assert child.stdout is not None
        for _ in range(20 + 13 * turn):
            assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        told = 20 + 13 * turn + len(child.stdout.read().split())
        child.wait(10)
        child.stdout.close()

        async def story(told: int = told) -> None:
            async with opened(url) as (_, memory):
                assert {f"login:{i}" for i in range(1, told + 1)} <= set(memory.standings)
                assert all(standing.stopped for standing in memory.standings.values())

        run(story)


def test_a_second_process_reads_what_was_reported_while_the_first_lives(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "r.db"
        async with opened(sqlite_url(path)) as (store, _):
            await durable(store, store.put_standing("login:a", INITIAL, PAUSED))
            query = "sqlite3.connect(sys.argv[1]).execute('select state from standings').fetchall()"
            code = f"import sqlite3, sys; print({query})"
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, str(path), stdout=asyncio.subprocess.PIPE
            )
            said, _ = await child.communicate()
            assert b"paused" in said

    run(story)


# --- the database fails ------------------------------------------------------------------------


class Full:
    """A database that is full: SQLite's own limit on its pages; PostgreSQL turned read-only."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.sqlite = store.url.startswith("sqlite")

    def set(self, full: bool) -> None:
        if self.sqlite:
            with self.store._engine.connect() as connection:
                most = connection.exec_driver_sql("PRAGMA page_count").scalar_one() if full else 1 << 30
                connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")
            return
        engine = sa.create_engine(self.store.url)
        with engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql(
                f"ALTER DATABASE postgres SET default_transaction_read_only = {'on' if full else 'off'}"
            )
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        engine.dispose()


BULKY = "spam " * 2000


def bulky(i: int) -> Standing:
    """More than fits into the last page."""
    return Standing(State.PAUSED, T0 + i, "admin:a", BULKY + str(i))


@pytest.mark.usefixtures("quick")
def test_a_full_database_lets_waiters_go_shouts_once_and_catches_up(url: str, logs: list[Any]) -> None:
    async def story() -> None:
        async with opened(url) as (store, _):
            full = Full(store)
            assert await durable(store, store.put_standing("login:a", INITIAL, bulky(0)))
            full.set(True)
            try:
                for i in range(1, 6):
                    assert not await durable(store, store.put_standing("login:a", INITIAL, bulky(i)))
                assert not await durable(store, store.put_standing("login:b", INITIAL, bulky(9)))
                assert store.degraded_since > 0
                assert [entry["log_level"] for entry in logs] == ["error"]
            finally:
                full.set(False)
            await until(lambda: not store.degraded_since)
            assert [entry["log_level"] for entry in logs] == ["error", "warning"]
            assert await durable(store, store.put_standing("login:c", INITIAL, PAUSED))
            rows = await asyncio.wrap_future(store.history("login:a"))
            assert [row["why"].removeprefix(BULKY) for row in rows] == ["5", "4", "3", "2", "1", "0"]
        async with opened(url) as (_, memory):
            assert memory.standings == {"login:a": bulky(5), "login:b": bulky(9), "login:c": PAUSED}

    run(story)


@pytest.mark.usefixtures("quick")
def test_a_flood_of_refusals_pushes_no_standing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk is full only so much can wait: references may go, a pause may not."""
    monkeypatch.setattr(records, "MOST_WAITING", 50)

    async def story() -> None:
        url = sqlite_url(tmp_path / "r.db")
        async with opened(url) as (store, _):
            full = Full(store)
            full.set(True)
            assert not await durable(store, store.put_standing("login:a", INITIAL, bulky(1)))
            for i in range(200):
                ticket = store.put_refusal(
                    Refusal(f"{i:04}-AAAA", "login:x", "r", "defer", False, T0, T0, {"x": BULKY})
                )
            assert not await durable(store, ticket)
            await asyncio.sleep(0.05)
            full.set(False)
            await until(lambda: not store.degraded_since)
        async with opened(url) as (_, memory):
            assert memory.standings == {"login:a": bulky(1)}

    run(story)


POISON: dict[str, Callable[[RecordStore], Any]] = {
    "a reason that is no UTF-8": lambda s: s.put_standing(
        "login:p", INITIAL, Standing(State.PAUSED, T0, "admin:a", "\udcff")
    ),
    "a NUL in a reason": lambda s: s.put_standing(
        "login:p", INITIAL, Standing(State.PAUSED, T0, "admin:a", "a\0b")
    ),
    "three thousand million recipients": lambda s: s.put_refusal(
        Refusal("P", "login:p", "r", "v", False, T0, T0, {}, 3 * 10**9)
    ),
    "more recipients than 64 bits": lambda s: s.put_refusal(
        Refusal("P", "login:p", "r", "v", False, T0, T0, {}, 10**19)
    ),
    "a question that nobody waits for any more": lambda s: s.history("login:a").cancel(),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_one_fact_that_cannot_be_written_does_not_hold_up_the_others(
    url: str, poison: Callable[[RecordStore], Any]
) -> None:
    async def story() -> None:
        store = RecordStore(url)
        store.start(asyncio.get_running_loop(), T0)
        poison(store)
        for _ in range(3):
            ticket = store.put_standing("login:a", INITIAL, PAUSED)
            assert await durable(store, ticket, 3) in (True, False)
            await asyncio.sleep(0.03)
        assert store._thread.is_alive(), "the thread that writes has died"
        assert await durable(store, store.put_standing("login:b", INITIAL, PAUSED), 3)
        await asyncio.wait_for(store.close(), 5)
        async with opened(url) as (_, memory):
            assert memory.standings["login:a"] == memory.standings["login:b"] == PAUSED

    run(story)


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_connections_that_are_cut_are_made_again(postgresql_url: str, logs: list[Any]) -> None:
    async def story() -> None:
        async with opened(postgresql_url) as (store, _):
            engine = sa.create_engine(postgresql_url)
            for i in range(8):
                store.put_standing(f"login:{i}", INITIAL, PAUSED)
                with engine.begin() as connection:
                    connection.exec_driver_sql(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                    )
            engine.dispose()
            await until(lambda: not store.degraded_since)
            assert await durable(store, store.put_standing("login:z", INITIAL, PAUSED))
        async with opened(postgresql_url) as (_, memory):
            assert len(memory.standings) == 9

    run(story)


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_postgresql_that_comes_up_after_us(logs: list[Any]) -> None:
    """The host boots: the database is ready some seconds later than Penstock."""

    async def story() -> None:
        server = PostgreSQL()
        async with opened(server.url) as (store, memory):
            assert memory.standings == {}
            assert not await durable(store, store.put_standing("login:a", INITIAL, PAUSED))
            with server:
                await until(lambda: not store.degraded_since, 5)
                assert await durable(store, store.put_standing("login:b", INITIAL, PAUSED))
                await asyncio.wait_for(store.close(), 10)
                store._started = False
                async with opened(server.url) as (_, memory):
                    assert set(memory.standings) == {"login:a", "login:b"}

    run(story)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_postgresql_that_hangs_lets_waiters_go(postgresql: PostgreSQL, postgresql_url: str) -> None:
    """Stopped, not dead: no connection is refused, nothing is answered. Postfix waits for a paused
    sender's answer meanwhile."""

    async def story() -> None:
        assert postgresql.process is not None
        async with opened(postgresql_url) as (store, _):
            assert await durable(store, store.put_standing("login:a", INITIAL, PAUSED))
            backends = family(postgresql.process.pid)
            for pid in backends:
                os.kill(pid, signal.SIGSTOP)
            try:
                assert not await durable(store, store.put_standing("login:b", INITIAL, PAUSED), 30)
            finally:
                for pid in backends:
                    os.kill(pid, signal.SIGCONT)

    run(story)


def family(pid: int) -> list[int]:
    """A process that we started and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


@pytest.mark.usefixtures("quick")
def test_a_file_that_is_no_database_is_kept_reported_and_replaced(tmp_path: Path, logs: list[Any]) -> None:
    path = tmp_path / "records.db"
    damaged = b"this is no database\n" * 500
    path.write_bytes(damaged)

    async def story() -> None:
        async with opened(sqlite_url(path)) as (store, memory):
            assert memory.standings == {}
            assert await durable(store, store.put_standing("login:a", INITIAL, PAUSED))
            assert [entry["log_level"] for entry in logs] == ["error"]
        assert damaged in [kept.read_bytes() for kept in tmp_path.iterdir()]
        async with opened(sqlite_url(path)) as (_, memory):
            assert memory.standings == {"login:a": PAUSED}

    run(story)


def test_an_unreachable_database_does_not_stop_the_start(logs: list[Any]) -> None:
    async def story() -> None:
        url = f"postgresql+pg8000://nobody@127.0.0.1:{free_port()}/none"
        began = time.monotonic()
        async with opened(url) as (store, memory):
            assert memory.installed_at == T0
            assert not await durable(store, store.put_standing("login:a", INITIAL, PAUSED))
        assert time.monotonic() - began < 5
        assert [entry["log_level"] for entry in logs] == ["error"]

    run(story)


@pytest.mark.usefixtures("quick")
def test_what_could_not_be_read_at_the_start_is_handed_over_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was locked for a moment: paused senders must not stay open until the next restart."""
    url = sqlite_url(tmp_path / "r.db")

    async def first() -> None:
        async with opened(url) as (store, _):
            assert await durable(store, store.put_standing("login:a", INITIAL, PAUSED))

    async def second() -> None:
        load = RecordStore._load
        tries = iter([True, True, False])

        def locked_twice(self: RecordStore, now: float) -> Memory:
            if next(tries, False):
                raise sa.exc.OperationalError("select", None, Exception("database is locked"))
            return load(self, now)

        monkeypatch.setattr(RecordStore, "_load", locked_twice)
        async with opened(url) as (store, memory):
            assert not memory.standings and store.degraded_since
            late: list[Memory] = []
            store.on_late_memory = late.append
            await until(lambda: late)
            assert late[0].standings == {"login:a": PAUSED}
            await until(lambda: not store.degraded_since)

    run(first)
    run(second)
