"""What is usual for a sender, read from its ledger.

The last week does not count, so nobody can raise his own bar while he is at it; and it is the second-largest
day that counts, so that one day, honest or not, raises nothing. What an attacker who is patient gains is
bounded by what the floors leave him anyway. Of a sender younger than two weeks all but the last day counts:
there is nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.core.ledger import Counter, Ledger

DAYS: Final = 31
DELAY: Final = 7
"""Days that do not count yet."""

LASTS: Final = 6 * 3600
"""Seconds after which a habit is read again."""

DORMANT: Final = 25
"""Days without mail after which a sender counts as dormant: the ledger reaches 32 days back."""


COUNTERS: Final = (
    int(Counter.RECIPIENTS),
    int(Counter.NOVEL),
    int(Counter.NETWORKS),
    int(Counter.ENVELOPES),
)


@dataclass(slots=True)
class Habit:
    """``recipients``, ``novel``, ``networks``, ``envelopes``: on the second-busiest of the days that count;
    ``novel_share``: of the recipients of these days, smoothed. ``active``: days with mail in the last 30,
    today left out; ``age``: days since the sender was first seen; ``quiet``: days since its last mail
    before today (``DAYS`` when there was none)."""

    recipients: int
    novel: int
    networks: int
    envelopes: int
    novel_share: float
    active: int
    age: float
    quiet: int
    at: int


def habit_of(ledger: Ledger, first_seen: int, at: int) -> Habit:
    """The habit as of second ``at``."""
    age = max(0, at - first_seen) / 86400
    begin = 1 + DELAY if age >= 2 * DELAY else 1
    mailed, novel, networks, envelopes = ledger.daily(COUNTERS, at, DAYS)
    recipients, novel = mailed[begin:], novel[begin:]
    return Habit(
        recipients=_second(recipients),
        novel=_second(novel),
        networks=_second(networks[begin:]),
        envelopes=_second(envelopes[begin:]),
        novel_share=min(1.0, (sum(novel) + 1.5) / (sum(recipients) + 5)),
        active=sum(1 for n in mailed[1:] if n),
        age=age,
        quiet=next((i for i, n in enumerate(mailed[1:]) if n), DAYS - 1) + 1,
        at=at,
    )


def _second(values: list[int]) -> int:
    return sorted(values)[-2]
