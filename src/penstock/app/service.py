"""The service: opened, run, reloaded and closed. Reads as the story of a start."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import structlog

from penstock.app import figures, listeners, metrics, parts
from penstock.app.listeners import ListenError
from penstock.app.milters import Milters
from penstock.app.node import Node
from penstock.app.queue_keeper import QueueKeeper
from penstock.app.returns import Returns
from penstock.app.state import InUse, StateFolder
from penstock.config import ConfigError, Settings, default_path, load
from penstock.engine import MOST_REFUSALS, Engine
from penstock.servers import systemd
from penstock.servers.control import Arguments, CommandError, ControlServer
from penstock.servers.desk import Desk
from penstock.servers.http import HttpServer
from penstock.servers.incident_desk import IncidentDesk
from penstock.servers.policy import Gatekeeper, Traffic
from penstock.servers.queue_desk import QueueDesk
from penstock.stores import acquaintances, scripts
from penstock.stores.acquaintances import AcquaintanceFile
from penstock.stores.counts import CountLog
from penstock.stores.places import BadPlaces
from penstock.stores.records import RecordStore
from penstock.stores.recovery import recover
from penstock.stores.schema import sqlite_url
from penstock.stores.scripts import ScriptFile
from penstock.stores.sent import SentIndex

log = structlog.get_logger()

SWEEP = 2.0
SAVE = 0.1
SAVE_AT_ONCE = 50
"""Refusals recorded in one go: a thousand senders refused at once must not stop decisions."""

PATROL = 0.1
PATROL_AT_ONCE = 100
"""Senders looked at in one go: a hundred cost about 0.1 ms."""

DRAIN = 5.0


class StartError(Exception):
    """The service cannot start; the message says why and what to do."""


class Service(Node):
    """A node that runs."""

    control: ControlServer
    _returns: Returns

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        super().__init__(settings, clock)
        self._keepers: list[Gatekeeper] = []
        self._milters = Milters(self)
        self._servers: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._silent: set[str] = set()
        self._http: HttpServer | None = None

    async def open(self) -> None:
        """From an empty process to open listeners; raises StartError."""
        loop = asyncio.get_running_loop()
        settings, now = self.settings, self.started_at
        listeners.raise_file_limit()
        try:
            self.state = StateFolder(settings.state)
            sockets = [(address, listeners.bind(address)) for address in settings.listen.policy]
            self._milters.bind()
        except (InUse, ListenError) as error:
            raise StartError(str(error)) from None
        self.recovery = recover(settings.state)
        for problem in self.recovery.problems:
            log.warning("counts: a part could not be read", what=problem)
        self.records = RecordStore(sqlite_url(settings.state / "records.db"))
        remembered = self.records.start(loop, now)
        self.counts = CountLog(settings.state, self.recovery)
        self.directory = parts.directory(settings)
        self.sent = SentIndex(settings.state / "sent.db", self.clock)
        self.acquaintances = AcquaintanceFile(settings.state / acquaintances.NAME, self.clock)
        self.engine = Engine(
            settings.policy,
            self.directory,
            self.records,
            self.counts,
            remembered,
            self.sent,
            self.acquaintances.acquaintance,
            now,
        )
        self.engine.roster.watches_from(self.acquaintances.acquaintance.since)
        self._open_places()
        self._start_parts(loop)
        await self._open_queue()
        await self._open_control()
        self._returns = Returns(self)
        await self._returns.follow()
        await self._milters.open()
        for address, sock in sockets:  # after the milters: who is answered here finds them, too
            keeper = self._keeper(listeners.name_of(address, sock))
            self._servers.append(await listeners.serve(sock, keeper.connection))
        await self._returns.open()
        self._open_http()
        for chore in (
            self._sweep(),
            self._save(),
            self._put_to_rest(),
            self._watch_silence(),
            self._stay_alive(),
        ):
            self._tasks.append(loop.create_task(chore))
        _calm_garbage_collector()
        self.serving = True
        systemd.notify("READY=1", "STATUS=serving")
        log.info(
            "serving", listeners=list(self.traffic), senders=len(self.counts.sleeping()), mode=settings.mode
        )

    def _open_places(self) -> None:
        """A geo file that cannot be used keeps nobody from guarding the mail without it."""
        try:
            self.engine.detector.journeys.adopt(parts.places(self.settings))
        except BadPlaces as error:
            self.places_problem = (
                f"geo file {error}; the signal journey sees nothing until a reload finds a City file there"
            )
            log.error("the geo file cannot be used", why=self.places_problem)

    def _start_parts(self, loop: asyncio.AbstractEventLoop) -> None:
        """What stands around the engine."""
        self.professionals = parts.smarthost(self.engine, self.settings)
        self.engine.origins.shared = frozenset(self.settings.local.shared_users)
        self.scripts = ScriptFile(self.settings.state / scripts.NAME, self.engine.origins)
        self.scripts.load(self.started_at)
        self.directory.on_news = self.engine.roster.refresh
        self.records.on_late_memory = lambda memory: self.engine.take_over(memory, self.clock())
        self.counts.start(loop)
        self.sent.start(loop)
        self.acquaintances.start(loop)
        self.scripts.start()

    def _keeper(self, name: str) -> Gatekeeper:
        traffic = self.traffic[name] = Traffic()
        keeper = Gatekeeper(
            self.engine, self.records, self.clock, traffic, lambda: self.settings.policy.on_error
        )
        self._keepers.append(keeper)
        return keeper

    async def _open_queue(self) -> None:
        self.engine.budget.adopt(self.settings.queue.held_messages, self.settings.queue.held_bytes)
        queue = parts.mail_queue(self.settings)
        if queue is not None:
            self.queue = QueueKeeper(self, queue)
            await self.queue.open()

    async def _open_control(self) -> None:
        desk = Desk(self.engine, self.records, self.counts.sleeping, self.clock)
        cases = IncidentDesk(self.engine, self.records, self.clock)
        queue = QueueDesk(lambda: self.queue, lambda: self.engine.roster.policy.naming)
        commands = desk.commands() | cases.commands() | queue.commands()
        commands |= {"status": self._status, "reload": self._reload}
        self.control = ControlServer(self.settings.state, commands)
        try:
            await self.control.start()
        except OSError as error:
            log.error("no control socket: the command line cannot reach this service", why=str(error))

    def _open_http(self) -> None:
        """Metrics and health are worth a complaint, not a refusal to guard the mail."""
        address = self.settings.listen.http
        if address is None:
            return
        try:
            sock = listeners.bind(address)
        except ListenError as error:
            log.error("no metrics and health", why=str(error))
            return
        self._http = HttpServer(
            lambda: metrics.samples(self), lambda: figures.health(self), lambda: figures.ready(self)
        )
        self._http.start(sock)

    async def close(self) -> None:
        """Stop asking for work, answer what was asked, write everything down."""
        self.serving = False
        systemd.notify("STOPPING=1")
        await listeners.close(self._servers, self.settings.listen.policy)
        await self._milters.close(DRAIN)
        await self._drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        await self.control.close()
        await self._returns.close()
        if self.queue is not None:
            await self.queue.close()
        self.engine.save(MOST_REFUSALS, math.inf)
        self.directory.close()
        await self.counts.close()
        await self.sent.close()
        await self.acquaintances.close()
        await self.scripts.close()
        await self.records.close()
        self.state.close()
        log.info("stopped")

    async def _drain(self) -> None:
        """Answers that wait for a record get a moment to become durable."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.records.settled(), DRAIN)
        await asyncio.sleep(0)
        for keeper in self._keepers:
            keeper.close()
        await asyncio.sleep(0)

    # --- commands ---------------------------------------------------------------------------

    async def _status(self, asked: Arguments, who: str) -> dict[str, Any]:
        del asked, who
        return figures.status(self)

    async def _reload(self, asked: Arguments, who: str) -> dict[str, Any]:
        del asked
        problems = await self.reload(who)
        if problems:
            raise CommandError("the old policy stays in force:\n" + "\n".join(problems))
        settings = self.settings
        return {"policy_file": str(settings.file or "built-in"), "warnings": list(settings.warnings)}

    async def reload(self, who: str) -> list[str]:
        """Read the policy file again; returns what is wrong with it, and then changes nothing.

        Listeners, state folder and the directory's database stay as they were at the start.
        """
        old = self.settings
        try:
            new = await asyncio.to_thread(load, old.file or default_path(), self.clock())
            places = await asyncio.to_thread(parts.places, new)
        except (ConfigError, BadPlaces) as error:
            problems = str(error).splitlines()
            log.error("the policy file is wrong: the old policy stays in force", by=who, problems=problems)
            return problems
        if (new.directory.sql, new.directory.command) != (old.directory.sql, old.directory.command):
            log.warning("the directory's database or command has changed: that takes a restart")
        if parts.door_of(new) != parts.door_of(old):
            log.warning("the queue or its helper has changed: that takes a restart")
        self.settings = replace(new, listen=old.listen, state=old.state)
        self.engine.adopt(new.policy)
        self.engine.detector.journeys.adopt(places)
        self.places_problem = ""
        self.engine.origins.shared = frozenset(new.local.shared_users)
        self.engine.budget.adopt(new.queue.held_messages, new.queue.held_bytes)
        if self.queue is not None:
            self.queue.adopt()
        self.directory.adopt(parts.entries(new), new.directory.networks)
        self.professionals.adopt(parts.professionals(new))
        self.loaded_at = self.clock()
        log.info("policy reloaded", by=who, file=str(new.file or "built-in"), mode=new.mode)
        return []

    def hang_up(self) -> None:
        """SIGHUP: read the policy file again."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._hang_up()))

    async def _hang_up(self) -> None:
        await self.reload("SIGHUP")

    # --- chores -----------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self.engine.sweep(self.clock())
            self.professionals.sweep(self.clock())

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(SAVE)
            self.engine.save(SAVE_AT_ONCE, self.clock())

    async def _put_to_rest(self) -> None:
        while True:
            await asyncio.sleep(PATROL)
            self.engine.roster.put_to_rest(self.clock(), PATROL_AT_ONCE)

    async def _watch_silence(self) -> None:
        """Silence is an alarm: after an upgrade Postfix may have stopped asking."""
        while True:
            await asyncio.sleep(SWEEP)
            silent = dict(self.silent())
            for name in silent.keys() - self._silent:
                log.error("no traffic: does Postfix still ask?", listener=name, seconds=round(silent[name]))
            for name in self._silent - silent.keys():
                log.info("traffic again", listener=name)
            self._silent = set(silent)

    async def _stay_alive(self) -> None:
        """Signs of life for systemd's watchdog: a loop that hangs gets the service restarted."""
        interval = systemd.watchdog_interval()
        while interval:
            systemd.notify("WATCHDOG=1")
            await asyncio.sleep(interval)


def _calm_garbage_collector() -> None:
    """What was loaded stays, so it is not looked at again; and a full collection over a million
    senders would stop decisions for a second, while nothing on the decision path makes circles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 1_000_000)


async def _run(service: Service) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await service.open()
    loop.add_signal_handler(signal.SIGHUP, service.hang_up)
    try:
        await stop.wait()
    finally:
        await service.close()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises StartError."""
    runner()(_run(Service(settings)))


def runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """uvloop where it is installed, else asyncio."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run
