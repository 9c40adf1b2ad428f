"""Businesses whose programs mail: shops, ticket systems, reminders, monitoring, sales, web forms."""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random

from bench.detection.draw import DAY, HOUR, gaps, is_weekend, log_uniform, moment, poisson
from bench.detection.mail import Account, Habit, Mail, Mails
from bench.detection.world import Address


def settle(account: Account) -> None:
    """A business: it mails from one address, a server's or an office's."""
    rng, world = account.rng, account.world
    kind = rng.choice(("hosting", "hosting", "home"))
    country = 0 if rng.random() < 0.8 else rng.randrange(1, 45)
    account.business = True
    account.places.office = office = world.network(rng, kind, country).client(rng)
    account.places.mobile, account.places.away, account.places.webmail = 0.0, [], ("", 0.0)
    account.places.home_ips = dict.fromkeys(range(2000), office)
    account.freemail = rng.uniform(*world.params.business_freemail)
    account.habit = Habit.drawn(rng, True)


def ordered(mails: Mails, slack: float = DAY) -> Mails:
    """Puts messages in order that come at most ``slack`` seconds too early or too late."""
    heap: list[tuple[float, int, Mail]] = []
    for number, mail in enumerate(mails):
        heappush(heap, (mail.at, number, mail))
        while heap[0][0] < mail.at - slack:
            yield heappop(heap)[2]
    while heap:
        yield heappop(heap)[2]


def _span(account: Account) -> range:
    return range(int(account.born / DAY), account.world.params.days)


def _times(account: Account, day: int, mean: float) -> list[float]:
    rng = account.rng
    n = poisson(rng, mean * rng.gammavariate(4, 0.25))
    return sorted(day * DAY + moment(rng, account.shift) for _ in range(n))


def orders(account: Account) -> Mails:
    """A shop: each confirmation to a customer who is mostly new, a second mail when the parcel leaves, a copy
    to the shop itself; weeks of sale in between."""
    rng, world = account.rng, account.world
    mean = log_uniform(rng, world.params.orders)
    dead = rng.uniform(*world.params.order_dead)
    shop = world.employee(rng, account.domain)
    customers: list[Address] = []
    sale = {rng.randrange(world.params.days) for _ in range(3)}
    for day in _span(account):
        for at in _times(account, day, mean * (rng.uniform(2, 6) if day in sale else 1.0)):
            if customers and rng.random() < 0.35:
                customer = customers[-min(len(customers), int(rng.expovariate(1 / mean)) + 1)]
            else:
                customer = world.anybody(rng, account.freemail, dead)
                customers.append(customer)
            yield account.mail(at, [customer, shop] if rng.random() < 0.2 else [customer])


def tickets(account: Account) -> Mails:
    """A help desk: each answer to a customer, copies to the people on the case."""
    rng, world = account.rng, account.world
    mean = log_uniform(rng, (4, 60))
    agents = [world.employee(rng, account.domain) for _ in range(rng.randrange(2, 9))]
    cases: list[Address] = []
    for day in _span(account):
        for at in _times(account, day, mean * (0.2 if is_weekend(day * DAY) else 1)):
            if not cases or rng.random() < 0.4:
                cases.append(world.anybody(rng, account.freemail * 0.6, rng.uniform(0, 0.015)))
            whom = {
                a.text: a
                for a in [rng.choice(cases[-40:]), *rng.sample(agents, rng.randrange(min(3, len(agents))))]
            }
            yield account.mail(at, list(whom.values()))


def reminders(account: Account) -> Mails:
    """A practice: once a day the reminders of tomorrow's appointments, one after the other."""
    rng, world = account.rng, account.world
    mean, hour = log_uniform(rng, (5, 50)), rng.choice((6, 7, 8, 17, 20))
    patients = [world.anybody(rng, account.freemail, 0.015) for _ in range(int(mean * 30))]
    gap = gaps(rng, log_uniform(rng, (0.4, 20)))
    for day in _span(account):
        if is_weekend(day * DAY):
            continue
        at = day * DAY + hour * HOUR + rng.random() * 3
        for _ in range(poisson(rng, mean)):
            new = rng.random() < 0.15
            who = world.anybody(rng, account.freemail, 0.012) if new else rng.choice(patients)
            yield account.mail(at, [who])
            at += next(gap)


def monitor(account: Account) -> Mails:
    """A machine that tells the same few people when something breaks, often hundreds of times."""
    rng, world = account.rng, account.world
    staff = [world.anybody(rng, 0.2, 0.02) for _ in range(rng.randrange(1, 5))]
    for day in _span(account):
        storms = poisson(rng, 0.04)
        for at in _times(account, day, 4):
            yield account.mail(at, [rng.choice(staff)])
        if storms:
            at, gap = day * DAY + 86000.0, gaps(rng, log_uniform(rng, (2, 60)))
            for _ in range(whole_storm(rng)):
                yield account.mail(at, staff)
                at += next(gap)


def whole_storm(rng: Random) -> int:
    """Messages of one alarm that nobody silenced."""
    return int(min(rng.lognormvariate(3.7, 1.0), 600))


def sales(account: Account) -> Mails:
    """Somebody who writes to strangers for a living: several a day, from an office, with a few wrong ones."""
    rng, world = account.rng, account.world
    mean, new = log_uniform(rng, (3, 30)), rng.uniform(0.2, 0.7)
    known: list[Address] = []
    for day in _span(account):
        for at in _times(account, day, mean * (0.05 if is_weekend(day * DAY) else 1)):
            if not known or rng.random() < new:
                known.append(world.anybody(rng, 0.25, rng.uniform(0.0, 0.04)))
                yield account.mail(at, [known[-1]])
            else:
                yield account.mail(at, [rng.choice(known)])


def forms(account: Account) -> Mails:
    """A web site's form: to its owner, and a copy to whoever filled it in, a robot perhaps."""
    rng, world = account.rng, account.world
    owner = world.employee(rng, account.domain)
    mean, wrong = log_uniform(rng, (0.5, 15)), rng.uniform(0.01, 0.12)
    for day in _span(account):
        for at in _times(account, day, mean):
            yield account.mail(at, [owner])
            if rng.random() < 0.5:
                yield account.mail(at + 0.2, [world.anybody(rng, 0.6, wrong)])


TRADES = (orders, orders, tickets, reminders, monitor, sales, forms)
WEB = (orders, reminders)
