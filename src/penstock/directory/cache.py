"""Answers from memory; looks up behind the caller's back. Shared by all sources that must ask.

How it works. ``get`` reads a dict and returns. A key that is missing or too old is put in a queue
for the source's worker threads; what they find comes back to the event loop's thread, so all
state here belongs to that thread and needs no lock. An old answer serves until a new one is
there, also while the source fails. That a key is unknown is remembered too, for a shorter time
and in a table of its own: strangers' keys never push out those of customers.

Failures. A source that is down is asked again after a pause that doubles (one key at a time);
keys keep their place in the queue meanwhile. A key that fails while others are answered is put
off by itself. Keys that find the queue full are dropped; the next ``get`` tries again.

Cost. A hit is two calls and a dict look-up. Memory: at most ``most`` entries (about 0.5 KiB
each), as many unknown keys (0.2 KiB), and ``most_waiting`` keys in the queue. The oldest answers
go first; whoever is still active is asked for again within the time to live and so stays young.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Final, NamedTuple, Protocol

import structlog

from penstock.core.policy import Entry
from penstock.directory.complaints import Complaints

_log = structlog.get_logger()
_NEVER: Final = -1


class LookupFailed(Exception):
    """This key could not be looked up; others may well be."""


class SourceDown(LookupFailed):
    """Nobody can be looked up at present."""


class Asker(Protocol):
    """A source that takes its time. ``ask`` runs in one of ``workers`` threads and may block."""

    name: str
    workers: int

    def wants(self, key: str) -> bool:
        """Whether the source can know such keys at all."""
        ...

    def ask(self, key: str) -> Entry | None:
        """The entry, None for an unknown sender; raises LookupFailed or SourceDown."""
        ...

    def abort(self) -> None:
        """Make every ``ask``, running or to come, fail soon. Called from another thread."""
        ...

    def close(self) -> None:
        """Let go of connections. Called in a worker's thread after its last ``ask``."""
        ...


@dataclass(frozen=True)
class Keeping:
    """Seconds and sizes. ``retry``: when a key that failed by itself may be asked for again."""

    ttl: float = 300.0
    unknown_ttl: float = 60.0
    retry: float = 60.0
    most: int = 100_000
    most_waiting: int = 10_000
    first_pause: float = 0.5
    longest_pause: float = 30.0


USUAL: Final = Keeping()


class Figures(NamedTuple):
    """What a source has done so far, for metrics. ``age``: seconds since the last answer."""

    hits: int
    misses: int
    answers: int
    errors: int
    dropped: int
    waiting: int
    known: int
    unknown: int
    down: bool
    age: float | None


def ignore(key: str) -> None:
    """A callback for those who want none."""


class Cache:
    """The memory in front of one source. Use it in the event loop's thread only."""

    def __init__(
        self,
        asker: Asker,
        complain: Complaints,
        keeping: Keeping = USUAL,
        clock: Callable[[], float] = time.monotonic,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.name = asker.name
        self.on_news: Callable[[str], object] = ignore  # an entry has arrived, changed or gone
        self.on_blank: Callable[[str], object] = ignore  # a look-up ended without an entry
        self.hits = self.misses = self.answers = self.errors = self.dropped = 0
        self.down = False
        self._asker = asker
        self._complain = complain
        self._keeping = keeping
        self._clock = clock
        self._loop = loop or asyncio.get_running_loop()
        self._last_answer: float | None = None
        # Not plain dicts: deleting at the front of one and searching its first item is O(n).
        self._known: OrderedDict[str, tuple[Entry, float]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._waiting: dict[str, int] = {}  # key -> self.answers when it last failed
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._closing = Event()
        self._threads = [
            Thread(target=self._work, name=f"directory-{self.name}-{n}", daemon=True)
            for n in range(asker.workers)
        ]
        for thread in self._threads:
            thread.start()

    # --- asking -----------------------------------------------------------------------------

    def get(self, key: str) -> Entry | None:
        """The entry as far as it is known now."""
        held = self._known.get(key)
        if held is None:
            self._get_unknown(key)
            return None
        self.hits += 1
        if self._clock() >= held[1]:
            self._enqueue(key)
        return held[0]

    def settled(self, key: str) -> bool:
        """Whether it makes sense to ask elsewhere, once ``get`` has returned None."""
        return key in self._unknown or self.down or not self._asker.wants(key)

    def _get_unknown(self, key: str) -> None:
        due = self._unknown.get(key)
        if due is not None:
            self.hits += 1
            if self._clock() >= due:
                self._enqueue(key)
        elif self._asker.wants(key):
            self.misses += 1
            self._enqueue(key)

    def _enqueue(self, key: str) -> None:
        if key in self._waiting or self._closing.is_set():
            return
        if len(self._waiting) >= self._keeping.most_waiting:
            self.dropped += 1
            return
        self._waiting[key] = _NEVER
        self._queue.put(key)

    def figures(self) -> Figures:
        """The counters as they stand."""
        age = None if self._last_answer is None else self._clock() - self._last_answer
        return Figures(
            self.hits,
            self.misses,
            self.answers,
            self.errors,
            self.dropped,
            len(self._waiting),
            len(self._known),
            len(self._unknown),
            self.down,
            age,
        )

    def close(self, grace: float = 2.0) -> None:
        """Stop asking and end the threads, waiting ``grace`` seconds at most. Memory still answers."""
        if self._closing.is_set():
            return
        self._closing.set()
        for _ in self._threads:
            self._queue.put(None)
        self._asker.abort()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # --- answers, in the loop's thread ------------------------------------------------------

    def _answered(self, key: str, entry: Entry | None) -> None:
        if self._closing.is_set():
            return
        del self._waiting[key]
        self.answers += 1
        self._last_answer = self._clock()
        if self.down:
            self.down = False
            _log.info("directory source answers again", source=self.name, waiting=len(self._waiting))
        if self._keep(key, entry):
            self.on_news(key)
        if entry is None:
            self.on_blank(key)

    def _keep(self, key: str, entry: Entry | None) -> bool:
        """Remember the answer; whether it is another than before."""
        old = self._known.pop(key, None)
        self._unknown.pop(key, None)
        now = self._clock()
        if entry is None:
            self._keep_unknown(key, now + self._keeping.unknown_ttl)
        else:
            self._known[key] = (entry, now + self._keeping.ttl)
            if len(self._known) > self._keeping.most:
                self._known.popitem(last=False)
        return entry != (old and old[0])

    def _keep_unknown(self, key: str, due: float) -> None:
        self._unknown.pop(key, None)
        self._unknown[key] = due
        if len(self._unknown) > self._keeping.most:
            self._unknown.popitem(last=False)

    def _failed(self, key: str, down: str) -> None:
        """``down``: why nobody can be answered; "" when it is this key alone."""
        if self._closing.is_set():
            return
        self.errors += 1
        if down and self._waiting[key] in (_NEVER, self.answers):  # nobody was answered since
            self._waiting[key] = self.answers
            self._queue.put(key)
            self._note_down(down)
        else:
            del self._waiting[key]
            self._put_off(key)

    def _note_down(self, why: str) -> None:
        if not self.down:
            self.down = True
            _log.warning("directory source is down", source=self.name, why=why, waiting=len(self._waiting))
            for key in list(self._waiting):
                if key not in self._known:
                    self.on_blank(key)

    def _put_off(self, key: str) -> None:
        due = self._clock() + self._keeping.retry
        held = self._known.get(key)
        if held is not None:
            self._known[key] = (held[0], due)
        else:
            self._keep_unknown(key, due)
            self.on_blank(key)

    # --- asking, in the workers' threads ----------------------------------------------------

    def _work(self) -> None:
        pause = self._keeping.first_pause
        while (key := self._queue.get()) is not None and not self._closing.is_set():
            if self._attempt(key):
                pause = self._keeping.first_pause
            else:
                self._closing.wait(pause * random.uniform(0.75, 1.25))
                pause = min(2 * pause, self._keeping.longest_pause)
        self._asker.close()

    def _attempt(self, key: str) -> bool:
        """One look-up, its outcome told to the loop; False when the source is down."""
        try:
            entry = self._asker.ask(key)
        except SourceDown as error:
            self._tell(self._failed, key, str(error) or "no reason given")
            return False
        except LookupFailed as error:
            self._complain("directory look-up failed", key, str(error))
            self._tell(self._failed, key, "")
        except Exception as error:  # a bug of ours must not end the thread
            self._complain("directory look-up crashed", key, repr(error))
            self._tell(self._failed, key, "")
        else:
            self._tell(self._answered, key, entry)
        return True

    def _tell(self, what: Callable[..., None], *values: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *values)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._closing.set()
