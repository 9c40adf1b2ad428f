"""Kinds of single values: what each takes, and what it says about anything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from penstock.config.report import BadValue, Spot, meant
from penstock.config.settings import Address, masked
from penstock.config.table import Kind
from penstock.config.toml import inline, shown
from penstock.core.limits import MODES, Mode, parse_duration
from penstock.core.policy import PASS_ON, Action, Verb

T = TypeVar("T")

LONGEST_DURATION = 3660 * 86400
LONGEST_TEXT = 200
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_HOST = re.compile(r"[A-Za-z0-9.-]+", re.ASCII)
_HOST6 = re.compile(r"\[[0-9A-Fa-f:.]+\]", re.ASCII)
_HEADER = re.compile(r"[!-9;-~]+:\s*[ -~]*[!-~]", re.ASCII)  # RFC 5322 §2.2
_REROUTE = re.compile(r"[A-Za-z0-9_-]+:[!-~]*", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.ASCII)
_SCHEMES = ("sqlite", "postgresql", "postgres", "mariadb", "mysql")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def string(value: object) -> str:
    """The value if it is a string; raises BadValue."""
    if not isinstance(value, str):
        raise BadValue(f"{shown(value)}: must be a string, in quotes")
    return value


def _scalar(words: str, read: Callable[[str], T], neutral: T) -> Kind[T]:
    """A kind that is written as a string."""
    return Kind(words, lambda value, spot: read(string(value)), neutral)


def _line(text: str) -> str:
    if not text.isprintable() or len(text) > 1000:
        raise BadValue(f"{shown(text)}: must be one line of at most 1000 printable characters")
    return text


TEXT = _scalar("text", _line, "")


def _bool(value: object, spot: Spot) -> bool:
    if not isinstance(value, bool):
        raise BadValue(f"{shown(value)}: must be true or false, without quotes")
    return value


BOOL = Kind("true or false", _bool, False)


def number(value: object) -> float:
    """The value if it is a number that can be meant; raises BadValue."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e12:
        raise BadValue(f"{shown(value)}: must be a number, without quotes")
    return value


def between(low: float, high: float, words: str) -> Kind[float]:
    """A number above ``low`` and up to ``high``."""

    def read(value: object, spot: Spot) -> float:
        if not low < number(value) <= high:
            raise BadValue(f"{shown(value)}: must be {words}")
        return number(value)

    return Kind(words, read, high)


def days_up_to(most: int) -> Kind[float]:
    """A number of days."""

    def read(value: object, spot: Spot) -> float:
        if not 0 <= number(value) <= most:
            raise BadValue(f"{shown(value)}: must be a number of days from 0 to {most}")
        return number(value)

    return Kind(f"days, 0 to {most}", read, 0.0)


FRACTION = between(0, 1, "a number above 0, up to 1")
FACTOR = between(0, 1000, "a number above 0, up to 1000")


def _seconds(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        raise BadValue(f'{value}: a duration has a unit: write "{value}s" or, say, "2h" (s, m, h, d, w)')
    text = string(value)
    try:
        seconds = parse_duration(text)
    except ValueError as wrong:
        raise BadValue(str(wrong)) from None
    if seconds > LONGEST_DURATION:
        raise BadValue(f"{shown(text)}: at most 3660d")
    return seconds


DURATION = Kind('duration, such as `"90s"`, `"15m"`, `"2h"`, `"7d"`', lambda v, spot: _seconds(v), 0)


def _seconds_or_off(value: object, spot: Spot) -> int:
    off = value == "off" or (value == 0 and not isinstance(value, bool))
    return 0 if off else _seconds(value)


DURATION_OR_OFF = Kind('duration, or `"off"`', _seconds_or_off, 0)


def _mode(text: str) -> Mode:
    for mode in MODES:
        if mode == text:
            return mode
    raise BadValue(f"{shown(text)}: must be one of {', '.join(MODES)}")


MODE: Kind[Mode] = _scalar('`"off"`, `"shadow"` or `"enforce"`', _mode, "enforce")


def _action(text: str) -> Action:
    name, _, argument = text.strip().partition(" ")
    argument = argument.strip()
    if name not in list(Verb):
        allowed = ", ".join(Verb)
        hint = meant(name, Verb) if name else ""
        raise BadValue(f"{shown(text)}: unknown action{hint if 'did' in hint else ''} (allowed: {allowed})")
    verb = Verb(name)
    if verb is Verb.MARK and not _HEADER.fullmatch(argument):
        raise BadValue(f'{shown(text)}: needs a header line, for example "mark X-Over-Limit: yes"')
    if verb is Verb.REROUTE and not _REROUTE.fullmatch(argument):
        raise BadValue(f'{shown(text)}: needs a Postfix TRANSPORT:NEXTHOP, for example "reroute slow:"')
    if argument and verb not in (Verb.MARK, Verb.REROUTE):
        raise BadValue(f'{shown(text)}: write "{verb}" alone (the client\'s text is set under [texts])')
    return Action(verb, argument)


ACTION = _scalar("action (see Actions)", _action, PASS_ON)


def parse_address(text: str) -> Address:
    """``127.0.0.1:10040``, ``[::1]:10040``, ``unix:/run/penstock/policy.sock``; raises BadValue."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or len(path.encode()) > 107 or not path.isprintable():
            raise BadValue(f"{shown(text)}: a Unix socket needs an absolute path of at most 107 bytes")
        return Address(path=path)
    host, _, port = text.rpartition(":")
    good_host = _HOST.fullmatch(host) or _HOST6.fullmatch(host)
    if not good_host or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise BadValue(f"{shown(text)}: write HOST:PORT, [IPV6]:PORT or unix:/PATH")
    return Address(host.strip("[]"), int(port))


def _addresses(value: object, spot: Spot) -> tuple[Address, ...]:
    one = Kind("", lambda item, at: parse_address(string(item)), Address())
    if not isinstance(value, list):
        return (one.take(value, spot),)
    found = tuple(one.take(item, spot.item(i)) for i, item in enumerate(value))
    for i, address in enumerate(found):
        if address != Address() and address in found[:i]:
            spot.item(i).wrong(f"{shown(str(address))}: stands here twice")
    return found


ADDRESSES: Kind[tuple[Address, ...]] = Kind(
    "address or list of addresses: `HOST:PORT`, `[IPV6]:PORT`, `unix:/PATH`", _addresses, ()
)


def _address_or_off(text: str) -> Address | None:
    return None if text == "off" else parse_address(text)


ADDRESS_OR_OFF = _scalar('address, or `"off"`', _address_or_off, None)


def _folder(text: str) -> Path:
    if not text.startswith("/") or not text.isprintable():
        raise BadValue(f"{shown(text)}: must be an absolute path")
    return Path(text)


FOLDER = _scalar("absolute path", _folder, Path("/"))


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadValue(f"{shown(text)}: a name is up to 64 letters, digits, '-', '_' and '.'")
    return text


NAME = _scalar("name of a profile", _name, "")


def _language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text.lower()):
        raise BadValue(f'{shown(text)}: must be a language tag such as "en" or "pt-br"')
    return text.lower()


LANGUAGE = _scalar('language tag, such as `"en"`', _language, "")


def _realm(text: str) -> str:
    realm = text.lower().rstrip(".")
    if not realm.isprintable() or any(c in realm for c in ' @"'):
        raise BadValue(f'{shown(text)}: must be a domain such as "example.com", without "@"')
    return realm


REALM = _scalar('domain, or `""`', _realm, "")


def _client_text(text: str) -> str:
    if not text.isascii() or not text.isprintable() or not 0 < len(text.strip()) <= LONGEST_TEXT:
        raise BadValue(f"{shown(text)}: must be one line of 1 to {LONGEST_TEXT} printable ASCII characters")
    return text.strip()


CLIENT_TEXT = _scalar(f"one line of at most {LONGEST_TEXT} printable ASCII characters", _client_text, "?")


def _contact(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not (local and at and domain) or " " in text or not text.isprintable() or len(text) > 254:
        raise BadValue(f'{shown(text)}: must be a mail address such as "someone@example.com"')
    return text


CONTACT = _scalar("mail address", _contact, "")


def _customer(value: object, spot: Spot) -> str:
    text = inline(value) if isinstance(value, int) and not isinstance(value, bool) else string(value)
    if not text.strip() or not text.isprintable() or len(text) > 256:
        raise BadValue(f"{shown(value)}: must be a number or a name of 1 to 256 printable characters")
    return text.strip()


CUSTOMER = Kind("text or number", _customer, "")


def _moment(value: object, spot: Spot) -> float | None:
    """Seconds since the epoch; a date is its first moment, and what names no zone is UTC."""
    found = value
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)
    if not isinstance(found, datetime):
        raise BadValue(f"{shown(value)}: must be a date such as 2027-01-31 or 2027-01-31T18:00:00Z")
    at = (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    if not 0 <= at < _LATEST:
        raise BadValue(f"{shown(value)}: must lie between the years 1970 and 9998")
    return at


MOMENT: Kind[float | None] = Kind("date, or date and time; UTC unless it names a zone", _moment, None)


def _database(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in _SCHEMES or not separator or not rest.strip("/"):
        raise BadValue(
            f"{shown(masked(text))}: must be sqlite:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE "
            "or mariadb://USER:PASSWORD@HOST/DATABASE"
        )
    return text


DATABASE = _scalar("`sqlite:///PATH`, `postgresql://…` or `mariadb://…`", _database, "")


def _query(text: str) -> str:
    if not re.search(r"(?<!:):(login|local|key)\b", text):
        raise BadValue(
            f"{shown(text)}: must contain :login (or :local, :key), in whose place the login is put"
        )
    return text


QUERY = _scalar("SQL with `:login`", _query, "")


def _argv(value: object, spot: Spot) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise BadValue(
            f'{shown(value)}: must be a list of strings, for example ["/usr/local/bin/whois-login"]'
        )
    if not string(value[0]).startswith("/"):
        raise BadValue(f"{shown(value[0])}: the command needs an absolute path")
    return tuple(TEXT.take(word, spot.item(i)) for i, word in enumerate(value))


ARGV: Kind[tuple[str, ...]] = Kind("list of strings, the first an absolute path", _argv, ())


def _pairs(value: object, spot: Spot) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadValue(f"{shown(value)}: must be a table of names")
    return {name: TEXT.take(to, spot.key(name)) for name, to in value.items()}


PAIRS: Kind[Mapping[str, str]] = Kind("table of names", _pairs, {})
