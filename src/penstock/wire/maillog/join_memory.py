"""What the join remembers: the messages that are in a queue now, by queue id, bounded and aged.

A table per queue (``scope``). What ages in it stands in a row: the front is looked at when a message comes
in, and goes to the back when it has to stay. So nothing is ever scanned. Of a message that has gone, a few
thousand ids are kept, so that lines which are read twice do not bring it back.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final

from penstock.core.events import Message

REST = 2 * 3600.0
"""Seconds after which a message that no client has finished is given up."""
MOST_TOMBS = 4096
MOST_WORDS = 20_000
MOST_ENDS = 50_000
"""Recipients remembered per message. Beyond it duplicates count twice and deferrals are no events."""

MOST_TABLES = 2000
"""Queues known. Beyond it the newest is forgotten: names in a log can be made up, old ones hardly are."""

FRESH, PARKED, WAITING, KNOWN = range(4)
"""Stages of a message: a client is still sending it; held (HOLD); queued, but perhaps only on its way out
of a content filter, so ``Accepted`` waits; ``Accepted`` has been given, or never will be."""

Strings = tuple[str, ...]
ENDED: Strings = ()
"""The end of a recipient that was delivered or bounced. One that waits: (relay, status, reply)."""


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
        if isinstance(ends, tuple):
            return ends[1] if ends[0] == recipient else None
        return ends.get(recipient)

    def note(self, recipient: str, end: Strings) -> bool:
        """False when there is no room for another recipient."""
        ends = self.ends
        if ends is None:
            self.ends = (recipient, end)
        elif isinstance(ends, tuple):
            self.ends = (recipient, end) if ends[0] == recipient else {ends[0]: ends[1], recipient: end}
        elif len(ends) >= MOST_ENDS and recipient not in ends:
            return False
        else:
            ends[recipient] = end
        return True

    def end(self, recipient: str) -> bool:
        """False when the recipient's end was noted before."""
        if self.ends is None:
            self.ends = (recipient, ENDED)
            return True
        if self.recall(recipient) == ENDED:
            return False
        self.note(recipient, ENDED)
        return True

    def each(self) -> Iterator[tuple[str, Strings]]:
        if self.ends is None:
            return iter(())
        return iter((self.ends,) if isinstance(self.ends, tuple) else self.ends.items())


Table = OrderedDict[str, Open]
"""One queue: queue id → message, the one that has aged longest first. Ordered, because the front of a
plain dict gets slow when entries are deleted there."""


class Tables(dict[str, Table]):
    """The queues by scope. One that is not known is empty."""

    _EMPTY: Final[Table] = OrderedDict()

    def __missing__(self, scope: str) -> Table:
        return self._EMPTY


Tomb = tuple[str, float, float]
"""(scope, opened at, quiet until) of a message that is gone."""


class Words(dict[str, str]):
    """One object for equal texts: names and addresses recur."""

    def __missing__(self, text: str) -> str:
        if len(self) >= MOST_WORDS:
            self.clear()
        self[text] = text
        return text


class Memory:
    """All that outlives a restart. Bounded by ``most`` messages; a message is dropped when no line of it has
    come for ``keep`` seconds.

    ``held``: messages of which ``Accepted`` waits, in the order of their turns. ``named``: the open message
    with this Message-ID that was submitted last.
    """

    def __init__(self, most: int, keep: float) -> None:
        self.most = most
        self.keep = keep
        self._rest = min(REST, keep)
        self.tables = Tables()
        self.held: deque[Open] = deque()
        self.named: dict[str, Open] = {}
        self.tombs: tuple[dict[str, Tomb], dict[str, Tomb]] = ({}, {})
        self.open = self.forgotten = self.orphans = 0
        self._near: dict[str, tuple[Table, ...]] = {}

    def table(self, scope: str) -> Table:
        table = self.tables.get(scope)
        if table is None:
            if len(self.tables) >= MOST_TABLES:
                self._make_room()
            table = self.tables[scope] = OrderedDict()
            self._near.clear()
        return table

    def _make_room(self) -> None:
        for name in [name for name, table in self.tables.items() if not table]:
            del self.tables[name]
        if len(self.tables) >= MOST_TABLES:
            newest = next(reversed(self.tables))
            for m in list(self.tables[newest].values()):
                self.forget(m)
            del self.tables[newest]

    def get(self, scope: str, queue_id: str) -> Open | None:
        return self.tables[scope].get(queue_id)

    def find(self, scope: str, queue_id: str) -> Open | None:
        """The open message that has this id in any queue of the same host, first in this one."""
        for table in self._near.get(scope) or self._neighbours(scope):
            m = table.get(queue_id)
            if m is not None:
                return m
        return None

    def _neighbours(self, scope: str) -> tuple[Table, ...]:
        host = host_of(scope)
        others = (table for name, table in self.tables.items() if host_of(name) == host and name != scope)
        self._near[scope] = near = (self.table(scope), *others)
        return near

    def start(self, at: float, scope: str, queue_id: str) -> Open:
        table = self.tables.get(scope)
        if table is None:
            table = self.table(scope)
        self._sweep(table, at)
        old = table.get(queue_id)
        if old is not None:
            self.close(old, at)
        m = table[queue_id] = Open(at, scope, queue_id)
        self.open += 1
        if self.open > self.most:
            self.drop_oldest()
        return m

    def close(self, m: Open, until: float) -> None:
        """``until``: lines that are not later than this are still about ``m``."""
        del self.tables[m.scope][m.queue_id]
        self.open -= 1
        if self.named.get(m.message_id) is m:
            del self.named[m.message_id]
        self.bury(m, until)

    def bury(self, m: Open, until: float) -> None:
        young = self.tombs[0]
        young[m.queue_id] = (m.scope, m.at, until)
        if len(young) >= MOST_TOMBS:
            self.tombs = ({}, young)

    def back(self, m: Open, at: float) -> None:
        """To the back of the row that ages."""
        self.tables[m.scope].move_to_end(m.queue_id)
        m.turn = at

    def _sweep(self, table: Table, at: float) -> None:
        """Two of the front per start keep up with any row."""
        for _ in range(2):
            head = next(iter(table.values()), None)
            if head is None or at - head.turn < self._rest:
                return
            if at - head.seen >= self.keep:
                self.forget(head)
            elif head.stage == FRESH and at - head.seen >= REST:
                self.close(head, head.seen)
            else:
                self.back(head, at)

    def drop_oldest(self) -> None:
        heads = [next(iter(table.values())) for table in self.tables.values() if table]
        self.forget(min(heads, key=lambda m: m.turn))

    def forget(self, m: Open) -> None:
        self.close(m, m.seen)
        self.forgotten += 1

    def begin(self, at: float, scope: str, queue_id: str) -> Open | None:
        """The message that a client's or a user's line starts. None when that line was read before: an id
        cannot recur within the same second, because it is made of the microseconds."""
        m = self.tables[scope].get(queue_id)
        if m is None:
            tomb = self._tomb(scope, queue_id)
            return None if tomb is not None and at <= tomb[1] else self.start(at, scope, queue_id)
        if at > m.at:
            return self.start(at, scope, queue_id)
        # Cleanup's line may overtake the line that starts the message.
        fits = m.stage == FRESH and m.root is None and not (m.kind or m.client_address)
        return m if fits else None

    def has_gone(self, at: float, scope: str, queue_id: str) -> bool:
        """Whether what a line of this time tells is about a message that was closed since."""
        tomb = self._tomb(scope, queue_id)
        return tomb is not None and at <= tomb[2]

    def _tomb(self, scope: str, queue_id: str) -> Tomb | None:
        young, old = self.tombs
        tomb = young.get(queue_id) or old.get(queue_id)
        return tomb if tomb and tomb[0] == scope else None

    def is_open(self, m: Open) -> bool:
        return self.get(m.scope, m.queue_id) is m


def host_of(scope: str) -> str:
    return scope.partition("/")[0]
