"""Recipients that this sender has never got mail through to.

Theory: people write to people they know; a stranger with their password has a list. Days with n new
recipients thin out as n**-5 beyond what is usual (at 30 new ones an hour 1e-6 to 2e-4 of legitimate
account-days are left), and so do hours beyond two fifths of a usual day. What goes to known recipients speaks
for the owner.
Cost: none; counts of the ledger. Victims: the first letter to a whole address book, a new list.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.models import tail
from penstock.signals.view import OF_A_DAY, View

GROUP = "flow"
EXPONENT = 5.0
MOST = 7.0
LEAST_HOUR = 3.0
SCRIPT_HOUR = 2.0
"""A web site writes to strangers one by one."""
KNOWN = 0.3
"""Nats that each known recipient takes away, up to a third of the weight."""
OWNERS_COPY = 20
"""New recipients of a web site for which one known one says nothing: its owner reads along."""


def weigh(view: View) -> tuple[float, str] | None:
    """Novel recipients of the day and the hour against what is usual."""
    day = tail(view.today(Counter.NOVEL), view.usual_novel, EXPONENT, MOST)
    least = SCRIPT_HOUR if view.is_script else LEAST_HOUR
    usual = max(least, view.usual_novel * OF_A_DAY)
    hour = tail(view.hour[Counter.NOVEL], usual, EXPONENT, MOST)
    weight, counts = (hour, view.hour) if hour > day else (day, view.day)
    if not weight:
        return None
    novel, recipients = counts[Counter.NOVEL], counts[Counter.RECIPIENTS]
    known = recipients - novel - (novel // OWNERS_COPY if view.is_script else 0)
    weight -= min(KNOWN * max(0, known), weight / 3)
    when, most = ("in an hour", usual) if hour > day else ("today", view.usual_novel)
    return weight * view.seen, f"{novel:,} recipients {when} are new to it, usual is up to {most:,.0f}"
