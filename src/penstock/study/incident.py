"""Senders that a policy would have slowed or paused by itself, as a replay meets them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from penstock.core import explain
from penstock.core.evidence import Finding
from penstock.core.incident import AUDIBLE
from penstock.core.ledger import Counter
from penstock.core.sender import Sender
from penstock.core.standing import Standing, State
from penstock.engine.case import Case
from penstock.engine.detector import Detector
from penstock.engine.roster import Roster

DAY: Final = 86400
BY_RULE: Final = "penstock:"
LIMITS: Final = "limits"
"""What stands for a signal where a limit's own rule has paused."""


@dataclass
class Incident:
    """A sender that was slowed, or paused, by the evidence or by the limits' pause rules.

    Times are seconds since the epoch. ``opened_at``: when it came under suspicion, or, where only limits
    speak, when the first of the recipients was refused that led to the pause. ``released_at``: when the
    pause ended; of one that was only slowed, when the suspicion was over. ``before``: recipients that got
    out until the pause, from the first one on that was new to the sender in the day before ``opened_at``
    (where there is none: from a day before); ``after``: recipients asked for during the pause.
    ``suspicion``: log-odds, at its highest until the pause, with the ``reasons`` of that moment.
    """

    sender: str
    opened_at: float
    paused_at: float | None = None
    released_at: float | None = None
    before: int = 0
    after: int = 0
    suspicion: float = float("-inf")
    reasons: tuple[Finding, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The documented form."""
        return {
            "sender": self.sender,
            "opened_at": explain.when(self.opened_at),
            "paused_at": explain.when(self.paused_at) if self.paused_at is not None else None,
            "released_at": explain.when(self.released_at) if self.released_at is not None else None,
            "recipients_before_pause": self.before,
            "recipients_after_pause": self.after,
            "suspicion": round(self.suspicion, 2),
            "reasons": [
                {"signal": found.signal, "weight": round(found.weight, 2), "text": found.text}
                for found in self.reasons
            ],
        }


def why(told: dict[str, Any]) -> str:
    """Of an incident in its documented form: what speaks against the sender, the heaviest first, then what
    speaks for it. A limit has no weight."""
    reasons = told["reasons"]
    said = "; ".join(one["text"] for one in reasons if one["weight"] >= AUDIBLE or one["signal"] == LIMITS)
    pardons = "; ".join(one["text"] for one in reasons if one["weight"] <= -AUDIBLE)
    return f"{said}. For it: {pardons}" if pardons else said


class Incidents:
    """All incidents of a replay, in the order in which they were opened."""

    def __init__(self, roster: Roster, detector: Detector) -> None:
        self.all: list[Incident] = []
        self._open: dict[str, Incident] = {}
        self._roster = roster
        self._heard_before = detector.on_case
        detector.on_case = self._note_case

    def paused(self) -> list[str]:
        """The senders whose pause has not ended, as far as it has been noticed."""
        return [key for key, incident in self._open.items() if incident.paused_at is not None]

    def _note_case(self, case: Case, sender: Sender) -> None:
        """The detector has looked at a sender under suspicion."""
        self._heard_before(case, sender)
        incident = self._open.get(sender.key)
        if incident is None:
            if case.closed_at is not None:
                return
            incident = self._begin(sender.key, max(case.opened_at, sender.standing.since))
        if incident.paused_at is None and case.suspicion > incident.suspicion:
            incident.suspicion, incident.reasons = case.suspicion, case.findings
        if case.closed_at is not None and incident.paused_at is None:
            incident.released_at = case.closed_at
            del self._open[sender.key]

    def note_changes(self, changes: Iterable[tuple[str, Standing, Standing]]) -> None:
        """Standings have changed: pauses begin and end."""
        for key, old, new in changes:
            incident = self._open.get(key)
            if incident is not None and incident.paused_at is not None:
                incident.released_at = _end_of(old, new)
                del self._open[key]
            if new.state is State.PAUSED and new.by.startswith(BY_RULE):
                self._note_pause(self._roster.find(key), new)

    def note_stopped(self, sender: Sender, recipients: int) -> None:
        """So many recipients were asked for during the pause of the sender or one of its parents."""
        for each in sender.lineage():
            incident = self._open.get(each.key)
            if incident is not None:
                incident.after += recipients

    def _begin(self, key: str, at: float) -> Incident:
        incident = self._open[key] = Incident(key, at)
        self.all.append(incident)
        return incident

    def _note_pause(self, sender: Sender, new: Standing) -> None:
        incident = self._open.get(sender.key) or self._begin(sender.key, _first_refused(sender, new.since))
        if not incident.reasons:
            incident.suspicion, incident.reasons = 0.0, (Finding(LIMITS, 0.0, new.why),)
        incident.paused_at = new.since
        window = int(new.since) - _first_novel(sender, int(incident.opened_at))
        incident.before = sender.ledger.total(Counter.RECIPIENTS, int(new.since), window)


def _first_refused(sender: Sender, at: float) -> float:
    """When the first of the refusals of the day before ``at`` began; ``at`` when there was none."""
    refusals = (sender.refusals or {}).values()
    return min([at, *(r.first_at for r in refusals if r.last_at >= at - DAY and not r.shadow)])


def _first_novel(sender: Sender, at: int) -> int:
    """Second of the first recipient new to the sender in the day before ``at``, as exact as the ledger's
    slots; a day before when there is none."""
    day = (s for s, counter, n in sender.ledger.counts() if counter == Counter.NOVEL and n)
    return next((second for second in day if at - DAY <= second <= at), at - DAY)


def _end_of(old: Standing, new: Standing) -> float:
    """When a pause ended: by itself, whenever somebody looks, or by a change."""
    return old.until if old.until is not None and old.until <= new.since else new.since
