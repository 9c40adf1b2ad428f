"""A signal that the policy calls silent is in no finding, and the others say what they say without it."""

from __future__ import annotations

from engine.people import AWAY, Person, rules
from penstock.signals import SIGNALS
from support import World

LIST = [f"s{i}@example.net" for i in range(10)]


def thief(*silent: str) -> Person:
    """Ten new recipients from a new network, after three ordinary weeks."""
    person = Person(World(rules(silent=silent))).live()
    person.write(LIST, AWAY)
    return person


def signals_of(person: Person) -> set[str]:
    sender = person.world.engine.roster.get(person.key, person.world.at)
    return {one.signal for one in person.world.weigh(sender.key)[1]}


def test_a_silent_signal_is_in_no_finding_and_the_others_stay() -> None:
    heard = signals_of(thief())
    assert {"networks", "novelty"} <= heard
    assert signals_of(thief("networks")) == heard - {"networks"}


def test_without_any_signal_nobody_is_slowed() -> None:
    person = thief(*(name for name, _, _ in SIGNALS))
    assert signals_of(person) == set()
    assert person.incident is None
    assert person.mail([f"x{i}@example.net" for i in range(300)], AWAY) == 300
