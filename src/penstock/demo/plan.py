"""The day's mail: every message with its second, from a seed and nothing else.

The floods are those of published studies: 300 to 25,000 recipients an hour, 1 to 50 a message
(10 to 27 in logs of botnets), from many addresses; honest senders stay far below, in bursts.
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
    """One message: when it is sent (seconds since midnight), by which actor, to how many."""

    at: float
    actor: int
    recipients: int
    size: int


@dataclass(frozen=True)
class Plan:
    """Everybody and everything of one day, in the order of time."""

    actors: tuple[Actor, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Flood:
    """A hijacked account's stretch: recipients an hour, and how many a message."""

    actor: Actor
    begin: float
    end: float
    per_hour: int
    each: tuple[int, int]


FLOODS = (
    Flood(cast.FAST, 2 * HOUR + 2400, 4 * HOUR, 9000, (1, 50)),
    Flood(cast.SLOW, 8 * HOUR + 1200, 15 * HOUR, 560, (10, 27)),
    Flood(cast.NOON, 12 * HOUR + 600, 13 * HOUR, 5000, (10, 27)),
    Flood(cast.FAST, 16 * HOUR, 16.25 * HOUR, 9000, (1, 50)),
)
"""The first one comes back when its pause has ended, and meets the probation."""


def plan(seed: int) -> Plan:
    """The same seed, the same day."""
    random = Random(seed)
    persons = cast.people(random)
    actors = (*persons, *cast.LARGE, *cast.HIJACKED)
    number = {actor: i for i, actor in enumerate(actors)}
    messages = [m for i in range(len(persons)) for m in _office_day(i, random)]
    messages += _regulars(number, random)
    for flood in FLOODS:
        messages += _flood(flood, number[flood.actor], random)
    return Plan(actors, tuple(sorted(messages)))


def _office_day(person: int, random: Random) -> Iterator[Message]:
    """Office hours with a dent at noon; most mails have one recipient, a few a dozen."""
    for _ in range(min(60, int(random.lognormvariate(2.4, 0.7)))):
        at = random.choice((random.gauss(10.0, 1.2), random.gauss(15.2, 1.5)))
        recipients = random.choices((1, 2, 3, 5, 12), (75, 12, 7, 4, 2))[0]
        yield Message(
            min(max(at, 6.0), 21.0) * HOUR + random.random() * 60, person, recipients, _size(random)
        )


def _regulars(number: dict[Actor, int], random: Random) -> Iterator[Message]:
    """Machines and lists: the invoice run at 01:30, the newsletter at 09:30, shop and servers all day."""
    for i in range(900):
        yield Message(1.5 * HOUR + 2.0 * i, number[cast.INVOICES], 1, 90_000)
    for i in range(3000):
        yield Message(9.5 * HOUR + i, number[cast.NEWSLETTER], 1, 60_000)
    for i in range(1200):
        yield Message(72.0 * i + random.random() * 60, number[cast.APPLICATION], 1, 4_000)
    for _ in range(700):
        yield Message(random.triangular(7, 22, 11) * HOUR, number[cast.RELAY], 1, _size(random))
    for _ in range(400):
        yield Message(random.triangular(0, 24, 20) * HOUR, number[cast.WEB_SHOP], 1, 12_000)
    yield Message(19.5 * HOUR, number[cast.CLUB], 60, 250_000)


def _flood(flood: Flood, actor: int, random: Random) -> Iterator[Message]:
    low, high = flood.each
    pause = (low + high) / 2 * HOUR / flood.per_hour
    at = flood.begin
    while at < flood.end:
        yield Message(at, actor, random.randint(low, high), random.randint(2_000, 9_000))
        at += random.expovariate(1 / pause)


def _size(random: Random) -> int:
    return int(min(20e6, random.lognormvariate(10, 1.2)))
