"""Other hosts refuse the mail for its content, our reputation or its rate.

Theory: honest mail meets such a reply in 1 to 3 % of recipients, stolen accounts' in 15 %; those that were
delivered speak against it. When our address is listed everybody is refused, so what the other senders meet
within the same hour is what is expected of this one.
Cost: none. Victims: a customer whose newsletter trips a filter, alone.
"""

from __future__ import annotations

import math

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = "filter"
HONEST = 0.03
STOLEN = 0.15
MOST = 4.0
ONE = 0.4
"""Nats that one refusal says at most."""


def weigh(view: View) -> tuple[float, str] | None:
    """Today's refusals about us."""
    found = sum(view.today(c) for c in (Counter.REPUTATION, Counter.CONTENT, Counter.THROTTLED))
    delivered = view.today(Counter.DELIVERED)
    expected = max(HONEST, view.refused_elsewhere)
    if not found or expected >= STOLEN:
        return None
    weight = found * math.log(STOLEN / expected) + delivered * math.log((1 - STOLEN) / (1 - expected))
    if weight <= 0:
        return None
    return min(
        weight, MOST if found > 1 else ONE
    ), f"{found} recipients were refused for content, reputation or rate"
