"""Addresses that nobody here has ever reached and that do not exist, each counted once.

Theory: Wald's test on the outcomes of new recipients, with mixtures on both sides: honest lists have 0.3 to
3 % dead addresses, stale ones 5 %, seldom more; bought ones that are flooded 10 to 50 %, those that are sent
slowly 3 to 20 %. What became of a sender's new recipients in the weeks before tells which of the honest
shares is its own, unless it has got another list (FRESH). First deliveries speak for the sender, later ones
do not: an accomplice's mailbox is new once. What an hour or the week says clearly counts in place of the
day: nobody can buy credit in advance; but of a day's many hours one is unlucky, and that is taken off. One
dead address that bounces for ever is counted once; what a provider says in hours in which its users vanish is
not counted (engine/providers). A web form copies what a visitor writes to the address that he types, one in
six of them wrong when it is new, and as often to its owner: a site that writes to somebody it knows whenever
it writes to somebody new has no list.
Cost: none. Victims: the change-of-address notice to an old address book (5 % dead). Who abuses a form for
its copies is not told from visitors by his dead addresses.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, log

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.models import Rates, mixture, rates
from penstock.signals.view import View

GROUP = ""
HONEST = rates(
    (0.002, 0.2),
    (0.005, 0.2),
    (0.01, 0.18),
    (0.02, 0.12),
    (0.035, 0.12),
    (0.055, 0.17),
    (0.09, 0.009),
    (0.13, 0.001),
)
SCRIPTED = rates(
    (0.002, 0.2),
    (0.005, 0.2),
    (0.01, 0.2),
    (0.02, 0.18),
    (0.035, 0.16),
    (0.055, 0.01),
    (0.09, 0.001),
    (0.13, 0.0003),
)
"""A web site has no address book of ten years."""

FORM = rates((0.01, 0.15), (0.03, 0.2), (0.06, 0.25), (0.1, 0.2), (0.15, 0.14), (0.2, 0.06))
"""Visitors type their own addresses."""

OWNERS_COPIES, UNDER_WAY = 0.6, 1
"""Known recipients for each new one, in the hour and in the day, from which on a site's mail is a form's; of
so many the owner's copy may come later."""

DRAWN = {"person": HONEST, "site": SCRIPTED, "form": FORM}

FLOODED = rates((0.04, 0.02), (0.08, 0.08), (0.11, 0.08), (0.15, 0.24), (0.27, 0.33), (0.45, 0.25))
SLOW = rates((0.03, 0.18), (0.05, 0.14), (0.08, 0.17), (0.11, 0.10), (0.15, 0.21), (0.27, 0.13), (0.45, 0.07))
FRESH, FRESH_BURST, FRESH_LIST = 0.15, 0.6, 0.98
"""How likely an honest sender's new recipients are of another kind than before: a burst mostly is, one of a
sender that was never one for lists nearly always."""

DIRTY, BEYOND = 0.035, 5
"""Such a past, of typing errors in a web form say, does not excuse so many times as many new recipients."""

MANY = 200
"""Outcomes beyond which more of them say no more: those of one list hang together, and the rates above are
steps of a scale."""

LEAST, MOST = -9.0, 12.0
ONE, ONE_OF_FEW, ONE_OF_BURST = 0.75, 0.65, 0.3
"""Nats that one dead address says at most: anybody has one, a newsletter has several. Of few it is not enough
for a pause, whatever flows and where from."""

FEW_AN_HOUR, FEW_A_DAY = 5, 12
"""New recipients below which these are few: a journey's, a slow bot gets there."""

CLEAR, MOST_HOURS = 3.0, 24
"""Nats from which on the hour or the week says more than the day, and of how many hours it is the worst."""


def weigh(view: View) -> tuple[float, str] | None:
    """Dead addresses against first deliveries, of the hour, the day or the week."""
    burst = view.is_burst
    past = view.habit
    other = (
        past.dead > DIRTY * (past.dead + past.proven)
        and view.today(Counter.NOVEL) > BEYOND * view.usual_novel
    )
    fresh = FRESH if not burst else FRESH_LIST if other else FRESH_BURST
    honest = _usual(past.dead, past.proven, fresh, _drawn(view))
    weight, dead, proven = _of(view.day, burst, honest)
    worst = max(_of_hour(view, burst, honest), _of(view.week, burst, honest))
    if worst[0] > max(CLEAR, weight):
        weight, dead, proven = worst
    if not dead + proven:
        return None
    weight = max(LEAST, min(_most(view, dead, burst), weight))
    return weight, _told(dead, proven)


def _drawn(view: View) -> str:
    """Which of the honest mixtures a sender's share of dead addresses is drawn from."""
    if not view.is_script:
        return "person"
    known, lately = (counts[Counter.RECIPIENTS] - counts[Counter.NOVEL] for counts in (view.day, view.hour))
    copied = (
        known >= max(1, OWNERS_COPIES * view.day[Counter.NOVEL])
        and lately + UNDER_WAY >= OWNERS_COPIES * view.hour[Counter.NOVEL]
    )
    return "form" if copied else "site"


def _told(dead: int, proven: int) -> str:
    got = f"{count(proven, 'new recipient') if proven else 'nobody new'} got it"
    if not dead:
        return f"{got}, none is dead"
    return f"{count(dead, 'address does', 'addresses do')} not exist, {got}"


def _most(view: View, dead: int, burst: bool) -> float:
    """Nats that so many dead addresses say at most."""
    if dead > 1:
        return MOST
    if burst:
        return ONE_OF_BURST
    few = view.hour[Counter.NOVEL] < FEW_AN_HOUR and view.today(Counter.NOVEL) < FEW_A_DAY
    return ONE_OF_FEW if few else ONE


def _of(counts: list[int], burst: bool, honest: Rates) -> tuple[float, int, int]:
    dead, proven = counts[Counter.NEWLY_DEAD], counts[Counter.PROVEN]
    part = min(1.0, MANY / max(1, dead + proven))
    bad, good = part * dead, part * proven
    return mixture(bad, good, FLOODED if burst else SLOW) - mixture(bad, good, honest), dead, proven


def _of_hour(view: View, burst: bool, honest: Rates) -> tuple[float, int, int]:
    """The hour is one of as many as make up the outcomes of the day, and all of them are looked at:
    Bonferroni's correction. A burst has but one."""
    weight, dead, proven = _of(view.hour, burst, honest)
    if dead and not burst:
        told = view.day[Counter.NEWLY_DEAD] + view.day[Counter.PROVEN]
        weight -= log(min(MOST_HOURS, told / (dead + proven)))
    return weight, dead, proven


@lru_cache(maxsize=1 << 12)
def _usual(dead: int, proven: int, fresh: float, kind: str) -> Rates:
    """The honest mixture of a sender of whose new recipients so many were dead in the weeks before."""
    drawn = DRAWN[kind]
    past = mixture(dead, proven, drawn)
    return [
        (log(fresh * exp(weight) + (1 - fresh) * exp(weight + dead * yes + proven * no - past)), yes, no)
        for weight, yes, no in drawn
    ]
