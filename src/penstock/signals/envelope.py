"""Envelope senders that this login has never used.

Theory: people have a few identities; bots change theirs or forge others'. One new one is nothing (1 honest
day in 50), each further one on the same day is rare.
Cost: none. Victims: software that sends under its customers' names.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.view import View

GROUP = ""
FIRST = 1.0
EACH_MORE = 1.0
MOST = 4.0


def weigh(view: View) -> tuple[float, str] | None:
    """Envelope senders that are new today, beyond those that are usual."""
    found = view.today(Counter.ENVELOPES) - view.habit.envelopes
    if view.kind != "login" or found <= 0 or view.habit.active < 3:
        return None
    return min(FIRST + EACH_MORE * (found - 1), MOST), f"it wrote under {count(found, 'new envelope sender')}"
