"""What is stopped as a whole: each of its recipients counts once, in ledger, stretch and incident alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.people import AWAY, Person, alice, rules
from penstock.core import flight
from penstock.core.evidence import Detection
from penstock.core.flight import IDLE
from penstock.core.incident import Incident
from penstock.core.ledger import Counter
from penstock.core.policy import Action, Entry, Verb
from penstock.core.standing import State
from support import ALICE, Smtpd, World, passed, policy

HOLD, DEFER = Action(Verb.HOLD), Action(Verb.DEFER)
EAGER = Detection("enforce", false_pauses=10_000, missed=0.5)
"""Whoever is looked at is paused."""


def about_to_stop(action: Action = HOLD) -> Person:
    """The first look at alice will pause her."""
    found = policy(over_limit=action, paused=action)
    person = Person(World(replace(found, detection=EAGER, replies=rules().replies)))
    Person(person.world, "neighbour@example.com").tell(["aunt@example.org"])
    return person


def told(person: Person) -> tuple[int, int, int]:
    """How many were stopped: in the ledger, the stretches of refusals and the incident."""
    world = person.world
    incident = person.incident
    stretches = sum(each.recipients for each in world.saved() if each.rule.startswith(("stand", "evid")))
    assert world.counts.net(ALICE, Counter.STOPPED) == world.total(Counter.STOPPED)
    return world.total(Counter.STOPPED), stretches, incident.stopped if incident is not None else 0


def pause(world: World, action: Action = HOLD) -> None:
    plain = world.engine.roster.policy.profiles["plain"]
    found = replace(world.engine.roster.policy, profiles={"plain": replace(plain, paused=action)})
    world.engine.adopt(found)
    world.engine.roster.change_standing(ALICE, State.PAUSED, world.at, "admin:a", "spam", None, State.OPEN)


def people(n: int, start: int = 0) -> list[str]:
    return [f"r{i}@example.net" for i in range(start, start + n)]


def test_those_who_had_passed_before_the_stop_were_stopped_as_well() -> None:
    person = about_to_stop()
    smtpd = person.world.smtpd()
    answers = passed(smtpd.rcpt(*people(120)))
    assert answers.startswith("PPP") and answers.strip("P") == "H" * (120 - answers.count("P"))
    assert smtpd.end(120, 5000) is Verb.HOLD
    assert person.world.counted() == (0, 0)
    assert told(person) == (120, 120, 120)


def test_a_repeated_question_counts_nobody_twice() -> None:
    person = about_to_stop()
    world = person.world
    smtpd = world.smtpd()
    smtpd.rcpt(*people(60))
    assert set(smtpd.rcpt(*["r59@example.net"] * 500)) == {Verb.HOLD}
    assert set(smtpd.hang_up().rcpt(*people(60))) == {Verb.HOLD}, "of those who had passed before, too"
    assert smtpd.end(620, 100) is smtpd.end(620, 100) is Verb.HOLD
    assert told(person) == (60, 60, 60)


def test_memory_for_them_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.engine.refusing.MOST_RECIPIENTS", 70)
    person = about_to_stop()
    smtpd = person.world.smtpd()
    smtpd.rcpt(*people(100))
    found = person.world.engine.flights.get(f"mx1 {smtpd.instance}")
    assert isinstance(found, flight.Flight) and len(found.recipients) == 70
    assert smtpd.end(100, 100) is Verb.HOLD
    assert told(person) == (100, 100, 100)


@pytest.mark.parametrize("action", [HOLD, DEFER])
def test_a_pause_while_a_message_comes_in_stops_all_of_it_at_the_end(action: Action) -> None:
    world = World(policy("1000/h"))
    smtpd = world.smtpd()
    assert smtpd.many(5) == 5
    pause(world, action)
    assert smtpd.end(5, 100) is smtpd.end(5, 100) is action.verb
    assert world.counted() == (0, 0)
    assert world.total(Counter.STOPPED) == sum(each.recipients for each in world.saved()) == 5


@pytest.mark.parametrize("stages", ["end", "data end", "rcpt end"])
def test_recipients_that_only_the_end_named_count(stages: str) -> None:
    world = World(policy("1000/h"), {ALICE: Entry("1")})
    smtpd = world.smtpd(context="")
    pause(world)
    if "rcpt" in stages:
        smtpd.many(4)
    if "data" in stages:
        assert smtpd.data(30) is Verb.HOLD
    assert smtpd.end(30, 100) is smtpd.end(30, 100) is Verb.HOLD
    assert world.total(Counter.STOPPED) == world.total(Counter.STOPPED, "customer:1") == 30


def test_all_of_a_message_whose_last_recipients_only_the_end_named_are_stopped() -> None:
    world = World(policy("1000/h"))
    smtpd = world.smtpd()
    smtpd.many(4)
    pause(world)
    assert smtpd.end(10, 100) is smtpd.end(10, 100) is Verb.HOLD
    assert world.total(Counter.STOPPED) == 10


def test_a_slow_message_that_is_stopped_when_it_goes_on_counts_once() -> None:
    world = World(policy("1000/h"))
    smtpd = world.smtpd()
    smtpd.many(3)
    world.wait(IDLE + 1)
    world.sweep()
    pause(world)
    assert passed(smtpd.rcpt(*people(5), *people(5))) == "H" * 10
    assert smtpd.end(10, 100) is Verb.HOLD
    assert world.counted() == (0, 0)
    assert world.total(Counter.STOPPED) == 5


def test_deferred_one_by_one_each_counts_once_and_again_when_it_is_tried_again() -> None:
    world = World(policy("1000/h"))
    pause(world, DEFER)
    smtpd = world.smtpd()
    for _ in range(3):
        assert smtpd.many(20) == 0
    assert world.total(Counter.STOPPED) == 20
    assert smtpd.mail().many(20) == 0
    assert world.total(Counter.STOPPED) == 40


def test_who_was_deferred_before_the_message_was_held_counts_once() -> None:
    world = World(policy("1000/h"))
    smtpd = world.smtpd()
    smtpd.many(2)
    pause(world, DEFER)
    assert smtpd.many(3, 10) == 0
    pause_held = replace(world.engine.roster.policy.profiles["plain"], paused=HOLD)
    world.engine.adopt(replace(world.engine.roster.policy, profiles={"plain": pause_held}))
    assert passed(smtpd.rcpt(*people(3, 20))) == "HHH"
    assert smtpd.end(5, 100) is Verb.HOLD
    assert world.total(Counter.STOPPED) == 8


def test_over_a_limit_only_those_count_that_met_it() -> None:
    """A pause rule on refusals is about who goes on regardless, not about the size of a message."""
    world = World(policy("3/h", over_limit=HOLD))
    smtpd = world.smtpd()
    assert passed(smtpd.rcpt(*"abcdef")) == "PPPHHH"
    assert smtpd.end(6, 1000) is Verb.HOLD
    assert (world.total(Counter.REFUSED), world.total(Counter.STOPPED)) == (1, 0)
    assert [each.recipients for each in world.saved()] == [1]


def test_canaries_of_a_message_that_is_stopped_at_its_end_have_not_gone() -> None:
    person = alice()
    person.write(people(60), "198.51.100.9")
    case = person.world.engine.detector.cases[ALICE]
    case.under_way.clear()
    smtpd: Smtpd = person.world.smtpd()
    smtpd.rcpt("canary@example.net")
    assert list(case.under_way) == ["canary@example.net"]
    pause(person.world)
    assert smtpd.end(1, 100) is Verb.HOLD and not case.under_way
    incident = person.incident
    assert isinstance(incident, Incident) and incident.stopped == person.world.total(Counter.STOPPED) > 0


def test_canaries_of_what_is_held_have_not_got_through() -> None:
    """A message goes as a whole until it turns out to be too many: none of it is leak then."""
    plain = policy(over_limit=HOLD, paused=HOLD)
    world = World(replace(plain, detection=Detection("enforce"), replies=rules().replies))
    person = Person(world, "alice@example.com").live()
    person.mail([f"new{i}@example.net" for i in range(12)], AWAY, gap=0.2, wave=1)
    case = world.engine.detector.cases[ALICE]
    assert case.slowed and not case.under_way
    case.good, before = 0, case.leak
    smtpd = world.smtpd()
    smtpd.address = AWAY
    answers = passed(smtpd.rcpt(*people(60)))
    assert 1 < answers.count("P") < 60, "the first of them had passed"
    assert smtpd.end(60, 5000) is Verb.HOLD
    assert case.leak == before
    world.wait(601)
    person.write(["one.more@example.net"], AWAY)
    incident = person.incident
    assert incident is not None and incident.leak < 12 + answers.count("P")
