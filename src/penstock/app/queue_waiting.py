"""Mail that the gate has held because its sender was over a limit or slowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from penstock.engine import Engine
from penstock.engine.holding import Row
from penstock.engine.releasing import Releasing
from penstock.wire.postqueue import Entry

MOST: Final = 20_000
"""Messages of which the recipients are remembered; of others the queue's listing names the first few."""

MOST_NAMES: Final = 200
"""Recipients remembered of each."""

COMES: Final = 600.0
"""Seconds within which a message that was answered with a hold lies in the queue."""


@dataclass(frozen=True, slots=True)
class Held:
    """A message that was answered with a hold: whose it is, for whom, and when (seconds)."""

    owner: str
    recipients: Sequence[str]
    at: float


class WaitingMail:
    """What was held, by queue id, until it goes."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._releasing = Releasing(engine)
        self._clock = clock
        self._held: dict[str, Held] = {}
        self._lie = False

    def __bool__(self) -> bool:
        return self._lie or bool(self._held)

    def put(self, queue_id: str, owner: str, recipients: Sequence[str]) -> None:
        """The gate has held it."""
        if len(self._held) >= MOST:
            del self._held[next(iter(self._held))]
        self._held[queue_id] = Held(owner, recipients[:MOST_NAMES], self._clock())

    def keep(self, waiting: set[str]) -> None:
        """A look found that these wait; what was held just now may not have been seen yet."""
        since, self._lie = self._clock() - COMES, bool(waiting)
        self._held = {key: held for key, held in self._held.items() if key in waiting or held.at > since}

    def waits(self, queue_id: str, owner: str) -> bool:
        """Whether the gate has held a message of that id of this sender."""
        held = self._held.get(queue_id)
        return held is not None and held.owner == owner

    def has_room(self, row: Row, entry: Entry) -> bool:
        """Whether its sender has room for it now; then it is charged."""
        names: Sequence[str] = entry.recipients
        held = self._held.get(row.queue_id)
        if len(names) < entry.recipient_count and held is not None and held.owner == row.owner:
            names = held.recipients[: entry.recipient_count]
        unnamed = [f"#{n}" for n in range(len(names), entry.recipient_count)]
        recipients, now = [*names, *unnamed], self._clock()
        if not self._releasing.let_go(row.owner, row.queue_id, row.envelope, recipients, row.size, now):
            return False
        self._held.pop(row.queue_id, None)
        return True
