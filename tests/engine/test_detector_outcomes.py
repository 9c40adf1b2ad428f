"""What comes back: who is known, what is dead, who is believed, and who may go on."""

from __future__ import annotations

import pytest

from engine.people import AWAY, DAY, HOME, HOUR
from engine.suspects import FRIENDS, Person, alice, company, flood, strangers
from penstock.core.evidence import Detection, Usual
from penstock.core.ledger import Counter
from penstock.core.policy import Verb
from penstock.core.standing import State
from penstock.engine import case as cases
from penstock.engine import detector
from penstock.engine.case import Case
from penstock.engine.detector import HABITUAL, UNDER_WAY
from penstock.engine.gate import VOUCHED_AT_ONCE
from penstock.engine.providers import VANISHED
from support import ALICE, reached

# --- who has got mail -------------------------------------------------------------------------


def knows(person: Person, address: str, key: str | None = None) -> bool:
    known = person.world.acquaintance
    return known.knows(reached(known, person.key if key is None else key, address))


def test_who_has_got_mail_is_known_from_then_on() -> None:
    person = alice()
    person.send(["new@example.net"])
    novel, proven = person.world.total(Counter.NOVEL), person.world.total(Counter.PROVEN)
    person.send(["new@example.net"] * 3)
    assert person.world.total(Counter.NOVEL) == novel
    assert person.world.total(Counter.PROVEN) == proven


def test_nobody_is_known_before_mail_got_through() -> None:
    person = alice()
    person.write(["new@example.net"])
    assert not knows(person, "new@example.net")
    person.delivered(["NEW@example.net"])
    assert knows(person, "new@example.net") and knows(person, "new@example.net", "")


def slowed() -> tuple[Person, Case]:
    person = alice()
    person.write(strangers(100), AWAY)
    assert person.case is not None and person.case.slowed
    return person, person.case


def test_nobody_becomes_known_under_suspicion() -> None:
    person, case = slowed()
    canaries = list(case.under_way)
    person.delivered(canaries)
    assert canaries and len(case.met) == len(canaries)
    assert not any(knows(person, each) or knows(person, each, "") for each in canaries)


def test_whom_it_reached_meanwhile_it_knows_when_the_suspicion_is_over() -> None:
    person, case = slowed()
    canaries = list(case.under_way)
    person.delivered(canaries)
    for _ in range(9):
        person.world.wait(DAY)
        person.world.sweep()
    assert person.case is None
    assert all(knows(person, each) for each in canaries)


def test_then_somebody_here_knows_them_too() -> None:
    """So that they count as no strangers to others, and never as dead."""
    person, case = slowed()
    canaries = list(case.under_way)
    person.delivered(canaries)
    person.world.engine.detector.pardon(person.world.sender(), person.world.at)
    assert all(knows(person, each, "") for each in canaries)
    person.bounced(canaries)
    assert person.world.total(Counter.NEWLY_DEAD) == 0


def test_who_met_is_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "MOST_MET", 3)
    monkeypatch.setattr(cases, "MOST_UNDER_WAY", 5)
    person = alice("shadow")
    person.write(strangers(100), AWAY)
    assert person.case is not None and len(person.case.under_way) == 5
    person.delivered(strangers(100))
    assert len(person.case.met) == 3


def test_beyond_those_remembered_who_got_it_still_speaks_for_the_sender(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or of a large first newsletter only the dead would be told from there on."""
    monkeypatch.setattr(detector, "MOST_MET", 3)
    person = alice("shadow")
    before = person.world.total(Counter.PROVEN)
    list_ = strangers(100)
    person.write(list_, AWAY)
    person.bounced(list_[:10])
    for _ in range(3):
        person.delivered(list_[10:])
        assert person.case is not None and len(person.case.met) == 3
        assert person.world.total(Counter.PROVEN) == before + 90, "each once, though nobody knows who"


def test_nobody_is_paused_for_good_news_that_has_become_old() -> None:
    """A letter of yesterday: its last outcomes are the last to be forgotten, and they are the dead ones."""
    person = alice(days=20)
    person.send([f"a{i}@p{i}.example.net" for i in range(60)], gap=0.1)
    person.world.wait(1500)
    passed = person.write([f"b{i}@p{i}.example.net" for i in range(30)], gap=0.1)
    person.bounced(passed[:3])
    assert person.case is not None and person.case.slowed and person.state is State.OPEN
    worst = -99.0
    for _ in range(150):
        person.world.wait(600)
        worst = max(worst, person.suspicion)
        person.world.sweep()
    assert worst > Detection().pause_at, "for hours its dead alone are left, or this test tells nothing"
    assert person.state is State.OPEN


# --- what does not exist ----------------------------------------------------------------------


def test_an_address_that_bounces_for_ever_is_dead_once() -> None:
    person = alice()
    for _ in range(50):
        person.bounced(["gone@example.net"])
    assert person.world.total(Counter.NEWLY_DEAD) == 1
    assert person.world.total(Counter.UNKNOWN_USER) == 50
    assert person.case is None


def test_it_is_dead_once_for_each_who_writes_there() -> None:
    person = alice()
    bob = Person(person.world, "bob@example.com")
    for each in (person, bob, person, bob):
        each.bounced(["gone@example.net"])
    assert person.world.total(Counter.NEWLY_DEAD) == 1
    assert person.world.total(Counter.NEWLY_DEAD, bob.key) == 1


def test_an_address_that_somebody_here_got_mail_through_to_never_counts_as_dead() -> None:
    person = alice()
    bob = Person(person.world, "bob@example.com")
    bob.send(["left@example.net"])
    person.write(["left@example.net"])
    for each in (person, bob):
        each.bounced(["left@example.net"])
        assert person.world.total(Counter.NEWLY_DEAD, each.key) == 0
    assert person.world.total(Counter.UNKNOWN_USER) == 1


def test_what_an_accomplice_got_earlier_gives_no_credit() -> None:
    """A thief who fills the morning with mailboxes of his own is paused like any other."""
    leaks = []
    for accomplices in (0, 60):
        person = alice()
        for i in range(accomplices):
            person.send([f"mine{i}@example.info"], AWAY, gap=240)
        person.world.wait(2 * HOUR)
        leaks.append(flood(person, start=1000))
        assert person.state is State.PAUSED
    assert leaks[1] <= leaks[0] + 10


def test_a_trap_is_counted_once_for_each_who_writes_there() -> None:
    person = alice(traps=frozenset({"trap@example.net"}))
    bob = Person(person.world, "bob@example.com")
    for each in (person, bob):
        for _ in range(3):
            each.write(["Trap@example.net"])
        assert person.world.total(Counter.TRAPS, each.key) == 1
    assert person.findings["traps"].weight > 2 and person.state is State.OPEN


def test_traps_are_looked_at_at_once_however_many_new_recipients_are_usual() -> None:
    traps = [f"trap{i}@example.net" for i in range(3)]
    person = alice(traps=frozenset(traps), usual=Usual(novel=300), false_pauses=100)
    person.write(strangers(5))
    for trap in traps:
        person.write([trap])
    assert person.state is State.PAUSED and "2 spam traps" in person.world.sender().standing.why


def test_a_canary_that_a_failing_provider_bounced_is_over_and_held_against_nobody() -> None:
    person, case = slowed()
    person.delivered(list(case.under_way))
    more = person.write([*strangers(2, domain="example.org")], AWAY)
    good, suspicion = case.good, case.suspicion
    bob = Person(person.world, "bob@example.com")
    bob.bounced(FRIENDS[:VANISHED])
    person.bounced(more)
    assert len(more) == 2 and not set(more) & set(case.under_way)
    assert (case.good, case.suspicion) == (good, suspicion)


# --- somebody decides -------------------------------------------------------------------------


def decide(person: Person, state: State) -> None:
    """An administrator's word."""
    at, roster = person.world.at, person.world.engine.roster
    roster.change_standing(person.key, state, at, "admin:root", "known", None, State.OPEN)


def test_after_a_resume_only_what_came_since_counts() -> None:
    person = alice()
    flood(person)
    assert person.state is State.PAUSED
    person.world.wait(60)
    decide(person, State.OPEN)
    person.world.wait(HOUR)
    assert person.view.day[Counter.NOVEL] == person.view.week[Counter.NEWLY_DEAD] == 0
    assert person.view.day[Counter.FOREIGN] == 0
    before = person.suspicion
    assert len(person.write(FRIENDS)) == len(FRIENDS) and person.state is State.OPEN
    assert before < Detection().slow_at
    assert flood(person, start=5000) <= 40
    assert person.world.sender().standing.stopped


def test_a_pardon_says_that_all_of_it_was_the_owner() -> None:
    person, case = slowed()
    canaries = list(case.under_way)
    person.delivered(canaries)
    closed: list[Case] = []
    person.world.engine.detector.on_case = lambda case, sender: closed.append(case)
    person.world.engine.detector.pardon(person.world.sender(), person.world.at)
    assert closed == [case] and case.closed_at == person.world.at and person.case is None
    assert all(knows(person, each) for each in canaries)


def test_a_pardon_clears_the_network_for_others_too() -> None:
    people = company(2)
    flood(people[0], address="198.51.100.50")
    world = people[0].world
    world.engine.detector.pardon(world.sender(people[0].key), world.at)
    people[1].write(["one@example.net"], "198.51.100.51")
    assert not people[1].view.tainted


# --- vouching ---------------------------------------------------------------------------------


def writer(*limits: str, vouched: float = 10.0, mode: str = "enforce") -> Person:
    """Alice, who may go so many times beyond her limits while her mail arrives."""
    return alice(mode, *(limits or ("20/d",)), vouched=vouched)


def go_on(person: Person, n: int, arrives: int = 100, friends: bool = True) -> int:
    """So many letters, each with its outcome a minute after it; how many passed. ``arrives``: per cent."""
    passed = 0
    for i in range(n):
        recipient = FRIENDS[i % len(FRIENDS)] if friends else f"n{i}@example.net"
        gone = person.write([recipient], gap=UNDER_WAY + 5)
        passed += len(gone)
        if i * arrives // 100 != (i + 1) * arrives // 100:
            person.delivered(gone)
    return passed


def test_limits_are_lifted_while_most_of_the_mail_arrives() -> None:
    assert go_on(writer(vouched=1), 60) == 20
    assert go_on(writer(), 60) == 60


def test_they_hold_when_it_does_not_arrive() -> None:
    assert go_on(writer(), 100, arrives=50) < 60
    assert go_on(writer(), 100, arrives=75) == 100


def test_what_is_under_way_is_not_held_against_the_sender() -> None:
    person = writer()
    assert go_on(person, 20) == 20
    assert len(person.write(FRIENDS * 3, gap=1)) == 3 * len(FRIENDS)


def test_what_waits_for_a_provider_is_held_against_nobody_whom_all_know() -> None:
    """A device rings and rings, and half of the addresses are behind a provider in trouble."""

    def rings(people: list[str]) -> int:
        person, passed = writer(), 0
        for i, recipient in enumerate(people):
            gone = person.write([recipient], gap=UNDER_WAY + 5)
            passed += len(gone)
            if i % 2:
                person.delivered(gone)
            else:
                person.deferred(gone, "451 4.3.2 system not accepting messages")
        return passed

    assert rings((FRIENDS * 10)[:80]) == 80
    assert rings(strangers(80)) < 40


def test_limits_are_lifted_up_to_what_the_profile_says() -> None:
    """Further for who writes to few strangers. The evidence is asked again after so many at once."""
    person = writer("20/d", vouched=2)
    assert 2 * 20 <= go_on(person, 400, friends=False) <= 2 * 20 + VOUCHED_AT_ONCE
    person = writer("20/d", vouched=2)
    most = int(2 * 20 * HABITUAL)
    assert most <= go_on(person, most + 2 * VOUCHED_AT_ONCE) <= most + VOUCHED_AT_ONCE


def test_without_logs_nobody_is_vouched_for() -> None:
    person = writer()
    assert len(person.write(FRIENDS * 10, gap=70)) == 20


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_nobody_is_vouched_for_where_nobody_would_be_paused(mode: str) -> None:
    assert go_on(writer(mode=mode), 60) == 20


@pytest.mark.parametrize("state", [State.PROBATION, State.SLOWED])
def test_nobody_is_vouched_for_in_probation(state: State) -> None:
    person = writer()
    decide(person, state)
    assert go_on(person, 60) < 20


def test_a_thief_is_not_vouched_for_by_what_the_owner_sent() -> None:
    """His canaries hold him, whatever the limits."""
    person = writer("30/d")
    assert go_on(person, 25) == 25
    assert flood(person) <= 40
    assert person.state is State.PAUSED


def test_what_is_lifted_is_the_refusal_and_not_the_count() -> None:
    person = writer()
    assert go_on(person, 60) == 60
    assert person.world.total(Counter.RECIPIENTS, ALICE, 86400) == 60
    assert person.world.saved() == []
    smtpd = person.world.smtpd()
    assert smtpd.rcpt(FRIENDS[0]) == [Verb.PASS]
    assert smtpd.address == HOME
