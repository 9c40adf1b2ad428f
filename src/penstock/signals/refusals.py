"""Other hosts refuse the mail for its content, our reputation or its rate.

Theory: honest mail meets such a reply in 1 to 3 % of recipients, stolen accounts' in 15 %; those that were
delivered speak against it. When our address is listed everybody is refused, so what the other senders meet
within the same hour is what is expected of this one. A rate is refused to large newsletters, too, and one
filter may dislike an honest one; where a quarter is refused as spam or for our reputation, it is spam, and
costs our reputation whoever sends it: that says more, against twice of what an honest sender meets.
Cost: none. Victims: a customer whose newsletter trips the filters of many providers, alone.
"""

from __future__ import annotations

import math

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.view import View

GROUP = "filter"
HONEST = 0.03
STOLEN = 0.15
MOST = 4.0
ONE = 0.4
"""Nats that one refusal says at most."""

DISLIKED, SPAM = 0.06, 0.25
"""Shares that are refused as spam or for our reputation: of an honest sender in trouble, of a bot in full
flow."""

MOST_OF_SPAM = 3.0


def weigh(view: View) -> tuple[float, str] | None:
    """Today's refusals about us."""
    spam = view.today(Counter.REPUTATION) + view.today(Counter.CONTENT)
    found = spam + view.today(Counter.THROTTLED)
    expected = max(HONEST, view.refused_elsewhere)
    if not found or expected >= STOLEN:
        return None
    delivered = view.today(Counter.DELIVERED)
    weight = _odds(found, delivered, STOLEN, expected)
    if weight <= 0:
        return None
    weight = min(weight, MOST if found > 1 else ONE)
    if spam > 1 and (common := max(DISLIKED, 2 * expected)) < SPAM:
        weight += max(0.0, min(_odds(spam, delivered, SPAM, common), MOST_OF_SPAM))
    them = count(found, "recipient was", "recipients were")
    return weight, f"{them} refused for content, reputation or rate"


def _odds(refused: int, delivered: int, stolen: float, honest: float) -> float:
    return refused * math.log(stolen / honest) + delivered * math.log((1 - stolen) / (1 - honest))
