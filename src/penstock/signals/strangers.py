"""New recipients whom nobody here has ever written to.

Theory: a customer's new correspondents are often known to somebody else on the platform, addresses of a
bought list seldom. Attack 95 %, honest 75 % strangers among the new ones: 0.24 nats each way up to 1.5.
Cost: none. Victims: customers in a field of their own; therefore the small cap.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = "flow"
EACH = 0.24
OTHERS = 1.6
"""Nats against: ln(0.25 / 0.05) for each new recipient that somebody here knows."""

MOST = 1.5


def weigh(view: View) -> tuple[float, str] | None:
    """Strangers among today's novel recipients."""
    novel, strangers = view.today(Counter.NOVEL), view.today(Counter.STRANGERS)
    if novel <= view.usual_novel:
        return None
    weight = max(-MOST, min(MOST, EACH * strangers - OTHERS * (novel - strangers)))
    if not strangers:
        return weight, f"each of the {novel:,} new recipients is known to somebody here"
    them = f"{strangers:,}" if strangers < novel else "any"
    return weight, f"nobody here knows {them} of the {novel:,} new recipients"
