"""It goes on and on: strangers are written to day in, day out, or all day long.

Theory: a traveller's day ends, a slow bot's does not, and a letter to everybody is done in an hour or two,
whenever it is looked at. Beyond 20 new recipients of a week from networks that are not its own, and beyond
what one letter explains, each further one speaks a little; so a list that bounces little cannot go on for
ever. Wherever from, people's new recipients keep to few hours: of 503,000 account-days of a research
institution and a company 34 had 20 or more, 28 of these in three hours at most, and one took six; all days
together thin out as hours**-4 to -6. Bots send for ten hours and more. Both speak only with few known
recipients among the new ones, and some dead or refused for what they are; at a newsletter's pace its first
day, whole, is a letter, and its hours say nothing.
Cost: three looks through the ledger, one beyond 30 of a day and two beyond 20 of a week from abroad.
Victims: a business that has moved and writes to new customers only; who writes a notice by hand, all day.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.models import tail
from penstock.signals.view import A_JOURNEY, View

GROUP = ""
EACH = 0.06
MOST = 3.0
HOURS, EXPONENT = 4.0, 4.3
"""Hours of a day with new recipients that are nothing special, and how days with more thin out."""

CLEAN = 0.02
"""Share of dead addresses and of refusals for what it is below which it may well be an honest list."""

SEVERAL = 2
"""One that bounces anybody has."""

KNOWN = 0.2
"""Share of known recipients from which on it is the owner's business."""


def weigh(view: View) -> tuple[float, str] | None:
    """The week from foreign networks or the hours of the day, whichever says more."""
    if view.kind != "login":
        return None
    bad = view.week[Counter.NEWLY_DEAD] + view.week[Counter.CONTENT] + view.week[Counter.REPUTATION]
    if bad < max(SEVERAL, CLEAN * view.week[Counter.PROVEN]):
        return None
    weight, text = max(_from_abroad(view), _all_day(view))
    return (min(MOST, weight * (1 - view.habit.novel_share)), text) if weight else None


def _from_abroad(view: View) -> tuple[float, str]:
    foreign, novel = view.week[Counter.FOREIGN], view.week[Counter.FOREIGN_NOVEL]
    letter = max(view.at_one_go, view.today(Counter.FOREIGN_NOVEL)) if view.is_burst else view.at_one_go
    others = novel - letter
    if novel <= A_JOURNEY or foreign - novel > KNOWN * foreign or others <= 0:
        return 0.0, ""
    weight = EACH * min(novel - A_JOURNEY, 2 * others)
    return weight, f"this week it wrote to {novel:,} new recipients from networks that are not its own"


def _all_day(view: View) -> tuple[float, str]:
    novel, recipients = view.today(Counter.NOVEL), view.today(Counter.RECIPIENTS)
    if view.is_burst or novel <= view.usual_novel or recipients - novel > KNOWN * recipients:
        return 0.0, ""
    weight = tail(view.hours, HOURS, EXPONENT, MOST) * view.seen
    return weight, f"in {view.hours} hours of today it wrote to people who are new to it"
