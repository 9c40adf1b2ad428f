"""What is usual for a sender, read from its ledger.

The last day does not count, so nobody can raise his own bar today; and it is the second-largest day that
counts, so that one day, honest or not, raises nothing. What an attacker who is patient gains is bounded
by what the floors leave him anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.core.ledger import Counter, Ledger

DAYS: Final = 31
LASTS: Final = 3600
"""Seconds after which a habit is read again."""

DORMANT: Final = 25
"""Days without mail after which a sender counts as dormant: the ledger reaches 32 days back."""


@dataclass(slots=True)
class Habit:
    """``recipients``, ``novel``, ``networks``, ``envelopes``: on the second-busiest of the last 30 days,
    today left out. ``active``: days with mail among them; ``age``: days since the sender was first seen;
    ``quiet``: days since its last mail before today (``DAYS`` when there was none)."""

    recipients: int
    novel: int
    networks: int
    envelopes: int
    active: int
    age: float
    quiet: int
    at: int


def habit_of(ledger: Ledger, first_seen: int, at: int) -> Habit:
    """The habit as of second ``at``."""
    recipients = ledger.daily(Counter.RECIPIENTS, at, DAYS)[1:]
    return Habit(
        recipients=_second(recipients),
        novel=_second(ledger.daily(Counter.NOVEL, at, DAYS)[1:]),
        networks=_second(ledger.daily(Counter.NETWORKS, at, DAYS)[1:]),
        envelopes=_second(ledger.daily(Counter.ENVELOPES, at, DAYS)[1:]),
        active=sum(1 for n in recipients if n),
        age=max(0, at - first_seen) / 86400,
        quiet=next((i for i, n in enumerate(recipients) if n), DAYS - 1) + 1,
        at=at,
    )


def _second(values: list[int]) -> int:
    return sorted(values)[-2]
