"""Exact quantiles of counts, and the limits that would touch one in so many.

Nearest rank over all values, nothing interpolated. A quantile is given only when the data reaches
that far: one in 10,000 of 3,000 sender-days would be a guess, and is None.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Final

QUANTILES: Final = ("50", "90", "95", "99", "99.9", "99.99")
"""In percent."""

ONE_IN: Final = (100, 1_000, 10_000)


class Distribution:
    """Values with how often each occurred."""

    def __init__(self, counts: Mapping[int, int]) -> None:
        self.values = sorted(counts)
        self._up_to = list(accumulate(counts[value] for value in self.values))
        self.total = self._up_to[-1] if self._up_to else 0

    @property
    def most(self) -> int:
        """The largest value; 0 without any."""
        return self.values[-1] if self.values else 0

    def above(self, limit: int) -> int:
        """How many are above ``limit``."""
        i = bisect_right(self.values, limit)
        return self.total - (self._up_to[i - 1] if i else 0)

    def touching(self, one_in: int) -> int | None:
        """The smallest limit that at most one in ``one_in`` exceeds; None when there are fewer than that."""
        return self._at_most_above(self.total // one_in) if self.total >= one_in else None

    def quantile(self, percent: str) -> int | None:
        """The value that so many percent do not exceed; None when too few lie beyond it to tell."""
        whole, _, part = percent.partition(".")
        scale = 100 * 10 ** len(part)
        beyond = scale - int(whole + part)
        return self._at_most_above(self.total * beyond // scale) if self.total * beyond >= scale else None

    def _at_most_above(self, most: int) -> int:
        """The smallest value that at most ``most`` exceed."""
        return self.values[bisect_right(self._up_to, self.total - most - 1)]

    def curve(self, points: int = 160) -> list[tuple[int, float]]:
        """(value, share of all that reach it), rising by value, thinned evenly in the logarithm."""
        if not self.values:
            return []
        reaching = [self.total - before for before in [0, *self._up_to[:-1]]]
        found = [(value, n / self.total) for value, n in zip(self.values, reaching, strict=True)]
        factor = max(self.most, 2) ** (1 / points)
        kept, beyond = [found[0]], found[0][0] * factor
        for value, share in found[1:-1]:
            if value >= beyond:
                kept.append((value, share))
                beyond = value * factor
        return kept + found[len(found) - 1 :] if len(found) > 1 else kept
