"""Client networks that this login has never used.

Theory: a stolen password is used from elsewhere: 9 in 10 attacks come from a network (/16 of IPv4, /32 of
IPv6) new to the account, and often from many (one account: 342 addresses in 41 countries); an honest login
meets a new one on about 1 day in 30 (travel, a new telephone contract).
Cost: none. Victims: travellers and users of a VPN: one new network alone slows nobody.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = ""
FIRST = 3.0
EACH_MORE = 1.2
MOST = 7.0
YOUNG = 3
"""Active days before which every network is new."""


def weigh(view: View) -> tuple[float, str] | None:
    """Networks that are new today, beyond those that are usual."""
    found = view.today(Counter.NETWORKS) - view.habit.networks
    if view.kind != "login" or found <= 0:
        return None
    share = min(1.0, view.habit.active / YOUNG)
    weight = min(FIRST + EACH_MORE * (found - 1), MOST) * share
    word = "network" if found == 1 else "networks"
    return (weight, f"it came from {found} {word} that it has never used before") if weight else None
