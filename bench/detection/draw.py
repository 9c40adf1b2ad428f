"""Draws from distributions, and the shape of a day."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random
from typing import Final, TypeVar

from bench.detection.params import Range

T = TypeVar("T")
DAY: Final = 86400.0
HOUR: Final = 3600.0

# Messages by hour of the day, as in both of the shared sets (peak in office hours, a tail at night).
HOURS: Final = tuple(
    accumulate(
        [7, 5, 4, 4, 6, 15, 60, 150, 200, 205, 190, 185, 180, 190, 165, 120, 85, 60, 50, 45, 40, 32, 20, 11]
    )
)


def log_uniform(rng: Random, between: Range) -> float:
    """Each order of magnitude alike."""
    low, high = between
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def whole(rng: Random, between: Range) -> int:
    """A log-uniform whole number."""
    return round(log_uniform(rng, between))


def poisson(rng: Random, mean: float) -> int:
    """Knuth for small means, the normal approximation above."""
    if mean > 40:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, n, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        n += 1
        product *= rng.random()
    return n


def moment(rng: Random, shift: float = 0.0) -> float:
    """Seconds into a day, by the usual hours; ``shift``: hours that this account's day is off."""
    hour = rng.choices(range(24), cum_weights=HOURS)[0]
    return ((hour + shift) % 24 + rng.random()) * HOUR % DAY


def gaps(rng: Random, mean: float) -> Iterator[float]:
    """Endless pauses between messages of a program or a tool. The shape is drawn once: a steady loop with
    little jitter, independent arrivals, or bursts; honest programs and spammers' tools are of all kinds."""
    shape = rng.choice((0.35, 1.0, 1.0, 4.0, 30.0, 200.0))
    while True:
        yield rng.gammavariate(shape, mean / shape)


def weighted(rng: Random, choices: Sequence[T], cumulated: Sequence[float]) -> T:
    """One of ``choices``."""
    return rng.choices(choices, cum_weights=cumulated)[0]


def is_weekend(at: float) -> bool:
    """Day 0 of a corpus is a Monday."""
    return int(at // DAY) % 7 >= 5
