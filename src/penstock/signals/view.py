"""What signals see of a sender: sums of its ledger, its habit, its class, and what goes on elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.core.evidence import Usual
from penstock.core.habit import Habit
from penstock.core.ledger import Counter

WINDOWS: Final = (3600, 86400, 7 * 86400)


@dataclass(slots=True)
class View:
    """``day``, ``week``: sums by counter. ``shared``: accounts to which the sender's newest client
    network is new as well. ``tainted``: it was seen in an incident. ``refused_elsewhere``: the share of all
    other senders' recipients that was refused for reputation, content or rate within the hour."""

    at: int
    kind: str
    usual: Usual
    habit: Habit
    day: list[int]
    week: list[int]
    shared: int = 0
    tainted: bool = False
    refused_elsewhere: float = 0.0

    def today(self, counter: Counter) -> int:
        """Of the last 24 hours."""
        return self.day[counter]
