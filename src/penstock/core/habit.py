"""What is usual for a sender, read from its ledger.

The last week does not count, so nobody can raise his own bar while he is at it; and it is the second-largest
day that counts, so that one day, honest or not, raises nothing. What an attacker who is patient gains is
bounded by what the floors leave him anyway. Of a sender younger than two weeks all but the last day counts:
there is nothing else. Days since a suspicion that the outcomes bear out do not count, up to three weeks of
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.core.ledger import Counter, Ledger

DAYS: Final = 31
DELAY: Final = 7
"""Days that do not count yet."""

DOUBTED: Final = 21
"""Days of suspicion that do not count, at most."""

QUARTER: Final = 6 * 3600
"""Seconds of a quarter of a day. A habit is that of the quarter's beginning, whenever it is read: the same
live and replayed, before and after a restart. The coarsest slots of a ledger are as wide."""

DORMANT: Final = 25
"""Days without mail after which a sender counts as dormant: the ledger reaches 32 days back."""


COUNTERS: Final = (
    int(Counter.RECIPIENTS),
    int(Counter.NOVEL),
    int(Counter.NETWORKS),
    int(Counter.ENVELOPES),
    int(Counter.STEADY),
    int(Counter.NEWLY_DEAD),
    int(Counter.PROVEN),
    int(Counter.MESSAGES),
)


Quarters = tuple[int, int, int, int]


@dataclass(slots=True)
class Habit:
    """``recipients``, ``novel``, ``networks``, ``envelopes``, ``steady``, ``fan_out`` (recipients beyond one
    for each message): on the second-busiest of the days that count; ``novel_share``: of the recipients of
    these days, smoothed; ``dead``, ``proven``: what became of the new ones. ``active``: days with mail in the
    last 30, today left out; ``age``: days since the sender was first seen; ``quiet``: days since its last
    mail before today, or before it came under suspicion (``DAYS`` when there was none). ``quarters``: on how
    many of the days that count it mailed in each quarter of the day (UTC)."""

    recipients: int
    novel: int
    networks: int
    envelopes: int
    steady: int
    fan_out: int
    novel_share: float
    dead: int
    proven: int
    active: int
    age: float
    quiet: int
    at: int
    quarters: Quarters = (0, 0, 0, 0)


def habit_of(ledger: Ledger, first_seen: int, at: int, doubted_since: float = float("inf")) -> Habit:
    """The habit as of second ``at`` of a sender that has been under suspicion since ``doubted_since``."""
    age = max(0, at - first_seen) / 86400
    before = 1 + min(DOUBTED, int((at - doubted_since) // 86400)) if at >= doubted_since else 1
    begin = max(before, 1 + DELAY if age >= 2 * DELAY else 1)
    mailed, novel, networks, envelopes, steady, dead, proven, messages = ledger.daily(COUNTERS, at, DAYS)
    recipients, novel = mailed[begin:], novel[begin:]
    return Habit(
        recipients=_second(recipients),
        novel=_second(novel),
        networks=_second(networks[begin:]),
        envelopes=_second(envelopes[begin:]),
        steady=_second(steady[begin:]),
        fan_out=_second([n - m for n, m in zip(recipients, messages[begin:], strict=True)]),
        novel_share=min(1.0, (sum(novel) + 1.5) / (sum(recipients) + 5)),
        dead=sum(dead[begin:]),
        proven=sum(proven[begin:]),
        active=sum(1 for n in mailed[1:] if n),
        age=age,
        quiet=min(DAYS, next((i for i, n in enumerate(mailed[before:]) if n), DAYS) + 1),
        at=at,
        quarters=_quarters(ledger, at, begin),
    )


def _quarters(ledger: Ledger, at: int, begin: int) -> Quarters:
    """Days that ended ``begin`` days before ``at`` or earlier, by the quarters in which there was mail."""
    end = (at - begin * 86400) // QUARTER
    mailed = {second // QUARTER for second, _ in ledger.times(int(Counter.RECIPIENTS), at, DAYS * 86400)}
    first, second, third, fourth = (
        sum(1 for quarter in mailed if quarter < end and quarter % 4 == i) for i in range(4)
    )
    return first, second, third, fourth


def _second(values: list[int]) -> int:
    return sorted(values)[-2]
