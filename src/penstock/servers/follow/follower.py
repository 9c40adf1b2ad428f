"""From a source of log lines to whoever takes them, exactly once over a kill -9.

Lines are handed over in slices; after each the position is marked in the log of counts, which writes
it in one block with what the lines made. Lines whose message is not complete yet live in the join:
its state is saved now and then with its position S. At a start the join is loaded, lines from S to the
marked position P are fed again silently (they were counted), and from P on they count. S never is
ahead of P: the state comes into place after P is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import structlog

from penstock.servers.follow import state

log = structlog.get_logger()

POLL: Final = 0.05
"""Seconds between two looks at a source that has nothing new."""

SAVE_EVERY: Final = 60.0

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Feed(Protocol[T_contra]):
    """What takes the lines of one source: a reader, its join, and the engine behind."""

    newest: float
    """Stamp of the newest line (seconds since the epoch), 0 when there was none."""

    def feed(self, lines: Sequence[T_contra], silent: bool) -> None:
        """Take lines; append what they count in this very call, and nothing when ``silent``."""
        ...

    def pack(self) -> Iterator[bytes]:
        """What is kept in memory between lines, in chunks."""
        ...

    def load(self, chunks: Iterator[bytes]) -> None:
        """What an earlier run has packed; raises ValueError, and then keeps nothing of it."""
        ...


class Marks(Protocol):
    """The log of counts, as far as positions go."""

    def mark(self, source: str, position: bytes) -> None:
        """Everything up to the position was appended."""
        ...

    def position(self, source: str) -> bytes | None:
        """The position that a kill would not take back."""
        ...

    async def settle(self) -> bool:
        """Whether all of it survives a power cut now."""
        ...


class Batch(Protocol[T]):
    """Lines and whether they were counted before."""

    @property
    def lines(self) -> list[T]:
        """In their order."""
        ...

    @property
    def silent(self) -> bool:
        """Counted by an earlier run."""
        ...


class Source(Protocol[T]):
    """Where lines come from: see ``FileSource`` and ``JournalSource``."""

    name: str
    problem: str
    truncations: int

    @property
    def cuts(self) -> int:
        """Lines that were cut."""
        ...

    @property
    def bytes_behind(self) -> int:
        """Bytes that are not yet read."""
        ...

    @property
    def rereading(self) -> bool:
        """Whether lines are still read that were counted before."""
        ...

    async def open(self, now: float, counts: bytes | None, join: bytes | None) -> bool | None:
        """Take up at the positions; whether the join's is usable; None: not yet, try again."""
        ...

    async def read(self) -> Batch[T] | None:
        """The next lines, None when there is nothing new."""
        ...

    def position(self) -> bytes:
        """Of what was read."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class Follower(Generic[T]):
    """Feeds one source. ``run`` it as a task; ``stop`` it before the log of counts is closed.

    ``lines`` were counted by this run; ``last_line_at``: when the latest came (by ``clock``);
    ``faults``: slices that raised out of the feed, which is a bug. ``pace``: the clock of ``save_every``,
    real also where ``clock`` runs faster.
    """

    def __init__(
        self,
        source: Source[T],
        feed: Feed[T],
        marks: Marks,
        folder: Path,
        save_every: float = SAVE_EVERY,
        clock: Callable[[], float] = time.time,
        pace: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.lines = 0
        self.faults = 0
        self.last_line_at = 0.0
        self._feed = feed
        self._marks = marks
        self._path = state.path_of(folder, source.name)
        self._save_every = save_every
        self._pace = pace
        self._save_at = pace() + save_every
        self._saved: bytes | None = None
        self._clock = clock
        self._opened = False
        self._stopping = False
        self._called = asyncio.Event()
        self._callers: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def lag_seconds(self) -> float:
        """How old the newest line is that was read, while others wait behind it."""
        newest = self._feed.newest
        return max(0.0, self._clock() - newest) if newest and self.source.bytes_behind else 0.0

    async def start(self) -> None:
        """Follow from now on; returns after the first look. A log that is followed for the first time begins
        there: what is written after this is read."""
        looked = asyncio.Event()
        self.hurry(looked.set)
        self._task = asyncio.get_running_loop().create_task(self.run())
        await looked.wait()

    async def stop(self) -> None:
        """End between two slices, and save the join's state."""
        self._stopping = True
        if self._task is not None:
            await self._task
        await self.save()
        await self.source.close()

    async def run(self) -> None:
        """Until ``stop``."""
        while not self._stopping:
            callers, self._callers = self._callers, []
            try:
                busy = await self.turn()
            except Exception:
                log.exception("a log cannot be followed", source=self.source.name)
                busy = False
            for looked in callers:
                looked()
            if busy:
                await asyncio.sleep(0)
            else:
                await self._nap()

    def hurry(self, looked: Callable[[], None]) -> None:
        """Look at once: somebody waits for what is being written now. ``looked`` is called after one slice,
        whatever it had; never once the follower has stopped."""
        self._callers.append(looked)
        self._called.set()

    async def _nap(self) -> None:
        """Until the next look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._called.wait()
        self._called.clear()

    async def turn(self) -> bool:
        """One slice; whether there may be more at once."""
        if not self._opened:
            self._opened = await self._open()
            if not self._opened:
                return False
        if self._pace() >= self._save_at:
            await self.save()
        found = await self.source.read()
        if found is not None:
            self._take(found)
        return found is not None

    # --- the start --------------------------------------------------------------------------

    async def _open(self) -> bool:
        name = self.source.name
        counts = self._marks.position(name)
        join = await self._join_position() if counts is not None else None
        try:
            usable = await self.source.open(self._clock(), counts, join)
        except ValueError as error:
            log.error("a position in a log makes no sense: going on at its end", source=name, why=str(error))
            counts = join = None
            usable = await self.source.open(self._clock(), None, None)
        if usable is None:
            return False
        if counts is None:
            self._save_at = 0.0  # at once: a kill before the first regular one would lose the join
        elif join is not None:
            self._load(usable)
        log.info("following a log", source=name, first_time=counts is None)
        return True

    async def _join_position(self) -> bytes | None:
        try:
            found = await asyncio.to_thread(state.check, self._path)
        except state.Damaged as error:
            self._say_lost(str(error))
            return None
        if found is None:
            self._say_lost("there is none")
        return found

    def _load(self, usable: bool) -> None:
        if not usable:
            self._say_lost("it is ahead of the counts")
            return
        try:
            self._feed.load(state.chunks(self._path))
        except (ValueError, OSError, state.Damaged) as error:
            self._say_lost(str(error))

    def _say_lost(self, why: str) -> None:
        log.warning(
            "messages that were under way are not known: what becomes of them is charged to nobody",
            source=self.source.name,
            state=str(self._path),
            why=why,
        )

    # --- lines ------------------------------------------------------------------------------

    def _take(self, found: Batch[T]) -> None:
        """Feed and mark in one turn of the loop, so that no flush comes between."""
        if not found.lines:
            return
        try:
            self._feed.feed(found.lines, found.silent)
        except Exception:
            self.faults += 1
            log.exception("lines of a log were not understood", source=self.source.name)
        if not found.silent:
            self._marks.mark(self.source.name, self.source.position())
            self.lines += len(found.lines)
            self.last_line_at = self._clock()

    async def save(self) -> None:
        """Save the join's state; no lines are fed meanwhile, but the loop goes on."""
        self._save_at = self._pace() + self._save_every
        if not self._opened or self.source.rereading:
            return
        position = self.source.position()
        if position == self._saved:
            return
        self._marks.mark(self.source.name, position)
        try:
            if await state.save(self._path, position, self._feed.pack(), self._marks.settle):
                self._saved = position
        except OSError as error:
            log.error("the state of a log's join cannot be saved", source=self.source.name, why=str(error))
