"""Past logs through a policy: the engine of production, with time taken from the lines.

Each message that the log accepted is asked about as the MTA would have asked: recipient by recipient,
then its end. What the policy stops has not happened: its bounces and complaints are not counted. A sender
that is only slowed tries again every five minutes, as a queue does; what passes then has its outcomes
later by as much.

What a replay cannot know: a client that was refused by a limit tries again in truth, here it does not; and
who was told no may have called the support.

Memory grows with the number of senders and of refusals, not with the number of lines.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from penstock.core import explain
from penstock.core.acquaintance import Acquaintance
from penstock.core.decision import PASS, Decision, Refusal
from penstock.core.events import (
    Accepted,
    Attempt,
    Bounced,
    Deferred,
    Delivered,
    Event,
    LoggedIn,
    Message,
)
from penstock.core.evidence import Finding
from penstock.core.flight import Channel
from penstock.core.ledger import Counter
from penstock.core.policy import Policy
from penstock.core.sender import Sender
from penstock.core.standing import Standing, State
from penstock.engine import Engine
from penstock.engine.detector import Case
from penstock.ports import Directory
from penstock.study.lookahead import Names, named_first
from penstock.study.memory import Memory

NOTHING: Final = frozenset[str]()
"""Whom the observer charges: the gate has charged everybody."""

SAVE_EVERY: Final = 5000
"""Messages."""

LEAK_WINDOW: Final = 86400
BY_RULE: Final = "penstock:"
END: Final = "END-OF-MESSAGE"
RETRY: Final = 300.0
GIVE_UP: Final = 86400.0
MOST_WAITING: Final = 2000
"""Messages of one sender that wait; what comes on top counts as stopped."""

MOST_RECIPIENTS: Final = 100_000
"""Recipients that one message is believed to have: a forged line may claim any number."""

Outcome = Delivered | Deferred | Bounced


@dataclass
class Incident:
    """A sender that the policy would have slowed or paused by itself.

    Times are seconds since the epoch. ``before``: recipients that got out within the day before the pause;
    ``after``: recipients that the pause stopped. ``suspicion``: log-odds, at its highest.
    """

    sender: str
    opened_at: float
    paused_at: float | None = None
    released_at: float | None = None
    before: int = 0
    after: int = 0
    suspicion: float = 0.0
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


@dataclass
class Tally:
    """What flowed. ``refused``: recipients that never passed; ``delayed``: that passed later."""

    messages: int = 0
    recipients: int = 0
    refused: int = 0
    delayed: int = 0
    senders: set[str] = field(default_factory=set)
    first_at: float = 0.0
    last_at: float = 0.0


@dataclass
class Waiting:
    """A slowed message: ``recipients`` that still wait, ``outcomes`` that have not happened yet."""

    message: Message
    sender: Sender
    at: float
    stopped: int
    recipients: list[str]
    decision: Decision
    outcomes: list[Outcome] = field(default_factory=list)


class Replay:
    """One policy over one stream of events. ``decisions``: a file for one JSON line for each message
    that would not have passed at once."""

    def __init__(self, policy: Policy, directory: Directory, decisions: TextIO | None = None) -> None:
        self.tally = Tally()
        self.incidents: list[Incident] = []
        self._memory = memory = Memory()
        self._engine = Engine(policy, directory, memory, memory, memory, memory, Acquaintance(b"replay"), 0.0)
        self._engine.detector.on_case = self._note_case
        self._decisions = decisions
        self._channel, self._unasked = Channel(""), Channel("")
        self._open: dict[str, Incident] = {}
        self._due: list[tuple[float, int, Waiting | Outcome]] = []
        self._waiting: dict[Message, Waiting] = {}
        self._patient: dict[str, int] = {}
        self._number = 0

    def feed(self, events: Iterable[Event]) -> None:
        """The log's events in their order. The installation begins to watch with the first one."""
        detects = self._engine.detector.mode != "off"
        for event, names in named_first(events) if detects else named_first(_that_count(events), False):
            if not self._number:
                self._number = 1
                self._engine.roster.watching_since = event.at
            while self._due and self._due[0][0] <= event.at:
                self._catch_up()
            if names is not None:
                self._accepted(event, names)  # type: ignore[arg-type]
            elif not (isinstance(event, Outcome) and self._is_stopped(event)):
                self._engine.observe(event, NOTHING)
            if self._memory.changes:
                self._note_changes()

    def finish(self) -> None:
        """Close what is open at the end of the log."""
        for waiting in list(self._waiting.values()):
            self._give_up(waiting)
        for incident in list(self._open.values()):
            if incident.paused_at is not None:
                self._engine.roster.replan(self._engine.roster.find(incident.sender), self.tally.last_at)
        self._note_changes()
        self._engine.refusals.save(1 << 62, float("inf"))

    @property
    def limited(self) -> list[Refusal]:
        """What limits refused, or would have in shadow mode: one stretch after the other."""
        stretches = (r for r in self._memory.refusals.values() if r.rule.startswith(("limit:", "pause:")))
        return sorted(stretches, key=lambda refusal: refusal.first_at)

    # --- asking -----------------------------------------------------------------------------

    def _accepted(self, event: Accepted, names: Names) -> None:
        at, message = event
        sender = self._engine.observer.sender_of(message, at)
        if sender is None:
            return
        recipients = _named(message, names)
        self._count(sender, at, len(recipients))
        refused, decision = self._ask(at, message, sender, recipients)
        if refused:
            message.stopped = set(refused)
            self._stop(Waiting(message, sender, at, len(refused), refused, decision))

    def _count(self, sender: Sender, at: float, recipients: int) -> None:
        tally = self.tally
        tally.first_at = tally.first_at or at
        tally.last_at = at
        tally.messages += 1
        tally.recipients += recipients
        tally.senders.add(sender.key)
        if tally.messages % SAVE_EVERY == 0:
            self._engine.refusals.save(1 << 62, float("inf"))

    def _ask(
        self, at: float, message: Message, sender: Sender, recipients: list[str]
    ) -> tuple[list[str], Decision]:
        """(recipients that are stopped, the decision that speaks for them)."""
        self._number += 1
        instance, size, queue_id, key = f"{self._number:x}", message.size, message.queue_id, sender.key
        client, envelope = message.client_address, message.envelope_from
        decide, channel = self._engine.decide, self._channel
        if len(recipients) == 1 and self._engine.detector.mode == "off":
            end = Attempt(at, "", END, client, envelope, "", 1, queue_id, instance, size, "", "", key)
            decision = decide(end, self._unasked)
            return (recipients if decision.stops else []), decision
        stopped, speaks = [], PASS
        for recipient in recipients:
            asked = Attempt(
                at, "", "RCPT", client, envelope, recipient, 0, queue_id, instance, size, "", "", key
            )
            decision = decide(asked, channel)
            if decision.stops:
                stopped.append(recipient)
                speaks = decision
        if len(stopped) < len(recipients):
            n = len(recipients) - len(stopped)
            end = Attempt(at, "", END, client, envelope, "", n, queue_id, instance, size, "", "", key)
            decision = decide(end, channel)
            if decision.stops:
                return recipients, decision
        return stopped, speaks

    # --- what is stopped --------------------------------------------------------------------

    def _stop(self, waiting: Waiting) -> None:
        key = waiting.sender.key
        self._note_after(waiting)
        if waiting.decision.rule.startswith("evidence:") and self._patient.get(key, 0) < MOST_WAITING:
            self._patient[key] = self._patient.get(key, 0) + 1
            self._waiting[waiting.message] = waiting
            self._later(waiting.at + RETRY, waiting)
        else:
            self._tell(waiting, None)

    def _later(self, at: float, what: Waiting | Outcome) -> None:
        self._number += 1
        heapq.heappush(self._due, (at, self._number, what))

    def _is_stopped(self, event: Outcome) -> bool:
        """Whether the recipient's message was not let through, or not yet."""
        stopped = event.message.stopped
        if stopped is None or (event.recipient not in stopped and "#0" not in stopped):
            return False
        waiting = self._waiting.get(event.message)
        if waiting is not None:
            waiting.outcomes.append(event)
        return True

    def _catch_up(self) -> None:
        """Something is due: a slowed sender tries again, or an outcome comes in later than it did."""
        at, _, what = heapq.heappop(self._due)
        if isinstance(what, Outcome):
            self._engine.observe(what._replace(at=at), NOTHING)
        elif what.message in self._waiting:
            self._try_again(what, at)
        if self._memory.changes:
            self._note_changes()

    def _try_again(self, waiting: Waiting, at: float) -> None:
        if self._engine.detector.is_full(waiting.sender, at) and at - waiting.at <= GIVE_UP:
            self._later(at + RETRY, waiting)
            return
        stopped, decision = self._ask(at, waiting.message, waiting.sender, waiting.recipients)
        passed = set(waiting.recipients).difference(stopped)
        waiting.recipients = stopped
        if passed:
            self.tally.delayed += len(passed)
            self._release(waiting, passed, at)
        if not stopped:
            self._end(waiting)
            self._tell(waiting, at)
        elif waiting.sender.standing.stopped or at - waiting.at > GIVE_UP:
            waiting.decision = decision
            self._give_up(waiting)
        else:
            self._later(at + RETRY, waiting)

    def _release(self, waiting: Waiting, passed: set[str], at: float) -> None:
        """Recipients get the message now: their outcomes follow as much later as they did."""
        message = waiting.message
        if message.stopped is not None:
            message.stopped -= passed
        for event in waiting.outcomes:
            if event.recipient in passed:
                self._later(at + event.at - waiting.at, event)
        waiting.outcomes = [event for event in waiting.outcomes if event.recipient not in passed]

    def _give_up(self, waiting: Waiting) -> None:
        self._end(waiting)
        self._tell(waiting, None)

    def _end(self, waiting: Waiting) -> None:
        del self._waiting[waiting.message]
        self._patient[waiting.sender.key] -= 1

    # --- telling ----------------------------------------------------------------------------

    def _tell(self, waiting: Waiting, until: float | None) -> None:
        """A message that did not pass at once: when the last of it passed, or that it never did."""
        self.tally.refused += len(waiting.recipients)
        if self._decisions is None:
            return
        line = {
            "at": explain.when(waiting.at),
            "queue_id": waiting.message.queue_id,
            "sender": waiting.sender.key,
            "decision": str(waiting.decision.verb),
            "recipients": waiting.stopped,
            "until": explain.when(until) if until is not None else None,
            "rule": waiting.decision.rule,
            "reference": waiting.decision.reference,
        }
        self._decisions.write(json.dumps(line) + "\n")

    def _note_after(self, waiting: Waiting) -> None:
        if not waiting.decision.rule.startswith("standing:"):
            return
        for each in waiting.sender.lineage():
            incident = self._open.get(each.key)
            if incident is not None:
                incident.after += waiting.stopped

    def _note_case(self, case: Case, sender: Sender) -> None:
        """The detector has looked at a sender under suspicion."""
        incident = self._open.get(sender.key)
        if incident is None or (incident.paused_at is None and incident.opened_at != case.opened_at):
            incident = self._begin(sender.key, case.opened_at)
        if case.suspicion >= incident.suspicion:
            incident.suspicion, incident.reasons = case.suspicion, case.findings

    def _begin(self, key: str, at: float) -> Incident:
        incident = self._open[key] = Incident(key, at, suspicion=float("-inf"))
        self.incidents.append(incident)
        return incident

    def _note_changes(self) -> None:
        for key, old, new in self._memory.changes:
            incident = self._open.get(key)
            if incident is not None and incident.paused_at is not None:
                incident.released_at = _end_of(old, new)
                del self._open[key]
            if new.state is State.PAUSED and new.by.startswith(BY_RULE):
                self._note_pause(key, new)
        self._memory.changes.clear()

    def _note_pause(self, key: str, new: Standing) -> None:
        sender = self._engine.roster.find(key)
        incident = self._open.get(key)
        if incident is None:
            refusals = (sender.refusals or {}).values()
            recent = [r.first_at for r in refusals if r.last_at >= new.since - LEAK_WINDOW]
            incident = self._begin(key, min([*recent, new.since]))
        if not incident.reasons:
            incident.suspicion, incident.reasons = 0.0, (Finding("limits", 0.0, new.why),)
        incident.paused_at = new.since
        incident.before = sender.ledger.total(Counter.RECIPIENTS, int(new.since), LEAK_WINDOW)


def _that_count(events: Iterable[Event]) -> Iterator[Event]:
    """What limits need: acceptances, what may count against a sender, and the names of several recipients."""
    for event in events:
        kind = type(event)
        if kind is LoggedIn or (kind is Delivered and event.message.recipients == 1):  # type: ignore[union-attr]
            continue
        yield event


def _end_of(old: Standing, new: Standing) -> float:
    """When a pause ended: by itself, whenever somebody looks, or by a change."""
    return old.until if old.until is not None and old.until <= new.since else new.since


def _named(message: Message, names: Names) -> list[str]:
    """The message's recipients, those that nothing is known of by number."""
    found = list(names)
    return found + [f"#{n}" for n in range(len(found), min(max(message.recipients, 1), MOST_RECIPIENTS))]
