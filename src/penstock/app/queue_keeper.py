"""Keeps the MTA's queue as the senders' standings want it: frozen, released at a limited rate, dropped.

It looks at the whole queue when a standing changes and, while anything is held or anybody is paused, now
and then; each look brings what lies there nearer to what is wanted (``engine/holding.py``). Whose a message
is tells the index of sent mail, which learns it from the gate (queue id at END-OF-MESSAGE) and from the
followed logs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter as Tally
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

import structlog

from penstock.app.node import Node
from penstock.app.queue_limits import Limits
from penstock.app.queue_owners import Owners
from penstock.app.queue_stops import Stops
from penstock.app.queue_waiting import WaitingMail
from penstock.core.events import Attempt, Message
from penstock.core.incident import Incident, Verdict
from penstock.core.sender import Sender
from penstock.core.standing import Standing
from penstock.engine.holding import Key, Look, Pace, Row, Wish, row_for
from penstock.mta.queue import Deed, MailQueue, QueueError
from penstock.servers.control import CommandError
from penstock.servers.queue_desk import Lying
from penstock.stores.held import HeldError, HeldMail
from penstock.stores.schema import Memory
from penstock.wire.postqueue import Entry

log = structlog.get_logger()
T = TypeVar("T")

TICK: Final = 1.0
ROUNDS: Final = 4
"""Looks in a row after which what still is not as wanted has to wait for the next time."""

EVERY: Final = 60.0
ROOM_EVERY: Final = 10.0
"""Seconds between two looks while mail waits for its sender to have room."""

SETTLE: Final = 5.0
"""Seconds after a change of standing until the second look: mail that was just coming in lies there then."""

SHARE: Final = 20.0
"""A look that took a second is repeated after so many at the soonest."""

PATIENCE: Final = 20.0
"""Seconds that an administrator waits for the end of what he asked; it goes on after."""

Visit = Callable[[str, Entry, str], None]


class QueueKeeper:
    """``problem``: why the queue is not looked after; ``warning``: what will become of held mail; or "".

    ``moved``: messages by what was done to them. ``held`` and ``held_bytes``: what lies on hold, of known
    senders.
    """

    def __init__(self, node: Node, queue: MailQueue) -> None:
        self.problem = ""
        self.warning = ""
        self.moved: Tally[str] = Tally()
        self.held = self.held_bytes = self.oldest = 0
        self.queue = queue
        self._node = node
        self._store = HeldMail(node.settings.state / "held.db")
        self._rows: dict[Key, Row] = {}
        self._dirty: dict[Key, Row] = {}
        self._gone: list[Key] = []
        self._owners = Owners(node.sent)
        self._stops = Stops(node.engine.roster, node.clock)
        self._waiting = WaitingMail(node.engine, node.clock)
        self._due: dict[str, deque[Row]] = {}
        self._pace = Pace(node.settings.queue.release_per_minute)
        self._limits = Limits(queue)
        self._lock = asyncio.Lock()
        self._kick = asyncio.Event()
        self._next = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Begin to look; the engine is there. What an earlier run has left undone is done."""
        engine = self._node.engine
        before = engine.roster.on_standing

        def on_standing(sender: Sender, old: Standing, new: Standing) -> None:
            before(sender, old, new)
            self._on_standing(sender, old, new)

        engine.roster.on_standing = on_standing
        engine.queued = self._on_queued
        engine.casework.verdicts.on_verdict = self._on_verdict
        engine.budget.blind = False
        late = self._node.records.on_late_memory

        def on_late_memory(remembered: Memory) -> None:
            late(remembered)
            self.adopt()

        self._node.records.on_late_memory = on_late_memory
        with self._complaining():
            self._rows = await self._store.load()
        self.adopt()
        self._begin(self._run())

    def adopt(self) -> None:
        """The policy was read again."""
        self._pace.per_minute = self._node.settings.queue.release_per_minute
        self._stops.read()
        self._kick.set()

    async def close(self) -> None:
        """Stop between two steps."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(HeldError):
            await self._store.close()

    @property
    def problems(self) -> list[str]:
        """What is wrong, as sentences."""
        return [text for text in (self.problem, self.warning) if text]

    @property
    def releasing(self) -> int:
        """Messages that wait for their turn to be released."""
        return sum(map(len, self._due.values()))

    # --- what is heard ----------------------------------------------------------------------

    def _on_standing(self, sender: Sender, old: Standing, new: Standing) -> None:
        if new.stopped != old.stopped:
            self._stops.hear(sender.key, new.stopped)
            self._kick.set()

    def _on_queued(self, attempt: Attempt, sender: str, held: Sequence[str] | None) -> None:
        """A message lies in the MTA's queue. ``held``: its recipients, if it does not leave."""
        message = Message(attempt.at, attempt.host, attempt.queue_id)
        message.recipients, message.size = attempt.recipient_count, attempt.size
        self._node.sent.remember(message, sender)
        if held is not None:
            self._node.engine.budget.weigh(sender, attempt.at, attempt.size)
            if not self._waiting:
                self._next = min(self._next, asyncio.get_running_loop().time() + SETTLE)
            self._waiting.put(attempt.queue_id, sender, held)

    def _on_verdict(self, incident: Incident) -> None:
        """An incident was judged: mail of the compromised may be dropped without a further word."""
        wish = {"drop": Wish.DROP, "bounce": Wish.BOUNCE}.get(self._node.settings.queue.compromised)
        if wish is None or incident.shadow or incident.verdict is not Verdict.COMPROMISED:
            return
        for sender in incident.suspects:
            if sender in self._stops.keys:
                self._begin(self._condemn(sender, wish, incident.by))

    async def _condemn(self, sender: str, wish: Wish, by: str) -> None:
        with self._complaining():
            await self._want([], lambda _, owner: owner == sender, wish, by)

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("queue: what was asked has failed", why=str(error))

    # --- what is asked ----------------------------------------------------------------------

    async def survey(self, take: Callable[[Lying], None]) -> None:
        """Show each message of the queue; raises CommandError."""

        def visit(instance: str, entry: Entry, owner: str) -> None:
            row = self._rows.get((instance, entry.queue_id))
            wish = str(row.wish) if row is not None and row.is_of(entry) else ""
            take(Lying(instance, entry, owner, wish))

        await self._answering(self._scan(visit, self._owners.copy()))

    async def want(
        self, wanted: Callable[[str, str], bool], wish: str, by: str, now: bool
    ) -> tuple[int, bool]:
        """Have it so; how many messages it is about, and whether it is done yet: it goes on by itself.

        ``now``: release without waiting for its turn. Raises CommandError.
        """
        found: list[Row] = []
        work = self._begin(self._want(found, wanted, Wish(wish), by, now))
        await asyncio.wait({work}, timeout=PATIENCE)
        if work.done():
            await self._answering(work)
        return len(found), work.done()

    async def show(self, instance: str, queue_id: str) -> tuple[str, str]:
        """Header and the beginning of the body; raises CommandError."""
        return await self._answering(self.queue.show(instance, queue_id))

    async def _answering(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except (QueueError, HeldError) as error:
            raise CommandError(str(error)) from None

    async def _want(
        self, found: list[Row], wanted: Callable[[str, str], bool], wish: Wish, by: str, now: bool = False
    ) -> None:
        def visit(instance: str, entry: Entry, owner: str) -> None:
            if wanted(entry.queue_id, owner) and (wish is not Wish.RELEASE or entry.held):
                found.append(self._wished(instance, entry, owner, wish))

        async with self._lock:
            await self._scan(visit, self._owners)
            await self._write()
            log.info(f"queue: asked to {wish}", by=by, messages=len(found))
            if now and wish is Wish.RELEASE:
                await self._let_go(found)
            await self._work()

    def _wished(self, instance: str, entry: Entry, owner: str, wish: Wish) -> Row:
        """The row of a message of which somebody says what is to become."""
        row = self._rows.get((instance, entry.queue_id))
        if row is None or not row.is_of(entry):
            row = row_for(instance, entry, owner, wish, False, self._node.clock())
        row.wish, row.auto, row.seen = wish, False, entry.held
        self._rows[row.key] = self._dirty[row.key] = row
        return row

    # --- time passes ------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):  # wait_for of Python 3.11 may swallow that we close
                    await self._kick.wait()
            with self._complaining():
                await self._tick()

    @contextlib.contextmanager
    def _complaining(self) -> Any:
        """What fails is shouted about once, and tried again later."""
        try:
            yield
        except (QueueError, HeldError) as error:
            self._next = asyncio.get_running_loop().time() + EVERY
            if str(error) != self.problem:
                log.error("the queue is not looked after", why=str(error))
            self.problem = str(error)
        except Exception:
            self._next = asyncio.get_running_loop().time() + EVERY
            self.problem = "a fault in Penstock: the queue is not looked after, see the log"
            log.exception("the queue is not looked after")

    async def _tick(self) -> None:
        self._stops.end_terms()
        loop, kicked = asyncio.get_running_loop(), self._kick.is_set()
        if kicked or (loop.time() >= self._next and self._concerned()):
            self._kick.clear()
            began = loop.time()
            async with self._lock:
                await self._work()
            await self._limits.learn(loop.time())
            took = loop.time() - began
            soon = SETTLE if kicked else ROOM_EVERY if self._waiting else EVERY
            self._next = loop.time() + max(soon, took * SHARE)
            self.problem = ""
            await asyncio.sleep(min(took, SETTLE))  # however often it is kicked, half of the time is free
        if self._due:
            async with self._lock:
                await self._pump()

    def _concerned(self) -> bool:
        return bool(self._stops.keys or self._rows or self._node.engine.budget.in_use)

    # --- a look -----------------------------------------------------------------------------

    async def _work(self) -> None:
        """Look and act until nothing more is to be done at once."""
        for _ in range(ROUNDS):
            look = await self._look()
            if not await self._act(look):
                break
        self._note(look)

    async def _look(self) -> Look:
        budget = self._node.engine.budget
        now = self._node.clock()
        budget.begin(now)
        look = Look(self._rows, self._stops.look(), now, self._waiting.waits, self._waiting.has_room)
        try:
            await self._scan(look.take, self._owners)
            look.end()
        finally:
            self._dirty |= look.changed
            self._gone += look.gone
        self._waiting.keep({row.queue_id for row, _ in look.waiting})
        await self._write()
        budget.settle(look.lying)
        return look

    async def _scan(self, visit: Visit, owners: Owners) -> None:
        """Show every message of the queue with its sender ("" when nobody knows)."""
        for instance in self.queue.instances:
            async with contextlib.aclosing(self.queue.entries(instance)) as pieces:
                async for entries in pieces:
                    for entry, owner in zip(entries, await owners.of(instance, entries), strict=True):
                        visit(instance, entry, owner)
        owners.looked()

    async def _act(self, look: Look) -> bool:
        """Do what the look found; whether that is to be seen."""
        await self._do("hold", (row.key for row in look.to_hold))
        await self._do("release", look.mistaken)
        await self._do("delete", (row.key for row in look.to_drop))
        await self._do("bounce", (row.key for row in look.to_bounce))
        for row in look.to_bounce:
            self._released(row)
        self.moved["frozen"] += look.frozen
        self.moved["dropped"] += len(look.to_drop)
        self.moved["bounced"] += len(look.to_bounce)
        await self._write()
        for what, rows in (("frozen", look.to_hold), ("dropped", look.to_drop), ("bounced", look.to_bounce)):
            if rows:
                senders = len({row.owner for row in rows})
                log.info(f"queue: mail is {what}", messages=len(rows), senders=senders, first=rows[0].owner)
        return bool(look.to_hold or look.mistaken or look.to_drop)

    async def _do(self, deed: Deed, keys: Iterable[Key]) -> None:
        by_instance: dict[str, list[str]] = {}
        for instance, queue_id in keys:
            by_instance.setdefault(instance, []).append(queue_id)
        for instance, ids in by_instance.items():
            await self.queue.act(deed, instance, ids)

    def _note(self, look: Look) -> None:
        """The figures and the order of what goes out."""
        self.held, self.held_bytes = look.held
        self.oldest = min(look.oldest.values(), default=0)
        self._due = {}
        for row in look.to_release:
            self._due.setdefault(row.owner, deque()).append(row)
        self._pace.keep(self._due)
        self._warn(look)

    def _warn(self, look: Look) -> None:
        warning = self._limits.fate(look.oldest, self._node.clock())
        if warning and not self.warning:
            log.warning("held mail", what=warning)
        self.warning = warning

    async def _write(self) -> None:
        """What is wanted is on the disk before it is done."""
        rows = [row for key, row in self._dirty.items() if self._rows.get(key) is row]
        await self._store.write(rows, self._gone)
        self._dirty.clear()
        self._gone.clear()

    # --- release ----------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Let go as many as may go now."""
        now, stop = self._node.clock(), self._stops.look()
        for owner, rows in list(self._due.items()):
            turn = [rows.popleft() for _ in range(self._pace.take(owner, len(rows), now))]
            await self._let_go([row for row in turn if not (row.auto and stop(owner).stopped)])
            if not rows:
                del self._due[owner]

    async def _let_go(self, rows: Iterable[Row]) -> None:
        turn = [row for row in rows if row.wish is Wish.RELEASE]
        await self._do("release", (row.key for row in turn))
        for row in turn:
            self._released(row)
        self.moved["released"] += len(turn)
        await self._write()

    def _released(self, row: Row) -> None:
        row.wish = Wish.RELEASED
        self._dirty[row.key] = row
