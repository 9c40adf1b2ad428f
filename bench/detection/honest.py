"""Honest mail that is easily taken for abuse (FIELD §7), one account for each case."""

from __future__ import annotations

from random import Random

from bench.detection import business
from bench.detection.accounts import Makers
from bench.detection.draw import DAY, HOUR, gaps, is_weekend, log_uniform, moment, poisson, whole
from bench.detection.mail import Account, Case, Habit, Mail, Mails
from bench.detection.params import Range
from bench.detection.world import Address, Outage


def subscribers(account: Account, n: int, dead: float) -> list[Address]:
    """A list of customers or members, in the order of joining or of the alphabet."""
    rng, world = account.rng, account.world
    freemail = rng.uniform(*world.params.business_freemail)
    people = list({a.text: a for a in (world.anybody(rng, freemail, dead) for _ in range(n))}.values())
    if rng.random() < world.params.sorted_list:
        people.sort(key=lambda a: a.text)
    return people


def bulk(account: Account, people: list[Address], at: float, habit: Habit | None = None) -> Mails:
    """One issue to all of them: each a message of its own, or messages of many recipients. The account's own
    way of doing it is the same each time."""
    p, way = account.world.params, Random(account.login)
    several = way.random() < p.list_batch or len(people) > p.list_single_most
    batch = way.choice((20, 50, 50, 100)) if several else 1
    verp = batch == 1 and way.random() < 0.4
    gap = gaps(way, batch / log_uniform(way, p.list_rate))
    habit = habit or account.habit
    for start in range(0, len(people), batch):
        mail = account.mail(at, people[start : start + batch], habit)
        if verp:
            mail.envelope = f"bounce-{start}-{way.randrange(10**6)}@{account.domain.name}"
        yield mail
        at += next(gap)


class HardCases:
    """Makes the accounts and their mail."""

    def __init__(self, makers: Makers, seed: int, cases: list[Case]) -> None:
        self.makers, self.world, self.params = makers, makers.world, makers.world.params
        self.cases = cases
        self._seed = seed

    def all(self) -> list[Mails]:
        """Every family."""
        families = (
            self.first_newsletter, self.newsletter, self.fan_out, self.invoices, self.new_customer,
            self.notice, self.backscatter, self.travel, self.outage, self.storm, self.rotation,
            self.reactivated, self.form,
        )  # fmt: skip
        mails: list[Mails] = []
        for make in families:
            for number in range(self.params.cases):
                mails += make(number)
        return mails

    def _case(self, family: str, account: Account) -> Case:
        account.family = family
        self.cases.append(Case(len(self.cases), family, False, account.key))
        return self.cases[-1]

    def _person(self, family: str) -> tuple[Account, Case, Mails]:
        mails = self.makers.person(family)
        account = self.makers.accounts[-1]
        return account, self._case(family, account), mails

    def _business(self, family: str) -> tuple[Account, Case]:
        account = self.makers.account(family, uid=self.makers.rng.random() < 0.15)
        business.settle(account)
        return account, self._case(family, account)

    def _day(self, account: Account, first: int | None = None) -> float:
        """A moment after the warm-up."""
        days = range(self.params.warm_up if first is None else first, self.params.days - 4)
        return account.rng.choice(days) * DAY + moment(account.rng, account.shift)

    # --- lists

    def first_newsletter(self, number: int) -> list[Mails]:
        """Somebody with a little ordinary mail writes to a whole list for the first time."""
        account, case, own = self._person("first newsletter")
        people = subscribers(account, whole(account.rng, self.params.first_list), self._dead(account))
        return [own, _of(case, bulk(account, people, self._day(account), Habit.drawn(account.rng, True)))]

    def _dead(self, account: Account) -> float:
        return account.rng.uniform(*self.params.first_list_dead)

    def newsletter(self, number: int) -> list[Mails]:
        """A list of many years, weekly or, where it is large, less often."""
        account, case = self._business("weekly newsletter")
        low, high = self.params.list_size
        share = (number + account.rng.random()) / self.params.cases  # stratified: always some of the largest
        size = round(low * (high / low) ** share)
        issues = max(2, min(self.params.days // 7, int(self.params.bulk_budget / self.params.cases / size)))
        return [_of(case, self._issues(account, size, issues))]

    def _issues(self, account: Account, size: int, issues: int) -> Mails:
        """Bounced addresses are taken off, or not; each issue has some new subscribers."""
        rng, step = account.rng, self.params.days / issues
        people = subscribers(account, size, rng.uniform(*self.params.list_dead))
        cleaned = rng.random() < 0.7
        for issue in range(issues):
            day = int((issue + rng.random() * 0.1) * step)
            yield from bulk(
                account, people, min(day, self.params.days - 2) * DAY + moment(rng, account.shift)
            )
            if cleaned:
                people = [a for a in people if a.state in (0, 3)]
            people += subscribers(account, max(1, size // 100), rng.uniform(*self.params.list_dead))

    def fan_out(self, number: int) -> list[Mails]:
        """A mailing list's server: each post goes to all members, under the list's own MAIL FROM."""
        account, case = self._business("list fan-out")
        return [_of(case, business.ordered(self._posts(account)))]

    def _posts(self, account: Account) -> Mails:
        rng = account.rng
        people = subscribers(account, whole(rng, self.params.fan_out), rng.uniform(0, 0.02))
        mean, batch = log_uniform(rng, self.params.posts), rng.choice((1, 10, 50, 100))
        for day in range(self.params.days):
            thread = 6 if rng.random() < 0.03 else 1  # now and then a quarrel
            for _ in range(poisson(rng, mean * thread)):
                at = day * DAY + moment(rng, account.shift)
                for start in range(0, len(people), batch):
                    mail = account.mail(at, people[start : start + batch])
                    mail.envelope = f"list-bounces@{account.domain.name}"
                    yield mail
                    at += rng.expovariate(4)

    # --- business events

    def invoices(self, number: int) -> list[Mails]:
        """On the first of each month, to all customers; a few are new."""
        account, case = self._business("invoice run")
        return [_of(case, self._invoices(account))]

    def _invoices(self, account: Account) -> Mails:
        rng = account.rng
        people = subscribers(account, whole(rng, self.params.invoices), rng.uniform(0.002, 0.015))
        gap = gaps(rng, log_uniform(rng, (0.2, 4)))
        for first in FIRSTS:
            if first > self.params.days - 2:
                return
            at = first * DAY + rng.uniform(1, 9) * HOUR
            for person in people:
                yield account.mail(at, [person])
                at += next(gap)
            people = [a for a in people if a.state == 0 or rng.random() < 0.6]
            people += subscribers(account, max(1, len(people) // 15), 0.015)

    def new_customer(self, number: int) -> list[Mails]:
        """Nobody knows the account; within two weeks it mails like a busy office."""
        account, case = self._business("new customer")
        account.born = self._day(account, 5)
        return [_of(case, business.ordered(self._ramp(account)))]

    def _ramp(self, account: Account) -> Mails:
        rng = account.rng
        end, dead = log_uniform(rng, self.params.ramp_customer), rng.uniform(0.003, 0.03)
        new = rng.uniform(0.15, 0.7)
        known: list[Address] = []
        born = int(account.born // DAY)
        for day in range(born, self.params.days):
            mean = end * min(1, (day - born + 1) / 14) * (0.1 if is_weekend(day * DAY) else 1)
            for at in sorted(day * DAY + moment(rng, account.shift) for _ in range(poisson(rng, mean))):
                if not known or rng.random() < max(new, 1 / len(known)):
                    known.append(self.world.anybody(rng, account.freemail, dead))
                    yield account.mail(at, [known[-1]])
                else:
                    yield account.mail(at, [rng.choice(known)])

    def notice(self, number: int) -> list[Mails]:
        """We have moved: to the whole address book, a twentieth of which is dead."""
        account, case, own = self._person("change of address")
        people = subscribers(account, whole(account.rng, self.params.notice), self.params.notice_dead)
        known = account.rng.random() * 0.3
        return [own, _of(case, self._notice(account, people, known, self._day(account)))]

    def _notice(self, account: Account, people: list[Address], known: float, at: float) -> Mails:
        old = list(account.contacts.values())[: int(len(people) * known)]
        yield from bulk(account, [*old, *people[len(old) :]], at, Habit.drawn(account.rng, False))

    def reactivated(self, number: int) -> list[Mails]:
        """Back after months: a few messages on the first day, rarely dozens."""
        account, case, own = self._person("natural reactivation")
        rng = account.rng
        account.until = rng.uniform(5, 25) * DAY
        back = account.until + rng.uniform(60, max(61, self.params.days - 30)) * DAY
        return [
            _before(own, account.until),
            _of(case, self._back(account, min(back, (self.params.days - 5) * DAY))),
        ]

    def _back(self, account: Account, at: float) -> Mails:
        rng, first = account.rng, True
        range_: Range = (8, 73) if rng.random() < 0.05 else self.params.reactivated
        while at < self.params.days * DAY:
            for _ in range(whole(rng, range_) if first else rng.randrange(4)):
                known = account.contacts and rng.random() < 0.6
                person = (
                    rng.choice(list(account.contacts.values()))
                    if known
                    else self.world.anybody(rng, 0.5, 0.015)
                )
                yield account.mail(at, [person])
                at += rng.expovariate(1 / 900)
            at, first, range_ = at + rng.expovariate(1 / DAY), False, self.params.reactivated

    def form(self, number: int) -> list[Mails]:
        """An advert brings a web form visitors for some days; each gets a copy of what its owner gets."""
        account = self.makers.account("contact form", uid=True)
        business.settle(account)
        case = self._case("contact form", account)
        own = business.ordered(business.forms(account))
        return [own, _of(case, business.ordered(self._visitors(account, self._day(account))))]

    def _visitors(self, account: Account, begin: float) -> Mails:
        rng, p = account.rng, self.params
        owner = self.world.employee(rng, account.domain)
        wrong, lasts = rng.uniform(*p.form_typed_dead), log_uniform(rng, p.form_days) * DAY
        for at in sorted(begin + rng.random() * lasts for _ in range(whole(rng, p.form_visitors))):
            yield account.mail(at, [owner])
            yield account.mail(at + 0.2, [self.world.anybody(rng, account.freemail, wrong)])

    # --- what others do to them

    def backscatter(self, number: int) -> list[Mails]:
        """Spam with their address as sender went out elsewhere; its bounces come in here."""
        account, case, own = self._person("backscatter victim")
        return [own, self._notices(account, case, self._day(account))]

    def _notices(self, account: Account, case: Case, at: float) -> Mails:
        rng = account.rng
        n = whole(rng, self.params.backscatter)
        every = log_uniform(rng, (HOUR, 2 * DAY)) / n
        to = Address(account.login.partition("@")[0], account.domain)
        for _ in range(n):
            host = self.world.company(rng)
            message_id = f"{rng.getrandbits(64):x}@{host.mx or host.name}"
            mail = Mail(at, account, [to], host.ip, "", message_id, int(rng.lognormvariate(8.6, 0.7)))
            mail.inbound = True
            case.start, case.end = min(case.start, at), at
            yield mail
            at += rng.expovariate(1) * every

    def travel(self, number: int) -> list[Mails]:
        """A week on the road: phones, hotels, a VPN that leaves from another country each time."""
        account, case, own = self._person("travel, VPN, mobile")
        rng, world = account.rng, self.world
        start = self._day(account)
        always = rng.random() < 0.3
        end = start + (200 if always else rng.uniform(2, 15)) * DAY
        countries = [0, *(rng.randrange(45) for _ in range(rng.randrange(1, 5)))]
        kinds = ("mobile", "mobile", "home", "vpn", "vpn", "hosting")
        networks = [
            world.network(rng, rng.choice(kinds), rng.choice(countries))
            for _ in range(whole(rng, self.params.travel_networks))
        ]
        account.places.away.insert(0, (start, end, networks))
        return [own, _of(case, self._busy(account, start, min(end, self.params.days * DAY)))]

    def _busy(self, account: Account, start: float, end: float) -> Mails:
        """Mail enough to be seen from all these networks."""
        rng, at = account.rng, start
        mean = log_uniform(rng, (1, 12))
        while at < end:
            known = account.contacts and rng.random() < 0.85
            person = (
                rng.choice(list(account.contacts.values())) if known else self.world.anybody(rng, 0.4, 0.015)
            )
            yield account.mail(at, [person])
            at += rng.expovariate(mean / DAY)

    def outage(self, number: int) -> list[Mails]:
        """A shop or a help desk that is at work while its customers' provider, or their host, fails for
        hours."""
        mails = self.makers.trader()
        account = self.makers.accounts[-1]
        case = self._case("provider outage", account)
        return [mails, _of(case, self._through_outage(account, account.rng.choice(self.world.outages)))]

    def _through_outage(self, account: Account, outage: Outage) -> Mails:
        rng, at, world = account.rng, outage.start, self.world
        at_provider = [domain for domain in world.freemail if domain.name == outage.of]
        hosted = [domain for domain in world.companies if domain.style == outage.of]
        while at < outage.end:
            domain = rng.choice(at_provider or hosted)
            person = world.person(rng, 1.0, domain) if domain.freemail else world.employee(rng, domain)
            yield account.mail(at, [person])
            at += rng.expovariate(rng.uniform(4, 40) / HOUR)

    def storm(self, number: int) -> list[Mails]:
        """A destination is away for days and the queue tries again and again; or a program submits the same
        message every minute until somebody looks."""
        account, case, own = self._person("retry storm")
        rng = account.rng
        at, again = self._day(account), rng.random() < 0.5
        domain = rng.choice(self.world.companies)
        domain.down = (at - HOUR, at + (rng.uniform(0, 2) * HOUR if again else rng.uniform(0.2, 6) * DAY))
        people = [self.world.employee(rng, domain) for _ in range(whole(rng, self.params.storm_recipients))]
        return [own, _of(case, self._storm(account, people, at, again))]

    def _storm(self, account: Account, people: list[Address], at: float, again: bool) -> Mails:
        rng = account.rng
        if not again:
            for person in people:
                yield account.mail(at, [person])
                at += rng.expovariate(1 / 300)
            return
        few = list({a.text: a for a in people[: rng.randrange(1, 4)]}.values())
        for _ in range(whole(rng, (30, 600))):
            yield account.mail(at, few)
            at += 60 + rng.gauss(0, 0.3)

    def rotation(self, number: int) -> list[Mails]:
        """A mailing to customers who all know it, while the log is rotated: its lines come twice."""
        account, case = self._business("log rotation")
        return [_of(case, self._mailings(account))]

    def _mailings(self, account: Account) -> Mails:
        rng = account.rng
        people = subscribers(account, whole(rng, (30, 300)), 0.02)
        for at in rotation_times(self.params.days, self.params.rotations):
            yield from bulk(account, people, at - rng.uniform(2, 150))


FIRSTS = (27, 55, 86, 116, 147)
"""Days of the corpus that are the first of a month: day 0 is Monday, 5 January 2026."""


def rotation_times(days: int, n: int) -> list[float]:
    """When the log repeats lines: in the morning, as logrotate runs."""
    return [(number + 1) * days / (n + 1) // 1 * DAY + 6.4 * HOUR for number in range(n)]


def _of(case: Case, mails: Mails) -> Mails:
    for mail in mails:
        mail.case = case
        yield mail


def _before(mails: Mails, at: float) -> Mails:
    for mail in mails:
        if mail.at >= at:
            return
        yield mail
