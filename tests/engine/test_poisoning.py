"""Thieves who are patient: they behave for weeks first, so that what they want to do looks usual.

What they gain is bounded: the last week does not count, the busiest day does not count, what is done under
suspicion makes nothing one's own, and who is not known to anybody here speaks for nobody. An administrator
who believes them allows them another day like the one that was judged, and no more.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import cast

import pytest

from engine.people import AWAY, DAY, HOME, Person, alice, rules
from penstock.core.incident import Incident, Verdict
from penstock.core.learning import MOST_FOREIGN, Learn, Lesson, Word
from penstock.core.policy import Entry
from penstock.core.standing import State
from support import World

ELSEWHERE = "203.0.113.77"

WEEKS = (1, 2, 4)
LIST = 50_000
"""Where the addresses of a bought list begin: nobody has met them before."""


def grow(person: Person, days: int) -> None:
    """A fifth more each day, to mailboxes of the thief's own, all of them good."""
    volume, start = 3.0, 0
    for _ in range(days):
        n = min(round(volume), 200)
        person.mail([f"mine{i}@{i % 5}.example.net" for i in range(start, start + n)], gap=300)
        start, volume = start + n, volume * 1.2
        person.world.wait(max(0, DAY - 300 * n))


def move_in(person: Person, days: int) -> None:
    """A letter a day to the owner's friends from the thief's network."""
    for _ in range(days):
        person.mail(person.friends[:1], AWAY)
        person.mail(person.friends)
        person.world.wait(DAY - 20)


def write_to_itself(person: Person, days: int) -> None:
    """The same twenty mailboxes of the thief's own each day, from the thief's network."""
    for _ in range(days):
        person.mail([f"mine{i}@example.net" for i in range(20)], AWAY, gap=60)
        person.mail(person.friends)
        person.world.wait(DAY - 20 * 60 - 20)


def keep_a_new_one_a_day(person: Person, days: int) -> None:
    """Some new recipients each day, from the thief's network: as many as an ordinary person has."""
    for day in range(days):
        person.mail([f"new{4 * day + i}@example.net" for i in range(4)], AWAY, gap=600)
        person.mail(person.friends)
        person.world.wait(DAY - 2400 - 20)


def leak_of(person: Person, address: str = AWAY) -> int:
    """Of a bought list."""
    return person.steal(400, LIST, address=address)


@pytest.mark.parametrize("weeks", WEEKS)
@pytest.mark.parametrize("behave", [grow, keep_a_new_one_a_day])
def test_to_have_written_much_gains_little(behave: Callable[[Person, int], None], weeks: int) -> None:
    """Beside the same owner, who went on as ever, and whose own computer sends the list."""
    patient, plain = alice(), alice()
    behave(patient, 7 * weeks)
    plain.live(7 * weeks)
    leak, at_home = leak_of(patient), leak_of(plain, HOME)
    assert patient.state is plain.state is State.PAUSED
    assert leak <= 1.5 * at_home + 10


@pytest.mark.parametrize("weeks", WEEKS)
@pytest.mark.parametrize("behave", [move_in, write_to_itself])
def test_to_have_moved_in_is_no_better_than_the_owner_s_own_machine(
    behave: Callable[[Person, int], None], weeks: int
) -> None:
    """After the same past, the same list from the thief's network and from the owner's."""
    patient, at_home = alice(), alice()
    for each in (patient, at_home):
        behave(each, 7 * weeks)
    assert leak_of(patient) <= leak_of(at_home, HOME) + 10
    assert patient.state is at_home.state is State.PAUSED


def test_who_moves_in_in_a_week_of_suspicion_stays_a_stranger() -> None:
    """What is used while the sender is under suspicion does not become its own, whatever came of it."""
    person, other = alice(), alice()
    person.steal(12, 10_000, share_dead=0.0)
    assert person.world.sender(person.key).watch is not None
    for each in (person, other):
        move_in(each, 6)
    assert leak_of(person) < leak_of(other)


def test_good_outcomes_in_between_buy_little() -> None:
    """A bought list with a mailbox of the thief's own after each address of it."""
    person, plain = alice(), alice()
    chance = random.Random(1)
    bought = [f"s{i}@example.net" for i in range(200)]
    dead = frozenset(each for each in bought if chance.random() < 0.3)
    mixed = [each for i, one in enumerate(bought) for each in (one, f"mine{i}@example.org")]
    alone = plain.mail(bought, AWAY, dead)
    both = person.mail(mixed, AWAY, dead)
    assert person.state is State.PAUSED and both <= 4 * alone + 10


# --- what a verdict is good for -------------------------------------------------------------------

MINE = 40
"""Mailboxes of the thief's own in a burst: an administrator is told that they are customers."""


def say_legitimate(person: Person, learn: Learn = Learn.SENDER) -> Lesson:
    """An administrator believes it."""
    incident = cast(Incident, person.incident)
    word = Word(Verdict.LEGITIMATE, learn, "admin:root")
    return person.world.engine.casework.verdicts.give(incident.id, word, person.world.at)[1]


def burst(person: Person, number: int, n: int = MINE, address: str = HOME) -> None:
    """Good mail to mailboxes of the thief's own."""
    person.mail([f"mine{number}.{i}@{i % 5}.example.net" for i in range(n)], address)


def persuaded(forgets: bool = False, learn: Learn = Learn.SENDER) -> Person:
    """Weeks of good behaviour, then a burst that somebody calls legitimate."""
    person = alice(false_pauses=100).live(14)
    burst(person, 0)
    lesson = say_legitimate(person, learn)
    if forgets:
        person.world.engine.casework.verdicts.forget(lesson.incident, person.world.at, "admin:root")
    person.world.wait(7 * DAY)
    return person


@pytest.mark.parametrize(("address", "more"), [(HOME, 2 * MINE - 24), (ELSEWHERE, 2)])
def test_a_verdict_about_a_small_burst_buys_little_of_a_bought_list(address: str, more: int) -> None:
    """Beside the same thief, of whom nothing was learned. Through the owner's own machine less than twice the
    burst, which is what was allowed; from elsewhere next to nothing."""
    believed, forgotten = persuaded(), persuaded(forgets=True)
    leaks = [leak_of(person, address) for person in (believed, forgotten)]
    assert believed.state is forgotten.state is State.PAUSED
    assert leaks[0] <= leaks[1] + more


def visited(verdicts: int) -> Person:
    """Small bursts from one network after the other, each called legitimate."""
    person = alice(false_pauses=100).live(14)
    for number in range(verdicts):
        burst(person, number, 25, f"198.{60 + number}.100.9")
        say_legitimate(person)
        person.world.wait(7 * DAY)
        person.mail(person.friends)
    return person


def test_many_verdicts_buy_no_more_than_the_greatest_of_them() -> None:
    """Allowances do not add up, and what comes from another network has a bound of its own."""
    often = visited(5)
    assert len(often.world.engine.casework.learning.lessons) == 5
    leak = leak_of(often, ELSEWHERE)
    assert leak <= leak_of(visited(2), ELSEWHERE) + 2
    assert leak <= MOST_FOREIGN + 4
    assert often.state is State.PAUSED


def test_a_dead_share_that_was_believed_is_no_licence_for_a_worse_one() -> None:
    """A list with one address in ten dead is called legitimate; then comes one with every third."""
    person = alice(false_pauses=100)
    person.steal(MINE, 10_000, 0.1, HOME)
    say_legitimate(person)
    person.world.wait(9 * DAY)
    assert leak_of(person, HOME) <= 3 * MINE
    assert person.state is State.PAUSED


def colleagues(n: int) -> list[Person]:
    """People of one customer."""
    names = [f"colleague{i}" for i in range(n)]
    world = World(
        rules(false_pauses=100),
        {f"login:{name}@example.com": Entry(customer="4711") for name in names},
    )
    people = [Person(world, f"{name}@example.com") for name in names]
    for _ in range(20):
        for person in people:
            person.mail(person.friends)
        world.wait(DAY - 8 * n)
    return people


def test_verdicts_about_colleagues_halve_the_evidence_once() -> None:
    """A thief who holds several accounts of a customer has one after the other called legitimate, by the
    pattern; then he floods through the next."""
    patient, plain = colleagues(4), colleagues(4)
    for number, person in enumerate(patient[:3]):
        burst(person, number)
        say_legitimate(person, Learn.PATTERN)
        person.world.wait(7 * DAY)
    plain[0].world.wait(21 * DAY)
    leaks = [people[3].steal(400, LIST, address=ELSEWHERE) for people in (patient, plain)]
    assert patient[3].state is plain[3].state is State.PAUSED
    assert leaks[0] <= leaks[1] + 6


@pytest.mark.parametrize("address", [HOME, ELSEWHERE])
def test_a_profile_that_was_given_is_judged_by_what_comes_back(address: str) -> None:
    """The thief is believed to send newsletters."""
    person = persuaded(learn=Learn.PROFILE)
    person.mail(person.friends)
    assert person.world.sender(person.key).profile.name == "newsletter"
    assert leak_of(person, address) <= 2 * MINE
    assert person.state is State.PAUSED


def test_nothing_that_is_said_of_one_helps_a_stranger() -> None:
    """Whoever is of another customer and profile meets the full evidence."""
    one, other = visited(3), alice(false_pauses=100)
    stranger = Person(one.world, "carol@example.org").live()
    plain = Person(other.world, "carol@example.org").live()
    assert leak_of(stranger) <= leak_of(plain) + 2
