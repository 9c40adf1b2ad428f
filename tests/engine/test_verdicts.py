"""The last word counts: a verdict that is changed or taken back is not written back by what it had begun."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import pytest

from engine.people import AWAY, DAY, HOME, HOUR, Person, alice, restarted
from penstock.core.incident import BadIncident, Incident, Verdict
from penstock.core.learning import LASTS, Learn, Lesson, Word
from penstock.core.ledger import Counter
from penstock.core.policy import Override
from penstock.core.standing import State
from penstock.engine import learning as module
from penstock.engine.learning import Learning
from penstock.engine.verdicts import Verdicts
from support import limits

LEGITIMATE, COMPROMISED = Verdict.LEGITIMATE, Verdict.COMPROMISED


def verdicts(person: Person) -> Verdicts:
    return person.world.engine.casework.verdicts


def learning(person: Person) -> Learning:
    return person.world.engine.casework.learning


def say(person: Person, verdict: Verdict, learn: Learn = Learn.SENDER, until: float | None = None) -> Lesson:
    incident = cast(Incident, person.incident)
    word = Word(verdict, learn, "admin:root", "", until)
    return verdicts(person).give(incident.id, word, person.world.at)[1]


def suspected(n: int = 60) -> Person:
    """Somebody writes to many new people, and is paused for it."""
    person = alice(false_pauses=100)
    person.mail([f"new{i}@example.net" for i in range(n)], wave=10, gap=0.2)
    assert person.state is State.PAUSED
    return person


def go_on(person: Person, n: int = 80) -> None:
    """The rest of it, while what was judged settles."""
    person.mail([f"rest{i}@example.net" for i in range(n)], wave=40, gap=0.1)


def sweep(person: Person) -> None:
    """The node looks at what settles."""
    person.world.wait(HOUR)
    learning(person).sweep(person.world.at, person.world.engine.roster.senders)


def settle(person: Person) -> None:
    """And records it."""
    sweep(person)
    person.world.engine.save(100, math.inf)


# --- another word ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sweeps_between", [False, True])
@pytest.mark.parametrize("last", [COMPROMISED, LEGITIMATE])
def test_what_is_learned_and_recorded_is_the_last_word(last: Verdict, sweeps_between: bool) -> None:
    person = suspected()
    first = {LEGITIMATE: COMPROMISED, COMPROMISED: LEGITIMATE}[last]
    say(person, first)
    go_on(person)
    if sweeps_between:
        sweep(person)
    person.world.wait(60)
    lesson = say(person, last)
    go_on(person)
    settle(person)
    weights = dict(learning(person).weights)
    assert person.world.records.lessons == {lesson.incident: lesson} and lesson.verdict is last
    here = learning(restarted(person))
    assert here.lessons == {lesson.incident: lesson} and here.weights == pytest.approx(weights)
    assert all((factor > 1) is (last is COMPROMISED) for factor in weights.values()) and weights


def test_a_hijacked_account_has_no_allowance_after_a_corrected_verdict() -> None:
    person = suspected()
    say(person, LEGITIMATE)
    go_on(person)
    person.world.wait(60)
    say(person, COMPROMISED)
    settle(person)
    person = restarted(person)
    assert not learning(person)._about


def test_compromised_stops_again_whom_legitimate_has_let_go() -> None:
    person = suspected()
    say(person, LEGITIMATE)
    assert person.state is State.OPEN
    say(person, COMPROMISED)
    incident = cast(Incident, person.incident)
    assert person.state is State.PAUSED and incident.worst.released_at is None
    assert person.world.engine.casework.incidents.named(person.key) == incident.id


def test_compromised_said_later_stops_nobody_about_whom_somebody_has_decided_since() -> None:
    person = suspected()
    say(person, LEGITIMATE)
    roster = person.world.engine.roster
    for to in (State.PAUSED, State.OPEN):
        person.world.wait(60)
        roster.change_standing(person.key, to, person.world.at, "admin:a", "cleaned", None, State.OPEN)
    say(person, COMPROMISED)
    assert person.state is State.OPEN


def test_legitimate_said_again_keeps_what_has_settled() -> None:
    """With another note or end: what was seen of it stays seen."""
    person = suspected()
    seen = dict(say(person, LEGITIMATE).seen[person.key])
    go_on(person, seen["recipients"] + 200)
    settle(person)
    grown = dict(learning(person).lessons[cast(Incident, person.incident).id].seen[person.key])
    assert grown["novel"] > seen["novel"]
    person.world.wait(10 * DAY)
    again = say(person, LEGITIMATE, until=person.world.at + 90 * DAY)
    assert again.seen[person.key]["novel"] >= grown["novel"]


def test_what_is_stopped_while_a_lesson_settles_is_no_part_of_it() -> None:
    """A thief who comes within two days of the verdict widens it by what looked like it, not by the rest."""
    person = suspected(20)
    lesson = say(person, LEGITIMATE)
    person.world.wait(HOUR)
    person.steal(300, 50_000, address=HOME)
    seen = dict(lesson.seen[person.key])
    assert person.state is State.PAUSED
    settle(person)
    assert lesson.seen[person.key] == seen


# --- taken back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(LEGITIMATE,), (LEGITIMATE, LEGITIMATE), (LEGITIMATE, COMPROMISED)])
def test_what_is_taken_back_while_it_settles_stays_away(words: tuple[Verdict, ...]) -> None:
    person = suspected()
    for word in words:
        say(person, word)
        go_on(person)
        sweep(person)
        person.world.wait(60)
    verdicts(person).forget(cast(Incident, person.incident).id, person.world.at, "admin:a")
    go_on(person)
    settle(person)
    assert not person.world.records.lessons
    here = learning(restarted(person))
    assert not here.lessons and not here.weights


def test_the_ticket_of_what_is_taken_back_covers_the_profile_too() -> None:
    person = suspected()
    lesson = say(person, LEGITIMATE, Learn.PROFILE)
    _, ticket = verdicts(person).forget(lesson.incident, person.world.at, "admin:a")
    assert not person.world.records.overrides
    assert next(person.world.records.tickets) == ticket + 1


@pytest.mark.parametrize("days", [3, 170])
def test_a_profile_is_taken_back_as_long_as_it_lasts(days: int) -> None:
    """Also of one whose signals had been moved within the month, so that nothing else is left of it."""
    person = suspected()
    learning(person).keep(
        Lesson(
            "I-000000", LEGITIMATE, Learn.SENDER, person.world.at, "admin:a", person.world.at,
            who=(person.key,), steps=dict.fromkeys(cast(Incident, person.incident).spoke, -0.001),
        )
    )  # fmt: skip
    lesson = say(person, LEGITIMATE, Learn.PROFILE)
    assert not lesson.steps
    roster = person.world.engine.roster
    person.world.wait(days * DAY)
    settle(person)
    assert roster.overrides[person.key].profile == "newsletter"
    verdicts(person).forget(lesson.incident, person.world.at, "admin:a")
    assert person.key not in roster.overrides


def test_a_profile_lasts_as_its_lesson_and_what_was_judged_a_day() -> None:
    person = suspected()
    at = person.world.at
    lesson = say(person, LEGITIMATE, Learn.PROFILE, until=at + 300 * DAY)
    assert person.world.engine.roster.overrides[person.key].until == lesson.ends_at == at + 300 * DAY
    assert lesson.forgives(person.key, {}, {}, at + DAY - 1)
    assert not lesson.forgives(person.key, {}, {}, at + DAY)
    assert replace(lesson, until=at + 2 * HOUR).allows_until == at + 2 * HOUR


def test_another_word_takes_the_profile_back_though_the_lesson_is_gone() -> None:
    person = suspected()
    lesson = say(person, LEGITIMATE, Learn.PROFILE)
    del learning(person).lessons[lesson.incident]
    say(person, COMPROMISED)
    assert person.key not in person.world.engine.roster.overrides


def test_an_exception_of_somebody_else_stays() -> None:
    person = suspected()
    lesson = say(person, LEGITIMATE, Learn.PROFILE)
    roster = person.world.engine.roster
    roster.set_override(Override(person.key, "newsletter", by="admin:b", why="asked for it"), person.world.at)
    verdicts(person).forget(lesson.incident, person.world.at, "admin:a")
    assert roster.overrides[person.key].by == "admin:b"


@pytest.mark.parametrize("in_policy", [True, False])
def test_an_exception_made_by_hand_is_not_replaced_by_a_profile(in_policy: bool) -> None:
    """What somebody has promised this customer is no verdict's to take; nothing at all happens then."""
    person = suspected()
    roster = person.world.engine.roster
    promised = Override(person.key, None, limits("900/h"), None, "admin:b", "wedding")
    if in_policy:
        person.world.engine.adopt(replace(roster.policy, overrides={person.key: promised}))
    else:
        roster.set_override(promised, person.world.at)
    with pytest.raises(BadIncident, match=r"alice@example.com has an exception \(by admin:b, wedding\)"):
        say(person, LEGITIMATE, Learn.PROFILE)
    assert person.state is State.PAUSED and person.world.sender(person.key).override == promised
    assert not learning(person).lessons and cast(Incident, person.incident).verdict is None
    say(person, LEGITIMATE)
    assert person.state is State.OPEN


def test_a_profile_of_an_earlier_verdict_gives_way_to_another() -> None:
    person = suspected()
    say(person, LEGITIMATE, Learn.PROFILE, until=person.world.at + 5 * DAY)
    again = say(person, LEGITIMATE, Learn.PROFILE, until=person.world.at + 9 * DAY)
    assert person.world.engine.roster.overrides[person.key].until == again.until


# --- room -----------------------------------------------------------------------------------------


def other(i: int, at: float, senders: int = 1) -> Lesson:
    found = Lesson(f"I-{i:06}", LEGITIMATE, Learn.SENDER, at, "admin:a", at + LASTS)
    found.seen = {f"login:other{i}.{n}@example.com": {"novel": 5} for n in range(senders)}
    return found


def test_the_oldest_lesson_gives_way_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of the records too: neither what settles nor a restart brings it back."""
    monkeypatch.setattr(module, "MOST_TAUGHT", 3)
    person = suspected()
    lesson = say(person, LEGITIMATE)
    go_on(person)
    sweep(person)
    for i in range(3):
        learning(person).keep(other(i, person.world.at + i))
    go_on(person)
    settle(person)
    left = {f"I-{i:06}" for i in range(3)}
    assert lesson.incident not in left
    assert set(learning(person).lessons) == set(person.world.records.lessons) == left
    assert set(learning(restarted(person)).lessons) == left


def test_a_lesson_about_many_takes_their_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TAUGHT", 10)
    person = alice()
    here, at = learning(person), person.world.at
    for i in range(5):
        here.keep(other(i, at + i, 4))
    assert set(here.lessons) == {"I-000003", "I-000004"}


def test_more_than_there_is_room_for_is_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    person = alice()
    for i in range(5):
        learning(person).keep(other(i, person.world.at + i))
    monkeypatch.setattr(module, "MOST_TAUGHT", 3)
    assert set(learning(restarted(person)).lessons) == {"I-000002", "I-000003", "I-000004"}


def test_nothing_is_known_of_what_nobody_judged() -> None:
    person = alice()
    with pytest.raises(BadIncident, match="nothing is learned"):
        verdicts(person).forget("I-000000", person.world.at, "admin:a")


# --- where it came from ---------------------------------------------------------------------------


def abroad() -> Person:
    """Somebody writes to many new people from a hotel, and is paused for it."""
    person = alice(false_pauses=100)
    person.mail([f"new{i}@example.net" for i in range(60)], AWAY, wave=10, gap=0.2)
    assert person.state is State.PAUSED
    return person


def counts_as_foreign(person: Person) -> bool:
    """Whether its mail from the hotel, to friends, comes from a network that is not its own."""
    sender = person.world.sender(person.key)
    before = sender.ledger.total(Counter.FOREIGN, int(person.world.at), int(DAY))
    person.mail(person.friends[:2], AWAY)
    return sender.ledger.total(Counter.FOREIGN, int(person.world.at), int(DAY)) > before


@pytest.mark.parametrize("learn", [Learn.SENDER, Learn.PROFILE, Learn.PATTERN])
def test_where_the_owner_was_is_its_own_while_the_lesson_holds(learn: Learn) -> None:
    person = abroad()
    say(person, LEGITIMATE, learn, until=person.world.at + 5 * DAY)
    assert not counts_as_foreign(person)
    person = restarted(person)
    person.world.wait(4 * DAY)
    assert not counts_as_foreign(person)
    person.world.wait(DAY)
    sweep(person)
    assert counts_as_foreign(person)


@pytest.mark.parametrize("taken_back", [True, False])
def test_a_wrong_word_leaves_no_network_to_the_thief(taken_back: bool) -> None:
    """However long it wrote from there meanwhile, and after a restart."""
    person = abroad()
    lesson = say(person, LEGITIMATE)
    for _ in range(6):
        assert not counts_as_foreign(person)
        person.world.wait(DAY)
    if taken_back:
        verdicts(person).forget(lesson.incident, person.world.at, "admin:a")
    else:
        say(person, COMPROMISED)
        person.world.engine.roster.change_standing(
            person.key, State.OPEN, person.world.at, "admin:a", "cleaned", None, State.OPEN
        )
    assert counts_as_foreign(person)
    assert counts_as_foreign(restarted(person))


def test_a_later_theft_takes_a_network_back_that_was_granted_before() -> None:
    """The same thief, let go the first time."""
    person = abroad()
    first = say(person, LEGITIMATE)
    assert first.networks == {person.key: "198.51"}
    person.world.wait(10 * DAY)
    person.steal(400)
    assert cast(Incident, person.incident).id != first.incident
    say(person, COMPROMISED)
    assert person.world.records.lessons[first.incident].networks == {}
    person.world.engine.roster.change_standing(
        person.key, State.OPEN, person.world.at, "admin:a", "cleaned", None, State.OPEN
    )
    assert counts_as_foreign(person)


def test_the_same_word_again_keeps_the_network() -> None:
    person = abroad()
    say(person, LEGITIMATE)
    person.world.wait(DAY)
    person.mail(person.friends[:2], "203.0.113.50")
    assert say(person, LEGITIMATE).networks == {person.key: "198.51"}
