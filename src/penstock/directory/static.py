"""Senders named in the policy file: by key, and networks by longest prefix.

Networks lie in one dict per prefix length, keyed by the leading bits as a number, the longest
first. An address costs one dict look-up per length in use (at most 33 for IPv4, 65 for IPv6),
however many networks there are; a login costs one look-up in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, inet_pton

from penstock.core.policy import Entry

LONGEST_IPV6 = 64
"""IPv6 senders are counted by their /64, so no longer network can be told apart."""

Table = list[tuple[int, dict[int, Entry]]]
"""(bits to drop from the address, entry by what remains), longest prefix first."""


class Static:
    """Entries that are known from the start. Raises ValueError for a network that is none."""

    def __init__(self, entries: Mapping[str, Entry], networks: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)
        self._ipv4, self._ipv6 = _tables(networks)

    def get(self, key: str) -> Entry | None:
        """The sender's own entry, else that of the smallest network that holds it."""
        found = self._entries.get(key)
        if found is None and key.startswith("ip:"):
            return self._by_network(key)
        return found

    def _by_network(self, key: str) -> Entry | None:
        address = key[3:].removesuffix("/64")
        family, table = (AF_INET6, self._ipv6) if ":" in address else (AF_INET, self._ipv4)
        try:
            number = int.from_bytes(inet_pton(family, address), "big")
        except (OSError, ValueError):
            return None
        for drop, entries in table:
            found = entries.get(number >> drop)
            if found is not None:
                return found
        return None


def _tables(networks: Mapping[str, Entry]) -> tuple[Table, Table]:
    found: dict[int, dict[int, dict[int, Entry]]] = {4: {}, 6: {}}
    for text, entry in networks.items():
        network = ip_network(text)
        if network.version == 6 and network.prefixlen > LONGEST_IPV6:
            raise ValueError(f"{text}: IPv6 senders are counted by their /64; write /64 or shorter")
        drop = network.max_prefixlen - network.prefixlen
        found[network.version].setdefault(drop, {})[int(network.network_address) >> drop] = entry
    return sorted(found[4].items(), key=_drop), sorted(found[6].items(), key=_drop)


def _drop(row: tuple[int, dict[int, Entry]]) -> int:
    return row[0]
