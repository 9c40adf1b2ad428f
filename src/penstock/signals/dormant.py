"""An account that was silent for weeks writes to new people.

Theory: natural reactivations reach 3 to 8 recipients on the first day (p95), 73 at most; forgotten
accounts are what stolen lists of passwords hold.
Cost: none. Victims: who comes back from a long leave with a letter to everybody.
"""

from __future__ import annotations

from penstock.core.habit import DORMANT
from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = "flow"
FROM = 30.0
"""Days of age: a new account was never awake."""

MOST = 4.0


def weigh(view: View) -> tuple[float, str] | None:
    """A dormant sender's novel recipients."""
    novel = view.today(Counter.NOVEL)
    if view.habit.quiet < DORMANT or view.habit.age < FROM or novel < view.usual.novel:
        return None
    return min(
        0.8 * (novel - view.usual.novel + 1), MOST
    ), f"it had been silent for {view.habit.quiet} days or more"
