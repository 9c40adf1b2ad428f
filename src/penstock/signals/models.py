"""Small models that signals share."""

from __future__ import annotations

import math
from collections.abc import Sequence


def tail(n: float, usual: float, exponent: float, most: float) -> float:
    """Weight of ``n`` where up to ``usual`` is nothing special: honest days beyond it thin out as a power law
    (Pareto), an attacker's do not. At most ``most`` nats."""
    return min(exponent * math.log(n / usual), most) if n > usual else 0.0


def mixture(bad: int, good: int, rates: Sequence[tuple[float, float]]) -> float:
    """Log-likelihood of ``bad`` among ``bad + good`` under rates with these weights."""
    terms = [math.log(w) + bad * math.log(p) + good * math.log(1 - p) for p, w in rates]
    most = max(terms)
    return most + math.log(sum(math.exp(term - most) for term in terms))
