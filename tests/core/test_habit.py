"""What is usual for a sender."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.habit import DAYS, DORMANT, Habit, habit_of
from penstock.core.ledger import Counter, Ledger

T0 = 1_700_000_000
DAY = 86400


def habit(days: dict[int, int], counter: Counter = Counter.RECIPIENTS, age: int = 400) -> Habit:
    """Of a sender with so many at the middle of the day so many days ago (0: today)."""
    ledger = Ledger()
    for ago in sorted(days, reverse=True):
        ledger.add(counter, T0 - ago * DAY - DAY // 2, days[ago])
    return habit_of(ledger, T0 - age * DAY, T0)


def test_a_sender_without_a_past_has_no_habit() -> None:
    assert habit_of(Ledger(), T0, T0) == Habit(0, 0, 0, 0, 0, 0.0, DAYS, T0)


def test_today_does_not_count() -> None:
    assert habit({0: 5000, 1: 20, 2: 30}).recipients == 20
    assert habit({0: 5000, 1: 20, 2: 30}) == habit({1: 20, 2: 30})


def test_it_is_the_second_busiest_day_that_counts() -> None:
    assert habit({3: 5000, 9: 40, 20: 30}).recipients == 40
    assert habit({3: 5000}).recipients == 0
    assert habit({3: 5000, 4: 5000}).recipients == 5000


def test_each_thing_has_its_own_habit() -> None:
    for counter in (Counter.NOVEL, Counter.NETWORKS, Counter.ENVELOPES):
        found = habit({2: 7, 5: 6, 8: 1}, counter)
        assert getattr(found, counter.name.lower()) == 6
        assert (found.recipients, found.active) == (0, 0)


def test_active_days_and_age() -> None:
    found = habit({0: 1, 1: 2, 5: 1, 29: 9}, age=12)
    assert found.active == 3 and found.age == 12


def test_what_is_older_than_a_month_is_forgotten() -> None:
    assert habit({34: 900, 35: 900}).recipients == 0


def test_a_sender_that_was_silent_is_dormant() -> None:
    assert habit({0: 9}).quiet == DAYS >= DORMANT
    assert habit({DORMANT + 1: 5}).quiet >= DORMANT
    assert habit({DORMANT - 3: 5}).quiet < DORMANT
    assert habit({1: 5, 20: 5}).quiet == 1


def test_a_first_mail_after_now_makes_nobody_younger_than_new() -> None:
    assert habit({}, age=-3).age == 0


@given(st.dictionaries(st.integers(0, 28), st.integers(1, 10_000), max_size=29), st.integers(1, 1_000_000))
@settings(max_examples=60, deadline=None)
def test_one_more_day_of_any_size_lifts_a_habit_only_to_what_was_there(
    days: dict[int, int], flood: int
) -> None:
    """So nobody trains it with one day, and nobody today."""
    before = habit(days).recipients
    past = sorted((n for ago, n in days.items() if ago), reverse=True)
    assert habit({**days, 0: flood}).recipients == before
    assert habit({**days, 29: flood}).recipients <= max(past[:1], default=0)
    assert before == (past[1] if len(past) > 1 else 0)
