"""Several accounts are used from one network that is foreign to all of them (snowshoe).

Theory: a bot has a list of passwords, and uses one after the other to write to strangers. Honest accounts
meet in a foreign /24 too (a carrier, a conference), but there most of their recipients are known to them: so
all that these accounts send from there is looked at as a whole, and known recipients take the weight away.
Cost: a bounded table of networks. Victims: customers behind a network that a bot uses as well.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = "campaign"
EACH = 0.8
MOST = 3.0
TAINTED = 2.0
OF_BURST = 0.3
"""Campaigns of many accounts send little from each."""


def weigh(view: View) -> tuple[float, str] | None:
    """Accounts that share today's foreign network, or its past."""
    if not view.today(Counter.FOREIGN_NOVEL):
        return None
    total = view.shared_known + view.shared_novel
    strange = max(0.0, view.shared_novel - 2.0 * view.shared_known) / max(1, total)
    if view.is_burst:
        strange *= OF_BURST
    if view.tainted:
        return TAINTED * strange, "it came from a network that was seen in an incident"
    if view.shared < 2:
        return None
    return min(EACH * (view.shared - 1), MOST) * strange, (
        f"{view.shared} accounts wrote to {view.shared_novel:,} new and {view.shared_known:,} known "
        "recipients from a network that is foreign to all of them"
    )
