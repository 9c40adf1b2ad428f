"""Recipients of the day against what is usual.

Theory: a ratio alone fails (legitimate p99.9 is 15 to 74 times the median day), so it is measured against
the second-busiest day of the month, or a floor, and weighs as the square root of novelty does.
Cost: none. Victims: newsletters on their first busy day, known recipients or not: so the cap is low.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.models import tail
from penstock.signals.view import View

GROUP = "flow"
EXPONENT = 1.5
MOST = 3.0


def weigh(view: View) -> tuple[float, str] | None:
    """Today's recipients against the habit."""
    recipients = view.today(Counter.RECIPIENTS)
    usual = max(view.usual.recipients, view.habit.recipients * 1.5)
    weight = tail(recipients, usual, EXPONENT, MOST)
    if not weight:
        return None
    return weight * view.seen, f"{recipients:,} recipients today, usual is up to {usual:,.0f}"
