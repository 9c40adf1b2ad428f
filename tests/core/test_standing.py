"""The state machine of a sender's standing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.standing import INITIAL, TRANSITIONS, IllegalChange, Standing, State, change, settle

T0 = 1_700_000_000.0

states = st.sampled_from(State)
spans = st.floats(0.001, 10 * 86400)
whos = st.sampled_from(["admin:alice", "penstock:limits", "customer:4711"])


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Any standing that a chain of changes can have led to."""
    until = draw(st.one_of(st.none(), spans))
    return Standing(
        draw(states),
        T0,
        draw(whos),
        draw(st.sampled_from(["spam", "complaints"])),
        None if until is None else T0 + until,
        draw(states) if until is not None else State.OPEN,
    )


def test_the_table_is_whole_and_stays_so() -> None:
    table = {
        State.OPEN: "slowed paused probation locked",
        State.SLOWED: "open slowed paused probation locked",
        State.PAUSED: "open probation paused locked",
        State.PROBATION: "open slowed paused probation locked",
        State.LOCKED: "open probation paused locked",
    }
    assert {state: set(words.split()) for state, words in table.items()} == TRANSITIONS


@given(standings(), states, whos, st.text(max_size=20), st.one_of(st.none(), spans), states)
def test_a_change_is_legal_and_says_who_when_why_or_is_refused(
    old: Standing, to: State, by: str, why: str, lasts: float | None, then: State
) -> None:
    at = T0 + 5
    until = None if lasts is None else at + lasts
    try:
        new = change(old, to, at, by, why, until, then)
    except IllegalChange as error:
        legal = to in TRANSITIONS[old.state] and bool(why.strip())
        by_admin = by.startswith("admin:")
        touches_lock = State.LOCKED in (old.state, to) or (until is not None and then is State.LOCKED)
        assert not legal or (touches_lock and not by_admin)
        assert str(error)
        return
    assert to in TRANSITIONS[old.state]
    assert (new.state, new.since, new.by, new.why) == (to, at, by, why.strip())
    assert new.why and new.by
    assert new.until == until
    assert new.then is (then if until is not None else State.OPEN)
    assert old.state is not State.LOCKED or by.startswith("admin:")


@pytest.mark.parametrize("by", ["penstock:limits", "customer:4711", "administrator-script", "adminx"])
def test_only_an_administrator_takes_a_lock_back(by: str) -> None:
    locked = Standing(State.LOCKED, T0, "admin:alice", "fraud")
    with pytest.raises(IllegalChange, match="administrator"):
        change(locked, State.OPEN, T0 + 1, by, "looks clean")
    assert change(locked, State.OPEN, T0 + 1, "admin:bob", "looks clean").state is State.OPEN


@pytest.mark.parametrize("by", ["penstock:limits", "customer:4711"])
def test_only_an_administrator_locks(by: str) -> None:
    """Head comment: a lock is an administrator's word."""
    with pytest.raises(IllegalChange, match="administrator"):
        change(INITIAL, State.LOCKED, T0, by, "too many refusals")


def test_a_term_that_ends_in_a_lock_is_an_administrator_s_word_too() -> None:
    with pytest.raises(IllegalChange, match="administrator"):
        change(INITIAL, State.PAUSED, T0, "penstock:limits", "refusals", T0 + 60, State.LOCKED)


@pytest.mark.parametrize("by", ["", "  "])
def test_a_change_without_a_name_is_refused(by: str) -> None:
    with pytest.raises(IllegalChange):
        change(INITIAL, State.PAUSED, T0, by, "spam")


@pytest.mark.parametrize("why", ["", " \t\n"])
def test_a_change_without_a_reason_is_refused(why: str) -> None:
    with pytest.raises(IllegalChange, match="reason"):
        change(INITIAL, State.PAUSED, T0, "admin:a", why)


@pytest.mark.parametrize("until", [T0, T0 - 1, float("nan")])
def test_an_end_must_lie_in_the_future(until: float) -> None:
    with pytest.raises(IllegalChange, match="future"):
        change(INITIAL, State.PAUSED, T0, "admin:a", "spam", until)


@given(standings(), st.floats(0, 60 * 86400), st.floats(0, 5 * 86400))
def test_terms_settle_however_long_nobody_looked(old: Standing, later: float, probation: float) -> None:
    at = T0 + later
    now = settle(old, at, probation)
    assert now.until is None or now.until > at
    if old.until is None or old.until > at:
        assert now is old
        return
    assert now.by == "penstock:term"
    assert now.since >= old.until
    assert now.since <= at
    assert old.why in now.why
    if old.then is State.PROBATION and at < old.until + probation:
        assert (now.state, now.until) == (State.PROBATION, old.until + probation)
    elif old.then is State.PROBATION:
        assert now.state is State.OPEN
    else:
        assert (now.state, now.until) == (old.then, None)


@given(standings(), st.lists(st.floats(0, 20 * 86400), min_size=1, max_size=6))
def test_looking_often_and_looking_once_agree(old: Standing, looks: list[float]) -> None:
    often = old
    for at in sorted(looks):
        often = settle(often, T0 + at, 86400.0)
    once = settle(old, T0 + max(looks), 86400.0)
    assert (often.state, often.since, often.until) == (once.state, once.since, once.until)


def test_a_long_chain_of_terms_keeps_a_short_reason() -> None:
    standing = INITIAL
    for i in range(50):
        at = T0 + i * 1000
        standing = change(
            settle(standing, at, 10), State.PAUSED, at, "penstock:limits", "flood", at + 10, State.PROBATION
        )
    assert len(settle(standing, T0 + 10**6, 10).why) < 200


def test_initial_is_open() -> None:
    assert not INITIAL.stopped
    assert INITIAL.state is State.OPEN
