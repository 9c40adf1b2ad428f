"""The keys of local mail: whose user ids say nothing, whose Received fields are believed; document roots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from penstock.config.report import BadValue, Spot
from penstock.config.scalars import PAIRS, string
from penstock.config.settings import LocalSettings
from penstock.config.table import Key, Kind, Section, Table
from penstock.config.toml import shown
from penstock.wire.weblog import Roots, bare_host

_ID = re.compile(r"\d{1,10}", re.ASCII)
_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}", re.ASCII)
_NO_USERS: tuple[str, ...] = ()
_NO_NETWORKS: tuple[IPv4Network | IPv6Network, ...] = ()


def _users(value: object, spot: Spot) -> tuple[str, ...]:
    return tuple(_user(item) for item in (value if isinstance(value, list) else [value]))


def _user(item: object) -> str:
    text = str(item) if isinstance(item, int) and not isinstance(item, bool) else string(item)
    if not _ID.fullmatch(text) and not _NAME.fullmatch(text):
        raise BadValue(
            f"{shown(item)}: must be a user id such as 33, or a user's name where the MTA logs names"
        )
    return text


def _networks(value: object, spot: Spot) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(_network(item) for item in (value if isinstance(value, list) else [value]))


def _network(item: object) -> IPv4Network | IPv6Network:
    text = string(item)
    try:
        return ip_network(text)
    except ValueError as wrong:
        raise BadValue(f"{shown(text)}: must be a network such as 192.0.2.0/24 ({wrong})") from None


def _root(value: object, spot: Spot) -> str:
    text = string(value)
    if not text.startswith("/") or not text.isprintable() or ".." in text.split("/"):
        raise BadValue(f"{shown(text)}: must be an absolute path")
    return text


SHARED = Key(
    "shared_users",
    Kind("list of user ids", _users, _NO_USERS),
    "Users as whom the scripts of many customers run, for example `[33]` with Apache's mod_php. Their id "
    "does not tell whose a script is, so the file's owner in PHP's header is believed instead.",
)
RELAYS = Key(
    "relays",
    Kind("list of networks", _networks, _NO_NETWORKS),
    "Our own web servers whose MTA relays to this one by SMTP. Their mail is decided by the `milter` "
    "listener as if it were local, and their `Received` field tells the user. Only their MTA may reach this "
    "one's port, or scripts could forge that field.",
)
LOCAL = Section(
    "local",
    "Mail that scripts and local users hand in. `relays` takes effect at the next start.",
    (SHARED, RELAYS),
)

KIND = Key(
    "kind",
    Kind(
        '`"mail"` or `"access"`',
        lambda value, spot: _one_of(value),
        "mail",
    ),
    "`mail`: a log of mail. `access`: a web server's access log (`combined` or `vhost_combined` of Apache, "
    "`combined` of nginx): a POST at the second of a message tells which script sent it.",
)
ROOT = Key(
    "root",
    Kind("absolute path", _root, ""),
    "With `access`: the document root; `{host}` in it stands for the virtual host, where lines begin with "
    "one.",
)
ROOTS = Key(
    "roots",
    PAIRS,
    "With `access`: virtual host → its document root, where it is not `root`.",
)


def _one_of(value: object) -> str:
    if value not in ("mail", "access"):
        raise BadValue(f'{shown(value)}: must be "mail" or "access"')
    return str(value)


def local_of(value: object, spot: Spot) -> LocalSettings:
    """Local mail."""
    table = Table(value, spot, LOCAL)
    return LocalSettings(table.get(SHARED), table.get(RELAYS))


def roots_of(table: Table) -> Roots:
    """The document roots of an access log; they make no sense elsewhere."""
    access = table.get(KIND) == "access"
    for key in (ROOT, ROOTS):
        if table.has(key) and not access:
            table.spot(key).wrong('needs kind = "access"')
    roots = Roots(_by_host(table.get(ROOTS), table.spot(ROOTS)), table.get(ROOT))
    if access and not roots:
        table.spot(KIND).wrong('needs "root" or "roots": without a document root a URL is no path')
    return roots


def _by_host(pairs: Mapping[str, str], spot: Spot) -> dict[str, str]:
    found = {}
    for name, folder in pairs.items():
        here = spot.key(name)
        host = bare_host(name)
        if not host:
            here.wrong("must be a host such as www.example.com")
        found[host] = ROOT.kind.take(folder, here)
    return found
