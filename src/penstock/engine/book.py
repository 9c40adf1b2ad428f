"""What the engine's parts write: counts of a sender, and stretches of refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from penstock.core import explain
from penstock.core.decision import Refusal
from penstock.core.flight import Flight
from penstock.core.ledger import Counter
from penstock.core.sender import Excess, Sender
from penstock.engine.refusals import Refusals
from penstock.engine.roster import Roster
from penstock.ports import Counts

_SHADOWED: Final = int(Counter.SHADOWED)

MOST_AT_ONCE: Final = 1_000_000
"""Recipients that one message is believed to have."""


class Book:
    """Counts go to the ledger and to the log of counts, refusals to their stretch. ``incident``: the ID of
    the incident for which a sender is held up, or ""; ``on_stop`` hears of what was turned away for that."""

    def __init__(self, roster: Roster, refusals: Refusals, counts: Counts) -> None:
        self._roster = roster
        self._refusals = refusals
        self._append = counts.append
        self._append_mail = counts.append_mail
        self.incident: Callable[[str], str] = lambda key: ""
        self.on_stop: Callable[[Sender, int, float], None] = lambda sender, recipients, at: None

    def count(self, sender: Sender, counter: int, second: int, n: int) -> None:
        """Count ``n`` (negative: give back) for one sender."""
        sender.ledger.add(counter, second, n)
        self._append(sender, counter, second, n)

    def mail(self, sender: Sender, second: int, recipients: int, messages: int) -> None:
        """Count recipients and messages for one sender, and take them off its room."""
        sender.spare_recipients -= recipients
        sender.spare_messages -= messages
        sender.ledger.mail(second, recipients, messages)
        self._append_mail(sender, second, recipients, messages)

    def refund(self, flight: Flight, counter: int, second: int, n: int) -> None:
        """Give back to all senders of a message what was counted in that second."""
        if n:
            for sender in flight.senders:
                self.count(sender, counter, second, -n)
                sender.look_again()

    def suspected(self, sender: Sender, since: float, why: str, at: float) -> Refusal:
        """The stretch of refusals for a suspicion that began at ``since``."""
        cause = f"evidence:slowed since {since:.3f}"
        found = self._refusals.current(sender, cause, at)
        if found is None:
            figures = {"suspected": why} | self._incident(sender)
            found = self._refusals.stretch(sender, "evidence:slowed", cause, at, figures)
        return found

    def _incident(self, sender: Sender) -> dict[str, str | int | float]:
        found = self.incident(sender.key)
        return {"incident": found} if found else {}

    def stretch(self, sender: Sender, rule: str, at: float, excess: Excess | None) -> Refusal:
        """The stretch of refusals for this cause: the one going on, or a new one."""
        cause = f"{rule} {excess.limit.mode}" if excess else f"{rule} since {sender.standing.since:.3f}"
        found = self._refusals.current(sender, cause, at)
        if found is not None:
            return found
        roster = self._roster
        figures = explain.figures(sender, excess, roster.policy, roster.watching_since, at)
        if excess is None:
            figures |= self._incident(sender)
        return self._refusals.stretch(sender, rule, cause, at, figures)

    def shadowed(self, refusal: Refusal, sender: Sender, recipients: int, at: float, verb: str) -> None:
        """A rule in shadow mode would have refused: note it, and let it pass."""
        refusal.shadow = True
        refusal.verb = verb
        self._refusals.count(refusal, recipients, at)
        if recipients:
            self.count(sender, _SHADOWED, int(at), recipients)
