"""Client addresses as logged: valid, or none."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=8192)
def valid(told: str) -> str:
    """The IP address if it is one, "" otherwise. Give it short texts only: it remembers them."""
    try:
        ip_address(told)
    except ValueError:
        return ""
    return told
