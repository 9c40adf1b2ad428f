"""Small models that signals share."""

from __future__ import annotations

import math
from collections.abc import Sequence

Rates = Sequence[tuple[float, float, float]]


def tail(n: float, usual: float, exponent: float, most: float) -> float:
    """Weight of ``n`` where up to ``usual`` is nothing special: honest days beyond it thin out as a power law
    (Pareto), an attacker's do not. At most ``most`` nats."""
    return min(exponent * math.log(n / usual), most) if n > usual else 0.0


def rates(*pairs: tuple[float, float]) -> Rates:
    """(rate, weight) pairs as ``mixture`` reads them."""
    return [(math.log(weight), math.log(rate), math.log(1 - rate)) for rate, weight in pairs]


def mixture(bad: float, good: float, under: Rates) -> float:
    """Log-likelihood of ``bad`` among ``bad + good`` under a mixture of rates."""
    terms = [weight + bad * yes + good * no for weight, yes, no in under]
    most = max(terms)
    return most + math.log(sum([math.exp(term - most) for term in terms]))
