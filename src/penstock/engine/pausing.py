"""Rules that pause a sender: too much was refused to it, or too much came back."""

from __future__ import annotations

from typing import Final

from penstock.core import explain
from penstock.core.ledger import Counter, window_since
from penstock.core.limits import UNLIMITED, Unit
from penstock.core.policy import PauseRule
from penstock.core.sender import Excess, Sender, reach
from penstock.core.standing import State, change
from penstock.engine.book import Book
from penstock.engine.roster import Roster

_REFUSED: Final = int(Counter.REFUSED)


class Pausing:
    """Looks at a sender's pause rules when something has happened to it.

    ``now``: the time as last told (0: never), because outcomes come late: what a log has kept since yesterday
    must not begin a pause that would be over by now.
    """

    def __init__(self, roster: Roster, book: Book) -> None:
        self._roster = roster
        self._book = book
        self.now = 0.0

    def after_refusal(self, sender: Sender, at: float) -> None:
        """Something sends on and on that nobody watches."""
        spare = UNLIMITED
        for rule in sender.profile.pauses:
            if rule.limit.unit is not Unit.REFUSED:
                continue
            used = sender.ledger.total(_REFUSED, int(at), rule.limit.window)
            if used <= rule.limit.amount:
                spare = min(spare, rule.limit.amount - used)
            else:
                self._apply(sender, rule, Excess(rule.limit, rule.limit.amount, used), at)
        sender.spare_refused = spare

    def after_outcome(self, sender: Sender, unit: Unit, at: float) -> None:
        """Another recipient came back, or another complaint came in.

        Only what came since the last change of standing counts: nobody is paused twice for the same, and
        whom an administrator let go on is not stopped again by the bounces of before.
        """
        fresh = window_since(sender.standing.since, int(at))
        for rule in sender.profile.pauses:
            if rule.limit.unit is unit and fresh > 0:
                reached = reach(sender, rule.limit, int(at), min(rule.limit.window, fresh))
                if reached is not None:
                    self._apply(sender, rule, reached, at)

    def _apply(self, sender: Sender, rule: PauseRule, excess: Excess, at: float) -> None:
        if rule.limit.mode == "shadow":
            refusal = self._book.stretch(sender, f"pause:{rule.limit.unit} {rule.limit}", at, excess)
            self._book.shadowed(refusal, sender, 0, at, "pause")
        elif not sender.standing.stopped:
            until = at + rule.lasts if rule.lasts is not None else None
            if until is not None and until <= self.now:
                return
            why = explain.pause_reason(excess)
            paused = change(sender.standing, State.PAUSED, at, "penstock:limits", why, until, State.PROBATION)
            self._roster.set_standing(sender, paused)
