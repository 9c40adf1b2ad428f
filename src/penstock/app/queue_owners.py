"""Whose the messages of the MTA's queue are, by the index of sent mail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from penstock.stores.sent import SentIndex
from penstock.wire.postqueue import Entry

SLACK: Final = 10
"""Seconds by which the index may have a message before the queue has it: a log's stamps are rounded down."""

Known = dict[tuple[str, str, int], str]
"""(instance, queue id, arrival) → sender."""


class Owners:
    """Remembers the senders of what was in the queue at the last look."""

    def __init__(self, sent: SentIndex) -> None:
        self._sent = sent
        self._before: Known = {}
        self._now: Known = {}

    def copy(self) -> Owners:
        """For a look beside this one."""
        found = Owners(self._sent)
        found._before = self._before
        return found

    async def of(self, instance: str, entries: Sequence[Entry]) -> list[str]:
        """The sender of each message, "" when nobody knows."""
        keys = [(instance, entry.queue_id, entry.arrival) for entry in entries]
        for key in keys:
            if key in self._before:
                self._now[key] = self._before[key]
        new = [entry for entry, key in zip(entries, keys, strict=True) if key not in self._now]
        if new:
            await self._learn(instance, new)
        return [self._now.get(key, "") for key in keys]

    async def _learn(self, instance: str, entries: Sequence[Entry]) -> None:
        """An id may have been another message's before: that one was earlier."""
        found = await self._sent.senders_of([entry.queue_id for entry in entries])
        for entry in entries:
            message = found.get(entry.queue_id)
            if message is not None and message.at >= entry.arrival - SLACK:
                self._now[instance, entry.queue_id, entry.arrival] = message.sender

    def looked(self) -> None:
        """The whole queue was seen: what has left it is forgotten."""
        self._before, self._now = self._now, {}
