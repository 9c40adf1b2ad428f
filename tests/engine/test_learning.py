"""Verdicts change later decisions: never the same pause twice, and never a blind eye for a thief."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from engine.people import DAY, HOUR, Person, alice, rules
from penstock.core.incident import BadIncident, Incident, Verdict
from penstock.core.learning import FADES, LEAST_FACTOR, MOST_FACTOR, RATE, Learn, Lesson, Word
from penstock.core.policy import Action, Entry, Profile, Verb
from penstock.core.standing import State
from penstock.engine.learning import MOST_OF_ONE, Learning
from support import World

ELSEWHERE = "203.0.113.77"


def judge(
    person: Person,
    verdict: Verdict = Verdict.LEGITIMATE,
    learn: Learn = Learn.SENDER,
    until: float | None = None,
) -> Lesson:
    incident = cast(Incident, person.incident)
    word = Word(verdict, learn, "admin:root", "", until)
    return person.world.engine.casework.verdicts.give(incident.id, word, person.world.at)[1]


def learning(person: Person) -> Learning:
    return person.world.engine.casework.learning


# --- honest families ------------------------------------------------------------------------------


def addresses(name: str, seed: int, occasion: int, least: int, most: int) -> list[str]:
    """A list of the same length on each occasion, the second one the same as the first, later ones new."""
    n = random.Random(seed).randint(least, most)
    start = max(0, occasion - 1) * 1000
    return [f"{name}{i}@{name}{i % 7}.example.net" for i in range(start, start + n)]


def dead_of(found: list[str], share: float, seed: int) -> frozenset[str]:
    """Whoever is dead stays dead."""
    return frozenset(each for each in found if random.Random(f"{seed} {each}").random() < share)


def newsletter(person: Person, seed: int, occasion: int) -> None:
    """2 % dead, and three people complain early."""
    found = addresses("sub", seed, occasion, 30, 400)
    dead, wave = dead_of(found, 0.02, seed), (4, 10, 40)[seed % 3]
    person.mail(found[:20], dead=dead, wave=wave)
    person.complain(3)
    person.mail(found[20:], dead=dead, wave=wave)


def notice(person: Person, seed: int, occasion: int) -> None:
    """A change of address, to an old address book with 5 % dead."""
    found = addresses("book", seed, occasion, 20, 150)
    person.mail(found, dead=dead_of(found, 0.05, seed), wave=(4, 10, 40)[seed % 3])


def trip(person: Person, seed: int, occasion: int) -> None:
    """From a hotel, to friends and to new people; each journey leads elsewhere."""
    found = addresses("host", seed, occasion, 8, 25) + person.friends * 2
    random.Random(seed).shuffle(found)
    person.mail(found, f"198.{51 + max(0, occasion - 1)}.100.9", gap=600)


def first_list(person: Person, seed: int, occasion: int) -> None:
    """Many new recipients at once, clean."""
    person.mail(addresses("new", seed, occasion, 50, 300), wave=10, gap=0.2)


def members(name: str, n: int, occasion: int, new: int) -> list[str]:
    """A list that most know, with so many new ones on each occasion."""
    old = [f"{name}{i}@{name}{i % 7}.example.net" for i in range(n)]
    return old + [f"{name}new{occasion}.{i}@{name}{i % 5}.example.net" for i in range(new)]


def weekly(person: Person, seed: int, occasion: int) -> None:
    """The list is the same but for a few; one in a hundred is dead."""
    found = members("week", 120 + 20 * seed, occasion, 12)
    person.mail(found, dead=dead_of(found, 0.01, seed), wave=20, gap=0.2)


def fan_out(person: Person, seed: int, occasion: int) -> None:
    """Some posts of a day to all members of a mailing list."""
    for _ in range(1 + max(0, occasion) % 2):
        person.mail(members("member", 40 + 10 * seed, occasion, 4), wave=40, gap=0.1)


def invoices(person: Person, seed: int, occasion: int) -> None:
    """Each month to all customers; a fifteenth is new, 1.5 % are dead."""
    found = members("customer", 60 + 30 * seed, occasion, 4 + 2 * seed)
    person.mail(found, dead=dead_of(found, 0.015, seed), gap=2)


def ramp(person: Person, seed: int, occasion: int) -> None:
    """A new customer: half of whom it writes to are new, each time half as many more."""
    n = round((12 + 4 * seed) * 1.4 ** min(occasion, 1))
    found = addresses("buyer", seed, occasion + 1, n, n)
    person.mail(found + person.friends, dead=dead_of(found, 0.02, seed), gap=60)


def outage(person: Person, seed: int, occasion: int) -> None:
    """Its customers' provider says for an hour that most of them do not exist."""
    found = addresses("guest", seed, occasion + 1, 15, 40)
    person.mail(found, dead=dead_of(found, 0.5 + 0.1 * (seed % 4), seed + occasion), gap=60)


def storm(person: Person, seed: int, occasion: int) -> None:
    """A program submits the same message every minute."""
    person.mail([f"boss{occasion}@example.org"] * (60 + 20 * seed), gap=60)


FAMILIES = (newsletter, notice, trip, first_list, weekly, fan_out, invoices, ramp, outage, storm)
CALM = (trip, storm, ramp, weekly, fan_out, invoices)
"""By default these are not even suspicious."""


@pytest.mark.parametrize("false_pauses", [0.1, 10, 100])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_judged_legitimate_never_stops_the_sender_again(
    family: Callable[[Person, int, int], None], false_pauses: float
) -> None:
    """A policy that pauses sooner pauses more honest senders: what is learned of them holds all the same."""
    judged = 0
    for seed in range(4):
        person = alice(false_pauses=false_pauses)
        family(person, seed, 0)
        incident = person.incident
        if incident is None:
            continue
        judged += 1
        person.world.wait(HOUR)
        judge(person)
        assert person.state is State.OPEN
        for occasion in range(1, 4):
            person.world.wait(7 * DAY)
            family(person, seed, occasion)
            assert person.incident is incident and person.state is State.OPEN, (seed, occasion)
    assert judged or (family in CALM and false_pauses < 1)


@pytest.mark.parametrize("family", FAMILIES[:4])
def test_the_rest_of_what_was_stopped_passes_at_once(family: Callable[[Person, int, int], None]) -> None:
    person = alice(false_pauses=100)
    family(person, 4, 0)
    incident = person.incident
    assert incident is not None
    judge(person)
    person.world.wait(60)
    family(person, 4, 0)
    assert person.incident is incident and person.state is State.OPEN


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(2))
def test_a_hijack_afterwards_is_still_paused(family: Callable[[Person, int, int], None], seed: int) -> None:
    person = alice(false_pauses=100)
    family(person, seed, 0)
    if person.incident is None:
        pytest.skip("this one did not look suspicious")
    person.world.wait(HOUR)
    judge(person)
    person.world.wait(9 * DAY)
    passed = person.steal(300, 50_000, address=ELSEWHERE)
    assert person.state is State.PAUSED and passed <= 60


@pytest.mark.parametrize("family", [newsletter, notice, first_list])
def test_a_lesson_costs_a_hijack_hardly_a_recipient(family: Callable[[Person, int, int], None]) -> None:
    """Beside the same sender with the same past, of whom nothing was learned."""
    leaks = []
    for forget in (True, False):
        person = alice()
        family(person, 1, 0)
        lesson = judge(person)
        person.world.wait(9 * DAY)
        if forget:
            person.world.engine.casework.verdicts.forget(lesson.incident, person.world.at, "admin:a")
        leaks.append(person.steal(300, 50_000, address=ELSEWHERE))
        assert person.state is State.PAUSED
    assert leaks[1] <= leaks[0] + 2


def test_a_bought_list_from_home_is_still_paused() -> None:
    person = alice()
    newsletter(person, 1, 0)
    judge(person)
    person.world.wait(9 * DAY)
    assert person.steal(300, 50_000, address="192.0.2.7") <= 60
    assert person.state is State.PAUSED


# --- how far, how long ----------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "holds"), [(9, True), (12, False)])
def test_a_lesson_ends(days: int, holds: bool) -> None:
    person = alice()
    newsletter(person, 1, 0)
    first = person.incident
    judge(person, until=person.world.at + 10 * DAY)
    person.world.wait(days * DAY)
    newsletter(person, 1, 2)
    assert (person.incident is first) is holds


def test_nothing_is_learned_if_so_said_but_what_was_judged_is_not_held_against_it() -> None:
    person = alice()
    newsletter(person, 1, 0)
    first = person.incident
    lesson = judge(person, learn=Learn.NOTHING)
    assert not lesson.steps and learning(person).weights == {}
    person.write(["one@example.net"])
    assert person.incident is first
    person.world.wait(9 * DAY)
    newsletter(person, 1, 2)
    assert person.incident is not first


def test_a_pattern_helps_the_others_half_as_much() -> None:
    entries = {f"login:{name}@example.com": Entry(customer="4711") for name in ("alice", "bob")}
    world = World(rules(), entries)
    alice_, bob, carol = (Person(world, f"{name}@example.com").live() for name in ("alice", "bob", "carol"))
    alice_.world = bob.world = carol.world = world
    first_list(alice_, 0, 0)
    lesson = judge(alice_, learn=Learn.PATTERN)
    assert lesson.about == "customer:4711"
    world.wait(DAY)
    found = {}
    for person in (bob, carol):
        person.mail([f"{person.login[:3]}{i}@example.net" for i in range(12)], wave=12)
        sender = world.sender(person.key)
        weighed = world.weigh(sender.key)[1]
        found[person.login] = {f.signal: f.weight for f in weighed if f.weight > 0}
    assert found["bob@example.com"]["novelty"] == pytest.approx(found["carol@example.com"]["novelty"] / 2)


def test_a_profile_is_given_and_taken_back() -> None:
    person = alice()
    first_list(person, 0, 0)
    lesson = judge(person, learn=Learn.PROFILE)
    roster = person.world.engine.roster
    assert lesson.given == "newsletter" and roster.overrides[person.key].profile == "newsletter"
    person.write(person.friends)
    assert person.world.sender(person.key).profile.name == "newsletter"
    person.world.engine.casework.verdicts.forget(lesson.incident, person.world.at, "admin:a")
    assert person.key not in roster.overrides


def test_what_was_learned_is_taken_back() -> None:
    person = alice()
    newsletter(person, 1, 0)
    first, lesson = person.incident, judge(person)
    assert learning(person).weights
    person.world.engine.casework.verdicts.forget(lesson.incident, person.world.at, "admin:a")
    assert not learning(person).lessons and not learning(person).weights
    assert not person.world.records.lessons
    person.world.wait(9 * DAY)
    newsletter(person, 1, 2)
    assert person.incident is not first
    with pytest.raises(BadIncident, match="nothing is learned"):
        person.world.engine.casework.verdicts.forget(lesson.incident, person.world.at, "admin:a")


def test_what_it_grows_by_is_recorded() -> None:
    person = alice()
    first_list(person, 0, 0)
    lesson = judge(person)
    seen = dict(lesson.seen[person.key])
    person.mail([f"rest{i}@example.net" for i in range(seen["novel"] + 150)], wave=50)
    assert lesson.seen[person.key]["novel"] > seen["novel"]
    person.world.engine.save(100, math.inf)
    assert person.world.records.lessons[lesson.incident].seen == lesson.seen


def test_of_a_message_that_is_held_as_a_whole_all_recipients_count_as_seen() -> None:
    """A program that sends in messages of many recipients is no smaller than one that does not."""
    held = Profile("plain", over_limit=Action(Verb.HOLD), paused=Action(Verb.HOLD))
    policy = replace(rules(), profiles={"plain": held, "newsletter": Profile("newsletter")})
    person = Person(World(policy)).live()
    person.steal()
    assert person.state is State.PAUSED
    incident = cast(Incident, person.incident)
    before = incident.stopped
    smtpd = person.world.smtpd(person.login)
    assert set(smtpd.rcpt(*(f"one{i}@example.net" for i in range(50)))) == {Verb.HOLD}
    assert incident.stopped == before + 50


def test_the_rest_of_a_day_counts_with_what_came_before_the_verdict() -> None:
    """And without a look at the sender: whom it knows by now is no reason for one."""
    person = alice(false_pauses=100)
    found = addresses("new", 1, 0, 60, 60)
    person.mail(found, wave=10, gap=0.2)
    lesson = judge(person)
    seen = dict(lesson.seen[person.key])
    person.mail([each for each in found for _ in range(4)], wave=40, gap=0.2)
    learning(person).sweep(person.world.at + HOUR, person.world.engine.roster.senders)
    assert lesson.seen[person.key]["recipients"] >= 4 * len(found) > seen["recipients"]


# --- what signals are worth -----------------------------------------------------------------------


def test_a_hundred_verdicts_about_one_sender_move_a_signal_once_a_month() -> None:
    person = alice(false_pauses=100)
    weights = learning(person).weights
    moved = []
    for i in range(100):
        person.steal(60, 1000 * i, share_dead=0.5, address=f"100.{64 + i % 60}.{i}.9")
        incident = person.incident
        assert incident is not None and incident.is_open, i
        judge(person, until=person.world.at + 1)
        moved.append(dict(weights))
        person.world.wait(600)
    everything = [factor for found in moved for factor in found.values()]
    assert everything and all(0.95 < factor < 1 for factor in everything)


def lesson(i: int, at: float, step: float, until: float = 0.0) -> Lesson:
    return Lesson(
        f"I-{i:06}", Verdict.LEGITIMATE, Learn.SENDER, at, "admin:a", until or at, steps={"novelty": step}
    )


def test_factors_are_bounded_whoever_judges_and_fade() -> None:
    person = alice()
    here, at = learning(person), person.world.at
    for i in range(200):
        here.keep(lesson(i, at, -0.05))
    assert here.weights == {"novelty": LEAST_FACTOR}
    assert person.world.engine.detector.weighing.weights is here.weights
    here.sweep(at + FADES + DAY, {})
    assert not here.weights and not here.lessons
    for i in range(200):
        here.keep(lesson(i, at + 2 * FADES, 0.05))
    assert here.weights == {"novelty": MOST_FACTOR}


def test_good_behaviour_teaches_nothing() -> None:
    person = alice().live(60)
    assert not learning(person).weights and not learning(person).lessons


def test_a_verdict_that_was_expected_moves_little() -> None:
    steps = {}
    for verdict in Verdict:
        person = alice()
        person.steal()
        steps[verdict] = judge(person, verdict).steps
    assert sum(steps[Verdict.COMPROMISED].values()) < 0.01
    assert -RATE < sum(steps[Verdict.LEGITIMATE].values()) < -0.8 * RATE


def test_lessons_about_one_sender_are_looked_at_up_to_a_number() -> None:
    person = alice()
    here, at = learning(person), person.world.at
    for i in range(50):
        found = lesson(i, at + i, 0.0, at + DAY)
        found.seen = {person.key: {"novel": 5}}
        here.keep(found)
    assert len(here._about[person.key]) == MOST_OF_ONE
    assert here._about[person.key][0].incident == "I-000049"
