"""Recipients that had bounced for somebody else here before.

Theory: spammers' lists overlap, and dead addresses stay on them; an honest sender hits an address that
another customer's mail has bounced from in less than 1 % of new recipients, a bought list in 3 to 20 %. It is
told before the mail is sent; what bounces then is counted once more by its outcome, therefore the low cap.
Cost: none; one look in the shared filter. Victims: two honest users of one stale source.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.models import mixture, rates
from penstock.signals.view import View

GROUP = ""
HONEST = rates((0.001, 0.80), (0.01, 0.18), (0.04, 0.02))
STOLEN = rates((0.01, 0.40), (0.05, 0.35), (0.15, 0.25))
MOST = 4.5
ONE = 1.2
"""Nats that one such recipient says at most: among few it is chance, and its bounce is counted, too."""


def weigh(view: View) -> tuple[float, str] | None:
    """Today's recipients that are known to be dead, against the other new ones."""
    dead = view.today(Counter.DEAD)
    others = max(0, view.today(Counter.NOVEL) - dead)
    weight = mixture(dead, others, STOLEN) - mixture(dead, others, HONEST) if dead else 0.0
    if weight <= 0:
        return None
    weight = min(weight, MOST if dead > 1 else ONE)
    return weight, f"{count(dead, 'recipient was', 'recipients were')} known to be dead"
