"""What a sender does under suspicion becomes no habit of its, however long that lasts, whoever restarts."""

from __future__ import annotations

import pytest

from engine.suspects import Person, alice, strangers
from penstock.core.incident import Verdict
from penstock.core.learning import Learn, Word
from penstock.core.sender import Watch
from penstock.engine.familiar import SUSPECT
from penstock.engine.roster import REST

DAY = 86400
QUARTER = 21600


def watch_of(person: Person) -> Watch:
    engine, sender = person.world.engine, person.world.sender(person.key)
    return engine.detector.weighing._familiar.watch(sender, int(person.world.at))


def abuse(person: Person, days: int, n: int = 10, dead: int = 2, start: int = 0) -> None:
    """Four times a day so many strangers, so many of whom do not exist; the platform is on."""
    for quarter in range(4 * days):
        people = strangers(n, start + 1000 * quarter)
        passed = person.write(people)
        person.bounced(passed[:dead])
        person.delivered(passed[dead:])
        for _ in range(12):
            person.world.wait((QUARTER - n) / 12)
            person.world.engine.sweep(person.world.at)


@pytest.mark.parametrize("days", [5, 12, 19])
def test_a_case_that_stays_open_for_weeks_teaches_no_habit(days: int) -> None:
    person = alice("shadow", days=20)
    before = watch_of(person).habit.novel
    abuse(person, days)
    assert person.case is not None
    assert watch_of(person).habit.novel <= before


def test_a_list_that_has_few_dead_addresses_becomes_a_habit() -> None:
    person = alice("shadow", days=20)
    before = watch_of(person).habit.novel
    abuse(person, 19, dead=0)
    assert watch_of(person).habit.novel > before


def test_nothing_is_learned_of_a_network_in_the_week_after_the_last_suspicion() -> None:
    person = alice("shadow", days=20)
    abuse(person, 9)
    ended = person.world.at
    while person.case is not None:
        assert person.world.at < ended + 9 * DAY
        person.world.wait(600)
        person.world.engine.sweep(person.world.at)
    assert watch_of(person).suspected_at >= ended - QUARTER


def test_a_restart_and_a_long_sleep_keep_the_doubt() -> None:
    person = alice("shadow", days=20)
    abuse(person, 5)
    habit, doubted = watch_of(person).habit, watch_of(person).doubted_since
    person.world.sender(person.key).watch = None
    again = watch_of(person)
    assert again.habit.novel == habit.novel and again.doubted_since <= doubted + DAY
    person.world.wait(SUSPECT + REST)
    for _ in range(3):
        person.world.engine.roster.put_to_rest(person.world.at, 1000)
    assert person.key not in person.world.engine.roster.senders
    assert watch_of(person).doubted_since == again.doubted_since


def test_of_whom_it_was_said_that_it_was_the_owner_there_is_no_doubt() -> None:
    person = alice("shadow", days=20)
    abuse(person, 5)
    casework = person.world.engine.casework
    incident = casework.incidents.of(person.key)
    assert incident is not None
    word = Word(Verdict.LEGITIMATE, Learn.NOTHING, "admin:root")
    casework.verdicts.give(incident.id, word, person.world.at)
    person.world.sender(person.key).watch = None
    assert watch_of(person).suspected_at < 0
