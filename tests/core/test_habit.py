"""What is usual for a sender."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.habit import DAYS, DELAY, DORMANT, Habit, habit_of
from penstock.core.ledger import Counter, Ledger

T0 = 1_700_000_000
DAY = 86400
OLD, YOUNG = 2 * DELAY, 2 * DELAY - 1
"""Days of age with and without the delay."""


def habit(days: dict[int, int], counter: Counter = Counter.RECIPIENTS, age: float = 400) -> Habit:
    """Of a sender with so many at the middle of the day so many days ago (0: today)."""
    ledger = Ledger()
    for ago in sorted(days, reverse=True):
        ledger.add(counter, T0 - ago * DAY - DAY // 2, days[ago])
    return habit_of(ledger, int(T0 - age * DAY), T0)


def test_a_sender_without_a_past_has_no_habit() -> None:
    assert habit_of(Ledger(), T0, T0) == Habit(
        recipients=0,
        novel=0,
        networks=0,
        envelopes=0,
        steady=0,
        fan_out=0,
        novel_share=0.3,
        dead=0,
        proven=0,
        active=0,
        age=0.0,
        quiet=DAYS,
        at=T0,
    )


@pytest.mark.parametrize("age", [YOUNG, OLD, 400])
def test_today_does_not_count(age: int) -> None:
    before = {9: 20, 10: 30}
    assert habit({0: 5000, **before}, age=age) == habit(before, age=age)


def test_the_last_week_does_not_count_yet() -> None:
    week = dict.fromkeys(range(1, DELAY + 1), 5000)
    assert habit({**week, 9: 20, 10: 30}).recipients == 20
    assert habit({DELAY: 5000, DELAY + 1: 40, DELAY + 2: 30}).recipients == 30
    assert habit({DELAY + 1: 5000, DELAY + 2: 5000}).recipients == 5000


def test_quarters_of_the_day_are_counted_by_days_with_mail() -> None:
    ledger, midnight = Ledger(), T0 - T0 % DAY
    for ago, hour in ((9, 1), (9, 7), (10, 8), (10, 11), (12, 23), (3, 7), (0, 13)):
        ledger.add(Counter.RECIPIENTS, midnight - ago * DAY + hour * 3600, 5)
    assert habit_of(ledger, T0 - 400 * DAY, midnight).quarters == (1, 2, 0, 1)
    assert habit_of(ledger, T0 - YOUNG * DAY, midnight + DAY).quarters == (1, 3, 0, 1)


def test_of_who_is_younger_than_two_weeks_all_but_the_last_day_counts() -> None:
    assert habit({1: 20, 2: 30}, age=YOUNG).recipients == 20
    assert habit({1: 20, 2: 30}, age=OLD - 0.01).recipients == 20
    assert habit({1: 20, 2: 30}, age=OLD).recipients == 0


def test_it_is_the_second_busiest_day_that_counts() -> None:
    assert habit({8: 5000, 9: 40, 20: 30}).recipients == 40
    assert habit({8: 5000}).recipients == 0
    assert habit({8: 5000, 9: 5000}).recipients == 5000


def test_each_thing_has_its_own_habit() -> None:
    for counter in (Counter.NOVEL, Counter.NETWORKS, Counter.ENVELOPES, Counter.STEADY):
        found = habit({8: 7, 12: 6, 20: 1}, counter)
        assert getattr(found, counter.name.lower()) == 6
        assert (found.recipients, found.active) == (0, 0)


def test_the_share_of_new_recipients_is_that_of_all_days_that_count_smoothed() -> None:
    """By 1.5 in 5: who has written to nobody yet is taken for one who knows most of his recipients."""
    ledger = Ledger()
    for ago, recipients, novel in ((30, 50, 20), (9, 40, 30), (3, 1000, 1000), (0, 1000, 1000)):
        at = T0 - ago * DAY - DAY // 2
        ledger.add(Counter.RECIPIENTS, at, recipients)
        ledger.add(Counter.NOVEL, at, novel)
    assert habit_of(ledger, T0 - 400 * DAY, T0).novel_share == pytest.approx(51.5 / 95)
    assert habit_of(ledger, T0 - YOUNG * DAY, T0).novel_share == pytest.approx(1051.5 / 1095)


def test_active_days_and_age() -> None:
    """Of the last week too: silence is no habit that anybody can pretend."""
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


@given(
    st.dictionaries(st.integers(0, 28), st.integers(1, 10_000), max_size=29),
    st.integers(1, 1_000_000),
    st.sampled_from([YOUNG, OLD, 400]),
)
@settings(max_examples=60, deadline=None)
def test_one_more_day_of_any_size_lifts_a_habit_only_to_what_was_there(
    days: dict[int, int], flood: int, age: int
) -> None:
    """So nobody trains it with one day; nobody today; and who is no newcomer, not within a week."""
    first = 1 if age == YOUNG else 1 + DELAY
    before = habit(days, age=age).recipients
    past = sorted((n for ago, n in days.items() if ago >= first), reverse=True)
    assert before == (past[1] if len(past) > 1 else 0)
    week = dict.fromkeys(range(first), flood)
    assert habit({**days, **week}, age=age).recipients == before
    assert habit({**days, 29: flood}, age=age).recipients <= max(past[:1], default=0)


def test_days_under_suspicion_do_not_count_up_to_three_weeks() -> None:
    """Or who sends a little every day in a new customer's name is usual after a few days."""
    ledger = Ledger()
    for ago in range(30, 0, -1):
        ledger.add(Counter.RECIPIENTS, T0 - ago * DAY - DAY // 2, 500 if ago < 4 else 20)

    def of(age: int, since: int) -> int:
        return habit_of(ledger, T0 - age * DAY, T0, T0 - since * DAY).recipients

    assert [of(YOUNG, since) for since in (0, 1, 2, 4)] == [500, 500, 20, 20]
    assert of(400, 4) == of(400, 10) == 20
    assert of(400, 400) == 20


def test_quiet_is_how_long_it_was_silent_before_the_suspicion() -> None:
    ledger = Ledger()
    for ago in (28, 2, 1):
        ledger.add(Counter.RECIPIENTS, T0 - ago * DAY - DAY // 2, 5)
    assert habit_of(ledger, T0 - 400 * DAY, T0).quiet == 1
    assert habit_of(ledger, T0 - 400 * DAY, T0, T0 - 3 * DAY).quiet == 25
    assert habit_of(Ledger(), T0 - 400 * DAY, T0, T0 - 3 * DAY).quiet == DAYS
