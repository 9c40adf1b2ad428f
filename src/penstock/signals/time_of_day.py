"""New people are written to at a time of day at which this login seldom writes.

Theory: people have their hours, a bot has none: its mail is taken to come at any time. The owner's is drawn
from the quarters of the day (UTC) in which he mailed in the month before, smoothed (PRIOR) and read between
their middles. Measured on 353 days of real people with five new recipients or more: 1 in 180 is twice as
likely a stranger's or more, of times drawn at random 3 in 10; 9 in 10 speak for the owner, and 4 in 10.
Cost: four numbers of a habit. Victims: who travels to another time zone and writes to new people from there;
who has changed his hours. So the cap is low: it is the last of several doubts, never the first. It speaks for
nobody: a thief in the same country is up when the owner is.
"""

from __future__ import annotations

import math
from typing import Final

from penstock.core.habit import QUARTER, Quarters
from penstock.core.ledger import Counter
from penstock.signals.view import DAY, View

GROUP = ""
PRIOR: Final = 2.0
"""Days with mail that are taken to have been spread over the whole day."""

MOST = 1.0
SELDOM: Final = 2.0
"""So many times likelier a stranger's."""


def weigh(view: View) -> tuple[float, str] | None:
    """The time of each new recipient of the day, against the habit."""
    if view.kind != "login" or view.today(Counter.NOVEL) <= view.usual_novel:
        return None
    if not view.times or not any(view.habit.quarters):
        return None
    ratios = [(_ratio(second, view.habit.quarters), n) for second, n in view.times]
    novel = sum(n for _, n in ratios)
    weight = math.log(sum(ratio * n for ratio, n in ratios) / novel)
    seldom = sum(n for ratio, n in ratios if ratio > SELDOM)
    if weight <= 0 or not seldom:
        return None
    sentence = f"{seldom:,} of {novel:,} new recipients at a time of day at which it seldom writes"
    return min(MOST, weight), sentence


def _ratio(second: int, quarters: Quarters) -> float:
    """How much likelier this time of day is a stranger's: read between the middles of two quarters."""
    before, part = divmod(second % DAY / QUARTER - 0.5, 1)
    own = (1 - part) * quarters[int(before)] + part * quarters[int(before + 1) % 4]
    return (sum(quarters) + PRIOR) / (4 * own + PRIOR)
