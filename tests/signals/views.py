"""What signals see, made from real ledgers: ``view(novel=40, days=[{"recipients": 3}])``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from penstock.core.evidence import ORDINARY, Usual
from penstock.core.habit import DELAY, habit_of
from penstock.core.ledger import Counter, Ledger
from penstock.signals import SIGNALS
from penstock.signals.view import (
    ALONE,
    RECENT,
    STAYED,
    WINDOWS,
    Alike,
    Travel,
    View,
    at_one_go,
    busiest_hour,
    hours_of_day,
    times_of_day,
)

T0 = 1_700_000_000
HOUR = 3600
DAY = 86400

Counts = dict[str, int]
"""Counters by name, in small letters."""

QUIET_MONTH: Sequence[Counts] = [{"recipients": 3}] * 28


def long_ago(*days: Counts) -> Sequence[Counts]:
    """A past that counts for a habit: the last week is too young."""
    return [{}] * DELAY + list(days)


def ledger_of(today: Counts, earlier: Counts, days: Sequence[Counts]) -> Ledger:
    """Counts of the last minutes, of the hours before, and of so many days before, yesterday first, each at
    its middle."""
    ledger = Ledger()
    for ago in range(len(days), 0, -1):
        for name, n in days[ago - 1].items():
            ledger.add(Counter[name.upper()], T0 - ago * DAY - DAY // 2, n)
    for counts, before in ((earlier, 6 * HOUR), (today, 60)):
        for name, n in counts.items():
            ledger.add(Counter[name.upper()], T0 - before, n)
    return ledger


def view(
    days: Sequence[Counts] = (),
    kind: str = "login",
    age: float = 400.0,
    usual: Usual = ORDINARY,
    earlier: Counts | None = None,
    seen: float = 1.0,
    shared: int = 0,
    shared_known: int = 0,
    shared_novel: int = 0,
    tainted: bool = False,
    refused_elsewhere: float = 0.0,
    alike: Alike = ALONE,
    script: str = "",
    travel: Travel = STAYED,
    **today: int,
) -> View:
    """A sender first seen ``age`` days ago. ``days``: its past, yesterday first; ``earlier``: some hours ago;
    ``today``: in the last minutes."""
    return replace(
        view_of(ledger_of(today, earlier or {}, days), T0, kind, age, usual),
        seen=seen,
        shared=shared,
        shared_known=shared_known,
        shared_novel=shared_novel,
        tainted=tainted,
        refused_elsewhere=refused_elsewhere,
        alike=alike,
        script=script,
        travel=travel,
    )


def view_of(
    ledger: Ledger, at: int, kind: str = "login", age: float = 400.0, usual: Usual = ORDINARY
) -> View:
    """A sender with these counts, at second ``at``."""
    habit = habit_of(ledger, int(at - age * DAY), at)
    now, hour, day, week = ledger.sums(at, WINDOWS)
    return View(
        at,
        kind,
        usual,
        habit,
        now,
        hour,
        day,
        week,
        busiest=busiest_hour(ledger, week, at, RECENT),
        at_one_go=at_one_go(ledger, week, at, WINDOWS[3]),
        hours=hours_of_day(ledger, day, at),
        times=times_of_day(ledger, day, usual, at, WINDOWS[2]),
    )


def abroad(novel: int, known: int = 0) -> Counts:
    """So many recipients from a foreign network, new to the sender and known to it."""
    return {
        "recipients": novel + known,
        "novel": novel,
        "foreign": novel + known,
        "foreign_novel": novel,
    }


def weight(signal: str, seen: View) -> float:
    """What one signal says, 0 when it says nothing."""
    weigh = next(weigh for name, _, weigh in SIGNALS if name == signal)
    found = weigh(seen)
    return found[0] if found is not None else 0.0
