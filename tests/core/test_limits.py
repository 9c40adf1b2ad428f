"""Limits as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.explain import standing_sentence, window
from penstock.core.ledger import KEEP, Counter
from penstock.core.limits import (
    BadLimit,
    Limit,
    Unit,
    parse_duration,
    parse_limit,
    spell_amount,
    spell_window,
)
from penstock.core.standing import INITIAL, State, change

units = st.sampled_from(Unit)


@given(units, st.integers(0, 1 << 30), st.integers(1, KEEP))
def test_what_is_written_reads_back(unit: Unit, amount: int, seconds: int) -> None:
    limit = Limit(unit, amount, seconds)
    assert parse_limit(str(limit), unit) == limit
    assert parse_limit(f"  {str(limit).upper()} ", unit) == limit


@pytest.mark.parametrize(
    "text, unit, amount, seconds",
    [
        ("200/h", Unit.RECIPIENTS, 200, 3600),
        ("30/10m", Unit.MESSAGES, 30, 600),
        ("0/d", Unit.RECIPIENTS, 0, 86400),
        ("5 / 2 hour", Unit.RECIPIENTS, 5, 7200),
        ("7/32d", Unit.REFUSED, 7, KEEP),
        ("500MB/d", Unit.BYTES, 500 * 1024, 86400),
        ("1gib/w", Unit.BYTES, 1024**2, 604800),
        ("64 kb/min", Unit.BYTES, 64, 60),
    ],
)
def test_limits_that_people_write(text: str, unit: Unit, amount: int, seconds: int) -> None:
    limit = parse_limit(text, unit, "shadow")
    assert (limit.amount, limit.window, limit.unit, limit.mode) == (amount, seconds, unit, "shadow")


@pytest.mark.parametrize(
    "text, hint",
    [
        ("", "not a limit"),
        ("200", "not a limit"),
        ("/h", "not a limit"),
        ("-1/h", "not a limit"),
        ("1.5/h", "not a limit"),
        ("2e3/h", "not a limit"),
        ("٣/h", "not a limit"),
        ("200/h/d", "not a limit"),
        ("200/x", 'unknown unit "x" (s, m, h, d, w)'),
        ("200/0h", "window must be between"),
        ("200/33d", "window must be between"),
        ("200/5w", "window must be between"),
        ("200kb/h", "plain numbers"),
        ("2000000000/h", "leave it out"),
    ],
)
def test_what_is_no_limit_says_why(text: str, hint: str) -> None:
    with pytest.raises(BadLimit) as caught:
        parse_limit(text, Unit.RECIPIENTS)
    assert hint in str(caught.value)
    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize("text", ["5/h", "5xb/h", "2048GB/h"])
def test_bytes_need_their_unit_and_a_bound(text: str) -> None:
    with pytest.raises(BadLimit):
        parse_limit(text, Unit.BYTES)


@given(st.text(max_size=30))
def test_any_text_is_a_limit_or_a_bad_limit(text: str) -> None:
    try:
        limit = parse_limit(text, Unit.RECIPIENTS)
    except BadLimit:
        return
    assert 1 <= limit.window <= KEEP
    assert limit.amount >= 0
    assert any(c.isdigit() for c in text), "a limit without a number"


@pytest.mark.parametrize("text", ["9" * 5000 + "/h", "1/" + "9" * 5000 + "s", "_/h"])
def test_monsters_are_bad_limits_too(text: str) -> None:
    with pytest.raises(BadLimit):
        parse_limit(text, Unit.RECIPIENTS)


@pytest.mark.parametrize(
    "text, seconds", [("90s", 90), ("15 m", 900), ("2h", 7200), ("7D", 604800), ("1w", 604800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0h", "5", "h", "-1h", "1y", "1h30m", "9" * 5000 + "h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadLimit):
        parse_duration(text)


def test_every_duration_that_is_accepted_can_be_told() -> None:
    """``penstock pause SENDER --for 99999999w``: refuse it, or be able to print when it ends."""
    try:
        seconds = parse_duration("99999999w")
    except BadLimit:
        return
    standing = change(INITIAL, State.PAUSED, 1_700_000_000.0, "admin:a", "x", 1_700_000_000.0 + seconds)
    assert "paused" in standing_sentence(standing)


@given(st.integers(0, 1000), st.floats(0.001, 100))
def test_a_factor_never_makes_a_limit_vanish(amount: int, factor: float) -> None:
    scaled = Limit(Unit.RECIPIENTS, amount, 60).scaled(factor)
    assert scaled >= min(amount, 1)
    assert abs(scaled - amount * factor) <= 1
    if amount == 0:
        assert scaled == 0


@given(st.integers(1, KEEP))
def test_windows_are_spelled_in_the_largest_unit_that_divides(seconds: int) -> None:
    spelled = spell_window(seconds)
    assert parse_duration(spelled if spelled[0].isdigit() else f"1{spelled}") == seconds
    assert window(seconds)


def test_amounts_are_spelled_with_their_unit() -> None:
    assert spell_amount(Unit.BYTES, 2048) == "2MB"
    assert spell_amount(Unit.BYTES, 3 * 1024**2) == "3GB"
    assert spell_amount(Unit.BYTES, 0) == "0KB"
    assert spell_amount(Unit.BYTES, 1500) == "1500KB"
    assert spell_amount(Unit.MESSAGES, 1500) == "1500"


def test_every_unit_has_a_counter_of_its_own() -> None:
    assert len({unit.counter for unit in Unit}) == len(Unit)
    assert Unit.BYTES.counter is Counter.KIB and Unit.UNKNOWN_USER.counter is Counter.UNKNOWN_USER
