"""A sender's week as the desk tells it: days are UTC days, whatever zone the machine is in."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from penstock.core.ledger import Counter, Ledger
from penstock.core.policy import Profile
from penstock.core.sender import Sender
from penstock.servers.values import DAY, details_of, week_of

MIDNIGHT = int(datetime(2026, 3, 29, tzinfo=UTC).timestamp())
"""The day on which clocks change in Europe."""


@pytest.fixture(params=["UTC", "Pacific/Auckland", "America/Los_Angeles", "Europe/Berlin"], autouse=True)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's zone must not matter."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    assert os.environ.get("TZ") == before
    time.tzset()


def sender(*counted: tuple[int, Counter, int]) -> Sender:
    """A sender with these counts: (second, counter, n)."""
    made = Sender("login:alice@example.com", Profile("plain"), MIDNIGHT - 90 * DAY, Ledger(b""))
    for at, counter, n in sorted(counted):
        made.ledger.add(counter, at, n)
    return made


def test_seven_days_the_newest_last() -> None:
    week = week_of(sender(), MIDNIGHT + 10)
    assert [day["day"] for day in week] == [f"2026-03-{n}" for n in range(23, 30)]
    assert all(not any(n for name, n in day.items() if name not in ("day", "classes")) for day in week)


def test_a_day_begins_at_midnight_and_ends_before_the_next() -> None:
    edges = [MIDNIGHT - DAY - 1, MIDNIGHT - DAY, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1]
    one = sender(*((at, Counter.RECIPIENTS, 10**i) for i, at in enumerate(edges)))
    assert [day["recipients"] for day in week_of(one, MIDNIGHT + 5)][-3:] == [1, 110, 11000]


@pytest.mark.parametrize("ago", range(7))
def test_a_busy_day_stays_itself_as_it_ages(ago: int) -> None:
    """Old counts are kept in coarser slots, which do not reach over midnight."""
    begin = MIDNIGHT - ago * DAY
    one = sender(*((begin + second, Counter.DELIVERED, 1) for second in range(0, DAY, 600)))
    one.ledger.add(Counter.DELIVERED, MIDNIGHT + DAY - 1, 1)
    found = [day["delivered"] for day in week_of(one, MIDNIGHT + DAY - 1)]
    expected = [0] * 7
    expected[6 - ago] += DAY // 600
    expected[6] += 1
    assert found == expected


def test_every_class_has_its_name() -> None:
    one = sender(
        (MIDNIGHT, Counter.UNKNOWN_USER, 2), (MIDNIGHT, Counter.TOO_BIG, 1), (MIDNIGHT, Counter.BOUNCED, 3)
    )
    today = week_of(one, MIDNIGHT)[-1]
    assert today["classes"] == {"unknown-user": 2, "too-big": 1}
    assert today["bounced"] == 3 and "unknown_user" not in today


def test_what_is_taken_back_is_not_told() -> None:
    one = sender((MIDNIGHT, Counter.RECIPIENTS, 5))
    one.ledger.add(Counter.RECIPIENTS, MIDNIGHT, -5)
    assert week_of(one, MIDNIGHT)[-1]["recipients"] == 0


def test_the_week_is_part_of_what_show_tells() -> None:
    assert details_of(sender(), MIDNIGHT)["week"] == week_of(sender(), MIDNIGHT)
