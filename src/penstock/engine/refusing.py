"""Refusals as they are answered: counted, added to their stretch, worded by the sender's profile."""

from __future__ import annotations

from typing import Final

from penstock.core.decision import PASSING, Decision, Refusal
from penstock.core.flight import MOST_RECIPIENTS, Flight
from penstock.core.ledger import Counter
from penstock.core.policy import REJECT, Verb, situation_of
from penstock.core.sender import Sender
from penstock.engine.book import Book
from penstock.engine.budget import Budget
from penstock.engine.case import Case
from penstock.engine.pausing import Pausing
from penstock.engine.refusals import STRETCH_GAP, Refusals
from penstock.engine.roster import Roster

_REFUSED: Final = int(Counter.REFUSED)
_STOPPED: Final = int(Counter.STOPPED)
_SHADOWED: Final = int(Counter.SHADOWED)


class Refusing:
    """Gives the answer for each cause of a refusal."""

    def __init__(
        self, roster: Roster, refusals: Refusals, book: Book, pausing: Pausing, budget: Budget
    ) -> None:
        self._roster = roster
        self._refusals = refusals
        self._book = book
        self._pausing = pausing
        self._budget = budget

    def stopped(self, sender: Sender, flight: Flight, recipients: int, at: float) -> Decision:
        """The sender is paused or locked."""
        state = sender.standing.state
        refusal = sender.halted
        if refusal is None or at - refusal.last_at > STRETCH_GAP:
            refusal = sender.halted = self._book.stretch(sender, f"standing:{state}", at, None)
        return self._answer(refusal, flight, recipients, at, situation_of(state), _STOPPED, sender.ticket)

    def stopped_now(self, flight: Flight, at: float) -> Decision | None:
        """The refusal of a complete message that has itself got its sender stopped."""
        stopped = next((sender for sender in flight.senders if sender.standing.stopped), None)
        found = self.stopped(stopped, flight, 0, at) if stopped is not None else None
        return found if found is not None and found.stops else None

    def suspected(self, flight: Flight, case: Case, at: float) -> Decision:
        """The sender is under suspicion, or was paused for it just now."""
        own = flight.senders[0]
        if own.standing.stopped:
            return self.stopped(own, flight, 1, at)
        refusal = self._book.suspected(own, case.opened_at, case.why, at)
        return self._answer(refusal, flight, 1, at, "over_limit", _STOPPED, own.ticket)

    def also(self, decision: Decision, flight: Flight, recipients: int, at: float) -> None:
        """More recipients of a message that is stopped as a whole. Of one over a limit only those count that
        met it: pause rules are about these."""
        if recipients and decision.rule.startswith(("standing:", "evidence:")):
            refusal = self._refusals.by_reference.get(decision.reference)
            self._count(refusal, flight, recipients, at, _STOPPED)

    def one_more(self, decision: Decision, flight: Flight, recipient: str, at: float) -> Decision:
        """The answer to one recipient of a message that is stopped as a whole, who counts once."""
        if recipient in flight.recipients:
            flight.repeats += 1
            return decision
        if len(flight.recipients) < MOST_RECIPIENTS:
            flight.recipients[recipient] = decision
        else:
            flight.add_unnamed(int(at), 1)
        self.also(decision, flight, 1, at)
        return decision

    def rest(self, decision: Decision, flight: Flight, recipients: int, at: float) -> None:
        """A stopped message had so many recipients: those whom only its end has told of count as well."""
        untold = recipients - flight.named
        if untold > 0:
            flight.add_unnamed(int(at), untold)
            self.also(decision, flight, untold, at)

    def over(self, refusal: Refusal, flight: Flight, recipients: int, at: float) -> Decision:
        """A limit is exceeded; too many refusals pause the sender."""
        own = flight.senders[0]
        stops = own.profile.over_limit.verb not in PASSING
        counter = _REFUSED if stops else _SHADOWED
        answer = self._answer(refusal, flight, recipients, at, "over_limit", counter, own.ticket)
        if stops:
            own.spare_refused -= recipients
            if own.spare_refused < 0:
                self._pausing.after_refusal(own, at)
        return answer

    def _answer(
        self,
        refusal: Refusal,
        flight: Flight,
        recipients: int,
        at: float,
        situation: str,
        counter: int,
        ticket: int,
    ) -> Decision:
        own = flight.senders[0]
        self._count(refusal, flight, recipients, at, counter)
        action = getattr(own.profile, situation)
        if action.verb is Verb.HOLD and not self._budget.take(own.key, at):
            action = REJECT
        text = self._roster.policy.text(situation, own.entry.language if own.entry is not None else "")
        return self._refusals.decision(refusal, action, text, ticket)

    def _count(
        self, refusal: Refusal | None, flight: Flight, recipients: int, at: float, counter: int
    ) -> None:
        """Count them for all senders, and in the stretch and the incident, if they are remembered. What was
        held already was counted then."""
        n = 0 if flight.released else recipients
        if refusal is not None:
            self._refusals.count(refusal, n, at)
        if n:
            for sender in flight.senders:
                self._book.count(sender, counter, int(at), n)
            if counter == _STOPPED:
                self._book.on_stop(flight.senders[0], n, at)
