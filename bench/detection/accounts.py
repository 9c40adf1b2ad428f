"""Ordinary accounts: people's mail from the streams, and businesses whose programs mail."""

from __future__ import annotations

from random import Random

from bench.detection import business
from bench.detection.draw import DAY, log_uniform
from bench.detection.mail import Account, Mails
from bench.detection.params import Params
from bench.detection.streams import Stream, Streams
from bench.detection.world import Address, Domain, World


class Makers:
    """Makes accounts, each with a name of its own at a customer's domain."""

    def __init__(self, world: World, streams: Streams, seed: int) -> None:
        self.world, self.streams, self.seed = world, streams, seed
        self.rng = Random(f"{seed}/accounts")
        self.accounts: list[Account] = []
        self._names: set[str] = set()
        self._customers: list[Domain] = []
        self._people: dict[str, Address] = {}

    def account(self, family: str, uid: bool = False) -> Account:
        """A new account."""
        rng, number = self.rng, len(self.accounts)
        domain = self._customer()
        login = f"{self.world.local(rng, False)}@{domain.name}"
        while login in self._names:
            login = f"{self.world.local(rng, False)}{rng.randrange(100)}@{domain.name}"
        self._names.add(login)
        account = Account(
            self.world, f"{self.seed}/account/{number}", login, domain, 1000 + number if uid else 0
        )
        if uid:
            account.login = account.alias = rng.choice(
                (f"www-data@{domain.name}", f"noreply@{domain.name}", login)
            )
        account.family = family
        self.accounts.append(account)
        return account

    def _customer(self) -> Domain:
        """A domain of ours: most customers have few accounts."""
        if not self._customers or self.rng.random() < 0.45:
            word = f"{self.world.surname(self.rng)}{self.rng.choice(('', '-shop', 'web', '-online'))}"
            self._customers.append(Domain(f"{word}{len(self._customers)}.example", "local", "", "", 0.3))
        return self.rng.choice(self._customers[-40:])

    def personal(self, account: Account, stream: Stream) -> Mails:
        """The stream's messages; names become addresses. Some more recipients are people never met before."""
        rng, params = account.rng, self.world.params
        internal = rng.uniform(*params.internal)
        new = log_uniform(rng, params.extra_new)
        dead = rng.uniform(*params.typed_dead)
        own: dict[str, Address] = {}
        if stream:
            account.born = stream[0][0]
        for at, ids in stream:
            if at >= account.until:
                return
            chosen: dict[str, Address] = {}
            for who in ids:
                if rng.random() < new * (1.5 / (1 + len(ids))):
                    address = self.world.anybody(rng, account.freemail, dead)
                else:
                    address = own.get(who) or own.setdefault(who, self._contact(account, who, internal, dead))
                    if address.state and rng.random() > params.kept_dead:
                        del own[who]  # it bounced: next time the right one
                chosen[address.text] = address
            yield account.mail(at, list(chosen.values()))

    def _contact(self, account: Account, who: str, internal: float, dead: float) -> Address:
        rng = account.rng
        if rng.random() < internal:
            return self.world.employee(rng, account.domain)
        if who not in self._people or rng.random() < 0.5:
            self._people[who] = self.world.anybody(rng, account.freemail, dead)
        return self._people[who]

    def ordinary(self, params: Params) -> list[Mails]:
        """All accounts in which nothing special happens."""
        businesses = round(params.accounts * params.business_share)
        mails = [self.person() for _ in range(params.accounts - businesses)]
        return mails + [self.trader() for _ in range(businesses)]

    def person(self, family: str = "personal", choice: int = 1) -> Mails:
        """A new ordinary account; of ``choice`` streams, the one with the most contacts."""
        account = self.account(family)
        streams = [self.streams.draw(account.rng, account.login) for _ in range(choice)]
        return self.personal(account, max(streams, key=_contacts))

    def trader(self) -> Mails:
        """A new business account of some trade."""
        rng = self.rng
        trade = rng.choice(business.TRADES)
        by_script = trade in business.WEB and rng.random() < self.world.params.script_share
        account = self.account(f"business: {trade.__name__}", by_script or trade is business.forms)
        business.settle(account)
        account.born = (
            rng.uniform(0, min(60, 0.6 * self.world.params.days)) * DAY if rng.random() < 0.2 else 0.0
        )
        return business.ordered(trade(account))


def _contacts(stream: Stream) -> int:
    return len({who for _, ids in stream for who in ids})
