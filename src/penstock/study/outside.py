"""Whether mail has left the platform."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final

_INSIDE: Final = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
"""RFC 1918, RFC 6598, RFC 4193, loopback, link-local."""


@lru_cache(4096)
def is_outside(relay: str) -> bool:
    """Whether ``mx.example.org[192.0.2.1]:25`` is a host beyond the platform's own networks."""
    begin, end = relay.rfind("["), relay.rfind("]")
    try:
        address = ip_address(relay[begin + 1 : end]) if 0 <= begin < end else None
    except ValueError:
        return False
    return address is not None and not any(address in network for network in _INSIDE)
