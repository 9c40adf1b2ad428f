"""Which mail in the MTA's queue is to be held, released or dropped: a plan from one look at the whole queue.

Theory: what is wanted of a message is a row, written before anything is done; each look compares rows and
queue, and what differs is done (again). So nothing depends on an action having worked, and a crash between
two steps is one more difference. Freezing a message is undone at no cost, so it is done at once and checked
after: an id that was used again in between names another message, with another second of arrival or another
sender, which is let go. What is dropped is frozen first, seen to be the message meant, and deleted from
where nothing changes by itself. Cost: a row (about 400 bytes) for each message that is held or was released
and has not left yet. Victims: a message of which nobody knows whose it is (sent before Penstock was there)
is not touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from penstock.engine.budget import NOTHING, Amount
from penstock.wire.postqueue import BUSY, Entry

MISSES: Final = 3
"""Looks in a row that a message may be missing in before it is taken for gone: Postfix's listing leaves out
what changes its place meanwhile."""

Key = tuple[str, str]
"""(instance, queue id)."""


class Wish(StrEnum):
    """What is wanted of a message. ``WAIT``: it goes when its sender has room for it. ``RELEASED``: it is
    done, and nothing holds it again by itself."""

    WAIT = "wait"
    HOLD = "hold"
    RELEASE = "release"
    RELEASED = "released"
    DROP = "drop"
    BOUNCE = "bounce"


@dataclass(slots=True)
class Row:
    """One message. ``owner``: the sender that it is charged to; ``envelope``: its envelope sender.

    ``auto``: held by us, and goes when its sender may send. ``seen``: was seen on hold, and it was this
    message. ``missed``: looks in a row in which it was not there.
    """

    instance: str
    queue_id: str
    arrival: int
    envelope: str
    owner: str
    size: int
    since: float
    wish: Wish
    auto: bool
    seen: bool = False
    missed: int = 0

    @property
    def key(self) -> Key:
        """Its place in the rows."""
        return self.instance, self.queue_id

    @property
    def age(self) -> tuple[int, str]:
        """The order in which mail goes out, oldest first."""
        return self.arrival, self.queue_id

    def is_of(self, entry: Entry) -> bool:
        """The entry is this message, and no later one of the same id."""
        return (self.arrival, self.envelope) == (entry.arrival, entry.sender)


class Stop(NamedTuple):
    """Whether a sender may not send. ``holds_since``: its new mail is held by us since then (``inf``: it is
    not).
    """

    stopped: bool = False
    holds_since: float = math.inf


def row_for(instance: str, entry: Entry, owner: str, wish: Wish, auto: bool, at: float) -> Row:
    """A row for a message as it was just seen."""
    return Row(
        instance, entry.queue_id, entry.arrival, entry.sender, owner, entry.size, at, wish, auto, entry.held
    )


class Look:
    """One look at the queue. Feed it every entry, then ``end``. ``stop``: of a sender; ``waits``: whether the
    gate has held a message of that id because this sender had no room for it; ``has_room``: whether it has
    now, and then it is charged.

    ``changed``: rows to be written; ``gone``: rows to be forgotten. ``to_hold``, ``to_drop``,
    ``to_bounce``: what to do now; ``to_release``: what may go, at its pace, oldest first. ``mistaken``:
    messages of nobody concerned that were put on hold under a reused id. ``frozen``: messages that were now
    seen on hold. ``held``: what is on hold, of known owners; ``lying``: what of it came
    before this second, by owner; ``oldest``: arrival of the oldest message that we hold, by instance.
    """

    def __init__(
        self,
        rows: dict[Key, Row],
        stop: Callable[[str], Stop],
        at: float,
        waits: Callable[[str, str], bool] = lambda queue_id, owner: False,
        has_room: Callable[[Row, Entry], bool] = lambda row, entry: False,
    ) -> None:
        self._rows = rows
        self._stop = stop
        self._waits = waits
        self._has_room = has_room
        self._at = at
        self._met: set[Key] = set()
        self.changed: dict[Key, Row] = {}
        self.gone: list[Key] = []
        self.mistaken: list[Key] = []
        self.to_hold: list[Row] = []
        self.to_drop: list[Row] = []
        self.to_bounce: list[Row] = []
        self.to_release: list[Row] = []
        self.waiting: list[tuple[Row, Entry]] = []
        self.held = NOTHING
        self.lying: dict[str, Amount] = {}
        self.oldest: dict[str, int] = {}
        self.frozen = 0

    def take(self, instance: str, entry: Entry, owner: str) -> None:
        """One entry of the listing; ``owner`` is "" when nobody knows."""
        key = (instance, entry.queue_id)
        if key in self._met:
            return
        self._met.add(key)
        if owner and entry.held:
            self._lie(owner, entry)
        row = self._rows.get(key)
        if row is not None and not row.is_of(entry):
            self._reused(row, entry, owner)
            row = None
        if row is None:
            self._meet(instance, entry, owner)
        else:
            self._pursue(row, entry)

    def _lie(self, owner: str, entry: Entry) -> None:
        self.held = self.held.plus(1, entry.size)
        if entry.arrival < int(self._at):
            self.lying[owner] = self.lying.get(owner, NOTHING).plus(1, entry.size)

    def end(self) -> None:
        """The listing was complete."""
        for key, row in list(self._rows.items()):
            if key not in self._met:
                row.missed += 1
                if row.missed >= MISSES:
                    self._forget(key)
        for row, entry in sorted(self.waiting, key=lambda pair: pair[0].age):
            if self._has_room(row, entry):
                self._wish(row, Wish.RELEASE)
                self.to_release.append(row)
        self.to_release.sort(key=lambda row: row.age)

    def _forget(self, key: Key) -> None:
        del self._rows[key]
        self.gone.append(key)

    def _keep(self, row: Row) -> None:
        self._rows[row.key] = self.changed[row.key] = row

    def _reused(self, row: Row, entry: Entry, owner: str) -> None:
        """The message is gone and its id names another one, which may be held in its place."""
        self._forget(row.key)
        if entry.held and not row.seen and not (owner and self._stop(owner).stopped):
            self.mistaken.append(row.key)

    def _meet(self, instance: str, entry: Entry, owner: str) -> None:
        """A message without a row: it is frozen when its sender is stopped."""
        if not owner or entry.queue in BUSY:
            return
        stop = self._stop(owner)
        if stop.stopped and (not entry.held or entry.arrival + 1 > stop.holds_since):
            row = row_for(instance, entry, owner, Wish.HOLD, True, self._at)
            self._keep(row)
            if entry.held:
                self._lies(row, entry)
            else:
                self.to_hold.append(row)
        elif entry.held and not stop.stopped and self._waits(entry.queue_id, owner):
            row = row_for(instance, entry, owner, Wish.WAIT, True, self._at)
            self._keep(row)
            self._lies(row, entry)

    def _pursue(self, row: Row, entry: Entry) -> None:
        """A message with a row: what is still to be done about it?"""
        row.missed = 0
        if row.auto and row.wish in (Wish.HOLD, Wish.RELEASE, Wish.WAIT):
            stopped = self._stop(row.owner).stopped
            waits = row.wish is Wish.WAIT and entry.held
            self._wish(row, Wish.HOLD if stopped else Wish.WAIT if waits else Wish.RELEASE)
        if entry.held:
            if not row.seen:
                row.seen = True
                self.frozen += 1
                self._keep(row)
            self._lies(row, entry)
        elif row.wish is Wish.DROP or (row.wish is not Wish.RELEASED and not row.seen):
            if row.wish is Wish.RELEASE:
                self._wish(row, Wish.RELEASED)
            else:
                self.to_hold.append(row)
        else:  # it was held and is no longer: we, or somebody at the MTA, have let it go
            self._wish(row, Wish.RELEASED)

    def _wish(self, row: Row, wish: Wish) -> None:
        if row.wish is not wish:
            row.wish = wish
            self._keep(row)

    def _lies(self, row: Row, entry: Entry) -> None:
        """It is on hold."""
        due = {Wish.RELEASE: self.to_release, Wish.DROP: self.to_drop, Wish.BOUNCE: self.to_bounce}
        if row.wish in due:
            due[row.wish].append(row)
        elif row.wish is Wish.WAIT:
            self.waiting.append((row, entry))
        if row.wish is not Wish.RELEASED:
            oldest = self.oldest.get(row.instance, row.arrival)
            self.oldest[row.instance] = min(oldest, row.arrival)


class Pace:
    """So many messages a minute for each sender: about a second's worth at once, at least one."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._ready: dict[str, tuple[float, float]] = {}

    def take(self, sender: str, wanted: int, at: float) -> int:
        """How many of ``wanted`` messages may go at ``at`` (seconds)."""
        rate = self.per_minute / 60
        most = max(1.0, rate)
        ready, since = self._ready.get(sender, (most, at))
        ready = min(most, ready + max(0.0, at - since) * rate)
        n = min(int(ready), wanted)
        self._ready[sender] = (ready - n, at)
        return n

    def keep(self, senders: Iterable[str]) -> None:
        """Forget all others."""
        self._ready = {sender: self._ready[sender] for sender in senders if sender in self._ready}
