"""Addresses that the operator has laid out as traps: nobody has a reason to write to them.

Theory: a trap is found on web pages and in bought lists only; an honest sender meets one by a slip of the pen
or a list that grew by itself. Ten times as likely with the first address, a hundred times with each more.
Cost: none. Victims: who answers a mail that was forged in a trap's name.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.view import View

GROUP = ""
FIRST = 2.3
EACH_MORE = 4.6
MOST = 11.0


def weigh(view: View) -> tuple[float, str] | None:
    """Traps of the week, each address once."""
    found = view.week[Counter.TRAPS]
    if not found:
        return None
    return min(FIRST + EACH_MORE * (found - 1), MOST), f"it wrote to {count(found, 'spam trap')}"
