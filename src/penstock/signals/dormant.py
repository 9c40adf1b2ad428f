"""An account that was silent for weeks writes to new people from a network that is not its own.

Theory: natural reactivations reach 3 to 8 recipients on the first day (p95), 73 at most, mostly from where
the owner always was; forgotten accounts are what stolen lists of passwords hold.
Cost: none. Victims: who comes back from a long leave, from elsewhere, with a letter to everybody.
"""

from __future__ import annotations

from penstock.core.habit import DORMANT
from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = ""
FROM = 30.0
"""Days of age: a new account was never awake."""

EACH = 0.5
MOST = 1.5


def weigh(view: View) -> tuple[float, str] | None:
    """A dormant sender's novel recipients."""
    beyond = view.today(Counter.NOVEL) - view.usual.novel
    foreign = view.today(Counter.FOREIGN_NOVEL)
    if view.habit.quiet < DORMANT or view.habit.age < FROM or beyond <= 0 or not foreign:
        return None
    return min(EACH * beyond, MOST), f"it had been silent for {view.habit.quiet} days or more"
