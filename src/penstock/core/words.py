"""Numbers of things, as a person says them."""

from __future__ import annotations


def count(n: int, one: str, many: str = "") -> str:
    """``1 line``, ``1,200 lines``; ``many``: where that is not ``one`` with an s."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
