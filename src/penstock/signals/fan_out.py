"""A web site that writes to one person at a time writes to several new ones at once.

Theory: a form, a shop or a newsletter program sends a message to each; spam goes to 10 to 27 recipients a
message (botnet logs), of hijacked scripts' to several in some 4 of 10 †. Sites write to several new people at
once on 1 day in 80 †, those apart that always do: a list server, an old forum's letter to its members. Of
whom nothing is known 1 in 10 may be such a one.
Cost: none. Victims: the first letter to all members, by blind copies.
"""

from __future__ import annotations

from typing import Final

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.view import AT_ONCE, View, at_once

GROUP = "fan-out"
WEIGHT: Final = 3.5

USED_TO: Final = 1.5
"""So many times the habit is nothing special."""

KNOWN_FOR: Final = 14.0
"""Days after which it is known how a site writes, if it did."""

UNKNOWN: Final = 1.4
"""Nats until then."""


def weigh(view: View) -> tuple[float, str] | None:
    """New recipients of the hour beyond one for each message."""
    habit, more = view.habit, at_once(view.hour)
    if not view.is_script or more < max(AT_ONCE, USED_TO * habit.fan_out):
        return None
    known = habit.age >= KNOWN_FOR and habit.active > 0
    novel, messages = view.hour[Counter.NOVEL], max(1, view.hour[Counter.MESSAGES])
    text = f"{novel:,} new recipients in {count(messages, 'message')}"
    return (WEIGHT, f"{text}, it writes to one at a time") if known else (UNKNOWN * view.seen, text)
