"""Other hosts refuse the mail for its content, our reputation or its rate.

Theory: honest mail meets such a reply in about 0.5 % of recipients; when our address is listed everybody
does, so what the other senders meet within the same hour is what is expected of this one.
Cost: none. Victims: a customer whose newsletter trips a filter, alone.
"""

from __future__ import annotations

import math

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = ""
HONEST = 0.005
STOLEN = 0.15
MOST = 6.0


def weigh(view: View) -> tuple[float, str] | None:
    """Today's refusals about us."""
    found = sum(view.today(c) for c in (Counter.REPUTATION, Counter.CONTENT, Counter.THROTTLED))
    expected = max(HONEST, view.refused_elsewhere)
    if not found or expected >= STOLEN:
        return None
    weight = min(found * math.log(STOLEN / expected), MOST)
    return weight, f"{found} recipients were refused for content, reputation or rate"
