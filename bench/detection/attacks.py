"""Attack families (FIELD §7). Each lays its messages over an account's own honest mail, which goes on."""

from __future__ import annotations

from random import Random
from typing import Final

from bench.detection import business
from bench.detection.accounts import Makers
from bench.detection.crime import Crime, clients, crime, spam_list, usual_crime
from bench.detection.draw import DAY, HOUR, gaps, log_uniform, moment, whole
from bench.detection.honest import bulk, subscribers
from bench.detection.mail import Account, Case, Habit, Mail, Mails

LAST: Final = 3
"""Days before the end of the corpus after which no attack begins."""


class Attacks:
    """Makes victims with their mail and what is sent in their name."""

    def __init__(self, makers: Makers, seed: int, cases: list[Case]) -> None:
        self.makers, self.world, self.params = makers, makers.world, makers.world.params
        self.cases = cases
        self._seed = seed

    def case(self, family: str, account: Account, campaign: int = -1) -> tuple[Case, Random]:
        """A new case and a source of chance of its own."""
        number = len(self.cases)
        self.cases.append(Case(number, family, True, account.key, campaign))
        return self.cases[-1], Random(f"{self._seed}/case/{number}")

    def all(self) -> list[Mails]:
        """Every family."""
        mails: list[Mails] = []
        for _ in range(self.params.cases):
            for make in (
                self.flood,
                self.slow,
                self.script,
                self.dormant,
                self.professional,
                self.lateral,
                self.validated,
            ):
                mails += make()
        for campaign in range(self.params.snowshoe_campaigns):
            mails += self.snowshoe(campaign)
        return mails

    # --- victims

    def victim(self, family: str) -> tuple[Account, Mails]:
        """Mostly a person's account, sometimes a business's."""
        if self.makers.rng.random() < self.params.victim_business:
            mails = self.makers.trader()
            self.makers.accounts[-1].family = family
        else:
            mails = self.makers.person(family)
        return self.makers.accounts[-1], mails

    def begin(self, rng: Random, account: Account, days: float = 0.0) -> float:
        """When an attack of ``days`` begins: after the warm-up, in the account's day or at any hour."""
        first = self.params.warm_up
        last = max(first + 1, self.params.days - LAST - days)
        day = rng.randrange(int(first), int(last))
        in_hours = rng.random() < self.params.office_hours
        return day * DAY + (moment(rng, account.shift) if in_hours else rng.random() * DAY)

    def probed(self, case: Case, account: Account, plan: Crime, at: float) -> Mails:
        """The probe mail, to an address of the attacker's own."""
        if plan.rng.random() < self.params.probe:
            before = at - log_uniform(plan.rng, (60, 2 * DAY))
            kept, plan.people = plan.people, iter([self.world.person(plan.rng, 0.9)])
            mail = plan.mail(account, case, before, 1)
            plan.people = kept
            yield mail

    # --- shapes of an attack

    def burst(self, case: Case, account: Account, plan: Crime, at: float, rate: float) -> Mails:
        """``rate`` recipients an hour."""
        rng = plan.rng
        most = min(rate * log_uniform(rng, self.params.flood_hours), self.params.most_attack)
        each = log_uniform(rng, self.params.per_message)
        each = min(each, max(1.0, most / 2))
        gap = gaps(rng, each / rate * HOUR)
        yield from self.probed(case, account, plan, at)
        while plan.sent < most:
            n = max(1, round(each * rng.choice((1, 1, rng.uniform(0.5, 1.5)))))
            yield plan.mail(account, case, at, n)
            at += next(gap)

    def trickle(
        self, case: Case, account: Account, plan: Crime, at: float, day: float, days: float, rate: float
    ) -> Mails:
        """``day`` recipients a day at ``rate`` an hour, from a start that moves from day to day."""
        rng = plan.rng
        each = min(log_uniform(rng, (1, 12)), rate / 2)
        gap = gaps(rng, max(each, 1) / rate * HOUR)
        yield from self.probed(case, account, plan, at)
        for number in range(max(1, round(days))):
            now = at + number * DAY + rng.uniform(0, 2 * HOUR)
            left = day * rng.uniform(0.7, 1.3)
            end = min(now + 23 * HOUR, self.params.days * DAY)
            while left > 0 and now < end:
                n = max(1, min(round(each * rng.uniform(0.6, 1.4)), round(left)))
                yield plan.mail(account, case, now, n)
                left -= n
                now += next(gap)

    # --- families

    def flood(self, family: str = "fast flood") -> list[Mails]:
        """As many as the line takes."""
        account, own = self.victim(family)
        case, rng = self.case(family, account)
        return [own, self._flood(case, rng, account, self.begin(rng, account))]

    def _flood(self, case: Case, rng: Random, account: Account, at: float) -> Mails:
        yield from _waiting(account, at - 2 * DAY)
        plan = usual_crime(rng, self.world, account, self.params.invalid, at)
        yield from self.burst(case, account, plan, at, log_uniform(rng, self.params.flood_rate))

    def slow(self) -> list[Mails]:
        """Below every limit, for days."""
        account, own = self.victim("low and slow")
        case, rng = self.case("low and slow", account)
        days = log_uniform(rng, self.params.slow_days)
        return [own, self._slow(case, rng, account, self.begin(rng, account, days), days)]

    def _slow(self, case: Case, rng: Random, account: Account, at: float, days: float) -> Mails:
        p = self.params
        yield from _waiting(account, at - 2 * DAY)
        plan = usual_crime(rng, self.world, account, p.slow_invalid, at)
        rate = log_uniform(rng, p.slow_rate)
        yield from self.trickle(case, account, plan, at, log_uniform(rng, p.slow_day), days, rate)

    def script(self) -> list[Mails]:
        """A hijacked script, or a new one beside those of the site: no login, no client address."""
        account = self.makers.account("script hijack", uid=True)
        business.settle(account)
        own = self.makers.rng.choice((business.forms, business.forms, business.orders))(account)
        case, rng = self.case("script hijack", account)
        return [own, self._script(case, rng, account, self.begin(rng, account))]

    def _script(self, case: Case, rng: Random, account: Account, at: float) -> Mails:
        p = self.params
        yield from _waiting(account, at - 2 * DAY)
        plan = usual_crime(rng, self.world, account, p.invalid, at)
        if rng.random() < p.script_steady:
            days = min(3.0, p.most_attack / p.script_day)
            yield from self.trickle(case, account, plan, at, p.script_day, days, p.script_day / 23)
        else:
            yield from self.burst(case, account, plan, at, log_uniform(rng, p.script_rate))

    def dormant(self) -> list[Mails]:
        """An account that nobody has used for two months, then a flood or a trickle."""
        account, own = self.victim("dormant")
        case, rng = self.case("dormant", account)
        silent = rng.uniform(*self.params.dormant)
        at = self.begin(rng, account)
        earliest = (silent + 10) * DAY
        if at < earliest:
            at = earliest + (at - self.params.warm_up * DAY) % (
                max(1, self.params.days - LAST - silent - 10) * DAY
            )
        account.until = at - silent * DAY
        slow = rng.random() < self.params.dormant_slow
        days = min(log_uniform(rng, self.params.slow_days), self.params.days - at / DAY)
        return [
            _until(own, account.until),
            (self._slow(case, rng, account, at, days) if slow else self._flood(case, rng, account, at)),
        ]

    def snowshoe(self, campaign: int) -> list[Mails]:
        """Many accounts, a few recipients each: one list in slices, the same clients and program."""
        p = self.params
        rng = Random(f"{self._seed}/snowshoe/{campaign}")
        ips, habit = clients(rng, self.world), Habit.drawn(rng, True)
        n, days = whole(rng, p.snowshoe_accounts), log_uniform(rng, p.snowshoe_days)
        invalid, freemail = rng.uniform(*p.slow_invalid), rng.uniform(*p.freemail)
        per_account = round(p.snowshoe_day[1] * days) + 10
        people = spam_list(rng, self.world, invalid, freemail, n * per_account)
        first = rng.randrange(p.warm_up, max(p.warm_up + 1, int(p.days - LAST - days)))
        share = len(people) // n
        mails: list[Mails] = []
        for number in range(n):
            account, own = self.victim("snowshoe")
            case, own_rng = self.case("snowshoe", account, campaign)
            plan = crime(own_rng, self.world, people[number * share : (number + 1) * share], ips)
            plan.habit = habit
            day = log_uniform(own_rng, p.snowshoe_day)
            rate = log_uniform(own_rng, (2, 40))
            at = first * DAY + moment(own_rng) + own_rng.expovariate(1 / DAY)
            mails += [own, self.trickle(case, account, plan, at, day, days, rate)]
        return mails

    def professional(self) -> list[Mails]:
        """A newsletter sender's account, 1–5 times its usual volume, to a list that nobody has cleaned."""
        account = self.makers.account("hijacked professional")
        business.settle(account)
        case, rng = self.case("hijacked professional", account)
        usual = whole(rng, (150, 800))
        at = self.begin(rng, account)
        return [self._issues(account, usual), self._professional(case, rng, account, usual, at)]

    def _issues(self, account: Account, usual: int) -> Mails:
        people = subscribers(account, usual, account.rng.uniform(*self.params.list_dead))
        for week in range(account.rng.randrange(4), self.params.days // 7, 2):
            yield from bulk(
                account, people, week * 7 * DAY + account.rng.choice((1, 2, 3)) * DAY + moment(account.rng)
            )

    def _professional(self, case: Case, rng: Random, account: Account, usual: int, at: float) -> Mails:
        p = self.params
        invalid, n = (
            rng.uniform(*p.professional_invalid),
            int(usual * log_uniform(rng, p.professional_factor)),
        )
        people = spam_list(rng, self.world, invalid, rng.uniform(*p.freemail), n)
        own_clients = [account.places.office] if rng.random() < 0.4 else None
        plan = crime(rng, self.world, people, own_clients)
        if own_clients:
            plan.habit, plan.forged = account.habit, ""
        each = rng.choice((1, 1, 20, 50))
        gap = gaps(rng, each / rng.uniform(*p.list_rate))
        while plan.sent < min(n, p.most_attack):
            yield plan.mail(account, case, at, each)
            at += next(gap)

    def lateral(self) -> list[Mails]:
        """To the account's own contacts, within an hour."""
        own = self.makers.person("lateral", choice=25)
        account = self.makers.accounts[-1]
        case, rng = self.case("lateral", account)
        return [own, self._lateral(case, rng, account, self.begin(rng, account))]

    def _lateral(self, case: Case, rng: Random, account: Account, at: float) -> Mails:
        yield from _waiting(account, at)
        colleagues = [self.world.employee(rng, account.domain) for _ in range(30)]
        people = list({a.text: a for a in [*account.contacts.values(), *colleagues] if not a.state}.values())
        rng.shuffle(people)
        n = min(whole(rng, self.params.lateral), len(people))
        plan = crime(rng, self.world, people)
        plan.forged, plan.refused = "", plan.refused / 3
        each = rng.choice((1, 1, 5, 20))
        gap = gaps(rng, HOUR * rng.uniform(0.1, 1) / max(n / each, 1))
        while plan.sent < n:
            yield plan.mail(account, case, at, min(each, n - plan.sent))
            at += next(gap)

    def validated(self) -> list[Mails]:
        """The adversary who knows us: a clean list, from the account's own address, 20 % more each day."""
        account, own = self.victim("adversarial")
        case, rng = self.case("adversarial", account)
        days = rng.uniform(*self.params.ramp_days)
        return [own, self._validated(case, rng, account, self.begin(rng, account, days), days)]

    def _validated(self, case: Case, rng: Random, account: Account, at: float, days: float) -> Mails:
        p, volume = self.params, rng.uniform(2, 8)
        people = [
            self.world.anybody(rng, account.freemail, rng.uniform(*p.validated_invalid))
            for _ in range(p.most_attack)
        ]
        plan = crime(rng, self.world, people)
        plan.forged, plan.refused, plan.habit = "", plan.refused / 5, account.habit
        day = at // DAY
        for _ in range(round(days)):
            for now in sorted(day * DAY + moment(rng, account.shift) for _ in range(round(volume))):
                plan.clients = [account.places.at(now)]
                yield plan.mail(account, case, now, 1)
            day, volume = day + 1, volume * p.ramp


def _until(mails: Mails, at: float) -> Mails:
    for mail in mails:
        if mail.at >= at:
            return
        yield mail


def _waiting(account: Account, at: float) -> Mails:
    """Nothing is sent; but whoever merges comes here only when its time has come."""
    marker = Mail(at, account, [], "", "", "", 0)
    yield marker
