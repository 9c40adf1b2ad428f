"""IDs of incidents, their states, their words."""

from __future__ import annotations

import pytest

from penstock.core.evidence import Finding
from penstock.core.incident import REJOINS, BadIncident, Incident, Suspect, Verdict, new_id, read_id
from penstock.core.learning import Learn, Lesson
from penstock.core.note import headline, learned, note, odds, state
from penstock.core.standing import INITIAL, Standing, State

T0 = 1_700_000_000.0
FINDINGS = (Finding("novelty", 6.5, "40 recipients are new to it", "flow"), Finding("networks", -1.5, "home"))


def incident(**more: object) -> Incident:
    suspect = Suspect(
        "login:a", T0, T0 - 60, T0, "", "personal", 2.3, -9.2, FINDINGS, {"novel": 40}, T0, T0 + 60
    )
    return Incident("I-000000", T0, {"login:a": suspect}, **more)  # type: ignore[arg-type]


def test_an_id_is_short_and_the_same_for_the_same() -> None:
    code = new_id("login:a", T0, ())
    assert code == new_id("login:a", T0, ()) and len(code) == 8 and code.startswith("I-")
    assert code != new_id("login:b", T0, ()) and code != new_id("login:a", T0 + 0.001, ())
    assert new_id("login:a", T0, {code}) not in ("", code)
    assert new_id("login:\udcff", T0, ()).startswith("I-")


@pytest.mark.parametrize("typed", ["I-1K3Q90", " i-1k3q90", "1K3Q90", "i1k3q9o", "I-lK3Q9O", "I-IK3-Q90"])
def test_an_id_is_read_as_people_type_it(typed: str) -> None:
    assert read_id(typed) == "I-1K3Q90"


@pytest.mark.parametrize(
    "typed", ["", "I-", "I-12345", "I-1234567", "I-12345U", "ÄÖÜÄÖÜ", "I" * 5000, "\0" * 6]
)
def test_what_is_no_id_is_refused(typed: str) -> None:
    with pytest.raises(BadIncident, match="not an incident's ID"):
        read_id(typed)


def test_one_without_a_verdict_goes_on_for_two_days() -> None:
    found = incident()
    found.close(T0 + 5, "calm")
    assert found.worst.released_at == T0 + 5
    assert found.joins(T0 + REJOINS) and not found.joins(T0 + REJOINS + 1)
    found.reopen()
    assert found.is_open and found.joins(T0 + 10 * REJOINS)
    found.judge(Verdict.LEGITIMATE, T0 + 9, "admin:a", "")
    assert not found.joins(T0 + 9) and (found.closed_at, found.how) == (T0 + 9, "verdict")


def test_a_late_verdict_does_not_change_when_it_was_over() -> None:
    found = incident()
    found.close(T0 + 5, "term")
    found.judge(Verdict.COMPROMISED, T0 + 900, "admin:a", "")
    assert (found.closed_at, found.how, found.verdict_at) == (T0 + 5, "term", T0 + 900)


def test_a_compromised_sender_is_not_let_go_by_the_verdict() -> None:
    found = incident()
    found.judge(Verdict.COMPROMISED, T0 + 900, "admin:a", "")
    assert not found.shadow and found.worst.stopped_at is not None and found.worst.released_at is None


def test_its_words() -> None:
    found = incident()
    assert headline(found) == "I-000000, open: login:a"
    found.suspects["login:b"] = Suspect("login:b", T0, T0, T0)
    assert headline(found).endswith("login:a and 1 other")
    text = note(found, Standing(State.PAUSED, T0 + 60, "penstock:evidence", "x"), None)
    assert "+6.5  novelty: 40 recipients are new to it" in text and "10 to 1 that a stranger sends" in text
    assert text.index("slowed") < text.index("  paused", text.index("slowed"))
    found.judge(Verdict.COMPROMISED, T0 + 900, "admin:a", "phished")
    text = note(found, Standing(State.PAUSED, T0 + 60, "admin:a", "x"), None)
    assert "admin:a judged it compromised" in text and "phished" in text and "penstock resume login:a" in text
    assert "If that was wrong: penstock verdict I-000000 legitimate" in note(found, INITIAL, None)
    assert state(incident(shadow=True)) == "open (shadow)"


@pytest.mark.parametrize(
    ("suspicion", "words"),
    [(0.0, "1.0 to 1"), (2.302585, "10 to 1"), (-2.302585, "1 to 10"), (99.0, "more than 1000 to 1")],
)
def test_odds(suspicion: float, words: str) -> None:
    assert odds(suspicion) == words


def test_a_lesson_in_words() -> None:
    found = Lesson("I-000000", Verdict.LEGITIMATE, Learn.SENDER, T0, "admin:a", T0 + 86400)
    found.signals, found.seen = ("novelty", "volume"), {f"login:{name}": {} for name in "abcd"}
    assert learned(found) == (
        "up to twice the scale seen, novelty and volume will not be held against login:a, login:b, login:c … "
        "until 2023-11-15T22:13:20Z."
    )
    found.networks = {"login:a": "198.51", "login:b": "2001:0db8"}
    assert learned(found).endswith(
        "Until 2023-11-15T22:13:20Z counts as its own network: 198.51.0.0/16 as login:a's, 2001:0db8::/32 as "
        "login:b's."
    )
    found.networks = {}
    found.learn, found.about = Learn.PATTERN, "customer:1"
    assert "half as much against customer:1" in learned(found)
    found.learn, found.given = Learn.PROFILE, "newsletter"
    found.until = T0 + 9 * 86400
    assert "has the profile newsletter until 2023-11-23T22:13:20Z" in learned(found)
    assert learned(found).endswith("until 2023-11-15T22:13:20Z.")
