"""People who mail under a login, honest ones and thieves: what passes has its outcome."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace

from penstock.core.events import Bounced, Delivered, Message, Reported
from penstock.core.evidence import Detection
from penstock.core.incident import Incident
from penstock.core.policy import Policy, Profile, Verb
from penstock.core.replies import ReplyClass, Rule
from penstock.core.standing import State
from support import FakeMemory, World, policy_of

DAY = 86400.0
HOUR = 3600.0
HOME, AWAY = "192.0.2.7", "198.51.100.9"
UNKNOWN = "550 5.1.1 user unknown"
RULES = (Rule("unknown", ReplyClass.UNKNOWN_USER, ("user unknown",)),)
RELAY = "mx[203.0.113.9]:25"


def rules(mode: str = "enforce", **more: object) -> Policy:
    """No limits: detection alone."""
    plain = policy_of(Profile("plain"), Profile("newsletter"))
    return replace(plain, detection=Detection(mode, **more), replies=RULES)  # type: ignore[arg-type]


class Person:
    """Whoever sends under one login, from a process of its own for each message."""

    def __init__(self, world: World, login: str = "alice@example.com") -> None:
        self.world = world
        self.login = login
        self.key = f"login:{login}"
        self.friends = [f"friend{i}.{login.partition('@')[0]}@example.org" for i in range(8)]

    def write(
        self, recipients: Iterable[str], address: str = HOME, gap: float = 1.0, envelope: str = ""
    ) -> list[str]:
        """One message to each, under another envelope sender if one is given; to whom it passed."""
        passed = []
        for recipient in recipients:
            smtpd = self.world.smtpd(self.login)
            smtpd.address = address
            smtpd.envelope = envelope or smtpd.envelope
            if smtpd.rcpt(recipient) == [Verb.PASS]:
                smtpd.end(1)
                passed.append(recipient)
            self.world.wait(gap)
        return passed

    def tell(self, recipients: Iterable[str], dead: frozenset[str] = frozenset()) -> None:
        """What became of them."""
        for recipient in recipients:
            at, message = self.world.at, self._message()
            if recipient in dead:
                self.world.engine.observe(Bounced(at, message, recipient, RELAY, "", UNKNOWN))
            else:
                self.world.engine.observe(Delivered(at, message, recipient, RELAY))

    def mail(
        self,
        recipients: Sequence[str],
        address: str = HOME,
        dead: frozenset[str] = frozenset(),
        gap: float = 1.0,
        wave: int = 4,
    ) -> int:
        """A run of mail; outcomes come after every few attempts. How many passed."""
        n = 0
        for begin in range(0, len(recipients), wave):
            passed = self.write(recipients[begin : begin + wave], address, gap)
            self.tell(passed, dead)
            n += len(passed)
        return n

    def live(self, days: int = 20) -> Person:
        """So many days with a few letters to friends."""
        for _ in range(days):
            self.mail(self.friends)
            self.world.wait(DAY - len(self.friends))
        return self

    def steal(self, n: int = 200, start: int = 0, share_dead: float = 0.3, address: str = AWAY) -> int:
        """A stranger with a bought list; how many recipients passed."""
        chance = random.Random(start)
        found = [f"s{i}@example.net" for i in range(start, start + n)]
        return self.mail(found, address, frozenset(r for r in found if chance.random() < share_dead))

    def complain(self, n: int = 1) -> None:
        """So many recipients complain."""
        for _ in range(n):
            self.world.engine.observe(Reported(self.world.at, self.key, "x@example.net", "", "", "abuse"))

    def _message(self) -> Message:
        found = Message(self.world.at, "mx1", "4Xy1")
        found.kind, found.name, found.recipients = "login", self.login, 1
        return found

    @property
    def state(self) -> State:
        return self.world.sender(self.key).standing.state

    @property
    def incident(self) -> Incident | None:
        return self.world.engine.casework.incidents.of(self.key)


def alice(mode: str = "enforce", **more: object) -> Person:
    """Alice with an ordinary three weeks behind her."""
    return Person(World(rules(mode, **more))).live()


def restarted(person: Person) -> Person:
    """The same person, after a restart of the service; what was counted is lost with the fakes."""
    old = person.world
    old.engine.save(1 << 30, math.inf)
    standings = {key: new for key, _, new in old.records.standings}
    overrides, lessons = dict(old.records.overrides), deepcopy(old.records.lessons)
    memory = FakeMemory(standings, overrides, old.records.held(), lessons)
    person.world = World(old.engine.roster.policy, memory=memory, at=old.at, acquaintance=old.acquaintance)
    person.world.records.overrides = dict(overrides)
    return person
