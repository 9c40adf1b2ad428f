"""Durable facts on SQLite (default) or PostgreSQL: standings, exceptions, history, refusals.

One thread owns the one connection (SQLite before 3.51.3 can corrupt a WAL that two connections
of different processes reset). It commits whatever has gathered in one transaction, so a ticket
is durable a few milliseconds after its ``put`` and a thousand changes cost little more than one.
When the database fails, the facts wait in memory (the newest of each kind and sender), are tried
again every second, and whoever waits for them is let go: the sender is paused in memory, loudly
not on disk.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite

from penstock.stores import cases, damage
from penstock.stores.putting import Putting
from penstock.stores.schema import (
    HISTORY,
    META,
    REFUSALS,
    SCHEMA,
    Key,
    Memory,
    Row,
    clean,
    open_database,
    read_meta,
    read_overrides,
    read_standings,
)

log = structlog.get_logger()

RETRY: Final = 1.0
UNREACHABLE: Final = (sa.exc.SQLAlchemyError, OSError)
"""What a database that is away, full or hanging raises."""
MOST_WAITING: Final = 100_000
KEEP_REFUSALS: Final = 90 * 86400.0


class StoreError(Exception):
    """The records cannot be read or written; the message says why."""


class RecordStore(Putting):
    """The records of one node. ``url`` is an SQLAlchemy URL (sqlite:///… or postgresql+pg8000://…)."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.durable = 0
        self.degraded_since = 0.0
        self._ticket = 0
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._waiting: dict[Key, Job] = {}
        self._calls: list[tuple[int, Callable[[], None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine = open_database(url)
        self._insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._started = False
        self._made = False
        self._unread = False
        self.on_late_memory: Callable[[Memory], None] = lambda memory: None

    def start(self, loop: asyncio.AbstractEventLoop | None, now: float) -> Memory:
        """Open the database, read what is known and begin to write.

        If it cannot be read now, what it holds is handed to ``on_late_memory`` once it can.
        """
        self._loop = loop
        try:
            memory = self._open(now)
        except UNREACHABLE as error:
            self._degrade(error)
            memory = Memory(installed_at=now)
            self._unread = True
        self._started = True
        self._thread.start()
        return memory

    # --- the port ---------------------------------------------------------------------------

    def _put(self, key: Key, table: sa.Table, row: Row | None) -> int:
        self._ticket += 1
        if row is not None:
            row = {name: clean(value) if isinstance(value, str) else value for name, value in row.items()}
        self._jobs.put(Job(self._ticket, key, table, row))
        return self._ticket

    def when_durable(self, ticket: int, call: Callable[[], None]) -> None:
        """Call on the loop's thread once the ticket is durable, or known not to become so soon."""
        if ticket <= self.durable or self._loop is None:
            call()
            return
        self._calls.append((ticket, call))
        if ticket <= self.durable:  # the thread may have looked for calls just before this one
            self._call_back()

    async def durably(self, ticket: int) -> bool:
        """Wait for a ticket; False when the records are failing and it is only in memory."""
        done = asyncio.Event()
        self.when_durable(ticket, done.set)
        await done.wait()
        return not self.degraded_since

    async def settled(self) -> bool:
        """Wait for all that has been put so far."""
        return await self.durably(self._ticket)

    # --- reading ----------------------------------------------------------------------------

    def history(self, sender: str, most: int = 50) -> Future[list[Row]]:
        """The latest changes of a sender, newest first."""
        query = sa.select(HISTORY).where(HISTORY.c.sender == sender)
        return self._ask(query.order_by(HISTORY.c.at.desc(), HISTORY.c.id.desc()).limit(most))

    def refusals(self, sender: str, most: int = 20) -> Future[list[Row]]:
        """The latest stretches of refusals of a sender, newest first."""
        query = sa.select(REFUSALS).where(REFUSALS.c.sender == sender)
        return self._ask(query.order_by(REFUSALS.c.last_at.desc()).limit(most))

    def refusal(self, reference: str) -> Future[list[Row]]:
        """The stretch of that reference, if it is known."""
        return self._ask(sa.select(REFUSALS).where(REFUSALS.c.reference == clean(reference)))

    def _ask(self, query: sa.Select[Any]) -> Future[list[Row]]:
        future: Future[list[Row]] = Future()
        self._jobs.put(Job(0, ("", ""), None, None, query, future))
        return future

    # --- the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        running = True
        while running:
            batch = self._gather()
            running = None not in batch
            questions = [job for job in batch if job is not None and job.query is not None]
            for job in batch:
                if job is not None and job.query is None:
                    self._waiting[job.key] = job
            self._write()
            for job in questions:
                self._reply(job)
        self._engine.dispose()

    def _gather(self) -> list[Job | None]:
        """The next job and all that have come by then; empty when it is time to try again."""
        batch: list[Job | None] = []
        try:
            batch.append(self._jobs.get(timeout=RETRY if self._waiting or self._unread else None))
            while len(batch) < 10_000:
                batch.append(self._jobs.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _write(self) -> None:
        if not self._waiting and not self._unread:
            return
        newest = max((job.ticket for job in self._waiting.values()), default=0)
        try:
            if self._unread:
                self._read_late()
            if self._waiting:
                self._commit(list(self._waiting.values()))
        except UNREACHABLE as error:
            self._degrade(error)
            self._keep_bounded()
        else:
            self._restore()
        self.durable = max(self.durable, newest)
        if self._loop is not None and self._calls:
            self._loop.call_soon_threadsafe(self._call_back)

    def _read_late(self) -> None:
        """The database has come after all: what it holds is in force from now on."""
        memory = self._load(time.time())
        self._unread = False
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.on_late_memory, memory)

    def _commit(self, jobs: list[Job]) -> None:
        """All in one transaction. One that no database could take must not keep back the others."""
        try:
            with self._engine.begin() as connection:
                if not self._made:
                    SCHEMA.create_all(connection)
                self._execute(connection, jobs)
            self._made = True
        except Exception as error:
            if isinstance(error, UNREACHABLE) and not isinstance(error, sa.exc.DataError):
                raise
            if len(jobs) > 1:
                half = len(jobs) // 2
                self._commit(jobs[:half])
                self._commit(jobs[half:])
                return
            log.exception("a record cannot be written and is dropped", what=jobs[0].key)
        for job in jobs:
            self._waiting.pop(job.key, None)

    def _keep_bounded(self) -> None:
        """Refusals give way first: a standing is worth more than its consequences."""
        surplus = len(self._waiting) - MOST_WAITING
        if surplus > 0:
            for key in sorted(self._waiting, key=lambda key: key[0] != REFUSALS.name)[:surplus]:
                del self._waiting[key]

    def _execute(self, connection: sa.Connection, all_jobs: list[Job]) -> None:
        """Table by table, each with as few statements as there are kinds."""
        for table in SCHEMA.sorted_tables:
            jobs = [job for job in all_jobs if job.table is table]
            rows = [job.row for job in jobs if job.row is not None]
            gone = [job.key[1] for job in jobs if job.row is None]
            if gone:
                connection.execute(sa.delete(table).where(next(iter(table.primary_key)).in_(gone)))
            if rows:
                connection.execute(self._statement(table), rows)

    def _statement(self, table: sa.Table) -> Any:
        """How a row of the table is written: history grows, everything else is replaced."""
        if table is HISTORY:
            return sa.insert(table)
        insert = self._insert(table)
        keys = [column.name for column in table.primary_key]
        changed = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys}
        return insert.on_conflict_do_update(index_elements=keys, set_=changed)

    def _reply(self, job: Job) -> None:
        assert job.query is not None and job.future is not None
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            with self._engine.begin() as connection:
                job.future.set_result([dict(row._mapping) for row in connection.execute(job.query)])
        except Exception as error:
            job.future.set_exception(StoreError(_short(error)))

    def _call_back(self) -> None:
        """On the loop's thread: whoever waited for what is durable now. Looked at once: the writing thread
        goes on meanwhile, and who is not ready at one look and no longer waits at the next is lost."""
        durable = self.durable
        ready = [call for ticket, call in self._calls if ticket <= durable]
        self._calls = [(ticket, call) for ticket, call in self._calls if ticket > durable]
        for call in ready:
            call()

    def _degrade(self, error: Exception) -> None:
        if not self.degraded_since:
            self.degraded_since = time.time()
            log.error(
                "records cannot be written: standings hold in memory only, a restart would forget them",
                why=_short(error),
            )

    def _restore(self) -> None:
        if self.degraded_since:
            log.warning("records are written again", failed_for=round(time.time() - self.degraded_since))
            self.degraded_since = 0.0

    # --- start and end ----------------------------------------------------------------------

    def _open(self, now: float) -> Memory:
        """What the database holds. A damaged file is put aside and a new one begun with what can still be
        read, refusals and history left out."""
        path = damage.sqlite_file(self._engine)
        if path is None or not path.exists():
            return self._load(now)
        try:
            damage.examine(self._engine, path)
            return self._load(now)
        except (sa.exc.DatabaseError, damage.Damaged) as error:
            if not damage.is_damage(error):
                raise
            saved, why = damage.salvage(self._engine, now), _short(error)
        self._engine.dispose()
        kept = damage.put_aside(path, now)
        self._load(saved.installed_at)
        for key, table, row in damage.rows_of(saved):
            self._waiting[key] = Job(0, key, table, row)
        self._write()
        log.error(
            "the records are damaged: all is lost but for what is counted here",
            why=why,
            kept=str(kept),
            standings=len(saved.standings),
            exceptions=len(saved.overrides),
            incidents=len(saved.incidents),
            lessons=len(saved.lessons),
        )
        return saved

    def _load(self, now: float) -> Memory:
        memory = Memory(installed_at=now)
        with self._engine.begin() as connection:
            SCHEMA.create_all(connection)
            if not read_meta(connection, memory):
                connection.execute(sa.insert(META).values(key="installed_at", value=repr(now)))
            connection.execute(sa.delete(REFUSALS).where(REFUSALS.c.last_at < now - KEEP_REFUSALS))
            cases.forget(connection, now - KEEP_REFUSALS, now)
            read_standings(connection, memory)
            read_overrides(connection, memory)
            cases.read_incidents(connection, memory)
            cases.read_lessons(connection, memory)
        self._made = True
        return memory

    async def close(self) -> None:
        """Write what waits and end the thread."""
        if self._started:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)


@dataclass
class Job:
    """One fact to write (``row`` None: to delete) or one question to answer."""

    ticket: int
    key: Key
    table: sa.Table | None
    row: Row | None
    query: sa.Select[Any] | None = None
    future: Future[list[Row]] | None = None


def _short(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:300]
