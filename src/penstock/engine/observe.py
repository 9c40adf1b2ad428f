"""``Observer.observe`` takes in what became of the mail: outcomes, complaints, logins.

Time comes with the event. What nobody is charged for (notices, forwards, mail from strangers to
people here) is looked up nowhere and kept nowhere, so outsiders can neither fill the memory nor
put a customer over a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from penstock.core.events import (
    NOBODY,
    Accepted,
    Bounced,
    Deferred,
    Delivered,
    Died,
    Event,
    LoggedIn,
    Message,
    Posted,
    Rejected,
    Reported,
    ScriptMailed,
    Submitted,
    kib_of,
)
from penstock.core.flight import Flight
from penstock.core.ledger import LAST_SECOND, Counter
from penstock.core.limits import Unit
from penstock.core.policy import Policy
from penstock.core.replies import Classifier, ReplyClass, Verdict
from penstock.core.sender import Sender
from penstock.engine.book import MOST_AT_ONCE, Book
from penstock.engine.detector import Detector
from penstock.engine.origins import Origins
from penstock.engine.pausing import Pausing
from penstock.engine.roster import Roster
from penstock.ports import Sent

LOCAL: Final = frozenset({"uid", "script"})
"""Kinds of senders that no policy service is asked about: they are counted from the log."""

EVERYBODY: Final = LOCAL | {"login", "ip"}

LOGIN_STEP: Final = 6 * 3600
"""Logins are counted in steps: a telephone that looks for mail each minute must not fill a ledger."""

NOT_SPAM: Final = "not-spam"

_UNITS: Final[Mapping[ReplyClass, Unit]] = {found: Unit(found.value) for found in ReplyClass}
_ABOUT_US: Final = frozenset(
    {
        ReplyClass.THROTTLED,
        ReplyClass.REPUTATION,
        ReplyClass.CONTENT,
        ReplyClass.POLICY,
        ReplyClass.AUTHENTICATION,
    }
)
"""Classes that count when a recipient is merely deferred: the reply speaks about the sender, and
waiting does not change that."""

_DEAD: Final = frozenset({ReplyClass.UNKNOWN_USER, ReplyClass.NO_SUCH_DOMAIN, ReplyClass.INACTIVE_MAILBOX})
_REFUSED: Final = frozenset({ReplyClass.THROTTLED, ReplyClass.REPUTATION, ReplyClass.CONTENT})

_PUT_OFF: Final = frozenset({ReplyClass.THROTTLED, ReplyClass.REPUTATION})
"""Classes that are no news of a sender when most others are told so in the same place."""

_IN_DIALOGUE: Final = frozenset({ReplyClass.UNKNOWN_USER, ReplyClass.NO_SUCH_DOMAIN})
"""Classes that count when our own MTA refuses a recipient to a client: the others are its own policy."""


class Observer:
    """The outcomes of one node, charged to its senders."""

    def __init__(
        self,
        roster: Roster,
        book: Book,
        pausing: Pausing,
        detector: Detector,
        died: Callable[[str, float], bool],
        landed: Callable[[str, float], Flight | None],
        sent: Sent,
        origins: Origins,
    ) -> None:
        self.adopt(roster.policy)
        self.origins = origins
        origins.on_late = self._named_late
        roster.user_of = origins.user_of
        self._roster = roster
        self._book = book
        self._pausing = pausing
        self._detector = detector
        self._died_in_queue = died
        self._landed = landed
        self._sent = sent
        self._handlers: dict[type, Callable[[Any], None]] = {
            Died: self._died,
            Delivered: self._delivered,
            Deferred: self._deferred,
            Bounced: self._bounced,
            Rejected: self._rejected,
            LoggedIn: self._logged_in,
            Reported: self._reported,
            ScriptMailed: origins.hear,
            Submitted: origins.hear,
            Posted: origins.hear,
        }

    def adopt(self, policy: Policy) -> None:
        """Take over a policy's rules for replies."""
        self.classifier = Classifier(policy.replies)

    def observe(self, event: Event, charged: frozenset[str] = LOCAL) -> None:
        """Take in one event. ``charged``: kinds of senders whose mail is counted here rather than by the
        gate. Times that no ledger knows are a broken clock's and pass by."""
        if not 0 <= event.at < LAST_SECOND:
            return
        if type(event) is Accepted:
            self._accepted(event, charged)
            return
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def remember(self, event: Accepted) -> None:
        """Only keep whose message it was: it has been counted before."""
        self.origins.name(event.message, event.at)
        sender = self.sender_of(event.message, event.at)
        if sender is not None:
            self._sent.remember(event.message, sender.key)

    def sender_of(self, message: Message, at: float) -> Sender | None:
        """Whom a message is charged to; None for nobody."""
        kind = message.kind
        if kind == "login":
            return self._planned(self._roster.by_login(message.name, at), at)
        if not kind:
            return None
        if kind == "ip":
            return self._planned(self._roster.known_address(message.name, at), at)
        return self._planned(self._roster.get(f"{kind}:{message.name}", at), at)

    def _planned(self, sender: Sender | None, at: float) -> Sender | None:
        """The gate plans the senders that it is asked about; here the others get profile and parent."""
        if sender is not None and at >= sender.replan_at:
            self._roster.replan(sender, at)
        return sender

    # --- the message ------------------------------------------------------------------------

    def _accepted(self, event: Accepted, charged: frozenset[str]) -> None:
        at, message = event
        self.origins.name(message, at)
        self._own_up(message, at)
        sender = self.sender_of(message, at)
        if sender is None:
            return
        self._sent.remember(message, sender.key)
        if message.kind in charged and not self._charged_at_gate(message.queue_id, sender, at):
            second, kib = int(at), kib_of(message.size)
            recipients = min(message.recipients, MOST_AT_ONCE)
            self._detector.accepted(sender, message, at)  # as the gate does, before it is counted
            for each in sender.lineage():
                self._book.mail(each, second, recipients, 1)
                if kib:
                    each.spare_kib -= kib
                    self._book.count(each, int(Counter.KIB), second, kib)

    def _named_late(self, message: Message) -> None:
        """A message that was charged to a user turns out to be a script's of his: that one's count is due."""
        sender = self.sender_of(message, message.at)
        if sender is not None:
            self._sent.remember(message, sender.key)
            recipients = min(message.recipients, MOST_AT_ONCE)
            self._book.mail(sender, int(message.at), recipients, 1)
            self._book.count(sender, int(Counter.KIB), int(message.at), kib_of(message.size))

    def _own_up(self, message: Message, at: float) -> None:
        """A professional customer's tag said more of whose message it is than the log can."""
        flight = self._landed(message.queue_id, at)
        if flight is not None and flight.live and flight.senders[0].kind == "customer":
            message.kind, _, message.name = flight.senders[0].key.partition(":")

    def _charged_at_gate(self, queue_id: str, sender: Sender, at: float) -> bool:
        """Whether this message was charged as it came in: local mail by a milter, to whom its header named.

        The log knows better who handed it in. What was charged to somebody else goes back.
        """
        flight = self._landed(queue_id, at)
        if flight is None or not flight.live or flight.senders[0].kind not in LOCAL:
            return False
        if flight.senders[0] is sender:
            return True
        self._died_in_queue(queue_id, at)
        return False

    def _died(self, event: Died) -> None:
        self._died_in_queue(event.message.queue_id, event.at)

    # --- its recipients ---------------------------------------------------------------------

    def _delivered(self, event: Delivered) -> None:
        event.message.told += 1
        sender = self.sender_of(event.message, event.at)
        if sender is not None:
            for each in sender.lineage():
                self._book.count(each, int(Counter.DELIVERED), int(event.at), 1)
            self._detector.delivered(sender, event.recipient, event.relay, event.at)

    def _deferred(self, event: Deferred) -> None:
        event.message.told += event.first
        sender = self.sender_of(event.message, event.at)
        if sender is None:
            return
        if event.first:
            for each in sender.lineage():
                self._book.count(each, int(Counter.DEFERRED), int(event.at), 1)
        verdict = self.classifier.classify(event.reply, event.status, event.relay)
        about, relay, at = verdict.reply_class, event.relay, event.at
        if about in _PUT_OFF and self._detector.puts_off(sender, event.recipient, relay, at):
            return
        if about in _ABOUT_US:
            self._came_back(sender, verdict, event.recipient, relay, at, False)

    def _bounced(self, event: Bounced) -> None:
        event.message.told += 1
        sender = self.sender_of(event.message, event.at)
        if sender is not None:
            verdict = self.classifier.classify(event.reply, event.status, event.relay)
            more = event.message.told < event.message.recipients
            self._lost(sender, verdict, event.recipient, event.relay, event.at, more)

    def _lost(
        self, sender: Sender, verdict: Verdict, recipient: str, relay: str, at: float, more: bool
    ) -> None:
        """``more``: of others of the message nothing is known yet."""
        self._count(sender, Unit.BOUNCED, at)
        if verdict.reply_class in _PUT_OFF and self._detector.puts_off(sender, recipient, relay, at):
            self._detector.excused(sender, recipient)
        else:
            self._came_back(sender, verdict, recipient, relay, at, more)

    def _came_back(
        self, sender: Sender, verdict: Verdict, recipient: str, relay: str, at: float, more: bool
    ) -> None:
        self._count(sender, _UNITS[verdict.reply_class], at)
        if verdict.reply_class in _DEAD:
            self._detector.dead(sender, recipient, relay, at, more)
        elif verdict.reply_class in _REFUSED:
            self._detector.refused(sender, recipient, at)

    def _count(self, sender: Sender, unit: Unit, at: float) -> None:
        """One more of this outcome: limits look again, and the sender's own pause rules (its customer has
        many senders, and no rule that is meant for one of them may pause them all)."""
        for each in sender.lineage():
            self._book.count(each, int(unit.counter), int(at), 1)
            each.spare_recipients = -1
        if sender.profile.pauses:
            self._pausing.after_outcome(sender, unit, at)

    def _rejected(self, event: Rejected) -> None:
        if not event.login:
            return
        verdict = self.classifier.classify(event.reply)
        sender = self._planned(self._roster.known_login(event.login), event.at)
        if sender is not None and verdict.reply_class in _IN_DIALOGUE:
            self._came_back(sender, verdict, event.recipient, "", event.at, False)

    # --- logins and reports -----------------------------------------------------------------

    def _logged_in(self, event: LoggedIn) -> None:
        """Names that were only tried are looked up, never made."""
        second = int(event.at)
        if event.ok:
            sender: Sender | None = self._roster.by_login(event.login, event.at)
            counter, second = Counter.LOGINS, second - second % LOGIN_STEP
        else:
            sender, counter = self._roster.known_login(event.login), Counter.LOGIN_FAILURES
        if sender is not None:
            self._book.count(sender, int(counter), second, 1)

    def _reported(self, event: Reported) -> None:
        if event.sender == NOBODY:
            return
        sender = self._roster.get(event.sender, event.at)
        self._planned(sender, event.at)
        if not event.feedback_type:
            verdict = self.classifier.classify(event.reply, event.status)
            self._lost(sender, verdict, event.recipient, "", event.at, False)
        elif event.feedback_type != NOT_SPAM:
            self._count(sender, Unit.COMPLAINTS, event.at)
            self._detector.complained(sender, event.at)
