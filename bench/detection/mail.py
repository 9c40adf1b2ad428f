"""A message before it is in a log, who sends it, and the case that it belongs to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from bench.detection.draw import DAY, HOUR
from bench.detection.world import Address, Domain, Network, World

ORDINARY: Final = -1
SOFTWARE: Final = ("thunderbird", "outlook", "apple", "php", "library", "webmail", "exchange", "none")


@dataclass
class Case:
    """One attack on one account, or one honest hard case. Times in seconds of the corpus; ``end`` is the
    last message's. ``campaign``: attacks that belong together."""

    number: int
    family: str
    malicious: bool
    sender: str
    campaign: int = -1
    start: float = math.inf
    end: float = 0.0


class Mail:
    """One message. ``refused``: share of its recipients' servers that refuse it for its content.
    ``inbound``: a notice from outside to the account."""

    __slots__ = (
        "account",
        "at",
        "case",
        "envelope",
        "inbound",
        "ip",
        "message_id",
        "recipients",
        "refused",
        "size",
    )

    def __init__(
        self,
        at: float,
        account: Account,
        recipients: list[Address],
        ip: str,
        envelope: str,
        message_id: str,
        size: int,
    ) -> None:
        self.at, self.account, self.recipients, self.ip = at, account, recipients, ip
        self.envelope, self.message_id, self.size = envelope, message_id, size
        self.case: Case | None = None
        self.refused = 0.0
        self.inbound = False

    @property
    def malicious(self) -> bool:
        """Whether it belongs to an attack."""
        return self.case is not None and self.case.malicious


@dataclass
class Habit:
    """How one program, or one campaign, makes its messages: the same words for honest and other mail."""

    software: str
    size: float  # median, bytes
    spread: float  # of ln(size)

    @classmethod
    def drawn(cls, rng: Random, bulk: bool) -> Habit:
        """Bulk is of nearly one size, people's mail of all sizes."""
        software = rng.choice(SOFTWARE)
        if bulk:
            return cls(software, rng.lognormvariate(9.4, 1.1), rng.choice((0.002, 0.02, 0.1)))
        return cls(software, rng.lognormvariate(9.0, 0.6), rng.uniform(0.8, 1.6))

    def message_size(self, rng: Random) -> int:
        """Bytes."""
        return int(min(max(self.size * rng.lognormvariate(0, self.spread), 600), 25e6))

    def message_id(self, rng: Random, host: str, at: float) -> str:
        """Without angle brackets; "" when the client leaves it to the server."""
        n = rng.getrandbits(128)
        digits = f"{n:032x}"
        if self.software == "thunderbird":
            return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}@{host}"
        if self.software == "outlook":
            return f"0{digits[:5]}1dc{digits[6:10]}${digits[10:18]}${digits[18:26]}@{host}"
        if self.software == "apple":
            return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}@{host}".upper()
        if self.software == "php":
            return f"{digits}@{host}"
        if self.software == "library":
            return f"{int(at * 1e6) + 1767571200000000}.{n % 99991}.{n % 10**17}@{host}"
        if self.software == "webmail":
            return f"{digits[:32]}@webmail.{host}"
        return f"{digits[:16]}.{n % 10**6}@{host}" if self.software == "exchange" else ""


@dataclass
class Places:
    """Where an account's client is: an office, a home with changing leases, mobile networks, travel."""

    home: Network
    carrier: Network
    office: str
    webmail: tuple[str, float]  # its address, the share of mail
    mobile: float
    lease: float  # seconds
    seed: str
    home_ips: dict[int, str] = field(default_factory=dict)
    away: list[tuple[float, float, list[Network]]] = field(default_factory=list)  # from, until, networks

    def at(self, at: float) -> str:
        """The client's address at that time: the same whenever it is asked within the hour."""
        rng = Random(f"{self.seed}/{int(at / HOUR)}")
        for start, end, networks in self.away:
            if start <= at < end:
                return rng.choice(networks).client(rng)
        if rng.random() < self.webmail[1]:
            return self.webmail[0]
        if rng.random() < self.mobile:
            return self.carrier.client(rng)
        if self.office and 7 * HOUR <= at % DAY < 18 * HOUR:
            return self.office
        number = int(at / self.lease)
        if number not in self.home_ips:
            self.home_ips[number] = self.home.client(Random(f"{self.seed}/lease/{number}"))
        return self.home_ips[number]


class Account:
    """One sender: a login, or a web server's uid. ``until``: it falls silent then (dormant accounts)."""

    def __init__(self, world: World, seed: str, login: str, domain: Domain, uid: int = 0) -> None:
        self.world, self.rng = world, Random(seed)
        self.login, self.domain, self.uid = login, domain, uid
        self.key = f"uid:{uid}" if uid else f"login:{login}"
        self.family, self.business = "personal", False
        self.born, self.until = 0.0, math.inf
        self.shift = self.rng.gauss(0, 1.2)
        self.habit = Habit.drawn(self.rng, False)
        self.freemail = self.rng.uniform(*world.params.personal_freemail)
        self.places = _places(world, self.rng, seed, domain)
        self.alias = self._alias()
        self.contacts: dict[str, Address] = {}
        self.days: dict[int, list[int]] = {}  # day → messages, recipients, malicious recipients

    def _alias(self) -> str:
        """A second MAIL FROM: mostly none, or another name in the own domain, or a foreign address."""
        rng, p = self.rng, self.world.params
        n = rng.random()
        if n < p.foreign_alias:
            return self.world.person(rng, 0.7).text
        return f"{self.world.local(rng, False)}@{self.domain.name}" if n < p.alias else self.login

    def mail(self, at: float, recipients: list[Address], habit: Habit | None = None) -> Mail:
        """An honest message at that time, from where the account is."""
        habit, rng = habit or self.habit, self.rng
        envelope = self.alias if rng.random() < 0.3 else self.login
        ip = "" if self.uid else self.places.at(at)
        for recipient in recipients:
            self.contacts.setdefault(recipient.text, recipient)
        message_id = habit.message_id(rng, self.domain.name, at)
        return Mail(at, self, recipients, ip, envelope, message_id, habit.message_size(rng))


def _places(world: World, rng: Random, seed: str, domain: Domain) -> Places:
    country = 0 if rng.random() < 0.85 else rng.randrange(1, 45)
    home = world.network(rng, "home", country)
    office = world.office(rng, domain, country) if rng.random() < world.params.office else ""
    webmail = (world.webmail, rng.random() if rng.random() < world.params.webmail else 0.0)
    lease = rng.uniform(*world.params.leases) * DAY
    carrier = world.network(rng, "mobile", country)
    places = Places(home, carrier, office, webmail, _mobile(rng, world), lease, seed)
    days = world.params.days
    for _ in range(round(rng.expovariate(1 / (world.params.moves * days)))):
        start = rng.random() * days * DAY
        abroad = country if rng.random() < 0.6 else rng.randrange(45)
        kinds = rng.choices(("home", "mobile", "vpn"), (6, 3, 1), k=rng.choice((1, 1, 2, 3)))
        networks = [world.network(rng, kind, abroad) for kind in kinds]
        places.away.append((start, start + rng.expovariate(1 / (2 * DAY)), networks))
    return places


def _mobile(rng: Random, world: World) -> float:
    return rng.uniform(*world.params.mobile) if rng.random() < 0.7 else 0.0


Mails = Iterator[Mail]
