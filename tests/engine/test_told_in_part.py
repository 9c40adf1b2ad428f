"""A message of many recipients comes back in part: servers name the dead before they have taken the mail."""

from __future__ import annotations

import pytest

from engine.people import AWAY, DAY, HOME, HOUR, RELAY, UNKNOWN
from engine.suspects import Person, alice
from penstock.core.events import Bounced, Delivered, Message
from penstock.core.policy import Verb
from penstock.core.standing import State
from penstock.engine.case import TELLS, TELLS_AGAIN

N, DEAD = 80, 5


def people(n: int, start: int = 0) -> list[str]:
    """At a provider each, or nearly: what one provider says may be one fact."""
    return [f"s{i}@p{i % 40}.example.net" for i in range(start, start + n)]


class Letter:
    """One message to many, and what is told of it."""

    def __init__(self, person: Person, recipients: list[str], address: str = HOME) -> None:
        world = person.world
        self.person = person
        smtpd = world.smtpd(person.login)
        smtpd.address = address
        answers = smtpd.rcpt(*recipients)
        self.passed = [r for r, verb in zip(recipients, answers, strict=True) if verb is Verb.PASS]
        smtpd.end(len(self.passed))
        self.message = Message(world.at, "mx1", "4Xy1")
        self.message.kind, self.message.name = "login", person.login
        self.message.recipients = len(self.passed)

    def dead(self, n: int) -> None:
        for recipient in self.passed[:n]:
            self.person.world.engine.observe(
                Bounced(self.person.world.at, self.message, recipient, RELAY, "", UNKNOWN)
            )

    def rest(self, begin: int, end: int = N) -> None:
        for recipient in self.passed[begin:end]:
            self.person.world.engine.observe(Delivered(self.person.world.at, self.message, recipient, RELAY))


def settled(days: int = 20) -> Person:
    """Somebody whose networks are known."""
    person = alice(days=days)
    person.world.wait(DAY)
    person.send(person.friends[:2])
    return person


def notice(person: Person, address: str = HOME) -> Letter:
    """To the whole address book at once; the dead of it are told first."""
    letter = Letter(person, people(N), address)
    person.world.wait(0.5)
    letter.dead(DEAD)
    return letter


def test_a_letter_from_home_is_judged_when_most_of_it_is_told() -> None:
    person = settled()
    letter = notice(person)
    assert person.case is not None and person.case.waits and person.state is State.OPEN
    person.world.wait(0.5)
    letter.rest(DEAD)
    person.world.wait(TELLS)
    person.write(["one.more@example.net"])
    assert person.state is State.OPEN and not person.case.waits


def test_nobody_new_is_let_through_meanwhile() -> None:
    person = settled()
    notice(person)
    assert person.write(["one.more@example.net", "and.another@example.net"], gap=0.1) == []
    assert person.write(person.friends[:2], gap=0.1) == person.friends[:2]


def test_a_letter_from_elsewhere_is_judged_at_once() -> None:
    person = settled()
    notice(person, AWAY)
    assert person.state is State.PAUSED


@pytest.mark.parametrize("ends", ["message", "outcome", "time"])
def test_what_is_still_bad_when_the_wait_is_over_pauses(ends: str) -> None:
    """Whatever comes next: another message, an outcome, or nothing at all."""
    person = settled()
    letter = notice(person)
    person.world.wait(TELLS)
    if ends == "message":
        assert person.write(["one.more@example.net"]) == []
    elif ends == "outcome":
        letter.rest(DEAD, DEAD + 1)
    else:
        for _ in range(3):
            person.world.wait(HOUR / 4)
            person.world.engine.sweep(person.world.at)
    assert person.state is State.PAUSED


def test_letter_after_letter_there_is_no_wait_without_end() -> None:
    """A thief on the owner's machine, each message with many dead ones of whom is told first."""
    person = settled()
    leak = 0
    for i in range(40):
        letter = Letter(person, people(50, 1000 + 50 * i))
        leak += len(letter.passed)
        person.world.wait(0.3)
        letter.dead(len(letter.passed) // 3)
        letter.rest(len(letter.passed) // 3)
        person.world.wait(0.7)
    assert person.state is State.PAUSED and leak <= 150
    assert person.case is None or person.case.told_at <= person.world.at + TELLS


def test_a_wait_does_not_begin_again_at_once() -> None:
    person = settled()
    case = notice(person).person.case
    assert case is not None
    until = case.told_at
    assert not case.is_told(until - 1, True) and case.told_at == until
    assert case.is_told(until, True) and case.told_at == until
    assert not case.is_told(until + TELLS_AGAIN, True)
