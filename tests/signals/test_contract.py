"""What every signal keeps to, whatever it is fed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.config import parse
from penstock.core.evidence import ALLEGED, Finding, Usual, suspicion
from penstock.core.habit import DAYS, Habit
from penstock.core.learning import MOST_FACTOR
from penstock.core.ledger import Counter
from penstock.signals import SIGNALS, look
from penstock.signals.view import Alike, Travel, View, calm_for
from signals.views import QUIET_MONTH, T0, Counts, abroad, long_ago, view, weight

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
    counts,
    counts,
    novel_share=st.floats(0.0, 1.0, exclude_min=True, exclude_max=True),
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
    all_counts,
    all_counts,
    seen=st.floats(0, 1),
    shared=st.integers(0, 10_000),
    shared_known=counts,
    shared_novel=counts,
    tainted=st.booleans(),
    refused_elsewhere=st.floats(0, 1),
    alike=st.builds(Alike, st.floats(0, 64), st.floats(0, 64), counts, st.booleans()),
    travel=st.builds(
        Travel,
        st.integers(0, 32),
        st.integers(0, 32),
        st.floats(0, 20_100),
        st.floats(0, 86400),
        st.just("DE to BR"),
    ),
    script=st.text(max_size=40) | st.sampled_from(["/srv/shop/images/x.php", "/srv/a/.cache/\x1b[2Jx.php"]),
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


@settings(max_examples=150, deadline=None)
@given(views)
def test_weights_are_finite_and_within_what_is_documented(seen: View) -> None:
    documented = rows()
    for name, _, weigh in SIGNALS:
        found = weigh(seen)
        if found is not None:
            low, high, _ = documented[name]
            assert math.isfinite(found[0]) and low <= found[0] <= high, name
            assert found[1].isprintable() and 0 < len(found[1]) < 200, name


def test_who_asks_and_sends_nothing_gets_no_credit_for_it() -> None:
    """Of a message that is given up, NOVEL stays and RECIPIENTS go: a share above 1."""
    asked = long_ago(*[{"novel": 20}] * 20)
    low, high, _ = rows()["persistence"]
    slow = [{**abroad(12), "proven": 11, "newly_dead": 1}] * 7
    assert low <= weight("persistence", view([*slow, *asked[7:]])) <= high


calm = st.fixed_dictionaries(
    dict.fromkeys(
        (
            "recipients",
            "freemail",
            "strangers",
            "login_failures",
            "proven",
            "envelopes",
            "steady",
            "messages",
        ),
        counts,
    )
)


@settings(max_examples=150, deadline=None)
@given(calm, st.lists(calm, max_size=9), st.integers(1, 300), st.integers(0, 300), st.floats(0, 400))
@example({"recipients": 9000, "envelopes": 1}, [{"recipients": 3}] * 9, 4, 1, 400.0)
def test_who_is_calm_needs_no_look(
    today: Counts, days: list[Counts], floor: int, novel: int, age: float
) -> None:
    """Where the short cut says that nobody need look, no look would slow anybody."""
    usual = Usual(novel=floor)
    for kind in ("login", "uid", "ip"):
        seen = view(days, kind, age, usual, novel=novel, **today)
        if calm_for(usual, seen.hour, seen.day, seen.week) < 0:
            continue
        rules = parse("").policy.detection
        factors = dict.fromkeys(SOURCES, MOST_FACTOR)
        assert suspicion(rules.prior, look(seen, factors)) < rules.slow_at


def test_what_flows_and_where_from_alone_slow_but_never_pause() -> None:
    """A first letter to a whole address book and a list's first issue look the same as a flood."""
    most = [Finding(name, rows()[name][1], "", group) for name, group, _ in SIGNALS]
    rules = parse("").policy.detection
    for groups in ({"flow"}, {"network"}, {"flow", "network"}, ALLEGED):
        found = suspicion(rules.prior, [one for one in most if one.group in groups])
        assert rules.slow_at < found < rules.pause_at


def test_no_signal_but_bounces_pauses_alone() -> None:
    rules = parse("").policy.detection
    alone = {
        name: suspicion(rules.prior, [Finding(name, rows()[name][1], "", group)])
        for name, group, _ in SIGNALS
    }
    assert {name for name, found in alone.items() if found >= rules.pause_at} == {"bounces"}


def test_groups_that_are_alleged_have_signals() -> None:
    assert {group for _, group, _ in SIGNALS} >= ALLEGED


@given(views)
@settings(max_examples=30, deadline=None)
def test_looking_changes_nothing(seen: View) -> None:
    assert look(seen, {}) == look(seen, {})


def test_a_finding_carries_signal_group_and_the_learned_factor() -> None:
    seen = view(QUIET_MONTH, novel=60, recipients=60)
    plain = {finding.signal: finding for finding in look(seen, {})}
    learned = {finding.signal: finding for finding in look(seen, {"novelty": 0.5})}
    assert plain["novelty"].group == plain["volume"].group == SOURCES["novelty"].GROUP
    assert learned["novelty"].weight == plain["novelty"].weight / 2
    assert learned["volume"] == plain["volume"]


WORSE: dict[str, Callable[[int], dict[str, Any]]] = {
    "campaign": lambda n: {"shared": n, "shared_novel": 50, **abroad(3)},
    "complaints": lambda n: {"complaints": n},
    "rotation": lambda n: {"networks": n, **abroad(9)},
    "scores": lambda n: {"spam_scored": n, "messages": 10_000},
    "journey": lambda n: {"travel": Travel(min(n, 32), min(n, 32), 9000.0, 60.0), **abroad(3)},
    "known-dead": lambda n: {"dead": min(n, 200), "novel": 200},
    "networks": abroad,
    "novelty": lambda n: {"novel": n},
    "refusals": lambda n: {"content": n},
    "strangers": lambda n: {"strangers": n, "novel": 10_000},
    "timing": lambda n: {"steady": n, "messages": 10_000, "novel": 20_000},
    "traps": lambda n: {"traps": n},
    "volume": lambda n: {"recipients": n},
}


@pytest.mark.parametrize(("name", "worse"), WORSE.items())
@given(n=st.integers(0, 5000), more=st.integers(1, 5000))
@settings(max_examples=30, deadline=None)
def test_more_of_what_is_bad_never_speaks_for_a_sender(
    name: str, worse: Callable[[int], dict[str, Any]], n: int, more: int
) -> None:
    little, much = (weight(name, view(QUIET_MONTH, **worse(count))) for count in (n, n + more))
    assert little <= much + 1e-9


@given(st.integers(1, 58), st.integers(0, 150), st.booleans())
@settings(max_examples=60, deadline=None)
def test_another_dead_address_never_speaks_for_a_sender(dead: int, proven: int, bursts: bool) -> None:
    novel = 20 if bursts else 0
    little, much = (view(novel=novel, newly_dead=n, proven=proven) for n in (dead, dead + 1))
    assert weight("bounces", little) <= weight("bounces", much) + 1e-9


@given(st.integers(1, 58), st.integers(0, 150))
@settings(max_examples=60, deadline=None)
def test_another_good_outcome_never_speaks_against_a_sender(dead: int, proven: int) -> None:
    little, much = (view(newly_dead=dead, proven=n) for n in (proven, proven + 1))
    assert weight("bounces", much) <= weight("bounces", little) + 1e-9


@given(st.integers(100, 5000), st.integers(1, 100), st.integers(1, 100), st.booleans())
@settings(max_examples=100, deadline=None)
def test_of_a_long_list_a_greater_share_of_dead_addresses_speaks_no_less_against_it(
    told: int, share: int, more: int, bursts: bool
) -> None:
    """From 0.2 to 20 %: however many are told, the steps of the rates are not to be seen."""
    little, much = (
        weight("bounces", view(novel=told if bursts else 0, newly_dead=n, proven=told - n))
        for n in (told * share // 1000, told * (share + more) // 1000)
    )
    assert little <= much + 0.1
