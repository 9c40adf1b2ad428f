"""Client networks that are not known to be those of the senders who come from them.

A network is a sender's own when people whom the sender knows got mail from it on two days. Mail to
strangers makes no network anybody's own, however long it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

DAY: Final = 86400
MOST_NETWORKS: Final = 50_000
MOST_ACCOUNTS: Final = 16
TAINT: Final = 14 * DAY
"""Seconds for which a network that an incident came from is remembered."""


@dataclass(slots=True)
class Day:
    """One network on one day: accounts to which it is foreign, their recipients known and new to them."""

    day: int
    accounts: set[str] = field(default_factory=set)
    known: int = 0
    novel: int = 0


class Networks:
    """What foreign networks are used for. ``narrow``: as ``networks_of`` gives it."""

    def __init__(self) -> None:
        self._days: dict[str, Day] = {}
        self._tainted: dict[str, float] = {}

    def used(self, narrow: str, key: str, second: int, novel: bool) -> None:
        """A recipient of a sender to whom the network is foreign."""
        found = self._days.get(narrow)
        if found is None or found.day != second // DAY:
            self._days.pop(narrow, None)
            _make_room(self._days)
            found = self._days[narrow] = Day(second // DAY)
        if len(found.accounts) < MOST_ACCOUNTS:
            found.accounts.add(key)
        if novel:
            found.novel += 1
        else:
            found.known += 1

    def today(self, narrow: str, second: int) -> Day | None:
        """What the network was used for today."""
        found = self._days.get(narrow)
        return found if found is not None and found.day == second // DAY else None

    def forget(self, second: int) -> None:
        """Drop the days that are over."""
        today = second // DAY
        for narrow in [narrow for narrow, found in self._days.items() if found.day < today]:
            del self._days[narrow]

    def taint(self, narrow: str, at: float) -> None:
        """An incident came from there."""
        self._tainted.pop(narrow, None)
        _make_room(self._tainted)
        self._tainted[narrow] = at

    def clear(self, narrow: str) -> None:
        """It was no incident."""
        self._tainted.pop(narrow, None)

    def is_tainted(self, narrow: str, since: float, at: float) -> bool:
        """Whether an incident came from there after ``since``."""
        return self._tainted.get(narrow, -1.0) > max(since, at - TAINT)


def _make_room(table: dict[str, Day] | dict[str, float]) -> None:
    if len(table) >= MOST_NETWORKS:
        del table[next(iter(table))]


@lru_cache(maxsize=1 << 16)
def networks_of(address: str) -> tuple[str, str]:
    """(/16, /24) of an IPv4 address, (/32, /48) of an IPv6 one; ("", "") of what is neither."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "", ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            groups = found.exploded.split(":")
            return ":".join(groups[:2]), ":".join(groups[:3])
        found = found.ipv4_mapped
    parts = str(found).split(".")
    return ".".join(parts[:2]), ".".join(parts[:3])


def wide_of(narrow: str) -> str:
    """The wider network around a narrow one."""
    mark = "." if "." in narrow else ":"
    return narrow.rpartition(mark)[0]
