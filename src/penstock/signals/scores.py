"""The operator's own spam filter scored messages high.

Theory: filters find one honest message in a hundred guilty, and three in ten of a stranger's. The others of
the day dilute it; a low score itself says nothing, since it is what a spammer tries out before he sends.
Cost: none. Victims: a newsletter or a web site's mail that trips the filter: then the share is high though
nobody has broken in.
"""

from __future__ import annotations

import math

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.view import View

GROUP = "filter"
HONEST = 0.01
STOLEN = 0.3
MOST = 4.0
ONE = 1.0
"""Nats that one message says at most."""


def weigh(view: View) -> tuple[float, str] | None:
    """Today's messages with a high score, against the others."""
    found = view.today(Counter.SPAM_SCORED)
    if not found:
        return None
    others = max(0, view.today(Counter.MESSAGES) - found)
    weight = found * math.log(STOLEN / HONEST) + others * math.log((1 - STOLEN) / (1 - HONEST))
    if weight <= 0:
        return None
    return min(weight, MOST if found > 1 else ONE), f"the spam filter scored {count(found, 'message')} high"
