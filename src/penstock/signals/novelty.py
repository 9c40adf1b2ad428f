"""Recipients that this sender has never got mail through to.

Theory: people write to people they know; a stranger with their password has a list. Days with n new
recipients thin out as n**-4 beyond what is usual (at 30 new ones an hour 1e-6 to 2e-4 of legitimate
account-days are left). What goes to known recipients speaks for the owner.
Cost: none; counts of the ledger. Victims: the first letter to a whole address book, a new list.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.models import tail
from penstock.signals.view import View

GROUP = "flow"
EXPONENT = 4.0
MOST = 7.5
KNOWN = 0.3
"""Nats that each known recipient takes away, up to half of the weight."""


def weigh(view: View) -> tuple[float, str] | None:
    """Today's novel recipients against what is usual."""
    novel, recipients = view.today(Counter.NOVEL), view.today(Counter.RECIPIENTS)
    usual = max(view.usual.novel, view.habit.novel * 1.5)
    weight = tail(novel, usual, EXPONENT, MOST)
    if not weight:
        return None
    weight -= min(KNOWN * max(0, recipients - novel), weight / 2)
    return (
        weight,
        f"{novel} of today's {recipients} recipients are new to it, usual is up to {usual:.0f} a day",
    )
