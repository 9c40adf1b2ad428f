"""The world outside: domains with their mail servers, people, networks that clients come from.

Honest mail and spam are drawn from the same people, domains and networks: only how they are drawn differs.
Names of freemail providers are real (a detector knows them), all other names end in ``.example``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from bench.detection.draw import log_uniform, weighted
from bench.detection.params import Params

ALIVE, UNKNOWN, INACTIVE, FULL = range(4)

FREEMAIL: Final = (  # name, style of its replies, MX, weight (a European hoster's view †)
    ("gmail.com", "google", "gmail-smtp-in.l.google.com", 34),
    ("googlemail.com", "google", "gmail-smtp-in.l.google.com", 2),
    ("hotmail.com", "outlook", "hotmail-com.olc.protection.outlook.com", 10),
    ("outlook.com", "outlook", "outlook-com.olc.protection.outlook.com", 6),
    ("live.com", "outlook", "live-com.olc.protection.outlook.com", 2),
    ("yahoo.com", "yahoo", "mta5.am0.yahoodns.net", 9),
    ("aol.com", "yahoo", "mx-aol.mail.gm0.yahoodns.net", 2),
    ("icloud.com", "apple", "mx01.mail.icloud.com", 5),
    ("gmx.de", "gmx", "mx00.emig.gmx.net", 7),
    ("gmx.net", "gmx", "mx01.emig.gmx.net", 3),
    ("web.de", "gmx", "mx-ha02.web.de", 7),
    ("t-online.de", "telekom", "mx02.t-online.de", 5),
    ("orange.fr", "orange", "smtp-in.orange.fr", 4),
    ("free.fr", "plain", "mx1.free.fr", 2),
    ("libero.it", "plain", "smtp-in.libero.it", 2),
)
COMPANY_STYLES: Final = ("office365", "workspace", "postfix", "exim", "mimecast", "plain")
COMPANY_WEIGHTS: Final = tuple(accumulate((34, 14, 26, 16, 3, 7)))
_WORDS: Final = {
    "onsets": "b br d dr f g gr h k kl l m n p r s sch st t tr v w",
    "codas": "n r l s t k m",
    "first": """anna andrea alex ben bernd carla chris claire daniel david emma erik eva felix fiona frank
        georg hanna helen igor ines jan jana jean julia kai karin lara lea leon lisa luc maria mark martin max
        mia michael monika nina noah olga oliver paul peter petra pia rita robert sara sandra simon sofia
        stefan susan thomas tim tina ulf ute vera victor walter yves zoe""",
    "roles": "info office sales contact service buchhaltung support hr marketing mail einkauf",
}
ONSETS, CODAS, FIRST, ROLES = (words.split() for words in _WORDS.values())
VOWELS: Final = "aeiou"


class Outage(NamedTuple):
    """A provider fails. ``of``: a freemail domain, or the style of all companies that it hosts; ``mode``:
    what it does to a ``share`` of deliveries, bounce or defer."""

    of: str
    start: float
    end: float
    mode: str
    share: float


class Domain:
    """Where mail goes. ``style``: whose words its server speaks. ``down``: seconds in which it is away."""

    __slots__ = (
        "catch_all",
        "down",
        "exists",
        "freemail",
        "greylists",
        "ip",
        "latency",
        "mx",
        "name",
        "staff",
        "style",
    )

    def __init__(self, name: str, style: str, mx: str, ip: str, latency: float) -> None:
        self.name, self.style, self.mx, self.ip, self.latency = name, style, mx, ip, latency
        self.exists, self.greylists, self.catch_all, self.freemail = True, False, False, False
        self.down = (0.0, 0.0)
        self.staff: dict[int, Address] = {}


class Address:
    """A recipient. ``state``: whether the mailbox exists."""

    __slots__ = ("domain", "state", "text")

    def __init__(self, local: str, domain: Domain, state: int = ALIVE) -> None:
        self.text = f"{local}@{domain.name}"
        self.domain, self.state = domain, state


class Network:
    """A prefix of a provider of access: home, mobile, hosting or vpn."""

    __slots__ = ("bits", "prefix", "v6")

    def __init__(self, rng: Random, kind: str, shared: int | None) -> None:
        self.v6 = kind == "home" and rng.random() < 0.25
        self.bits = shared.bit_length() - 1 if shared else rng.choice((12, 13, 14, 15, 16))
        self.prefix = rng.randrange(0x2A00 << 16, 0x2A10 << 16) if self.v6 else _public(rng, self.bits)

    def client(self, rng: Random) -> str:
        """An address of it."""
        if self.v6:
            low = ":".join(f"{rng.randrange(65536):x}" for _ in range(5))
            return f"{self.prefix >> 16:x}:{self.prefix & 0xFFFF:x}:{rng.randrange(1 << self.bits):x}:{low}"
        n = self.prefix | rng.randrange(1, 1 << self.bits)
        return f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def _public(rng: Random, bits: int) -> int:
    """The first address of a prefix with ``bits`` bits of hosts, outside reserved space."""
    while True:
        n = rng.randrange(1 << 32) >> bits << bits
        first, second = n >> 24, n >> 16 & 255
        if first in (0, 10, 127, 169, 172, 192, 198, 203) or first >= 224 or (first == 100 and second >= 64):
            continue
        return n


class World:
    """All that is outside, drawn from one seed."""

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.rng = rng = Random(f"{seed}/world")
        self._surnames = [_word(rng, rng.choice((2, 2, 3))) for _ in range(2500)]
        self.freemail = [self._free(rng, *row[:3]) for row in FREEMAIL]
        self.free_weights = list(accumulate(row[3] for row in FREEMAIL))
        names = {_word(rng, rng.choice((2, 3, 3))) for _ in range(params.companies)}
        self.companies = [self._company(rng, name) for name in sorted(names)]
        rng.shuffle(self.companies)
        self.company_weights = list(accumulate(1 / (n + 10) for n in range(len(self.companies))))
        self.networks = self._networks(rng)
        self.dead_pool = [self._dead(rng, 0.6) for _ in range(params.dead_pool)]
        self.webmail = _server(rng)
        self._offices: dict[str, str] = {}
        self.outages: list[Outage] = []

    # --- domains

    def _free(self, rng: Random, name: str, style: str, mx: str) -> Domain:
        domain = Domain(name, style, mx, _server(rng), rng.uniform(0.6, 2.5))
        domain.freemail = True
        return domain

    def _company(self, rng: Random, name: str) -> Domain:
        name = name + rng.choice(("", "", "-bau", "-it", "group", "shop", "-gmbh")) + ".example"
        style = weighted(rng, COMPANY_STYLES, COMPANY_WEIGHTS)
        domain = Domain(name, style, _mx(name, style, rng), _server(rng), self._latency(rng))
        domain.greylists = (
            style in ("postfix", "exim", "plain") and rng.random() < 2 * self.params.greylisting
        )
        domain.catch_all = rng.random() < self.params.catch_all
        domain.exists = rng.random() >= self.params.company_retired
        return domain

    def _latency(self, rng: Random) -> float:
        return log_uniform(rng, self.params.latency_median)

    def company(self, rng: Random) -> Domain:
        """A company's domain, by popularity."""
        return weighted(rng, self.companies, self.company_weights)

    def free(self, rng: Random) -> Domain:
        """A freemail provider, by popularity."""
        return weighted(rng, self.freemail, self.free_weights)

    # --- people

    def surname(self, rng: Random) -> str:
        """A word like a name."""
        return rng.choice(self._surnames)

    def local(self, rng: Random, freemail: bool) -> str:
        """A local part."""
        first, last = rng.choice(FIRST), rng.choice(self._surnames)
        n = rng.random()
        if not freemail:
            return (
                f"{first}.{last}"
                if n < 0.55
                else f"{first[0]}.{last}"
                if n < 0.75
                else last
                if n < 0.85
                else first
            )
        digits = rng.choice(("", "", str(rng.randrange(1, 100)), str(rng.randrange(1950, 2012))))
        return f"{first}{rng.choice(('', '.', '_'))}{last}{digits}" if n < 0.8 else f"{last}{digits}"

    def employee(self, rng: Random, domain: Domain) -> Address:
        """Somebody of a company: the same few again and again."""
        n = min(int(rng.paretovariate(0.9)), 60)
        known = domain.staff.get(n)
        if known is None:
            local = rng.choice(ROLES) if n == 1 else self.local(rng, False)
            known = domain.staff[n] = Address(
                local, domain, FULL if rng.random() < self.params.mailbox_full else ALIVE
            )
        return known

    def person(self, rng: Random, freemail: float, domain: Domain | None = None) -> Address:
        """Somebody alive; ``freemail``: with this chance at a freemail provider. ``domain``: there."""
        if domain is None:
            if rng.random() >= freemail:
                return self.employee(rng, self.company(rng))
            domain = self.free(rng)
        return Address(
            self.local(rng, True), domain, FULL if rng.random() < self.params.mailbox_full else ALIVE
        )

    def dead(self, rng: Random, freemail: float, domain: Domain | None = None) -> Address:
        """An address that no longer exists, or never did."""
        if domain is not None:
            return Address(self.local(rng, True), domain, UNKNOWN)
        if rng.random() < self.params.dead_known:
            return self.dead_pool[int(len(self.dead_pool) * rng.random() ** 2)]  # some are on every list
        return self._dead(rng, freemail)

    def _dead(self, rng: Random, freemail: float) -> Address:
        if rng.random() < self.params.no_such_domain:
            name = f"{_word(rng, 3)}{rng.choice(('', '-net', '-web'))}.example"
            domain = Domain(name, "plain", "", "", 0.3)
            domain.exists = False
            return Address(self.local(rng, True), domain, UNKNOWN)
        is_free = rng.random() < freemail
        domain = self.free(rng) if is_free else self.company(rng)
        state = INACTIVE if rng.random() < self.params.inactive else UNKNOWN
        return Address(self.local(rng, is_free), domain, state)

    def anybody(self, rng: Random, freemail: float, dead: float, domain: Domain | None = None) -> Address:
        """Somebody, dead with this chance."""
        drawn: Callable[..., Address] = self.dead if rng.random() < dead else self.person
        return drawn(rng, freemail, domain)

    # --- networks

    def _networks(self, rng: Random) -> dict[str, list[list[Network]]]:
        """Kind → country → networks. Country 0 is where the hoster and most of its customers are."""
        shared = dict(self.params.behind_one)
        sizes = {"home": 8, "mobile": 4, "hosting": 4, "vpn": 2}
        return {
            kind: [
                [Network(rng, kind, shared.get(kind)) for _ in range(n * (3 if country == 0 else 1))]
                for country in range(45)
            ]
            for kind, n in sizes.items()
        }

    def office(self, rng: Random, domain: Domain, country: int) -> str:
        """The address that all clients of a customer's office share."""
        if domain.name not in self._offices:
            self._offices[domain.name] = self.network(rng, "home", country).client(rng)
        return self._offices[domain.name]

    def network(self, rng: Random, kind: str, country: int) -> Network:
        """One network there."""
        return rng.choice(self.networks[kind][country])


def _server(rng: Random) -> str:
    n = _public(rng, 1)
    return f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def _mx(name: str, style: str, rng: Random) -> str:
    if style == "office365":
        return f"{name.replace('.', '-')}.mail.protection.outlook.com"
    if style == "workspace":
        return rng.choice(("aspmx.l.google.com", "alt1.aspmx.l.google.com"))
    if style == "mimecast":
        return "eu-smtp-inbound-1.mimecast.com"
    return f"{rng.choice(('mx', 'mail', 'mx1', 'smtp'))}.{name}"


def _word(rng: Random, syllables: int) -> str:
    word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables))
    return word + (rng.choice(CODAS) if rng.random() < 0.5 else "")
