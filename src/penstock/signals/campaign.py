"""Several accounts are used from one network that is new to all of them (snowshoe).

Theory: a bot has a list of passwords, and tries one after the other; two honest accounts seldom come from
the same new /24 on one day unless it is a carrier's, where many old acquaintances are too.
Cost: a bounded table of networks. Victims: a conference's WLAN.
"""

from __future__ import annotations

from penstock.signals.view import View

GROUP = ""
EACH = 1.5
MOST = 6.0
TAINTED = 4.0


def weigh(view: View) -> tuple[float, str] | None:
    """Accounts that share today's new network, or its past."""
    if view.tainted:
        return TAINTED, "it came from a network that was seen in an incident"
    if view.shared < 2:
        return None
    return min(EACH * (view.shared - 1), MOST), f"its new network is new to {view.shared} accounts today"
