"""People for the detector's tests: what they send and what becomes of it are told apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine import people
from engine.people import AWAY, DAY, HOME, RELAY, UNKNOWN
from penstock.core.events import Bounced, Deferred, Delivered
from penstock.core.evidence import ORDINARY, Detection, Finding, Usual
from penstock.core.policy import Policy
from penstock.core.replies import ReplyClass, Rule
from penstock.engine.case import Case
from penstock.signals.view import View
from support import T0, FakeMemory, World, policy

SPAM = "554 5.7.1 spam"
BUSY = "451 4.7.500 server busy"
RULES = (
    *people.RULES,
    Rule("spam", ReplyClass.CONTENT, ("spam",)),
    Rule("busy", ReplyClass.REPUTATION, ("server busy",)),
)
FRIENDS = [f"friend{i}@example.org" for i in range(8)]


def rules(mode: str = "enforce", *limits: str, usual: Usual = ORDINARY, **more: object) -> Policy:
    """Detection, and these limits. What ``Detection`` does not know is the profile's."""
    own = {name: more.pop(name) for name in ("over_limit", "vouched") if name in more}
    plain = policy(*limits, usual=usual, **own)
    return replace(plain, detection=Detection(mode, **more), replies=RULES)  # type: ignore[arg-type]


class Person(people.Person):
    """Whoever sends under one login."""

    def __init__(self, world: World, login: str = "alice@example.com") -> None:
        super().__init__(world, login)
        self.friends = FRIENDS

    def delivered(self, recipients: Iterable[str]) -> None:
        for recipient in list(recipients):
            self.world.engine.observe(Delivered(self.world.at, self._message(), recipient, RELAY))

    def bounced(self, recipients: Iterable[str], reply: str = UNKNOWN, relay: str = RELAY) -> None:
        for recipient in list(recipients):
            self.world.engine.observe(Bounced(self.world.at, self._message(), recipient, relay, "", reply))

    def deferred(self, recipients: Iterable[str], reply: str, relay: str = RELAY) -> None:
        for recipient in list(recipients):
            event = Deferred(self.world.at, self._message(), recipient, relay, "", reply, True)
            self.world.engine.observe(event)

    def send(self, recipients: Iterable[str], address: str = HOME, gap: float = 1.0) -> list[str]:
        """Write, and each that passed is delivered."""
        passed = self.write(recipients, address, gap)
        self.delivered(passed)
        return passed

    def live(self, days: int = 10) -> Person:
        """So many days with a few letters to friends, two more of them on each."""
        for day in range(1, days + 1):
            friends = FRIENDS[: 2 * day]
            assert self.send(friends) == friends
            self.world.wait(DAY - len(friends))
        return self

    @property
    def case(self) -> Case | None:
        return self.world.engine.detector.cases.get(self.key)

    @property
    def view(self) -> View:
        return self.world.engine.detector.weighing.view(self.world.sender(self.key), self.world.at)

    @property
    def findings(self) -> dict[str, Finding]:
        found = self.world.weigh(self.key)[1]
        return {finding.signal: finding for finding in found}

    @property
    def suspicion(self) -> float:
        return self.world.weigh(self.key)[0]


def alice(mode: str = "enforce", *limits: str, days: int = 10, **more: object) -> Person:
    """Alice with some ordinary days behind her. Somebody else's mail has just arrived: outcomes are seen."""
    person = Person(World(rules(mode, *limits, **more))).live(days)  # type: ignore[arg-type]
    Person(person.world, "neighbour@example.com").delivered(["aunt@example.org"])
    return person


def newcomer(mode: str = "enforce") -> Person:
    """The first sender of a new installation."""
    return Person(World(rules(mode), memory=FakeMemory(installed_at=T0)))


def strangers(n: int, start: int = 0, domain: str = "example.net") -> list[str]:
    return [f"s{i}@{domain}" for i in range(start, start + n)]


def flood(person: Person, n: int = 500, dead_of_ten: int = 4, address: str = AWAY, start: int = 0) -> int:
    """A stranger's list of so many; how many passed."""
    return flood_of(person, strangers(n, start), address, dead_of_ten)


def flood_of(person: Person, recipients: list[str], address: str = AWAY, dead_of_ten: int = 4) -> int:
    """A stranger's list; each that passes has its outcome after ten more attempts. How many passed."""
    waiting: list[str] = []
    passed = 0
    for i, recipient in enumerate(recipients):
        found = person.write([recipient], address)
        waiting += found
        passed += len(found)
        if i % 10 == 9:
            person.bounced(r for j, r in enumerate(waiting) if j % 10 < dead_of_ten)
            person.delivered(r for j, r in enumerate(waiting) if j % 10 >= dead_of_ten)
            waiting.clear()
    return passed


def company(n: int, mode: str = "enforce", days: int = 6) -> list[Person]:
    """So many people on one platform, each with a past and a network of its own."""
    world = World(rules(mode))
    people = [Person(world, f"user{i}@example.com") for i in range(n)]
    for _ in range(days):
        for i, person in enumerate(people):
            person.send(FRIENDS[:3], f"192.{i}.2.7")
        world.wait(DAY - 3 * n)
    Person(world, "neighbour@example.com").delivered(["aunt@example.org"])
    return people
