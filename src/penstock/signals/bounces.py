"""Addresses that do not exist, each counted once.

Theory: Wald's test on outcomes with mixtures on both sides: honest lists have 0.5 % dead addresses, stale
ones 3 to 12 %; bought ones 3 to 45 %. Deliveries speak for the sender. One dead address that bounces for ever
is counted once.
Cost: none. Victims: the change-of-address notice to an old address book (5 % dead).
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.models import mixture
from penstock.signals.view import View

GROUP = ""
HONEST = ((0.003, 0.60), (0.01, 0.20), (0.03, 0.12), (0.06, 0.06), (0.12, 0.02))
STOLEN = ((0.03, 0.20), (0.10, 0.30), (0.25, 0.30), (0.45, 0.20))
LEAST, MOST = -6.0, 12.0


def weigh(view: View) -> tuple[float, str] | None:
    """Today's dead addresses against deliveries."""
    dead, delivered = view.today(Counter.NEWLY_DEAD), view.today(Counter.DELIVERED)
    if not dead and view.today(Counter.NOVEL) <= view.usual.novel:
        return None
    good = min(delivered, 10 * view.today(Counter.NOVEL))
    weight = mixture(dead, good, STOLEN) - mixture(dead, good, HONEST)
    weight = max(LEAST, min(MOST, weight))
    return weight, f"{dead} addresses do not exist, {delivered} recipients got it"
