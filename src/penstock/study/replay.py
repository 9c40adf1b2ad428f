"""Past logs through a policy: the engine of production, with time taken from the lines.

Each message that the log accepted is asked about as the MTA would have asked: recipient by recipient,
then its end. What the policy refuses has not happened: its bounces and complaints are not counted either (of
a message that was refused in part, a share of its recipients chosen by their hash).

What a replay cannot know: a client that was deferred in truth tries again, here it does not; and who was told
no may have called the support.

Memory grows with the number of senders and of refusals, not with the number of lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TextIO
from zlib import crc32

from penstock.core import explain
from penstock.core.decision import Decision, Refusal
from penstock.core.events import Accepted, Attempt, Bounced, Deferred, Delivered, Event, Message
from penstock.core.flight import Channel
from penstock.core.ledger import Counter
from penstock.core.policy import Override, Policy
from penstock.core.sender import Sender
from penstock.core.standing import Standing, State
from penstock.engine import Engine
from penstock.ports import Directory

NOTHING: Final = frozenset[str]()
"""Whom the observer charges: the gate has charged everybody."""

SAVE_EVERY: Final = 5000
"""Messages."""

LEAK_WINDOW: Final = 86400
BY_RULE: Final = "penstock:"


@dataclass
class Incident:
    """A sender that the policy would have paused by itself.

    Times are seconds since the epoch. ``before``: recipients that got out within the day before the pause;
    ``after``: recipients that the pause stopped.
    """

    sender: str
    opened_at: float
    paused_at: float
    why: str
    before: int
    after: int = 0
    released_at: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The documented form."""
        return {
            "sender": self.sender,
            "opened_at": explain.when(self.opened_at),
            "paused_at": explain.when(self.paused_at),
            "released_at": explain.when(self.released_at) if self.released_at is not None else None,
            "recipients_before_pause": self.before,
            "recipients_after_pause": self.after,
            "suspicion": 0.0,
            "reasons": [{"signal": "limits", "weight": 0.0, "text": self.why}],
        }


@dataclass
class Tally:
    """What flowed."""

    messages: int = 0
    recipients: int = 0
    refused: int = 0
    senders: set[str] = field(default_factory=set)
    first_at: float = 0.0
    last_at: float = 0.0


class _Memory:
    """Records, counts and memory of a service that forgets everything at the end."""

    durable = 1 << 62

    installed_at = 0.0

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self.overrides: dict[str, Override] = {}
        self.refusals: dict[str, Refusal] = {}
        self.changes: list[tuple[str, Standing, Standing]] = []

    def put_standing(self, sender: str, old: Standing, new: Standing) -> int:
        self.changes.append((sender, old, new))
        return 0

    def put_override(self, override: Override, at: float) -> int:
        return 0

    def drop_override(self, sender: str, at: float, by: str) -> int:
        return 0

    def put_refusal(self, refusal: Refusal) -> int:
        self.refusals[refusal.reference] = refusal
        return 0

    def append(self, sender: Sender, counter: int, at: int, n: int) -> None:
        """Counts stay in the ledgers."""

    def append_mail(self, sender: Sender, at: int, recipients: int, messages: int) -> None:
        """Counts stay in the ledgers."""

    def recall(self, key: str) -> tuple[int, bytes] | None:
        return None

    def rest(self, key: str, first_seen: int, packed: bytes) -> None:
        """Nobody is put to rest."""

    def sleeping(self) -> dict[str, bytes]:
        return {}

    def remember(self, message: Message, sender: str) -> None:
        """No report comes in during a replay."""


class Replay:
    """One policy over one stream of events. ``decisions``: a file for one JSON line for each message
    that would not have passed at once."""

    def __init__(self, policy: Policy, directory: Directory, decisions: TextIO | None = None) -> None:
        self.tally = Tally()
        self.incidents: list[Incident] = []
        self._memory = memory = _Memory()
        self._engine = Engine(policy, directory, memory, memory, memory, memory, 0.0)
        self._decisions = decisions
        self._single, self._several = Channel(""), Channel("")
        self._paused: dict[str, Incident] = {}
        self._number = 0
        self._begun = False

    def feed(self, events: Iterable[Event]) -> None:
        """The log's events in their order. The installation begins to watch with the first one."""
        for event in events:
            if not self._begun:
                self._begun = True
                self._engine.roster.watching_since = event.at
            if type(event) is Accepted:
                self._accepted(event)
            elif isinstance(event, Delivered | Deferred | Bounced) and not _happened(event):
                continue
            else:
                self._engine.observe(event, NOTHING)
            if self._memory.changes:
                self._note_changes()

    def finish(self) -> None:
        """Close what is open at the end of the log."""
        self._engine.refusals.save(1 << 62, float("inf"))

    @property
    def limited(self) -> list[Refusal]:
        """What limits refused, or would have in shadow mode: one stretch after the other."""
        stretches = (r for r in self._memory.refusals.values() if r.rule.startswith(("limit:", "pause:")))
        return sorted(stretches, key=lambda refusal: refusal.first_at)

    # --- asking -----------------------------------------------------------------------------

    def _accepted(self, event: Accepted) -> None:
        at, message = event
        sender = self._engine.observer.sender_of(message, at)
        if sender is None:
            return
        tally = self.tally
        tally.first_at = tally.first_at or at
        tally.last_at = at
        tally.messages += 1
        recipients = max(message.recipients, 1)
        tally.recipients += recipients
        tally.senders.add(sender.key)
        self._number += 1
        if self._number % SAVE_EVERY == 0:
            self._engine.refusals.save(1 << 62, float("inf"))
        passed, decision = self._ask(at, message, sender, recipients)
        message.passed = passed if passed < recipients else -1
        if passed < recipients:
            self._note_refused(sender, recipients - passed, decision)
            if self._decisions is not None:
                self._write(at, message, sender, recipients - passed, decision)

    def _ask(self, at: float, message: Message, sender: Sender, recipients: int) -> tuple[int, Decision]:
        """(recipients that pass, the decision that speaks)."""
        instance = f"{self._number:x}"
        size, queue_id, key = message.size, message.queue_id, sender.key
        end = Attempt(at, "", "END-OF-MESSAGE", "", "", "", recipients, queue_id, instance, size, "", "", key)
        decide = self._engine.decide
        if recipients == 1:
            decision = decide(end, self._single)
            return (0 if decision.stops else 1), decision
        passed, refusal = 0, None
        for n in range(recipients):
            asked = Attempt(at, "", "RCPT", "", "", f"{n}", 0, queue_id, instance, size, "", "", key)
            decision = decide(asked, self._several)
            if decision.stops:
                refusal = decision
            else:
                passed += 1
        if passed:
            decision = decide(end._replace(recipient_count=passed), self._several)
        return (0 if decision.stops else passed), refusal or decision

    def _note_refused(self, sender: Sender, recipients: int, decision: Decision) -> None:
        self.tally.refused += recipients
        for each in sender.lineage():
            incident = self._paused.get(each.key)
            if incident is not None and decision.rule.startswith("standing:"):
                incident.after += recipients

    # --- telling ----------------------------------------------------------------------------

    def _note_changes(self) -> None:
        for key, _, new in self._memory.changes:
            open_incident = self._paused.pop(key, None)
            if open_incident is not None:
                open_incident.released_at = new.since
            if new.state is State.PAUSED and new.by.startswith(BY_RULE):
                self._open(key, new)
        self._memory.changes.clear()

    def _open(self, key: str, new: Standing) -> None:
        sender = self._engine.roster.find(key)
        refusals = (sender.refusals or {}).values()
        recent = [r.first_at for r in refusals if r.last_at >= new.since - LEAK_WINDOW]
        before = sender.ledger.total(Counter.RECIPIENTS, int(new.since), LEAK_WINDOW)
        incident = Incident(key, min([*recent, new.since]), new.since, new.why, before)
        self.incidents.append(incident)
        self._paused[key] = incident

    def _write(self, at: float, message: Message, sender: Sender, refused: int, decision: Decision) -> None:
        """One line for each message that would not have passed at once."""
        assert self._decisions is not None
        line = {
            "at": explain.when(at),
            "queue_id": message.queue_id,
            "sender": sender.key,
            "decision": str(decision.verb),
            "recipients": refused,
            "until": None,
            "rule": decision.rule,
            "reference": decision.reference,
        }
        self._decisions.write(json.dumps(line) + "\n")


def _happened(event: Delivered | Deferred | Bounced) -> bool:
    """Whether the recipient's message was let through."""
    message = event.message
    if message.passed < 0:
        return True
    share = crc32(event.recipient.encode("utf-8", "replace")) % max(message.recipients, 1)
    return share < message.passed
