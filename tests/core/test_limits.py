"""Limits as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.explain import standing_sentence, window
from penstock.core.ledger import KEEP, Counter, Ledger
from penstock.core.limits import (
    FLOW,
    MODES,
    OUTCOMES,
    BadLimit,
    Limit,
    Mode,
    Unit,
    parse_duration,
    parse_limit,
    parse_outcome,
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


# --- outcomes ---------------------------------------------------------------------------------


@given(
    st.sampled_from(sorted(OUTCOMES)),
    st.integers(1, 999_999_999),
    st.integers(1, KEEP),
    st.none() | st.integers(1, 100_000_000),
    st.sampled_from(MODES),
)
def test_what_is_written_about_outcomes_reads_back(
    unit: Unit, amount: int, seconds: int, millionths: int | None, mode: Mode
) -> None:
    """Shares are exact to a millionth of a percent."""
    share = round(millionths / 1e8, 10) if millionths else 0.0
    limit = Limit(unit, amount, seconds, mode, share)
    assert parse_outcome(f"{unit} {limit}", mode) == limit
    assert parse_outcome(f"  {unit}  {limit} ".upper().replace("%/", " % / "), mode) == limit


@pytest.mark.parametrize(
    "text, unit, amount, seconds, share",
    [
        ("unknown-user 25/h", Unit.UNKNOWN_USER, 25, 3600, 0),
        ("Bounced 7 / 2 day", Unit.BOUNCED, 7, 2 * 86400, 0),
        ("complaints 0.1 %/day min 3", Unit.COMPLAINTS, 3, 86400, 0.001),
        ("complaints 100%/w min 1", Unit.COMPLAINTS, 1, 604800, 1.0),
        ("reputation 1/10m", Unit.REPUTATION, 1, 600, 0),
        ("network 000.30%/32d MIN 20", Unit.NETWORK, 20, KEEP, 0.003),
    ],
)
def test_limits_on_outcomes_that_people_write(
    text: str, unit: Unit, amount: int, seconds: int, share: float
) -> None:
    assert parse_outcome(text) == Limit(unit, amount, seconds, "enforce", share)


@pytest.mark.parametrize(
    "text, hint",
    [
        ("", "not a limit on outcomes"),
        ("25/h", "not a limit on outcomes"),
        ("unknown-user 25", "not a limit on outcomes"),
        ("unknown_user 25/h", "not a limit on outcomes"),
        ("unknown-user -1/h", "not a limit on outcomes"),
        ("unknown-user 1.5/h", "not a limit on outcomes"),
        ("unknown-user 0.1234567%/h min 3", "not a limit on outcomes"),
        ("unknown-user ٣/h", "not a limit on outcomes"),
        ("recipients 200/h", 'unknown outcome "recipients" (bounced, unknown-user, '),
        ("refused 200/h", 'unknown outcome "refused"'),
        ("bounced 0/h", "the least is 1"),
        ("bounced 5%/h min 0", "the least is 1"),
        ("bounced 5/h min 3", '"min" belongs to a share ("bounced 5%/d min 3")'),
        ("bounced 5%/h", 'for example "min 3"'),
        ("bounced 0%/h min 3", "above 0% and at most 100%"),
        ("bounced 0.000000%/h min 3", "above 0% and at most 100%"),
        ("bounced 100.1%/h min 3", "above 0% and at most 100%"),
        ("bounced 5/33d", "window must be between"),
        ("bounced 5/0h", "window must be between"),
        ("bounced 5/y", 'unknown unit "y"'),
        ("bounced " + "9" * 5000 + "/h", "not a limit on outcomes"),
        ("a" * 5000 + " 1/h", "unknown outcome"),
        ("bounced" + " " * 5000 + "1/h" + " " * 5000 + "x", "not a limit on outcomes"),
    ],
)
def test_what_is_no_limit_on_outcomes_says_why(text: str, hint: str) -> None:
    with pytest.raises(BadLimit) as caught:
        parse_outcome(text)
    assert hint in str(caught.value)
    assert str(caught.value).startswith(f'"{text}": ')


@given(st.text(max_size=30) | st.from_regex(r"[a-z-]{1,9} [0-9.%]{1,6}/[0-9a-z]{1,4}( min [0-9]{1,3})?"))
def test_any_text_is_a_limit_on_outcomes_or_a_bad_limit(text: str) -> None:
    try:
        limit = parse_outcome(text)
    except BadLimit:
        return
    assert limit.unit in OUTCOMES and limit.amount >= 1 and 0 <= limit.share <= 1
    assert 1 <= limit.window <= KEEP


@pytest.mark.parametrize(
    "text, recipients, allowed",
    [
        ("bounced 5/h", 1000, 5),
        ("bounced 10%/h min 3", 0, 3),
        ("bounced 10%/h min 3", 30, 3),
        ("bounced 10%/h min 3", 31, 4),
        ("bounced 10%/h min 3", 2000, 200),
        ("bounced 29%/h min 1", 100, 29),
        ("bounced 100%/h min 1", 7, 7),
        ("complaints 0.1%/h min 3", 10_000, 10),
    ],
)
def test_a_share_is_of_the_recipients_in_the_same_window(text: str, recipients: int, allowed: int) -> None:
    ledger, at = Ledger(), 1_700_000_000
    ledger.mail(at - 7200, 100_000, 1)
    ledger.mail(at - 1800, recipients, 1)
    assert parse_outcome(text).allowed(ledger, at) == allowed


def test_what_flows_and_what_comes_back_are_all_units_but_refusals() -> None:
    assert {*FLOW, *OUTCOMES, Unit.REFUSED} == set(Unit)
    assert not OUTCOMES & {*FLOW, Unit.REFUSED}


# --- durations and spelling -------------------------------------------------------------------


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
