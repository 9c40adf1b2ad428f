"""What signals see, made from real ledgers: ``view(novel=40, days=[{"recipients": 3}])``."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.core.evidence import ORDINARY, Usual
from penstock.core.habit import habit_of
from penstock.core.ledger import Counter, Ledger
from penstock.signals import SIGNALS
from penstock.signals.view import WINDOWS, View

T0 = 1_700_000_000
DAY = 86400

Counts = dict[str, int]
"""Counters by name, in small letters."""

QUIET_WEEK: Sequence[Counts] = [{"recipients": 3}] * 7


def ledger_of(today: Counts, days: Sequence[Counts]) -> Ledger:
    """Counts of the last minutes, and of so many days before, yesterday first, each at its middle."""
    ledger = Ledger()
    for ago in range(len(days), 0, -1):
        for name, n in days[ago - 1].items():
            ledger.add(Counter[name.upper()], T0 - ago * DAY - DAY // 2, n)
    for name, n in today.items():
        ledger.add(Counter[name.upper()], T0 - 60, n)
    return ledger


def view(
    days: Sequence[Counts] = (),
    kind: str = "login",
    age: float = 400.0,
    usual: Usual = ORDINARY,
    shared: int = 0,
    tainted: bool = False,
    refused_elsewhere: float = 0.0,
    **today: int,
) -> View:
    """A sender first seen ``age`` days ago. ``days``: its past, yesterday first."""
    ledger = ledger_of(today, days)
    _, day, week = ledger.sums(T0, WINDOWS)
    habit = habit_of(ledger, int(T0 - age * DAY), T0)
    return View(T0, kind, usual, habit, day, week, shared, tainted, refused_elsewhere)


def weight(signal: str, seen: View) -> float:
    """What one signal says, 0 when it says nothing."""
    weigh = next(weigh for name, _, weigh in SIGNALS if name == signal)
    found = weigh(seen)
    return found[0] if found is not None else 0.0
