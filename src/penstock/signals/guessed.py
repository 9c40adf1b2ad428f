"""Somebody tried many passwords before.

Theory: a guessed password shows as a run of failures; but every account is tried by somebody, so this
weighs only beside a login from a new network.
Cost: none. Victims: who has changed his password and forgot a telephone.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.view import View

GROUP = "network"
FAILURES = 20
WEIGHT = 1.0


def weigh(view: View) -> tuple[float, str] | None:
    """Failures of the day beside a new network."""
    failures = view.today(Counter.LOGIN_FAILURES)
    if failures < FAILURES or not view.today(Counter.FOREIGN_NOVEL):
        return None
    return WEIGHT, f"{count(failures, 'login')} failed today"
