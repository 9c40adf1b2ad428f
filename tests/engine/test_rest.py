"""What the signals remember of a sender does not get lost because it sleeps."""

from __future__ import annotations

from engine.people import AWAY
from engine.suspects import Person, alice
from penstock.core.habit import QUARTER
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


def test_a_habit_is_that_of_the_quarter_whoever_was_asleep_and_whenever_one_looks() -> None:
    """Else a service that was restarted, or a replay, would see another one."""
    person = alice()
    familiar, sender = person.world.engine.detector.weighing, person.world.sender(person.key)
    first = familiar.view(sender, person.world.at).habit
    person.send([f"friend{i}@example.org" for i in range(9)])
    sender.watch = None
    same_quarter = int(first.at) + QUARTER - 1
    assert familiar.view(sender, same_quarter).habit == first
    assert familiar.view(sender, same_quarter + 1).habit != first


def test_whoever_slept_is_looked_at_as_one_who_was_awake() -> None:
    """Each quarter of a day begins with a look, at the first new recipient."""
    awake, asleep = alice(), alice()
    for person in (awake, asleep):
        person.send(["new@example.net"])
        person.world.wait(REST + 10)
    assert rest(asleep)
    for person in (awake, asleep):
        person.send([f"new{i}@{i}.example.net" for i in range(12)], AWAY)
    assert awake.case is not None and asleep.case is not None
    assert awake.case.opened_at - awake.world.at == asleep.case.opened_at - asleep.world.at
    assert awake.case.suspicion == asleep.case.suspicion
