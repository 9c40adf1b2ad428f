"""Thieves who are patient: they behave for weeks first, so that what they want to do looks usual.

What they gain is bounded: the last week does not count, the busiest day does not count, what is done under
suspicion makes nothing one's own, and who is not known to anybody here speaks for nobody.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from engine.people import AWAY, DAY, HOME, Person, alice
from penstock.core.standing import State

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
