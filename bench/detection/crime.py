"""What an attacker brings: clients, a list of recipients, a program, sender addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from bench.detection.draw import whole
from bench.detection.mail import Account, Case, Habit, Mail
from bench.detection.params import Range
from bench.detection.world import Address, Domain, Network, World

KINDS: Final = ("home", "home", "home", "mobile", "hosting", "vpn")


@dataclass
class Crime:
    """What the attacker brings: clients, a list, a program, sender addresses."""

    rng: Random
    world: World
    clients: list[str]
    habit: Habit
    people: Iterator[Address]
    forged: str  # MAIL FROM: "" the account's own, one address, or "*" another for each message
    refused: float = 0.0
    sticky: float = 0.0
    client: str = ""
    sent: int = 0

    def mail(self, account: Account, case: Case, at: float, n: int) -> Mail:
        """One message of the attack to the next ``n`` people of the list."""
        rng = self.rng
        recipients = list({a.text: a for a in (next(self.people) for _ in range(n))}.values())
        envelope = self._envelope(account)
        host = envelope.rpartition("@")[2]
        message_id = self.habit.message_id(rng, host, at)
        if not self.client or rng.random() >= self.sticky:
            self.client = rng.choice(self.clients)
        ip = "" if account.uid else self.client
        mail = Mail(at, account, recipients, ip, envelope, message_id, self.habit.message_size(rng))
        mail.case = case
        self.sent += len(recipients)
        mail.refused = self.refused if self.sent > self.world.params.spam_known_after else 0.0
        return mail

    def _envelope(self, account: Account) -> str:
        if self.forged == "*":
            return self.world.person(self.rng, 0.4).text
        return self.forged or account.login


def spam_list(rng: Random, world: World, invalid: float, freemail: float, n: int) -> list[Address]:
    """An attacker's list: of one provider, or mixed; in alphabetical order, or as it was gathered."""
    only: Domain | None = world.free(rng) if rng.random() < world.params.one_provider else None
    drawn = (world.anybody(rng, freemail, invalid, only) for _ in range(n))
    people = list({address.text: address for address in drawn}.values())
    if rng.random() < world.params.sorted_list:
        people.sort(key=lambda a: a.text)
        cut = rng.randrange(len(people))
        people = people[cut:] + people[:cut]
    return people


def clients(rng: Random, world: World) -> list[str]:
    """Where an attack comes from: rented servers, VPNs, other people's machines in some countries, or our own
    web mail."""
    if rng.random() < world.params.by_webmail:
        return [world.webmail]
    n = whole(rng, world.params.clients)
    countries = [
        rng.choices((0, rng.randrange(1, 45)), (1, 6))[0] for _ in range(whole(rng, world.params.countries))
    ]
    kinds = rng.sample(KINDS, rng.randrange(1, 4))
    networks: list[Network] = [
        world.network(rng, rng.choice(kinds), rng.choice(countries)) for _ in range(max(1, int(n * 0.8)))
    ]
    return [rng.choice(networks).client(rng) for _ in range(n)]


def crime(rng: Random, world: World, people: list[Address], ips: list[str] | None = None) -> Crime:
    """Everything but the times. The list starts again at its end."""
    forged = ""
    if rng.random() < world.params.forged_from:
        rotates = rng.random() < world.params.rotating_from
        forged = "*" if rotates else world.person(rng, 0.4).text

    def over_and_over() -> Iterator[Address]:
        while True:
            yield from people

    plan = Crime(rng, world, ips or clients(rng, world), Habit.drawn(rng, True), over_and_over(), forged)
    plan.refused, plan.sticky = rng.uniform(*world.params.spam_refused), rng.choice(world.params.sticky)
    return plan


def usual_crime(rng: Random, world: World, account: Account, invalid: Range, at: float) -> Crime:
    """As most attacks are: on an uncleaned list, with the account's address book among it perhaps."""
    p = world.params
    people = spam_list(rng, world, rng.uniform(*invalid), rng.uniform(*p.freemail), p.most_attack + 60)
    if rng.random() < p.own_contacts:
        book = list(account.contacts.values())
        people = [rng.choice(book) if book and rng.random() < 0.3 else person for person in people]
    plan = crime(rng, world, people)
    if rng.random() < p.own_client and not account.uid:
        plan.clients = [account.places.at(at)]
    return plan
