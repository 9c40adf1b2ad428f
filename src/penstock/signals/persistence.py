"""It goes on and on: strangers are written to from foreign networks, day in, day out.

Theory: a traveller's day ends, a slow bot's does not, and a letter to everybody is done in an hour or two,
whenever it is looked at. Beyond 20 new recipients of a week from networks that are not its own, and beyond
what one letter explains, at no newsletter's pace with few known ones among them and some dead ones, or
refused for what they are, each further one speaks a little; so a list that bounces little cannot go on for
ever.
Cost: two looks through the ledger's week beyond 20. Victims: a business that has moved and writes to new
customers only; who writes a notice by hand, all day, from elsewhere.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.view import A_JOURNEY, View

GROUP = ""
EACH = 0.06
MOST = 3.0
CLEAN = 0.02
"""Share of dead addresses and of refusals for what it is below which it may well be an honest list."""

SEVERAL = 2
"""One that bounces anybody has."""

KNOWN = 0.2
"""Share of known recipients from which on it is the owner's business."""


def weigh(view: View) -> tuple[float, str] | None:
    """New recipients of the week from foreign networks, beyond what a journey explains."""
    foreign, novel = view.week[Counter.FOREIGN], view.week[Counter.FOREIGN_NOVEL]
    bad = view.week[Counter.NEWLY_DEAD] + view.week[Counter.CONTENT] + view.week[Counter.REPUTATION]
    if view.kind != "login" or novel <= A_JOURNEY or view.is_burst or foreign - novel > KNOWN * foreign:
        return None
    others = novel - view.at_one_go
    if bad < max(SEVERAL, CLEAN * view.week[Counter.PROVEN]) or not others:
        return None
    weight = min(MOST, EACH * min(novel - A_JOURNEY, 2 * others) * (1 - view.habit.novel_share))
    return weight, f"this week it wrote to {novel} new recipients from networks that are not its own"
