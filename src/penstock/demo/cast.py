"""Who mails on the demonstration's platform, and what its directory says of them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

_NAMES = [
    "alice",
    "bela",
    "carla",
    "david",
    "emma",
    "felix",
    "greta",
    "henry",
    "ines",
    "jonas",
    "karin",
    "leo",
    "mara",
    "nils",
    "olga",
    "paul",
    "rosa",
    "sven",
    "tina",
    "viktor",
]
_COMPANIES = [
    "architects",
    "bakery",
    "clinic",
    "dentist",
    "farm",
    "garage",
    "hotel",
    "lawyers",
    "museum",
    "orchard",
    "printers",
    "school",
]
PEOPLE = 190

PAST = "past.log"
"""The log of the days before, which nobody was asked about."""

LOG = "mail.log"


@dataclass(frozen=True)
class Actor:
    """One sender of the platform.

    ``lines``: connections at once; ``clients``: addresses it comes from; ``retry``: seconds after
    which a deferred recipient is tried again (0: never; a bot goes on with its list instead);
    ``home``: where the owner of a hijacked account writes from.
    """

    title: str
    login: str
    address: str
    customer: str
    profile: str = ""
    hijacked: bool = False
    lines: int = 2
    clients: int = 1
    retry: float = 900.0
    home: str = ""

    @property
    def key(self) -> str:
        """The sender key that Penstock charges."""
        return f"login:{self.login}" if self.login else f"ip:{self.address}"

    @property
    def envelope(self) -> str:
        """Its MAIL FROM."""
        return self.login or f"app@{self.customer}.example"


NEWSLETTER = Actor("newsletter", "news@travel.example", "192.0.2.10", "4001", "newsletter", lines=4)
INVOICES = Actor("invoice run", "invoices@shop.example", "192.0.2.11", "4002", "professional")
WEB_SHOP = Actor("web shop script", "www@shop.example", "192.0.2.12", "4002", "script", retry=0.0)
APPLICATION = Actor("application server (by IP)", "", "198.51.100.20", "4003", "relay")
RELAY = Actor("office mail server (by IP)", "", "198.51.100.9", "4004", "relay", lines=4)
CLUB = Actor("club mail", "secretary@chess.example", "192.0.2.13", "4005")
FAST = Actor("hijacked: flood at night", "hanna@hotel.example", "203.0.113.1", "4106", hijacked=True,
             lines=10, clients=120, retry=0.0, home="192.0.2.14")  # fmt: skip
NOON = Actor("hijacked: flood at lunch", "oscar@school.example", "203.0.113.150", "4111", hijacked=True,
             lines=6, clients=40, retry=0.0, home="192.0.2.15")  # fmt: skip
SLOW = Actor("hijacked: slower", "wanda@garage.example", "203.0.113.220", "4105", hijacked=True,
             lines=2, clients=6, retry=0.0, home="192.0.2.16")  # fmt: skip

LARGE = (INVOICES, NEWSLETTER, APPLICATION, RELAY, WEB_SHOP, CLUB)
"""Honest senders that a crude limit would hurt."""

HIJACKED = (FAST, SLOW, NOON)


def people(random: Random) -> list[Actor]:
    """Employees of a dozen small companies, each company one customer."""
    found = []
    for number in range(PEOPLE):
        company = number % len(_COMPANIES)
        turn = number // len(_COMPANIES)
        name = _NAMES[(turn + company) % len(_NAMES)]
        login = f"{name}@{_COMPANIES[company]}.example"
        address = f"192.0.2.{random.randrange(20, 250)}"
        found.append(Actor("person", login, address, str(4100 + company)))
    return found


def policy_file(actors: list[Actor], folder: str) -> str:
    """The policy file of the demonstration: the built-in policy, its listener, its logs and a directory."""
    logins = (f'"{a.login}" = {_entry(a)}' for a in actors if a.login)
    networks = (f'"{a.address}" = {_entry(a)}' for a in actors if not a.login)
    return "\n".join(
        (
            "# The built-in policy; only the place, the logs and the people are of the demonstration.",
            f'state = "{folder}"',
            "[listen]",
            f'policy = ["unix:{folder}/policy.sock"]',
            'http = "off"',
            'silence = "off"',
            "[logs.past]",
            f'file = "{folder}/{PAST}"',
            'counted = "all"',
            "from_beginning = true",
            "[logs.mail]",
            f'file = "{folder}/{LOG}"',
            "from_beginning = true",
            "[directory.logins]",
            *logins,
            "[directory.networks]",
            *networks,
            "",
        )
    )


def _entry(actor: Actor) -> str:
    profile = f', profile = "{actor.profile}"' if actor.profile else ""
    return f'{{ customer = "{actor.customer}"{profile} }}'
