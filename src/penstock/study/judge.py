"""Who would have been touched, and what it looks like: a mailing list, or somebody else's hands.

A guess for an operator who knows the customer, never an action. It rests on what a log tells: how much
bounced, from how many addresses, how unlike the sender's other days, how often.
"""

from __future__ import annotations

from array import array
from statistics import median_low
from typing import Final

from penstock.study.findings import Guess
from penstock.study.sender_day import MOST_DISTINCT, Detail

MANY_BOUNCES: Final = 0.10
FEW_BOUNCES: Final = 0.05
"""Shares of the recipients whose outcome is known. Legitimate bulk mail bounces 0.3–2.2 %, old lists 5 %."""

LEAST_BOUNCES: Final = 10
MANY_CLIENTS: Final = 5
MANY_ENVELOPES: Final = 5
UNLIKE: Final = 10
"""Times a sender's usual day."""

FEW_DAYS: Final = 3
WEEK: Final = 6
"""Days between the first and the last, so that a weekly newsletter counts as regular."""


def is_regular(dates: array[int]) -> bool:
    """Whether a sender was that busy again and again: on three days, or two a week apart. ``dates`` rise."""
    return len(dates) >= 2 and dates[-1] - dates[0] >= (2 if len(dates) >= FEW_DAYS else WEEK)


def judge(
    busiest: Detail, usual: int, active_days: int, regular: bool, far: bool
) -> tuple[Guess, tuple[str, ...]]:
    """A guess and what speaks for it. ``usual``: the recipients of the sender's median day; ``far``: far
    above what others send."""
    bad = list(_bad_signs(busiest, usual, active_days, regular))
    if len(bad) >= 2 or (bad and not regular and _bounce_share(busiest) >= MANY_BOUNCES):
        return "hijacked?", tuple(bad)
    if regular and far and not bad:
        return "list or software", tuple(_good_signs(busiest))
    return "", tuple(bad)


def usual_day(recipients: array[int]) -> int:
    """The median of a sender's days."""
    return median_low(recipients)


def _bounce_share(day: Detail) -> float:
    known = day.delivered + day.bounced
    return day.bounced / known if day.bounced >= LEAST_BOUNCES else 0.0


def _bad_signs(day: Detail, usual: int, active_days: int, regular: bool) -> list[str]:
    found = []
    share = _bounce_share(day)
    if share >= MANY_BOUNCES:
        found.append(f"{share:.0%} bounced")
    if day.clients >= MANY_CLIENTS:
        found.append(f"{counted(day.clients)} client addresses")
    if day.envelopes >= MANY_ENVELOPES and not day.sender.startswith("ip:"):
        found.append(f"{counted(day.envelopes)} envelope senders")
    if not regular and active_days >= FEW_DAYS and usual and day.recipients >= UNLIKE * usual:
        found.append(f"{day.recipients // usual} times its usual day")
    return found


def _good_signs(day: Detail) -> list[str]:
    found = ["regular"]
    known = day.delivered + day.bounced
    if known and day.bounced / known < FEW_BOUNCES:
        found.append(f"{day.bounced / known:.1%} bounced")
    return found


def counted(n: int) -> str:
    """A count that stops at its bound."""
    return f"{n}+" if n >= MOST_DISTINCT else str(n)
