"""Mail to new people goes out like clockwork.

Theory: people write when they have something to say: of the gaps (up to an hour) between their messages 3 to
4 in 100 are like the gap before, to a tenth or a second (measured: 210,000 messages of a research
institution, 23,000 of a company). A program's mostly are, or it sends faster than a second can tell apart.
Both are mixtures: programs send for 7 in 10 strangers, and on 15 in 100 of an owner's days with more new
recipients than usual (judgement). Chance (an irregular program, a bot in many threads) never speaks for the
sender. Silent of who often sends like that, and of web sites, which always do.
Cost: three numbers for each of the 20,000 logins that wrote to somebody new last; one subtraction for each
such message.
Victims: the first newsletter, an invoice run, a list's fan-out, a full outbox; so the cap is low, and it is
of one group with what they show anyway.
"""

from __future__ import annotations

import math

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = "flow"
LEAST = 12
"""Messages before which nothing is said: an outbox that was written offline holds less."""

STEADY, PERSON = 0.6, 0.05
"""Of the gaps: like the one before. A program waits for answers, too."""

STOLEN, OWN = 0.7, 0.15
"""Days with more new recipients than usual on which a program sends."""

HABITUAL = 3
"""Steady messages of the second-busiest day, of one that is a program anyway."""

MOST = 1.5


def weigh(view: View) -> tuple[float, str] | None:
    """Steady messages of the hour or the day against the others."""
    if view.kind != "login" or view.today(Counter.NOVEL) <= view.usual_novel:
        return None
    if view.habit.steady >= HABITUAL:
        return None
    weight, steady, messages = max(_of(view.hour), _of(view.day))
    if weight <= 0:
        return None
    return min(weight, MOST), f"{steady:,} of {messages:,} messages came as regularly as a machine's"


def _of(counts: list[int]) -> tuple[float, int, int]:
    """Messages to known people count among the others: nobody tells them apart."""
    steady = counts[Counter.STEADY]
    messages = max(steady, min(counts[Counter.NOVEL], counts[Counter.MESSAGES]))
    if messages < LEAST:
        return 0.0, steady, messages
    others = max(0, messages - steady - 2)  # the first two have no gap before
    odds = steady * math.log(STEADY / PERSON) + others * math.log((1 - STEADY) / (1 - PERSON))
    return _mixed(odds), steady, messages


def _mixed(odds: float) -> float:
    """From "a program sends" to "a stranger does"."""
    ratio = math.exp(min(odds, 50.0))
    return math.log((STOLEN * ratio + 1 - STOLEN) / (OWN * ratio + 1 - OWN))
