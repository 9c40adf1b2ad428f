"""Who has met whom: pairs of sender and recipient, network, envelope; and addresses that are dead.

Theory. Two Bloom filters of fixed size, a young and an old one. A pair is added to the young one; when that
is full, it becomes the old one, and the old one begins anew; a pair that is met again in the old one is
added to the young one, so what is in use stays. A pair has three bits in each of two words of 64 bits:
as selective as five bits anywhere, and two looks instead of five. A pair's number is the exclusive or of the
numbers of whoever is in it and of the kind of pair, so each name is hashed once for all that is asked about
it. Names are hashed with a secret, so nobody can look for collisions.
Cost. ``BYTES`` in all, whatever is sent: no sender has a share of it that grows. One look is at most two
words of each filter.
Victims. About 1 pair in 100 is taken for met when it is not: a stranger passes for an acquaintance. A
flood of new pairs ages what others have learned: they are then taken for new once more, which alone
stops nobody.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

BYTES: Final = 16 << 20
"""Of both filters together: 6.1 million pairs each at 11 bits a pair."""

BITS_A_PAIR: Final = 11

_MASKS: Final = [1 << (i & 63) | 1 << (i >> 6) | 1 << ((37 * i + 11 * (i >> 6)) & 63) for i in range(4096)]
"""Three bits of a word for twelve bits of a hash."""


class Acquaintance:
    """The pairs of one node. ``key``: the secret; ``size``: bytes of both filters, a power of two, at most
    ``BYTES``.

    ``met``: pairs in the young filter, of ``capacity``; ``turns``: how often that was full since the
    process began; ``since``: when it began to learn, seconds since the epoch.
    """

    def __init__(self, key: bytes, size: int = BYTES) -> None:
        self.key = key
        self._hasher = blake2b(key, digest_size=8).copy  # BLAKE2 needs no HMAC: the secret goes first
        self._last = size // 16 - 1
        self.capacity = size // 2 * 8 // BITS_A_PAIR
        self._young = _filter(size // 2)
        self._old = _filter(size // 2)
        self.met = 0
        self.turns = 0
        self.since = 0.0

    def number(self, name: str) -> int:
        """A name's number (64 bits): the exclusive or of some, and of a ``kind_of``, makes a pair."""
        hasher = self._hasher()
        hasher.update(name.encode("utf-8", "backslashreplace"))
        return int.from_bytes(hasher.digest(), "little")

    def knows(self, pair: int) -> bool:
        """Whether the pair has met."""
        first, second = pair & self._last, pair >> 20 & self._last
        one, two = _MASKS[pair >> 40 & 4095], _MASKS[pair >> 52]
        young = self._young
        if young[first] & one == one and young[second] & two == two:
            return True
        old = self._old
        return old[first] & one == one and old[second] & two == two

    def meet(self, pair: int) -> bool:
        """They meet now; whether they had met before."""
        first, second = pair & self._last, pair >> 20 & self._last
        one, two = _MASKS[pair >> 40 & 4095], _MASKS[pair >> 52]
        young, old = self._young, self._old
        if young[first] & one == one and young[second] & two == two:
            return True
        known = old[first] & one == one and old[second] & two == two
        young[first] |= one
        young[second] |= two
        self.met += 1
        if self.met >= self.capacity:
            self._old, self._young = young, _filter(young.nbytes)
            self.met = 0
            self.turns += 1
        return known

    def pack(self) -> tuple[memoryview, memoryview, int]:
        """(young, old, pairs in the young one), for ``load``. The filters are no copies: bits that are set
        while they are read may show or not, and a pair of which only half shows is one not met."""
        return self._young.cast("B").toreadonly(), self._old.cast("B").toreadonly(), self.met

    def load(self, young: bytes | memoryview, old: bytes | memoryview, met: int) -> None:
        """Take up what was packed; raises ValueError when it is of another size."""
        if len(young) != self._young.nbytes or len(old) != self._old.nbytes:
            raise ValueError("filters of another size")
        self._young, self._old, self.met = _words(bytearray(young)), _words(bytearray(old)), met


def kind_of(name: str) -> int:
    """The number of a kind of pair."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def _filter(size: int) -> memoryview:
    return _words(bytearray(size))


def _words(raw: bytearray) -> memoryview:
    return memoryview(raw).cast("Q")
