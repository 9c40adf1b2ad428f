"""When a day is like another; how far a verdict moves a signal."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.evidence import Finding
from penstock.core.incident import Incident, Suspect, Verdict
from penstock.core.learning import (
    FADES,
    LEAST_FACTOR,
    LEAST_FLOW,
    LEAST_FOREIGN,
    MOST_DAYS,
    MOST_FACTOR,
    ONCE_IN,
    RATE,
    SETTLES,
    Learn,
    Lesson,
    factors,
    fresh_steps,
    is_like,
    seen_of,
    soften,
    steps_of,
    whose,
)

T0 = 1_700_000_000.0
SEEN = {"recipients": 500, "novel": 400, "strangers": 300, "freemail": 200, "proven": 390, "newly_dead": 8}
FINDINGS = (
    Finding("novelty", 6.0, "new", "flow"),
    Finding("networks", 3.0, "elsewhere", "network"),
    Finding("bounces", -2.0, "fine"),
)


def incident(suspicion: float = 2.0, **more: str) -> Incident:
    suspect = Suspect("login:a", T0, T0, T0, **more, suspicion=suspicion, findings=FINDINGS)
    return Incident("I-000000", T0, {"login:a": suspect})


def lesson(code: str = "I-000000", at: float = T0, **more: object) -> Lesson:
    plain = Lesson(code, Verdict.LEGITIMATE, Learn.SENDER, at, "admin:a", at + 30 * 86400)
    return replace(plain, **more)  # type: ignore[arg-type]


# --- a day like that one --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "like"),
    [
        ({}, True),
        (SEEN, True),
        ({name: 2 * n for name, n in SEEN.items()}, True),
        (SEEN | {"novel": 901}, False),
        (SEEN | {"recipients": 1101}, False),
        ({"novel": LEAST_FLOW}, True),
        ({"novel": 30, "foreign_novel": LEAST_FOREIGN}, True),
        ({"novel": 30, "foreign_novel": LEAST_FOREIGN + 1}, False),
        ({"proven": 95, "newly_dead": 5}, True),
        ({"proven": 70, "newly_dead": 30}, False),
        ({"proven": 14, "newly_dead": 7}, False),
        ({"proven": 1, "newly_dead": 1}, True),
        ({"novel": 50, "traps": 1}, False),
        ({"novel": 50, "dead": 8}, False),
        ({"delivered": 50, "complaints": 2}, False),
        ({"delivered": 50, "reputation": 10, "content": 5}, False),
        ({"novel": 5, "envelopes": 4}, False),
    ],
)
def test_a_day_is_like_another_up_to_twice_of_each(now: dict[str, int], like: bool) -> None:
    assert is_like(SEEN, now, 2.0, False) is like


def test_while_it_settles_it_may_be_longer_but_not_worse() -> None:
    assert is_like(SEEN, {"novel": 5000, "recipients": 5000}, 2.0, True)
    assert not is_like(SEEN, {"novel": 5000, "proven": 4000, "newly_dead": 900}, 2.0, True)
    assert not is_like(SEEN, {"novel": 50, "foreign_novel": 50}, 2.0, True)


@given(st.dictionaries(st.sampled_from(sorted(SEEN)), st.integers(0, 10_000)), st.sampled_from(sorted(SEEN)))
def test_more_of_what_is_sent_or_comes_back_never_makes_a_day_more_like(
    now: dict[str, int], name: str
) -> None:
    if name == "proven" or is_like(SEEN, now, 2.0, False):
        return
    assert not is_like(SEEN, now | {name: now.get(name, 0) + 1}, 2.0, False)


@pytest.mark.parametrize(
    ("seen", "now", "like"),
    [
        ({"proven": 31}, {"proven": 350, "newly_dead": 26}, True),  # it was stopped before it had bounced
        ({"proven": 31}, {"proven": 13, "newly_dead": 7}, False),
        ({"proven": 400, "newly_dead": 4}, {"proven": 36, "newly_dead": 6}, False),
        ({"proven": 12, "newly_dead": 16}, {"proven": 18, "newly_dead": 70}, True),  # a provider's outage
        ({"proven": 2, "newly_dead": 2}, {"proven": 2, "newly_dead": 6}, True),
        ({"proven": 1, "newly_dead": 1}, {"proven": 2, "newly_dead": 12}, False),
    ],
)
def test_what_comes_back_is_measured_by_both_days(
    seen: dict[str, int], now: dict[str, int], like: bool
) -> None:
    """Of few the share is unsure."""
    assert is_like(seen, now, 2.0, True) is like


def test_what_was_turned_away_counts_as_seen() -> None:
    suspect = Suspect(
        "login:a", T0, T0, T0, counts={"novel": 20, "recipients": 25, "newly_dead": 1}, stopped=300
    )
    seen = seen_of(suspect, {"novel": 30, "recipients": 25, "messages": 4})
    assert (seen["novel"], seen["recipients"], seen["newly_dead"], seen["messages"]) == (330, 325, 1, 4)
    assert seen.get("foreign_novel", 0) == 0


def test_a_lesson_softens_what_was_of_that_kind() -> None:
    found = lesson(signals=("networks",), groups=("flow",))
    others = [Finding("script", 5.0, "x"), Finding("complaints", 5.0, "y")]
    softened = {f.signal: f.weight for f in soften([*FINDINGS, *others], found, 0.0)}
    wanted = {"novelty": 0.0, "networks": 0.0, "bounces": -2.0, "script": 5.0, "complaints": 0.0}
    assert softened == wanted, "what a day's likeness is measured by has no voice of its own"
    assert soften([FINDINGS[0]], found, 0.5)[0].weight == 3.0
    assert "allowed: I-000000" in soften([FINDINGS[0]], found, 0.0)[0].text


def test_a_lesson_forgives_until_it_ends_and_others_by_the_simple_scale() -> None:
    found = lesson(seen={"login:a": SEEN})
    later = T0 + SETTLES
    twice = {"novel": 800}
    assert found.forgives("login:a", twice, {}, later) and not found.forgives("login:b", twice, {}, later)
    assert found.forgives("login:b", {"novel": 400}, {}, later)
    assert not found.forgives("login:a", {}, {}, found.until)


@pytest.mark.parametrize("sender", ["login:a", "login:b"])
def test_a_week_of_days_that_could_each_be_chance_is_none(sender: str) -> None:
    """A slow thief with one dead in six, behind whom a newsletter stands that nobody ever let through."""
    found = lesson(seen={"login:a": {"novel": 800, "recipients": 800}})
    day = {"novel": 60, "recipients": 60, "proven": 50, "newly_dead": 10}
    assert found.forgives(sender, day, day, T0 + SETTLES)
    assert not found.forgives(sender, day, {name: 6 * n for name, n in day.items()}, T0 + 3 * SETTLES)


def test_a_forgiven_day_tells_what_was_not_known_of_a_list_and_a_bad_one_never_does() -> None:
    found = lesson(seen={"login:a": {"novel": 700, "proven": 14}})
    week = {"proven": 1282, "newly_dead": 65}
    assert not found.forgives("login:a", {}, week, T0)
    assert not found.hear("login:a", {"proven": 564, "newly_dead": 56}), "one in ten"
    assert not found.hear("login:a", {"proven": 20, "newly_dead": 1}), "next to nothing"
    assert not found.hear("login:b", {"proven": 592, "newly_dead": 28}), "somebody else's"
    assert found.hear("login:a", {"proven": 592, "newly_dead": 28})
    assert not found.hear("login:a", {"proven": 900}), "hardly more than that"
    assert found.forgives("login:a", {}, week, T0)
    assert not found.forgives("login:a", {}, {"proven": 1140, "newly_dead": 200}, T0)


def test_that_the_share_was_unknown_excuses_no_bad_list() -> None:
    seen = {"novel": 800, "recipients": 800}
    assert is_like(seen, {"proven": 960, "newly_dead": 40}, 2.0, False), "as a list to customers may be"
    assert not is_like(seen, {"proven": 880, "newly_dead": 120}, 2.0, False)


def test_others_are_held_against_some_of_many_days() -> None:
    """However many senders an incident had: a look must not take the longer for it."""
    days = {f"login:{i}": {"novel": 40} for i in range(MOST_DAYS)} | {"login:many": {"novel": 400}}
    found = lesson(seen=days)
    assert found.forgives("login:b", {"novel": 40}, {}, T0 + SETTLES)
    assert not found.forgives("login:b", {"novel": 400}, {}, T0 + SETTLES)
    assert found.forgives("login:many", {"novel": 400}, {}, T0 + SETTLES)


def test_what_comes_while_it_settles_is_part_of_it() -> None:
    found = lesson(seen={"login:a": dict(SEEN)})
    assert not found.absorb("login:b", {"novel": 900}, T0)
    assert found.absorb("login:a", {"novel": 900, "newly_dead": 80}, T0 + 60)
    assert found.seen["login:a"]["novel"] == 900 and found.seen["login:a"]["newly_dead"] == 8
    assert not found.absorb("login:a", {"novel": 9000}, T0 + SETTLES)


# --- what signals are worth -----------------------------------------------------------------------


@given(st.floats(-50, 50), st.sampled_from(Verdict))
def test_one_verdict_moves_a_signal_by_a_few_per_cent_at_most(suspicion: float, verdict: Verdict) -> None:
    steps = steps_of(incident(suspicion), verdict)
    assert set(steps) == {"novelty", "networks"}
    assert sum(abs(step) for step in steps.values()) <= RATE + 1e-12
    sign = 1 if verdict is Verdict.COMPROMISED else -1
    assert all(step * sign >= 0 for step in steps.values())


def test_the_step_is_shared_by_weight_and_measures_the_surprise() -> None:
    steps = steps_of(incident(0.0), Verdict.LEGITIMATE)
    assert steps == pytest.approx({"novelty": -RATE / 2 * 6 / 9, "networks": -RATE / 2 * 3 / 9})


def test_an_incident_of_which_nothing_spoke_moves_nothing() -> None:
    found = incident()
    found.worst.findings = ()
    assert steps_of(found, Verdict.LEGITIMATE) == {}


def test_one_customer_moves_a_signal_once_a_month() -> None:
    assert whose(incident(customer="4711")) == ("customer:4711",) and whose(incident()) == ("login:a",)
    made = [lesson(who=("customer:4711",), steps={"novelty": -0.04})]
    steps = {"novelty": -0.03, "networks": -0.01}
    assert fresh_steps(steps, ("customer:4711",), made, T0 + ONCE_IN - 1) == {"networks": -0.01}
    assert fresh_steps(steps, ("customer:4712",), made, T0 + 1) == steps
    assert fresh_steps(steps, ("customer:4711",), made, T0 + ONCE_IN) == steps


def test_factors_fade_to_one() -> None:
    found = [lesson(steps={"novelty": -0.04})]
    assert factors(found, T0)["novelty"] == pytest.approx(math.exp(-0.04))
    assert factors(found, T0 + FADES / 2)["novelty"] == pytest.approx(math.exp(-0.02))
    assert factors(found, T0 + FADES) == {}


@given(st.lists(st.floats(-RATE, RATE), max_size=300), st.floats(0, FADES))
def test_factors_stay_within_their_bounds(steps: list[float], later: float) -> None:
    found = factors([lesson(str(i), steps={"novelty": step}) for i, step in enumerate(steps)], T0 + later)
    assert all(LEAST_FACTOR - 1e-12 <= factor <= MOST_FACTOR + 1e-12 for factor in found.values())


def test_a_lesson_lasts_as_long_as_anything_of_it() -> None:
    assert lesson().ends_at == T0 + 30 * 86400
    assert lesson(steps={"novelty": 0.01}).ends_at == T0 + FADES
