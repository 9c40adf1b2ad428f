"""What every signal keeps to, whatever it is fed."""

from __future__ import annotations

import math
import re
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.config import parse
from penstock.core.evidence import Finding, Usual, suspicion
from penstock.core.habit import DAYS, Habit
from penstock.core.ledger import Counter
from penstock.signals import SIGNALS, Weigh, look
from penstock.signals.view import View
from signals.views import QUIET_WEEK, T0, view, weight

DOCS = Path(__file__).parents[2] / "docs" / "signals.md"
ROW = re.compile(r"\| `([a-z-]+)` \|.*\| (−?[\d.]+) … ([\d.]+) \| (.+) \|")

SOURCES = {name: import_module(f"penstock.signals.{name.replace('-', '_')}") for name, _, _ in SIGNALS}

every_signal = pytest.mark.parametrize("name", SOURCES)

counts = st.one_of(st.integers(0, 5), st.integers(0, 300), st.integers(0, 1 << 30))
all_counts = st.lists(counts, min_size=len(Counter), max_size=len(Counter))
habits = st.builds(
    Habit,
    counts,
    counts,
    counts,
    counts,
    active=st.integers(0, DAYS),
    age=st.floats(0, 20_000),
    quiet=st.integers(1, DAYS),
    at=st.just(T0),
)
floors = st.integers(1, 10_000_000)
views = st.builds(
    View,
    st.just(T0),
    st.sampled_from(["login", "uid", "script", "ip", "customer"]),
    st.builds(Usual, floors, floors, floors),
    habits,
    all_counts,
    all_counts,
    shared=st.integers(0, 10_000),
    tainted=st.booleans(),
    refused_elsewhere=st.floats(0, 1),
)


def rows() -> dict[str, tuple[float, float, str]]:
    """Signal → (least weight, most weight, victims) from the documentation."""
    found = ROW.findall(DOCS.read_text(encoding="utf-8"))
    return {name: (float(low.replace("−", "-")), float(high), whom) for name, low, high, whom in found}


@every_signal
def test_the_head_comment_tells_theory_cost_and_victims(name: str) -> None:
    first, *_ = (SOURCES[name].__doc__ or "").split("\n")
    assert first.endswith(".")
    for word in ("Theory: ", "Cost: ", "Victims: "):
        assert word in (SOURCES[name].__doc__ or "")


@every_signal
def test_it_says_what_it_shares_with_others(name: str) -> None:
    assert isinstance(SOURCES[name].GROUP, str)


def test_the_documentation_has_a_row_for_each_signal_and_no_other() -> None:
    assert set(rows()) == set(SOURCES)
    assert all(low <= 0 < high and whom for low, high, whom in rows().values())


@pytest.mark.parametrize(("name", "weigh"), [(name, weigh) for name, _, weigh in SIGNALS])
@settings(max_examples=60, deadline=None)
@given(views)
def test_weights_are_finite_and_within_what_is_documented(name: str, weigh: Weigh, seen: View) -> None:
    found = weigh(seen)
    if found is not None:
        low, high, _ = rows()[name]
        assert math.isfinite(found[0]) and low <= found[0] <= high
        assert found[1].isprintable() and 0 < len(found[1]) < 200


def test_what_flows_alone_slows_but_never_pauses() -> None:
    """A first letter to a whole address book and a list's first issue look the same as a flood."""
    most = [Finding(name, rows()[name][1], "", group) for name, group, _ in SIGNALS if group == "flow"]
    rules = parse("").policy.detection
    assert rules.slow_at < suspicion(rules.prior, most) < rules.pause_at


@given(views)
@settings(max_examples=30, deadline=None)
def test_looking_changes_nothing(seen: View) -> None:
    assert look(seen, {}) == look(seen, {})


def test_a_finding_carries_signal_group_and_the_learned_factor() -> None:
    seen = view(QUIET_WEEK, novel=60, recipients=60)
    plain = {finding.signal: finding for finding in look(seen, {})}
    learned = {finding.signal: finding for finding in look(seen, {"novelty": 0.5})}
    assert plain["novelty"].group == plain["volume"].group == SOURCES["novelty"].GROUP
    assert learned["novelty"].weight == plain["novelty"].weight / 2
    assert learned["volume"] == plain["volume"]


WORSE = {
    "campaign": "shared",
    "complaints": "complaints",
    "known-dead": "dead",
    "networks": "networks",
    "novelty": "novel",
    "refusals": "content",
    "strangers": "strangers",
    "volume": "recipients",
}


@pytest.mark.parametrize(("name", "what"), WORSE.items())
@given(n=st.integers(0, 5000), more=st.integers(1, 5000))
@settings(max_examples=30, deadline=None)
def test_more_of_what_is_bad_never_speaks_for_a_sender(name: str, what: str, n: int, more: int) -> None:
    little, much = ({"novel": 10_000} if what == "strangers" else {} for _ in range(2))
    little[what], much[what] = n, n + more
    assert weight(name, view(QUIET_WEEK, **little)) <= weight(name, view(QUIET_WEEK, **much)) + 1e-9
