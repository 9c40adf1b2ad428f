"""What the signals remember of a sender does not get lost because it sleeps."""

from __future__ import annotations

from engine.suspects import Person, alice
from penstock.engine.familiar import SUSPECT
from penstock.engine.roster import REST

DAY = 86400


def rest(person: Person) -> bool:
    """Let everybody rest who may; whether the person does."""
    for _ in range(3):
        person.world.engine.roster.put_to_rest(person.world.at, 1000)
    return person.key not in person.world.engine.roster.senders


def cleared(person: Person) -> None:
    """A burst of strangers that turns out to be honest: the suspicion is over by itself."""
    person.send([f"new{i}@{i % 9}.example.net" for i in range(60)])
    assert person.case is not None
    for _ in range(60):
        person.world.wait(1800)
        person.world.engine.sweep(person.world.at)
    assert person.case is None


def test_who_was_under_suspicion_is_watched_for_a_week() -> None:
    """Else a thief who waits for six hours could make his network the owner's."""
    person = alice(false_pauses=100)
    cleared(person)
    suspected = person.world.sender(person.key).watch
    assert suspected is not None
    person.world.wait(2 * REST)
    assert not rest(person)
    person.world.wait(SUSPECT)
    assert rest(person)


def test_who_writes_from_a_foreign_network_stays_awake_for_its_day() -> None:
    person = alice()
    person.send(["friend0@example.org"], address="198.51.100.9")
    watch = person.world.sender(person.key).watch
    assert watch is not None and watch.network
    person.world.wait(2 * REST)
    assert not rest(person)
    person.world.wait(DAY)
    assert rest(person)


def test_the_others_rest_soon() -> None:
    person = alice()
    person.send(["friend0@example.org"])
    person.world.wait(REST + 10)
    assert rest(person)
