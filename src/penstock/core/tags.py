"""Tags: the secret in a header field by which a professional customer's software is told from whoever else
uses its networks or logins.

How it works: secrets are kept and looked up as keyed digests, the key being this process's own, so that how
long a look-up takes tells nothing about a secret. A right tag counts only from the networks or logins of the
customer whose tag it is. Cost: one HMAC a message that has a tag, and one look-up for each prefix length.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

LONGEST: Final = 1024
"""Bytes of a tag that are looked at; secrets are shorter."""


class Result(StrEnum):
    """What became of a message's tag. ``NONE``: no tag, and none was expected."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    FOREIGN = "foreign"
    """A customer's right tag, from elsewhere: stolen, or its new machine is not known here."""
    NONE = "none"


BAD: Final = (Result.MISSING, Result.WRONG, Result.FOREIGN)


@dataclass(frozen=True)
class TagRule:
    """One customer. ``header``: the tag's field name, in small letters; ``secrets``: all that hold now;
    ``logins``: canonical keys (``login:…``)."""

    customer: str
    header: str
    secrets: tuple[bytes, ...] = field(repr=False)
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    logins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """``customer``: whose tag it is, or whose client it is when there is no good tag; "" for nobody's."""

    result: Result
    customer: str = ""


NOTHING: Final = Judged(Result.NONE)


class Tags:
    """The tags of all customers. ``headers``: the field names (small letters) that no mail may keep."""

    def __init__(self, rules: Iterable[TagRule], key: bytes) -> None:
        self._key = key
        self._owners: dict[tuple[str, bytes], str] = {}
        self._logins: dict[str, set[str]] = {}
        self._networks: dict[tuple[int, int], dict[int, set[str]]] = {}
        found = tuple(rules)
        self.headers = frozenset(rule.header for rule in found)
        for rule in found:
            for secret in rule.secrets:
                self._owners[rule.header, self._digest(secret)] = rule.customer
            for login in rule.logins:
                self._logins.setdefault(login, set()).add(rule.customer)
            for network in rule.networks:
                drop = network.max_prefixlen - network.prefixlen
                table = self._networks.setdefault((network.version, drop), {})
                table.setdefault(int(network.network_address) >> drop, set()).add(rule.customer)

    def judge(self, login: str, address: str, values: Mapping[str, Sequence[bytes]]) -> Judged:
        """``login``: the client's canonical key or ""; ``values``: header (small letters) → what its fields
        said, as they came. Of several fields all must say the same."""
        clients = self._customers_of(login, address)
        if not values:
            return Judged(Result.MISSING, min(clients)) if clients else NOTHING
        owners = {self._owner(header, value) for header, found in values.items() for value in found}
        owner = owners.pop() if len(owners) == 1 else ""
        if not owner:
            return Judged(Result.WRONG, min(clients, default=""))
        return Judged(Result.OK if owner in clients else Result.FOREIGN, owner)

    def _owner(self, header: str, value: bytes) -> str:
        """Whose tag that is; folds and spaces are no part of it."""
        if len(value) > LONGEST:
            return ""
        return self._owners.get((header, self._digest(b"".join(value.split()))), "")

    def _digest(self, secret: bytes) -> bytes:
        return hmac.digest(self._key, secret, "sha256")

    def _customers_of(self, login: str, address: str) -> set[str]:
        """Whose client that is."""
        found = set(self._logins.get(login, ())) if login else set()
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return found
        return found | self._customers_at(ip)

    def _customers_at(self, ip: IPv4Address | IPv6Address) -> set[str]:
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        number, found = int(ip), set()
        for (version, drop), table in self._networks.items():
            if version == ip.version:
                found |= table.get(number >> drop, set())
        return found
