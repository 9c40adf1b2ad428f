"""How much held mail a sender may have in the MTA's queue: beyond it, what would be held is refused, so
that a flood cannot fill the disk.

What is answered with a hold is counted at once; a look at the queue puts in its place what really lies
there, so that a message counts once: what came before the second in which the look began is the look's, the
rest is the gate's. Where nobody looks (``blind``), the counts are forgotten after a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

UNLIMITED: Final = 1 << 62
DAY: Final = 86400.0


class Amount(NamedTuple):
    """So many messages of so many bytes together."""

    messages: int = 0
    size: int = 0

    def plus(self, messages: int, size: int) -> Amount:
        """With so much more."""
        return Amount(self.messages + messages, self.size + size)


NOTHING: Final = Amount()
Noted = dict[str, Amount]


class Budget:
    """``messages`` and ``size`` (bytes): what one sender may have. ``refused``: messages beyond it."""

    def __init__(self) -> None:
        self.messages = UNLIMITED
        self.size = UNLIMITED
        self.blind = True
        self.refused = 0
        self._lying: Mapping[str, Amount] = {}
        self._during: Noted = {}
        self._before: Noted = {}
        self._now: Noted = {}
        self._second = 0
        self._forget_at = 0.0

    def adopt(self, messages: int, size: int) -> None:
        """What one sender may have from now on."""
        self.messages, self.size = messages, size

    def take(self, sender: str, at: float) -> bool:
        """One more message is to be held: False when the sender has had its share."""
        if self.blind and at >= self._forget_at:
            self._before.clear()
            self._now.clear()
            self._forget_at = at + DAY
        used = self.used(sender)
        if used.messages >= self.messages or used.size >= self.size:
            self.refused += 1
            return False
        self._note(sender, at, 1, 0)
        return True

    def weigh(self, sender: str, at: float, size: int) -> None:
        """A message that was taken has so many bytes."""
        self._note(sender, at, 0, size)

    def used(self, sender: str) -> Amount:
        """What the sender has on hold, as far as it is known."""
        found = self._lying.get(sender, NOTHING)
        for noted in (self._during, self._before, self._now):
            found = found.plus(*noted.get(sender, NOTHING))
        return found

    @property
    def in_use(self) -> bool:
        """Something is, or was just now, put on hold."""
        return bool(self._lying or self._during or self._before or self._now)

    def unseen(self, at: float) -> bool:
        """Mail was put on hold within the day, and nobody looks after it."""
        return self.blind and self.in_use and at < self._forget_at

    def begin(self, at: float) -> None:
        """Somebody begins to look at the queue."""
        self._turn(int(at))
        _merge(self._during, self._before)

    def settle(self, lying: Mapping[str, Amount]) -> None:
        """What came before the second in which the look began, by sender: what was noted until then is in
        it.
        """
        self._lying = lying
        self._during.clear()

    def _note(self, sender: str, at: float, messages: int, size: int) -> None:
        self._turn(int(at))
        self._now[sender] = self._now.get(sender, NOTHING).plus(messages, size)

    def _turn(self, second: int) -> None:
        """Notes of this second are kept apart: the queue tells seconds only."""
        if second != self._second:
            _merge(self._before, self._now)
            self._second = second


def _merge(into: Noted, noted: Noted) -> None:
    for sender, amount in noted.items():
        into[sender] = into.get(sender, NOTHING).plus(*amount)
    noted.clear()
