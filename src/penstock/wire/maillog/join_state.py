"""The memory of the join as a checkpoint: bytes that hold all of it, exactly.

It is a stream of chunks, each one JSON list of bounded length, so that neither writing nor reading
needs all of it in memory. JSON, because whoever can change a checkpoint must not get code to run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from operator import attrgetter
from typing import Any

from penstock.wire.maillog.join_memory import Memory, Open

FORM = "penstock-join-1"
CHUNK = 500
"""Items of a chunk; a message with many recipients is several items."""


class BadState(ValueError):
    """A checkpoint that this version cannot have written."""


def dump(memory: Memory) -> Iterator[bytes]:
    items = _items(memory)
    while chunk := list(islice(items, CHUNK)):
        yield json.dumps([FORM, *chunk], separators=(",", ":")).encode()


def _items(memory: Memory) -> Iterator[list[object]]:
    numbers, closed = _numbered(memory)
    yield ["head", memory.open + len(closed), memory.forgotten, memory.orphans]
    for scope in memory.tables:
        yield ["queue", scope]
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
COUNTS = ("recipients", "size", "stage", "left")
_texts = attrgetter(*TEXTS)
_counts = attrgetter(*COUNTS)


def _message(m: Open, memory: Memory, numbers: Mapping[int, int]) -> Iterator[list[object]]:
    top = m.top()
    yield [
        "message",
        [m.scope, m.queue_id, *_texts(m)],
        [m.at, m.seen, m.turn],
        _counts(m),
        [numbers.get(id(m), -1), -1 if top is m else numbers[id(top)]],
        [memory.is_open(m), memory.named.get(m.message_id) is m, m.filtered],
    ]
    for recipient, end in m.each():
        yield ["to", recipient, *end]


def load(chunks: Iterable[bytes], most: int, keep: float) -> Memory:
    """Raises BadState."""
    loader = _Loader(Memory(most, keep))
    try:
        for chunk in chunks:
            loader.chunk(json.loads(chunk))
        loader.finish()
    except BadState:
        raise
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BadState(f"not a checkpoint of the join: {error!r:.200}") from None
    return loader.memory


TEXT, WHOLE, NUMBER = frozenset({str}), frozenset({int}), frozenset({int, float})


def _checked(value: Any, kinds: frozenset[type], length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != length or not kinds.issuperset(map(type, value)):
        raise BadState(f"a field of the checkpoint is not what it should be: {value!r:.100}")
    return value


class _Loader:
    def __init__(self, memory: Memory) -> None:
        self.memory = memory
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
        self.expected, self.memory.forgotten, self.memory.orphans = _checked(rest, WHOLE, 3)

    def queue(self, rest: list[Any]) -> None:
        (scope,) = _checked(rest, TEXT, 1)
        self.memory.table(scope)

    def message(self, rest: list[Any]) -> None:
        texts, times, counts, (number, root), (is_open, named, filtered) = rest
        scope, queue_id, *values = _checked(texts, TEXT, 2 + len(TEXTS))
        m = Open(0.0, scope, queue_id)
        m.at, m.seen, m.turn = _checked(times, NUMBER, 3)
        values += _checked(counts, WHOLE, len(COUNTS))
        for field, value in zip(TEXTS + COUNTS, values, strict=True):
            setattr(m, field, value)
        m.filtered = bool(filtered)
        self.last = m
        self.found += 1
        _checked([number, root], WHOLE, 2)
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
        recipient, *end = _checked(rest, TEXT, len(rest))
        if self.last is None or len(end) not in (0, 3):
            raise BadState("a recipient of no message in the checkpoint")
        self.last.note(recipient, tuple(end))

    def tomb(self, rest: list[Any]) -> None:
        generation, queue_id, scope, opened, until = rest
        _checked([queue_id, scope], TEXT, 2)
        _checked([opened, until], NUMBER, 2)
        self.memory.tombs[generation][queue_id] = (scope, opened, until)

    def held(self, rest: list[Any]) -> None:
        (number,) = rest
        self.memory.held.append(self.numbered[number])

    def end(self, rest: list[Any]) -> None:
        self.ended = True

    def finish(self) -> None:
        if not self.ended or self.found != self.expected:
            raise BadState(f"the checkpoint is cut: {self.found} of {self.expected} messages")
        self._count()
        for m, number in self.roots:
            root = self.numbered[number]
            if root is m or root.root is not None:
                raise BadState("messages of the checkpoint refer to each other in a ring")
            m.root = root

    def _count(self) -> None:
        memory = self.memory
        memory.open = sum(len(table) for table in memory.tables.values())
        while memory.open > memory.most:
            memory.drop_oldest()


_READERS = {
    "head": _Loader.head,
    "queue": _Loader.queue,
    "message": _Loader.message,
    "to": _Loader.to,
    "tomb": _Loader.tomb,
    "held": _Loader.held,
    "end": _Loader.end,
}
