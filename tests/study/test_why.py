"""Why a replay would have paused somebody, in a sentence."""

from __future__ import annotations

from penstock.core.evidence import Finding
from penstock.study.incident import LIMITS, Incident, why


def told(*reasons: tuple[str, float, str]) -> str:
    return why(Incident("login:a", 0.0, reasons=tuple(Finding(*reason) for reason in reasons)).as_json())


def test_what_speaks_for_a_sender_is_no_reason_to_pause_it() -> None:
    sentence = told(
        ("novelty", 7.0, "8 recipients today are new to it"),
        ("networks", -1.5, "all of it comes from its own networks"),
        ("spread", 1.0, "all 8 new recipients are at free providers"),
        ("bounces", -0.3, "6 new recipients got it, none is dead"),
    )
    against, _, pardons = sentence.partition(". For it: ")
    assert against == "8 recipients today are new to it; all 8 new recipients are at free providers"
    assert pardons == "all of it comes from its own networks; 6 new recipients got it, none is dead"


def test_what_hardly_counts_is_left_out() -> None:
    assert told(("novelty", 7.0, "new"), ("strangers", 0.04, "known"), ("bounces", -0.04, "got it")) == "new"


def test_a_rule_that_paused_is_told() -> None:
    assert told((LIMITS, 0.0, "50 came back within a day")) == "50 came back within a day"
