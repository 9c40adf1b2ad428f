"""The day's mail and that of the days before: every message with its second, from a seed and nothing else.

Honest people write to whom they know, but for one in thirty; a stranger has a bought list, one address in
six of which does not exist any more. The floods are those of published studies: 300 to 25,000 recipients an
hour, 1 to 50 a message (10 to 27 in logs of botnets), from many addresses; honest senders stay far below,
in bursts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from penstock.demo import cast
from penstock.demo.cast import Actor

HOUR = 3600.0


class Message(NamedTuple):
    """One message: when it is sent (seconds since midnight), by which actor, to whom."""

    at: float
    actor: int
    recipients: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Plan:
    """Everybody and everything of one day, in the order of time; ``past``: of the days before."""

    actors: tuple[Actor, ...]
    messages: tuple[Message, ...]
    past: tuple[Message, ...]


@dataclass(frozen=True)
class Flood:
    """A hijacked account's stretch: recipients an hour, and how many a message."""

    actor: Actor
    begin: float
    end: float
    per_hour: int
    each: tuple[int, int]


FLOODS = (
    Flood(cast.FAST, 2 * HOUR + 2400, 4 * HOUR, 3000, (1, 50)),
    Flood(cast.SLOW, 8 * HOUR + 1200, 15 * HOUR, 560, (10, 27)),
    Flood(cast.NOON, 12 * HOUR, 13.5 * HOUR, 2000, (10, 27)),
    Flood(cast.FAST, 16 * HOUR, 16.5 * HOUR, 3000, (1, 50)),
)
"""The first one comes back in the afternoon: the pause lasts until somebody has looked into it."""


PAST_DAYS = 3
FIRST_DAY = 45
"""Days ago that everybody wrote for the first time."""

CONTACTS = 14
NEW = 0.03
"""Share of honest mails with a recipient that is new."""

GONE = 0.17
"""Share of a bought list's addresses that do not exist any more."""

GONE_PREFIX = "gone-"
"""So begin addresses that do not exist any more; whoever delivers goes by it."""


def plan(seed: int) -> Plan:
    """The same seed, the same day."""
    random = Random(seed)
    persons = cast.people(random)
    actors = (*persons, *cast.LARGE, *cast.HIJACKED)
    number = {actor: i for i, actor in enumerate(actors)}
    messages: list[Message] = []
    past: list[Message] = []
    for i in range(len(actors)):
        contacts = tuple(_stranger(random) for _ in range(CONTACTS))
        past += _acquainted(i, contacts, random)
        if i < len(persons):
            messages += _office_day(i, contacts, random)
    messages += _regulars(number, random)
    for day in range(1, PAST_DAYS):
        past += [m._replace(at=m.at - day * 24 * HOUR) for m in _regulars(number, random)]
    for flood in FLOODS:
        messages += _flood(flood, number[flood.actor], random)
    return Plan(actors, tuple(sorted(messages)), tuple(sorted(past)))


def _acquainted(actor: int, contacts: tuple[str, ...], random: Random) -> Iterator[Message]:
    """Its first mail, and one to each of its contacts in the last days."""
    yield Message(-FIRST_DAY * 24 * HOUR + random.random() * HOUR, actor, contacts[:1], 3_000)
    for contact in contacts:
        yield Message(-random.uniform(0, PAST_DAYS) * 24 * HOUR, actor, (contact,), 3_000)


def _office_day(person: int, contacts: tuple[str, ...], random: Random) -> Iterator[Message]:
    """Office hours with a dent at noon; most mails have one recipient, few a dozen."""
    for _ in range(min(60, int(random.lognormvariate(2.4, 0.7)))):
        at = random.choice((random.gauss(10.0, 1.2), random.gauss(15.2, 1.5)))
        at = min(max(at, 6.0), 21.0) * HOUR + random.random() * 60
        count = random.choices((1, 2, 3, 5, 12), (75, 12, 7, 4, 2))[0]
        known = tuple(random.sample(contacts, count))
        new = (_stranger(random),) if random.random() < NEW else ()
        yield Message(at, person, (*known, *new), _size(random))


def _regulars(number: dict[Actor, int], random: Random) -> Iterator[Message]:
    """Machines and lists: the invoice run at 01:30, the newsletter at 09:30, shop and servers all day."""
    for i in range(900):
        yield Message(1.5 * HOUR + 2.0 * i, number[cast.INVOICES], (f"buyer{i}@buyers.example",), 90_000)
    for i in range(3000):
        yield Message(9.5 * HOUR + i, number[cast.NEWSLETTER], (f"reader{i}@readers.example",), 60_000)
    for i in range(1200):
        user = f"user{random.randrange(500)}@users.example"
        yield Message(72.0 * i + random.random() * 60, number[cast.APPLICATION], (user,), 4_000)
    for _ in range(700):
        client = f"client{random.randrange(250)}@clients.example"
        yield Message(random.triangular(7, 22, 11) * HOUR, number[cast.RELAY], (client,), _size(random))
    for _ in range(400):
        yield Message(
            random.triangular(0, 24, 20) * HOUR, number[cast.WEB_SHOP], (_stranger(random),), 12_000
        )
    members = tuple(f"member{i}@members.example" for i in range(60))
    yield Message(19.5 * HOUR, number[cast.CLUB], members, 250_000)


def _flood(flood: Flood, actor: int, random: Random) -> Iterator[Message]:
    low, high = flood.each
    pause = (low + high) / 2 * HOUR / flood.per_hour
    at = flood.begin
    while at < flood.end:
        bought = tuple(_bought(random) for _ in range(random.randint(low, high)))
        yield Message(at, actor, bought, random.randint(2_000, 9_000))
        at += random.expovariate(1 / pause)


def _stranger(random: Random) -> str:
    """Somebody out there to whom one writes for a reason."""
    return f"person{random.randrange(10**7)}@company{random.randrange(400)}.example"


def _bought(random: Random) -> str:
    gone = GONE_PREFIX if random.random() < GONE else ""
    return f"{gone}box{random.randrange(10**7)}@freemail{random.randrange(30)}.example"


def _size(random: Random) -> int:
    return int(min(20e6, random.lognormvariate(10, 1.2)))
