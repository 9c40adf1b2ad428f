"""What the join remembers of a message that is still in a queue, and how a checkpoint holds that.

A checkpoint is a stream of chunks, each one JSON list of bounded length, so that neither writing nor reading
needs all of it in memory. JSON, because whoever can change a checkpoint must not get code to run.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from penstock.core.events import Message

FORM = "penstock-join-1"
CHUNK = 500
"""Items of a chunk; a message with many recipients is several items."""
MOST_ENDS = 50_000
"""Recipients remembered per message. Beyond it duplicates count twice and deferrals are no events."""

MOST_EMPTY = 1000
"""Queues known before the empty ones are dropped: host names in a log can be made up."""

FRESH, PARKED, WAITING, KNOWN = range(4)
"""Stages of a message: a client is still sending it; held (HOLD); queued, but perhaps only on its way out
of a content filter, so ``Accepted`` waits; ``Accepted`` has been given, or never will be."""

Strings = tuple[str, ...]
ENDED: Strings = ()
"""The end of a recipient that was delivered or bounced. One that waits: (relay, status, reply)."""


class BadState(ValueError):
    """A checkpoint that this version cannot have written."""


class Open(Message):
    """A message in a queue. ``seen``: when its last line came; ``turn``: when it last went to the back of
    the row that ages; ``root``: the message that this one is the re-injection of; ``filtered``: has such
    re-injections itself; ``left``: recipients that may still be re-injected without the MTA naming the new
    queue id."""

    __slots__ = ("ends", "filtered", "left", "root", "seen", "stage", "turn")

    def __init__(self, at: float, scope: str, queue_id: str) -> None:
        Message.__init__(self, at, scope, queue_id)
        self.seen = self.turn = at
        self.stage = FRESH
        self.filtered = False
        self.left = 0
        self.root: Open | None = None
        # One recipient is the usual case and a dict costs 200 bytes.
        self.ends: dict[str, Strings] | tuple[str, Strings] | None = None

    def top(self) -> Open:
        """The message that the sender submitted."""
        m = self
        while m.root is not None:
            m = m.root
        return m

    def recall(self, recipient: str) -> Strings | None:
        ends = self.ends
        if ends is None:
            return None
        if type(ends) is dict:
            return ends.get(recipient)
        return ends[1] if ends[0] == recipient else None

    def note(self, recipient: str, end: Strings) -> bool:
        """False when there is no room for another recipient."""
        ends = self.ends
        if type(ends) is dict:
            if len(ends) >= MOST_ENDS and recipient not in ends:
                return False
            ends[recipient] = end
        elif ends is None or ends[0] == recipient:
            self.ends = (recipient, end)
        else:
            self.ends = {ends[0]: ends[1], recipient: end}
        return True

    def each(self) -> Iterator[tuple[str, Strings]]:
        if type(self.ends) is dict:
            return iter(self.ends.items())
        return iter(() if self.ends is None else (self.ends,))


Table = OrderedDict[str, Open]
"""One queue: queue id → message, the one that has aged longest first. Ordered, because the front of a
plain dict gets slow when entries are deleted there."""
Tomb = tuple[str, float, float]
"""(scope, opened at, quiet until) of a message that is gone."""


class Memory:
    """All that outlives a restart."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.held: deque[Open] = deque()
        self.named: dict[str, Open] = {}
        self.tombs: tuple[dict[str, Tomb], dict[str, Tomb]] = ({}, {})
        self.open = self.forgotten = self.orphans = 0

    def is_open(self, m: Open) -> bool:
        return self.tables.get(m.scope, {}).get(m.queue_id) is m

    def table(self, scope: str) -> Table:
        if scope not in self.tables:
            if len(self.tables) >= MOST_EMPTY:
                for name in [name for name, table in self.tables.items() if not table]:
                    del self.tables[name]
            self.tables[scope] = OrderedDict()
        return self.tables[scope]


def dump(memory: Memory) -> Iterator[bytes]:
    items = _items(memory)
    while chunk := list(islice(items, CHUNK)):
        yield json.dumps([FORM, *chunk], separators=(",", ":")).encode()


def _items(memory: Memory) -> Iterator[list[object]]:
    numbers, closed = _numbered(memory)
    yield ["head", memory.open + len(closed), memory.forgotten, memory.orphans]
    for m in chain(closed, chain.from_iterable(table.values() for table in memory.tables.values())):
        yield from _message(m, memory, numbers)
    for generation, tombs in enumerate(memory.tombs):
        for queue_id, tomb in tombs.items():
            yield ["tomb", generation, queue_id, *tomb]
    for m in memory.held:
        yield ["held", numbers[id(m)]]
    yield ["end"]


def _numbered(memory: Memory) -> tuple[dict[int, int], list[Open]]:
    """Numbers of the messages that others refer to, and those of them that are closed already."""
    tables = memory.tables.values()
    roots = (m.top() for table in tables for m in table.values() if m.root is not None)
    known = {id(m): m for m in chain(roots, memory.held)}
    known |= {id(m): m for m in [m.top() for m in known.values()]}
    numbers = {key: number for number, key in enumerate(known)}
    return numbers, [m for m in known.values() if not memory.is_open(m)]


TEXTS = ("kind", "name", "client_address", "envelope_from", "message_id")
COUNTS = ("recipients", "size", "passed", "stage", "left")


def _message(m: Open, memory: Memory, numbers: Mapping[int, int]) -> Iterator[list[object]]:
    top = m.top()
    yield [
        "message",
        [m.scope, m.queue_id, *(getattr(m, field) for field in TEXTS)],
        [m.at, m.seen, m.turn],
        [getattr(m, field) for field in COUNTS],
        [numbers.get(id(m), -1), -1 if top is m else numbers[id(top)]],
        [memory.is_open(m), memory.named.get(m.message_id) is m, m.filtered],
    ]
    for recipient, end in m.each():
        yield ["to", recipient, *end]


def load(chunks: Iterable[bytes]) -> Memory:
    loader = _Loader()
    try:
        for chunk in chunks:
            loader.chunk(json.loads(chunk))
        loader.finish()
    except BadState:
        raise
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BadState(f"not a checkpoint of the join: {error!r:.200}") from None
    return loader.memory


def _checked(value: Any, kinds: tuple[type, ...], length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != length or any(type(v) not in kinds for v in value):
        raise BadState(f"a field of the checkpoint is not what it should be: {value!r:.100}")
    return value


class _Loader:
    def __init__(self) -> None:
        self.memory = Memory()
        self.numbered: dict[int, Open] = {}
        self.roots: list[tuple[Open, int]] = []
        self.last: Open | None = None
        self.expected = -1
        self.found = 0
        self.ended = False

    def chunk(self, chunk: Any) -> None:
        if not isinstance(chunk, list) or not chunk or chunk[0] != FORM:
            raise BadState(f"not a checkpoint of the join, or of another version (expected {FORM})")
        for kind, *rest in islice(chunk, 1, None):
            _READERS[kind](self, rest)

    def head(self, rest: list[Any]) -> None:
        self.expected, self.memory.forgotten, self.memory.orphans = _checked(rest, (int,), 3)

    def message(self, rest: list[Any]) -> None:
        texts, times, counts, (number, root), (is_open, named, filtered) = rest
        scope, queue_id, *values = _checked(texts, (str,), 2 + len(TEXTS))
        m = Open(0.0, scope, queue_id)
        m.at, m.seen, m.turn = _checked(times, (float, int), 3)
        values += _checked(counts, (int,), len(COUNTS))
        for field, value in zip(TEXTS + COUNTS, values, strict=True):
            setattr(m, field, value)
        m.filtered = bool(filtered)
        self.last = m
        self.found += 1
        _checked([number, root], (int,), 2)
        self._refer(m, number, root)
        self._place(m, is_open, named)

    def _refer(self, m: Open, number: int, root: int) -> None:
        if number >= 0:
            self.numbered[number] = m
        if root >= 0:
            self.roots.append((m, root))

    def _place(self, m: Open, is_open: bool, named: bool) -> None:
        if named:
            self.memory.named[m.message_id] = m
        if is_open:
            self.memory.table(m.scope)[m.queue_id] = m

    def to(self, rest: list[Any]) -> None:
        recipient, *end = _checked(rest, (str,), len(rest))
        if self.last is None or len(end) not in (0, 3):
            raise BadState("a recipient of no message in the checkpoint")
        self.last.note(recipient, tuple(end))

    def tomb(self, rest: list[Any]) -> None:
        generation, queue_id, scope, opened, until = rest
        _checked([queue_id, scope], (str,), 2)
        _checked([opened, until], (float, int), 2)
        self.memory.tombs[generation][queue_id] = (scope, opened, until)

    def held(self, rest: list[Any]) -> None:
        (number,) = rest
        self.memory.held.append(self.numbered[number])

    def end(self, rest: list[Any]) -> None:
        self.ended = True

    def finish(self) -> None:
        if not self.ended or self.found != self.expected:
            raise BadState(f"the checkpoint is cut: {self.found} of {self.expected} messages")
        self.memory.open = sum(len(table) for table in self.memory.tables.values())
        for m, number in self.roots:
            root = self.numbered[number]
            if root is m or root.root is not None:
                raise BadState("messages of the checkpoint refer to each other in a ring")
            m.root = root


_READERS = {
    "head": _Loader.head,
    "message": _Loader.message,
    "to": _Loader.to,
    "tomb": _Loader.tomb,
    "held": _Loader.held,
    "end": _Loader.end,
}
