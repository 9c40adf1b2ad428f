"""Strangers are written to from a network that is not the sender's own.

Theory: a stolen password is used from elsewhere: 9 in 10 attacks come from a network (/16 of IPv4, /32 of
IPv6) that the account has not used, and often from many (one account: 342 addresses in 41 countries); an
honest login is met in a foreign one on about 1 day in 30 (travel, a new telephone contract). There the owner
goes on writing to whom he knows, a stranger writes to strangers: each recipient weighs, new (19 of 20 in
attacks) or known, against the share that is usual for this sender. What goes to strangers from its own
networks on the same day takes weight away, and so do a habit of travelling and the first days of a new
sender, whose second network is nothing strange. A burst from its own networks speaks for the owner.
Cost: none. Victims: travellers who write to many new people; a business that has moved.
"""

from __future__ import annotations

import math

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = "network"
FIRST = 2.0
STOLEN = 0.95
SINGLE = 0.5
"""Of a recipient: those of one message are one decision."""

OWN = -1.5
SETTLED = 5
"""Days with mail after which a sender's networks are known."""

YOUNG, OTHER = 14.0, 2
"""Days of age up to which one who has mailed on few days may have a network that nobody has seen yet; each
further one on the same day is as strange as for one who has mailed on so many days more."""

LEAST, MOST = -0.5, 7.5
LEAST_SHARE, MOST_SHARE = 0.3, 0.9


def weigh(view: View) -> tuple[float, str] | None:
    """Recipients of today's mail from foreign networks, new and known."""
    if view.kind != "login":
        return None
    if not view.today(Counter.FOREIGN_NOVEL):
        burst = view.today(Counter.NOVEL) > view.usual_novel
        settled = min(1.0, view.habit.active / SETTLED) * view.seen
        return (OWN * settled, "all of it comes from its own networks") if burst and settled else None
    weight, novel, known = max(_of(view.day, view), _of(view.week, view))
    weight = max(LEAST, min(MOST, weight * _settled(view))) * view.seen / (1 + view.habit.networks)
    them = f"{novel:,} new and {known:,} known recipients"
    return weight, f"it wrote to {them} from networks that are not its own"


def _of(counts: list[int], view: View) -> tuple[float, int, int]:
    novel = counts[Counter.FOREIGN_NOVEL]
    known = counts[Counter.FOREIGN] - novel
    share = max(LEAST_SHARE, min(MOST_SHARE, view.habit.novel_share))
    weight = novel * SINGLE * math.log(STOLEN / share) + known * math.log((1 - STOLEN) / (1 - share))
    here = min(1.0, novel / max(1, counts[Counter.NOVEL]))
    return (FIRST + weight) * here, novel, known


def _settled(view: View) -> float:
    """How well the sender's own networks are known, from 0 to 1."""
    if view.habit.age >= YOUNG:
        return 1.0
    others = max(0, view.today(Counter.NETWORKS) - 1)
    return min(1.0, (view.habit.active + OTHER * others) / SETTLED)
