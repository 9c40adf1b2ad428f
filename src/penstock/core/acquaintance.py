"""Who has met whom: pairs of sender and recipient, network, envelope; and addresses that are dead.

Theory. Two Bloom filters of fixed size, a young and an old one. A pair is added to the young one; when that
is full, it becomes the old one, and the old one begins anew; a pair that is met again in the old one is
added to the young one, so what is in use stays. Keys are hashed with a secret, so nobody can look for
collisions.
Cost. ``BYTES`` in all, whatever is sent: no sender has a share of it that grows. One look is a hash and at
most five bits of each filter.
Victims. About 1 pair in 100 is taken for met when it is not: a stranger passes for an acquaintance. A
flood of new pairs ages what others have learned: they are then taken for new once more, which alone
stops nobody.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

BYTES: Final = 16 << 20
"""Of both filters together: 6.7 million pairs each at 10 bits a pair."""

BITS_A_PAIR: Final = 10
_PROBES: Final = 5


class Acquaintance:
    """The pairs of one node. ``key``: the secret, at most 64 bytes."""

    def __init__(self, key: bytes, size: int = BYTES) -> None:
        self._key = key
        self._bits = size // 2 * 8
        self._young = bytearray(size // 2)
        self._old = bytearray(size // 2)
        self.met = 0
        """Pairs in the young filter."""

    def digest(self, kind: str, sender: str, other: str) -> int:
        """A pair's number, for ``knows`` and ``meet``."""
        text = f"{kind}\0{sender}\0{other}".encode("utf-8", "backslashreplace")
        return int.from_bytes(blake2b(text, digest_size=16, key=self._key).digest(), "little")

    def knows(self, pair: int) -> bool:
        """Whether the pair has met."""
        return _has(self._young, pair, self._bits) or _has(self._old, pair, self._bits)

    def meet(self, pair: int) -> bool:
        """They meet now; whether they had met before."""
        if _has(self._young, pair, self._bits):
            return True
        known = _has(self._old, pair, self._bits)
        step, at = pair >> 64 | 1, pair & 0xFFFF_FFFF_FFFF_FFFF
        for _ in range(_PROBES):
            bit = at % self._bits
            self._young[bit >> 3] |= 1 << (bit & 7)
            at += step
        self.met += 1
        if self.met * BITS_A_PAIR >= self._bits:
            self._old, self._young = self._young, bytearray(len(self._old))
            self.met = 0
        return known

    def pack(self) -> tuple[bytes, bytes, int]:
        """(young, old, pairs in the young one), for ``load``."""
        return bytes(self._young), bytes(self._old), self.met

    def load(self, young: bytes, old: bytes, met: int) -> None:
        """Take up what was packed; raises ValueError when it is of another size."""
        if len(young) != len(self._young) or len(old) != len(self._old):
            raise ValueError("filters of another size")
        self._young, self._old, self.met = bytearray(young), bytearray(old), met


def _has(filter_: bytearray, pair: int, bits: int) -> bool:
    step, at = pair >> 64 | 1, pair & 0xFFFF_FFFF_FFFF_FFFF
    for _ in range(_PROBES):
        bit = at % bits
        if not filter_[bit >> 3] >> (bit & 7) & 1:
            return False
        at += step
    return True
