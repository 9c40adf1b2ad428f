"""Sender keys: ``kind:name`` in one canonical form, so that one account has one quota.

Postfix hands out the SASL login as it was typed: ``Alice@EXAMPLE.com``, ``alice`` and
``alice+shop@example.com`` may all be one mailbox. A key is computed from what an attacker
typed, so it is bounded in length and free of control characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address

KINDS = ("login", "uid", "script", "ip", "customer")
LONGEST_NAME = 256


_CUT = re.compile(rf".{{{LONGEST_NAME - 17}}}~[0-9a-f]{{16}}")
"""What ``bounded`` makes of a longer name: canonical already."""


class BadSender(ValueError):
    """The text names no sender; the message says what would."""


@dataclass(frozen=True)
class Naming:
    """How typed logins map to accounts.

    ``default_realm`` completes a login without ``@``; ``realm_aliases`` maps a domain to the one
    that counts; ``aliases`` maps a whole login to another; ``plus_tags`` drops ``+tag``.
    """

    default_realm: str = ""
    realm_aliases: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    plus_tags: bool = True


def login_key(typed: str, naming: Naming) -> str:
    """``login:`` key of a SASL user name as typed."""
    if _CUT.fullmatch(typed) and typed.isprintable():
        return "login:" + typed
    name = _without_empty_realms("".join(typed.split()).casefold())
    local, at, realm = name.rpartition("@")
    if not at:
        local, realm = realm, ""
    realm = realm.rstrip(".") or naming.default_realm
    realm = naming.realm_aliases.get(realm, realm)
    if naming.plus_tags:
        local = local.partition("+")[0] or local
    name = f"{local}@{realm}" if realm else local
    return "login:" + bounded(naming.aliases.get(name, name))


def _without_empty_realms(name: str) -> str:
    """``alice`` of ``alice@`` and ``alice@.``."""
    end = len(name.rstrip("@."))
    at = name.find("@", end)
    return name if at < 0 else name[:at]


def ip_key(address: str) -> str:
    """``ip:`` key of a client address: IPv4 whole, IPv6 as its /64, IPv4-mapped as IPv4."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return "ip:" + bounded(address.lower() or "unknown")
    if not isinstance(ip, IPv6Address):
        return f"ip:{ip}"
    if ip.ipv4_mapped is not None:
        return f"ip:{ip.ipv4_mapped}"
    return f"ip:{IPv6Address(int(ip) >> 64 << 64)}/64"


def parse_sender(text: str, naming: Naming | None = None) -> str:
    """The canonical key of what a person typed; raises BadSender."""
    kind, colon, name = text.strip().partition(":")
    name = name.strip()
    if not colon or kind not in KINDS or not name:
        raise BadSender(
            f"{text!r} is not a sender: write KIND:NAME with one of the kinds {', '.join(KINDS)}, "
            "for example login:alice@example.com or ip:192.0.2.7"
        )
    if kind == "login":
        key = login_key(name, naming or Naming())
        if key == "login:":
            raise BadSender(f"{text!r} names no login: write KIND:NAME, for example login:alice@example.com")
        return key
    if kind == "ip":
        return _parsed_address(text, name)
    if kind == "uid" and not (name.isascii() and name.isdigit()):
        raise BadSender(f"{text!r}: a uid is a number, for example uid:1033")
    return f"{kind}:{bounded(name)}"


def _parsed_address(text: str, name: str) -> str:
    """A whole IPv4 address, or an IPv6 address with or without its /64."""
    address, slash, length = name.partition("/")
    try:
        whole = not slash or (ip_address(address).version == 6 and length == "64")
        ip_address(address)
    except ValueError:
        whole = False
    if not whole:
        raise BadSender(f"{text!r} is not one address: write ip:192.0.2.7 or, for IPv6, ip:2001:db8:1:2::/64")
    return ip_key(address)


def bounded(name: str) -> str:
    """The name without control characters; a longer one is cut and told apart by a digest."""
    if not name.isprintable():
        name = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)
    if len(name) <= LONGEST_NAME:
        return name
    digest = blake2b(name.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
    return f"{name[: LONGEST_NAME - len(digest) - 1]}~{digest}"
