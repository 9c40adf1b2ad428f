"""From findings to suspicion, by hand."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.evidence import ALLEGED, ALLEGED_MOST, GROUP_MOST, Detection, Finding, suspicion
from penstock.signals import bounces

PRIOR = -9.0

weights = st.floats(-20, 20)


def finding(weight: float, group: str = "") -> Finding:
    return Finding("x", weight, "", group)


def test_walds_thresholds_by_hand() -> None:
    rules = Detection(false_pauses=0.1, missed=0.01, compromised=1.0)
    assert rules.prior == pytest.approx(math.log(0.0001 / 0.9999)) == pytest.approx(-9.2102, abs=1e-4)
    assert (
        rules.pause_at - rules.prior
        == pytest.approx(math.log(0.99 / 0.00001))
        == pytest.approx(11.5029, abs=1e-4)
    )
    assert rules.prior < rules.slow_at < rules.pause_at


def test_who_risks_less_waits_longer() -> None:
    careful, bold = Detection(false_pauses=0.01), Detection(false_pauses=1.0)
    assert careful.pause_at - bold.pause_at == pytest.approx(math.log(100))
    assert careful.prior == bold.prior


def test_the_weights_that_pause_do_not_depend_on_the_prior() -> None:
    """Wald's test bounds the errors whatever the prior is; it says only what suspicion means."""
    rare, common = Detection(compromised=0.1), Detection(compromised=100)
    assert rare.pause_at - rare.prior == pytest.approx(common.pause_at - common.prior)


def test_walds_bound_holds_for_a_test_that_anybody_can_compute() -> None:
    """Dead addresses: 2 % of an honest sender's, 30 % of a stolen list. Of all honest sequences of twelve
    outcomes, weighed by how likely they are, at most alpha ever reach the threshold."""
    rules = Detection(false_pauses=10, missed=0.01)
    need = rules.pause_at - rules.prior
    reached = 0.0
    for outcomes in itertools.product((True, False), repeat=12):
        ratio = itertools.accumulate(
            math.log(0.3 / 0.02) if dead else math.log(0.7 / 0.98) for dead in outcomes
        )
        if any(weight >= need for weight in ratio):
            reached += math.prod(0.02 if dead else 0.98 for dead in outcomes)
    assert 0 < reached <= 10 / 10_000


def test_nothing_found_is_the_prior() -> None:
    assert suspicion(PRIOR, []) == PRIOR


def test_what_shares_nothing_adds() -> None:
    assert suspicion(PRIOR, [finding(3), finding(2), finding(-1)]) == PRIOR + 4


def test_a_group_counts_by_half_and_half_again() -> None:
    told_thrice = [finding(2, "flow"), finding(4, "flow"), finding(1, "flow")]
    assert suspicion(PRIOR, told_thrice) == PRIOR + 4 + 2 / 2 + 1 / 4


def test_no_group_pauses_a_sender_alone() -> None:
    rules = Detection()
    loud = [finding(1000, "flow") for _ in range(5)]
    assert suspicion(rules.prior, loud) == rules.prior + GROUP_MOST < rules.pause_at
    assert suspicion(rules.prior, [*loud, finding(1000)]) > rules.pause_at


def test_what_flows_and_where_from_never_pause_together() -> None:
    """Nobody is paused before something has come back."""
    rules = Detection()
    loud = [finding(1000, group) for group in ALLEGED for _ in range(3)]
    found = suspicion(rules.prior, loud)
    assert found == rules.prior + ALLEGED_MOST
    assert rules.slow_at < found < rules.pause_at
    assert suspicion(rules.prior, [*loud, finding(1)]) == found + 1


def test_one_dead_address_of_few_does_not_make_it_a_pause() -> None:
    rules = Detection()
    alleged = rules.prior + ALLEGED_MOST
    assert alleged + bounces.ONE_OF_FEW < rules.pause_at < alleged + bounces.ONE


def test_what_came_back_is_capped_by_its_own_group_alone() -> None:
    loud = [finding(1000, group) for group in (*ALLEGED, "dead")]
    assert suspicion(PRIOR, loud) == PRIOR + ALLEGED_MOST + GROUP_MOST


def test_a_group_that_speaks_for_the_sender_is_taken_off_what_is_alleged() -> None:
    assert suspicion(PRIOR, [finding(5, "flow"), finding(-2, "network")]) == PRIOR + 3


def test_groups_do_not_touch_each_other() -> None:
    findings = [finding(4, "flow"), finding(4, "dead"), finding(4)]
    assert suspicion(PRIOR, findings) == PRIOR + 12


def test_the_strongest_of_a_group_counts_in_full_whichever_way_it_speaks() -> None:
    assert suspicion(PRIOR, [finding(1, "flow"), finding(-2, "flow")]) == PRIOR - 2 + 0.5


@given(st.lists(st.builds(finding, weights, st.sampled_from(["", "a", "b"])), max_size=8), st.randoms())
def test_the_order_of_findings_does_not_matter(findings: list[Finding], random: object) -> None:
    shuffled = sorted(findings, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert suspicion(PRIOR, shuffled) == pytest.approx(suspicion(PRIOR, findings))


@given(st.lists(st.floats(0, GROUP_MOST / 2), max_size=8))
def test_a_fact_told_by_many_is_at_most_twice_the_fact(told: list[float]) -> None:
    found = suspicion(PRIOR, [finding(weight, "flow") for weight in told]) - PRIOR
    assert max(told, default=0) <= found + 1e-9 <= 2 * max(told, default=0) + 2e-9
