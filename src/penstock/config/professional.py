"""The keys of professional customers: their tags, signatures, pool and notices."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, TypeVar

from penstock.config.report import BadValue, Spot, meant
from penstock.config.rules import OUTCOME_LIMITS
from penstock.config.scalars import DURATION_OR_OFF, NAME, string
from penstock.config.secret import private_bytes
from penstock.config.settings import ProfessionalSettings
from penstock.config.table import Key, Kind, Section, Table, as_table
from penstock.config.toml import shown
from penstock.core.limits import Limit, parse_outcome
from penstock.core.names import Naming, login_key
from penstock.core.tags import LONGEST, TagRule
from penstock.wire.dkim.keys import GOOD_BITS, BadKey, load
from penstock.wire.dkim.sign import SIGNED, Signer
from penstock.wire.milter import smarthost

T = TypeVar("T")

DEFAULT_HEADER: Final = "X-Penstock-Tag"
DEFAULT_NOTICE: Final = "complaints 0.005%/7d min 5"
SHORTEST: Final = 16
"""Characters of a secret."""

_CUSTOMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,75}", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_POOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_OURS = {name.decode() for name in SIGNED | {smarthost.POOL.lower()}} | {
    "received",
    "return-path",
    "dkim-signature",
}
"""Fields without which a mail is not what it was."""


def _text(words: str, neutral: str, pattern: re.Pattern[str], wrong: str) -> Kind[str]:
    def read(value: object, spot: Spot) -> str:
        text = string(value)
        if not pattern.fullmatch(text):
            raise BadValue(f"{shown(text)}: {wrong}")
        return text

    return Kind(words, read, neutral)


def _each(value: object, spot: Spot, words: str, one: Callable[[str], T]) -> list[T]:
    if not isinstance(value, list):
        raise BadValue(f"{shown(value)}: must be a list of {words}")
    found = []
    for i, item in enumerate(value):
        try:
            found.append(one(string(item)))
        except BadValue as wrong:
            spot.item(i).wrong(str(wrong))
    return found


# --- tags -------------------------------------------------------------------------------------


def domain_of(text: str) -> str:
    """A domain in small letters; raises BadValue."""
    domain = text.lower().rstrip(".")
    if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
        raise BadValue(f'{shown(text)}: must be a domain such as "example.com" (an IDN as xn--…)')
    return domain


def selector_of(text: str) -> str:
    """A selector in small letters; raises BadValue."""
    selector = text.lower()
    if not _SELECTOR.fullmatch(selector) or len(selector) > 63:
        raise BadValue(f'{shown(text)}: must be a selector such as "p2026"')
    return selector


def _header(value: object, spot: Spot) -> str:
    text = string(value)
    if not _FIELD.fullmatch(text) or text.lower() in _OURS:
        raise BadValue(
            f'{shown(text)}: must be the name of a header field of its own, such as "X-Acme-Token"'
        )
    return text


def _secrets_of(text: str) -> list[bytes]:
    """``file:/PATH``: a secret a line; ``env:NAME``: one."""
    where, _, name = text.partition(":")
    if where == "file" and name.startswith("/"):
        lines = private_bytes(Path(name)).splitlines()
        found = [line.strip() for line in lines if line.strip() and not line.startswith(b"#")]
        if not found:
            raise BadValue(f"{name}: holds no secret (one a line)")
    elif where == "env" and _VARIABLE.fullmatch(name):
        if not os.environ.get(name):
            raise BadValue(f"{shown(text)}: the environment has no {name}")
        found = [os.environ[name].encode("utf-8", "surrogateescape").strip()]
    else:
        raise BadValue('must be "file:/PATH" or "env:NAME": a secret does not stand in the policy file')
    for secret in found:
        if not SHORTEST <= len(secret) <= LONGEST or not all(0x20 < byte < 0x7F for byte in secret):
            raise BadValue(
                f"{text}: a secret has {SHORTEST} to {LONGEST} printable ASCII characters, no space"
            )
    return found


def _secrets(value: object, spot: Spot) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadValue('must be a list of places such as "file:/etc/penstock/tags/acme"')  # may be a secret
    if not value:
        raise BadValue("is empty: then every message of the customer would miss its tag")
    lists = _each(value, spot, 'places such as "file:/etc/penstock/tags/acme"', _secrets_of)
    return tuple(secret for found in lists for secret in found)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as wrong:
        raise BadValue(f"not a network such as 192.0.2.0/24 ({wrong})") from None


def _networks(value: object, spot: Spot) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(_each(value, spot, "networks", _network))


def _logins(value: object, spot: Spot) -> tuple[str, ...]:
    return tuple(_each(value, spot, "logins", lambda text: text))


SECRET_PLACES: Kind[tuple[bytes, ...]] = Kind('list of `"file:/PATH"` and `"env:NAME"`', _secrets, ())
NETWORK_LIST: Kind[tuple[IPv4Network | IPv6Network, ...]] = Kind(
    'list of networks, such as `"192.0.2.0/24"`', _networks, ()
)
LOGIN_LIST: Kind[tuple[str, ...]] = Kind("list of logins", _logins, ())
HEADER = Key(
    "header",
    Kind("name of a header field", _header, DEFAULT_HEADER),
    "The header field that holds the tag. It is taken out of all mail that comes in at `milter_smarthost`. "
    f'Default: `"{DEFAULT_HEADER}"`.',
)
SECRETS = Key(
    "secrets",
    SECRET_PLACES,
    "Where the customer's secrets stand: a file with one a line, which nobody else may read, or a variable "
    "of the environment. All of them hold, so that one can follow another without a gap. They are read at "
    "start and reload.",
    True,
)
NETWORKS = Key(
    "networks",
    NETWORK_LIST,
    "Where the customer's mail comes from. A tag holds from there, or from one of `logins`.",
)
LOGINS = Key("logins", LOGIN_LIST, "The customer's SASL logins.")
PROFILE = Key(
    "profile",
    NAME,
    'The profile of the sender `customer:NAME`; its `parents` are the limits. Default: `"professional"`.',
)

# --- what is done to the mail -----------------------------------------------------------------

_LINE = re.compile(r"[!-~][ -~]{0,199}", re.ASCII)
_CFBL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,253}(?:; ?report=x?arf)?", re.ASCII)
POOL = Key(
    "pool",
    _text("name", "", _POOL, "must be a name of letters, digits, '-' and '_'"),
    "The pool whose transport the mail takes, by Postfix's `milter_header_checks`: see "
    "docs/howto/professional.md.",
)
FEEDBACK_ID = Key(
    "feedback_id",
    _text("text", "", _LINE, "must be one line of printable ASCII characters"),
    "Added as `Feedback-ID` to mail that has none, so that providers' figures can be told apart.",
)
CFBL = Key(
    "cfbl_address",
    _text("text", "", _CFBL, 'must be an address, or such as "fbl@example.com; report=arf"'),
    "Added as `CFBL-Address` (RFC 9477) to mail that has none: where providers may complain to.",
)
NOTICE_LIMITS: Kind[tuple[Limit, ...]] = Kind(
    OUTCOME_LIMITS.words, OUTCOME_LIMITS.read, (parse_outcome(DEFAULT_NOTICE),)
)
NOTICE = Key(
    "notice",
    NOTICE_LIMITS,
    "Complaints (or bounces) from which on there is a notice among the incidents. Nothing is stopped for it. "
    f'Default: `["{DEFAULT_NOTICE}"]`, ten times what a clean customer has.',
)
DOMAIN = Key(
    "domain",
    Kind("domain", lambda value, spot: domain_of(string(value)), ""),
    "Mail whose author (`From`) is there or below is signed.",
    True,
)
SELECTOR = Key(
    "selector", Kind("name", lambda value, spot: selector_of(string(value)), ""), "Its name in the DNS.", True
)
KEY = Key(
    "key",
    Kind("absolute path", lambda value, spot: _path(string(value)), Path("/")),
    "File of the private key (RSA or Ed25519, PEM), which nobody else may read: `penstock dkim keygen`.",
    True,
)
EXPIRES = Key("expires", DURATION_OR_OFF, "So long a signature holds. Default: for good.")
DKIM_SECTION = Section(
    "professional.NAME.dkim[]",
    "A key to sign with; all whose domain fits sign, so that RSA and Ed25519 stand side by side.",
    (DOMAIN, SELECTOR, KEY, EXPIRES),
)


def _path(text: str) -> Path:
    if not text.startswith("/") or not text.isprintable():
        raise BadValue(f"{shown(text)}: must be an absolute path")
    return Path(text)


def _signer(value: object, spot: Spot) -> Signer | None:
    table = Table(value, spot, DKIM_SECTION)
    path = table.get(KEY)
    if not isinstance(value, dict) or path == Path("/"):
        return None
    here = table.spot(KEY)
    try:
        key = load(private_bytes(path))
    except BadKey as wrong:
        here.wrong(f"{path}: {wrong}")
        return None
    except BadValue as wrong:
        here.wrong(str(wrong))
        return None
    if key.kind == "rsa" and key.bits < GOOD_BITS:
        here.warn(f"{path}: an RSA key of {key.bits} bits; {GOOD_BITS} are the rule")
    return Signer(table.get(DOMAIN), table.get(SELECTOR), key, table.get(EXPIRES))


def _signers(value: object, spot: Spot) -> tuple[Signer, ...]:
    if not isinstance(value, list):
        raise BadValue("must be a list of tables, each written as [[professional.NAME.dkim]]")
    found = tuple(filter(None, (_signer(item, spot.item(i)) for i, item in enumerate(value))))
    for i, one in enumerate(found):
        if (one.domain, one.selector) in [(other.domain, other.selector) for other in found[:i]]:
            spot.wrong(f"{one.selector}._domainkey.{one.domain}: stands here twice")
    return found


SIGNERS: Kind[tuple[Signer, ...]] = Kind("list of tables (below)", _signers, ())
DKIM = Key("dkim", SIGNERS, "Keys to sign with.")
PROFESSIONAL = Section(
    "professional.NAME",
    "A professional customer, the sender `customer:NAME`, at the listener `milter_smarthost`. Its mail is "
    "told from others' by a tag: a header field with a secret.",
    (HEADER, SECRETS, NETWORKS, LOGINS, PROFILE, POOL, FEEDBACK_ID, CFBL, NOTICE, DKIM),
)


def professional_of(
    value: object, spot: Spot, naming: Naming, profiles: Collection[str]
) -> dict[str, ProfessionalSettings]:
    """All professional customers."""
    found: dict[str, ProfessionalSettings] = {}
    for name, written in as_table(value, spot).items():
        here = spot.key(name)
        if not _CUSTOMER.fullmatch(name):
            here.wrong("a customer's name is up to 64 letters, digits, '-', '_', '.' and '@'")
        table = Table(written, here, PROFESSIONAL)
        profile = table.get(PROFILE) or "professional"
        if profile not in profiles:
            table.spot(PROFILE).wrong(f"{shown(profile)}: no such profile{meant(profile, profiles)}")
        found[name] = _one(name, table, naming, profile)
        if not found[name].tag.networks and not found[name].tag.logins:
            here.wrong("needs networks or logins: a tag holds only from there")
    _check_secrets(found, spot)
    return found


def _one(name: str, table: Table, naming: Naming, profile: str) -> ProfessionalSettings:
    tag = TagRule(
        name,
        table.get(HEADER).lower(),
        table.get(SECRETS),
        table.get(NETWORKS),
        tuple(login_key(login, naming) for login in table.get(LOGINS)),
    )
    return ProfessionalSettings(
        tag,
        profile,
        table.get(DKIM),
        table.get(FEEDBACK_ID),
        table.get(CFBL),
        table.get(POOL),
        table.get(NOTICE),
    )


def _check_secrets(found: Mapping[str, ProfessionalSettings], spot: Spot) -> None:
    """A secret tells who it is, so no two customers may have the same under one header."""
    owners: dict[tuple[str, bytes], str] = {}
    for name, one in found.items():
        for secret in one.tag.secrets:
            other = owners.setdefault((one.tag.header, secret), name)
            if other != name:
                spot.key(name).key(SECRETS.name).wrong(f"one of them is a secret of {other} as well")
