"""Refusals by reference: what a customer quotes and an operator looks up.

A flood is refused thousands of times for one cause; that is one stretch with one reference and
a count, so the memory and the records stay bounded whatever a bot does.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

from penstock.core.decision import Decision, Refusal, reference
from penstock.core.policy import Action
from penstock.core.sender import Sender
from penstock.ports import Records

STRETCH_GAP: Final = 3600.0
"""Seconds without a refusal after which the next one gets a reference of its own."""

SAVE_AFTER: Final = 30.0
"""Seconds that a changed count may wait to be recorded; memory always knows it."""

MOST_REFUSALS: Final = 50_000
MOST_CAUSES: Final = 16


class Refusals:
    """The latest stretches of refusals."""

    def __init__(self, records: Records) -> None:
        self.by_reference: dict[str, Refusal] = {}
        self._records = records
        self._new: dict[str, Refusal] = {}
        self._changed: dict[str, float] = {}

    def stretch(
        self, sender: Sender, rule: str, cause: str, at: float, figures: Mapping[str, str | int | float]
    ) -> Refusal:
        """A new stretch for this cause, recorded at once."""
        refusal = Refusal(reference(sender.key, rule, at), sender.key, rule, "", False, at, at, figures)
        if sender.refusals is None:
            sender.refusals = {}
        if len(sender.refusals) >= MOST_CAUSES:
            del sender.refusals[next(iter(sender.refusals))]
        sender.refusals[cause] = refusal
        self.by_reference[refusal.reference] = self._new[refusal.reference] = refusal
        if len(self.by_reference) > MOST_REFUSALS:
            self._forget_oldest()
        return refusal

    def current(self, sender: Sender, cause: str, at: float) -> Refusal | None:
        """The stretch that is going on for this cause."""
        found = sender.refusals.get(cause) if sender.refusals is not None else None
        return found if found is not None and at - found.last_at <= STRETCH_GAP else None

    def count(self, refusal: Refusal, recipients: int, at: float) -> None:
        """So many more recipients were refused (or, in shadow mode, would have been)."""
        refusal.recipients += recipients
        refusal.last_at = at
        if refusal.reference not in self._changed:
            self._changed[refusal.reference] = at

    def decision(self, refusal: Refusal, action: Action, text: str, ticket: int) -> Decision:
        """The answer that this stretch gives; the same object while nothing changes."""
        found = refusal.decision
        asked = (action.verb, action.argument, text, ticket)
        if found is None or (found.verb, found.argument, found.text, found.ticket) != asked:
            found = Decision(action.verb, action.argument, refusal.reference, refusal.rule, text, ticket)
            refusal.decision = found
            refusal.verb = str(action)
        return found

    def save(self, most: int, at: float) -> None:
        """Record at most so many stretches: new ones first, then those that changed a while ago."""
        for code in list(islice(self._new, most)):
            self._records.put_refusal(self._new.pop(code))
        due = (code for code, since in islice(self._changed.items(), most) if since + SAVE_AFTER <= at)
        for code in list(due):
            del self._changed[code]
            self._records.put_refusal(self.by_reference[code])

    def _forget_oldest(self) -> None:
        oldest = next(iter(self.by_reference))
        for kept in (self.by_reference, self._new, self._changed):
            kept.pop(oldest, None)
