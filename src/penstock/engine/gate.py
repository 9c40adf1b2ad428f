"""``Engine.decide`` answers one question of an MTA from memory, in microseconds; ``Engine.observe`` takes
in what became of the mail.

Time comes with the question, so a log replayed through an engine gives what would have
happened. Counts and changes of standing go to the ports and become durable behind it; a
decision carries the ticket of the record that it rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from penstock.core.acquaintance import Acquaintance
from penstock.core.decision import PASS, Decision
from penstock.core.events import Attempt, began, kib_of
from penstock.core.flight import ASKS_END, MOST_RECIPIENTS, RELEASED, Channel, Flight, Flights
from penstock.core.ledger import Counter
from penstock.core.limits import FLOW, Unit
from penstock.core.policy import WHOLE_MESSAGE, Policy, Verb
from penstock.core.sender import Sender, block, check
from penstock.engine.book import MOST_AT_ONCE, Book
from penstock.engine.budget import Budget
from penstock.engine.casework import Casework
from penstock.engine.detector import Detector
from penstock.engine.observe import Observer
from penstock.engine.origins import Origins
from penstock.engine.pausing import Pausing
from penstock.engine.refusals import Refusals
from penstock.engine.refusing import Refusing
from penstock.engine.roster import Roster
from penstock.ports import Counts, Directory, Records, Remembered, Sent

_RECIPIENTS: Final = int(Counter.RECIPIENTS)
_MESSAGES: Final = int(Counter.MESSAGES)
_KIB: Final = int(Counter.KIB)

VOUCHED_AT_ONCE: Final = 100
"""Recipients or messages that pass before the evidence is asked again."""

VOUCHED_AFTER: Final = 20.0
"""Seconds after a refusal when the evidence is asked again."""

LANDED_KEPT: Final = 600.0
"""Seconds for which a finished message is remembered, for questions that are repeated."""


class Engine:
    """The gate of one node. ``stamp``: gives the header line by which a report about mail of that sender
    is led back to it; None: no header is added. ``queued``: told of each message that lies in the MTA's queue
    (attempt, sender, the recipients if it is held). ``budget``: what may be held."""

    def __init__(
        self,
        policy: Policy,
        directory: Directory,
        records: Records,
        counts: Counts,
        remembered: Remembered,
        sent: Sent,
        acquaintance: Acquaintance,
        at: float,
    ) -> None:
        self.started_at = at
        self.roster = Roster(policy, directory, records, counts, remembered, at)
        self.refusals = Refusals(records)
        self.flights = Flights()
        self.stamp: Callable[[str, float], str] | None = None
        self.queued: Callable[[Attempt, str, Sequence[str] | None], None] | None = None
        self.budget = Budget()
        self._book = Book(self.roster, self.refusals, counts)
        self._pausing = pausing = Pausing(self.roster, self._book)
        self._refusing = Refusing(self.roster, self.refusals, self._book, pausing, self.budget)
        self._count = self._book.count
        self._mail = self._book.mail
        self._refund = self._book.refund
        self.detector = Detector(self.roster, self._book, acquaintance)
        self.casework = Casework(self.roster, self._book, self.detector, records, remembered, at)
        landed = self.flights.landed
        self.origins = Origins(self.roster.local)
        self.observer = Observer(
            self.roster, self._book, pausing, self.detector, self.died, landed, sent, self.origins
        )
        self.observe = self.observer.observe
        self._stages: dict[str, Callable[[Attempt, Channel], Decision]] = {
            "RCPT": self._rcpt,
            "DATA": self._data,
            "END-OF-MESSAGE": self._end,
        }

    def take_over(self, late: Remembered, at: float) -> None:
        """The records could be read only now."""
        self.roster.take_over(late)
        self.casework.take_over(late, at)

    def save(self, most: int, at: float) -> None:
        """Record what has changed of refusals and incidents, at most so many of each."""
        self.refusals.save(most, at)
        self.casework.save(most, at)

    def adopt(self, policy: Policy) -> None:
        """Take over a new policy, rules for replies included."""
        self.roster.adopt(policy)
        self.observer.adopt(policy)
        self.detector.mode = policy.detection.mode

    def decide(self, attempt: Attempt, channel: Channel) -> Decision:
        """The answer to one question. Stages that charge nobody pass."""
        stage = self._stages.get(attempt.stage)
        return PASS if stage is None else stage(attempt, channel)

    # --- the stages -------------------------------------------------------------------------

    def _rcpt(self, a: Attempt, channel: Channel) -> Decision:
        key = f"{a.host} {a.instance}"
        flight = self.flights.get(key)
        if flight is None:
            channel.asks_rcpt = True
            flight = self._take_off(a, channel, key)
        else:
            answered = self._answered(flight, a)
            if answered is not None:
                return answered
        messages = 0 if flight.charged else 1
        found = self._room(flight, a.at, 1, messages, kib_of(a.size))
        if found is not None and found.stops:
            return self._refuse(flight, a.recipient, found, a.at)
        if self.detector.mode != "off":
            found = self._suspected(flight, a, a.recipient) or found
            if found is not None and found.stops:
                return self._refuse(flight, a.recipient, found, a.at)
        second = int(a.at)
        self._charge(flight, second, 1, messages)
        if len(flight.recipients) < MOST_RECIPIENTS:
            flight.recipients[a.recipient] = second
        else:
            flight.add_unnamed(second, 1)
        if found is None and messages and self.stamp is not None:
            return Decision(Verb.MARK, self.stamp(flight.senders[0].key, a.at))
        return found or PASS

    def _answered(self, flight: Flight, a: Attempt) -> Decision | None:
        """The answer that this message or recipient has had already."""
        flight.last_at = a.at
        known = flight.recipients.get(a.recipient)
        verdict = flight.verdict
        if verdict is None:
            if isinstance(known, Decision):
                return known
            verdict = None if flight.live else self._revive(flight, a.at)
        if verdict is not None:
            return self._refusing.one_more(verdict, flight, a.recipient, a.at)
        if known is None:
            return None
        flight.repeats += 1
        return PASS

    def _data(self, a: Attempt, channel: Channel) -> Decision:
        flight = self.flights.get(f"{a.host} {a.instance}") or self._unasked(a, channel)
        if flight is None:
            return PASS
        flight.last_at = a.at
        if flight.verdict is None and not flight.live:
            return self._revive(flight, a.at) or PASS
        return flight.verdict or PASS

    def _end(self, a: Attempt, channel: Channel) -> Decision:
        """The message is complete: settle what was reserved for it, and commit."""
        key = f"{a.host} {a.instance}"
        if not channel.asks_end:
            self._learn_end(channel, key)
        flight = self.flights.get(key) or self._unasked(a, channel)
        if flight is None or flight.committed:
            return PASS
        refused = flight.verdict
        if refused is None and not flight.live:
            refused = self._revive(flight, a.at)
        refused = refused or self._commit(flight, a)
        if refused is not None and began(a) >= self.started_at:
            self._refusing.rest(refused, flight, min(a.recipient_count, MOST_AT_ONCE), a.at)
        if self.queued is not None and a.queue_id and (refused is None or refused.verb is Verb.HOLD):
            self.queued(a, flight.senders[0].key, None if refused is None else list(flight.recipients))
        return refused or PASS

    def _unasked(self, a: Attempt, channel: Channel) -> Flight | None:
        """A message whose recipients nobody asked about: charge them by their number.

        One that was asked about and forgotten, or before this process began, is charged already.
        """
        if not a.recipient_count or channel.asks_rcpt or began(a) < self.started_at:
            return None
        flight = self._take_off(a, channel, f"{a.host} {a.instance}")
        recipients = min(a.recipient_count, MOST_AT_ONCE)
        self._reserve(flight, a.at, recipients, 1, kib_of(a.size))
        flight.add_unnamed(int(a.at), recipients)
        return flight

    def _reserve(
        self, flight: Flight, at: float, recipients: int, messages: int, kib: int
    ) -> Decision | None:
        """Charge so many at once, or refuse the whole message."""
        found = self._room(flight, at, recipients, messages, kib)
        if found is not None and found.stops:
            self.stop(flight, found, at)
            return found
        self._charge(flight, int(at), recipients, messages)
        return None

    # --- flights ----------------------------------------------------------------------------

    def _take_off(self, a: Attempt, channel: Channel, key: str) -> Flight:
        """A new message on the channel: the one before it is over."""
        if a.context == ASKS_END:
            channel.asks_end = True
        if channel.asks_end and channel.recent and channel.recent[-1].airborne:
            self.give_back(channel.recent[-1])
        roster = self.roster
        if a.login:
            sender = roster.by_login(a.login, a.at)
        elif a.sender:
            sender = roster.local(a.sender, a.under, a.at)
        else:
            sender = roster.by_address(a.client_address, a.at)
        if a.at >= sender.replan_at:
            roster.replan(sender, a.at)
        lineage = (sender,) if sender.parent is None else sender.lineage()
        flight = Flight(key, lineage, channel, a.at, a.context == RELEASED)
        if a.instance:
            self.flights.add(flight)
        return flight

    def _learn_end(self, channel: Channel, ending: str) -> None:
        """The channel asks at END-OF-MESSAGE: what came before on it without one had died."""
        channel.asks_end = True
        for flight in channel.recent:
            if flight.airborne and flight.key != ending:
                self.give_back(flight)

    def give_back(self, flight: Flight) -> None:
        """Refund all that the flight has charged, in the slots it was charged in."""
        flight.live = False
        for second, n in flight.seconds().items():
            self._refund(flight, _RECIPIENTS, second, n)
        if flight.charged:
            self._refund(flight, _MESSAGES, flight.message_at, 1)

    def stop(self, flight: Flight, decision: Decision, at: float) -> None:
        """The message is stopped as a whole: all goes back, and who had passed was stopped as well. Again: no
        more."""
        if flight.live:
            self.give_back(flight)
        self.detector.withdrawn(flight)
        self._refusing.also(decision, flight, flight.stop(decision), at)

    def died(self, queue_id: str, at: float) -> bool:
        """The MTA itself refused a message after its end (a header check, a milter): all of it goes back.

        False when no message of that queue id, committed about then, is remembered.
        """
        flight = self.flights.crash(queue_id, at)
        if flight is None or not flight.live:
            return False
        self.give_back(flight)
        self._refund(flight, _KIB, flight.landed_at, flight.kib)
        return True

    def _revive(self, flight: Flight, at: float) -> Decision | None:
        """A flight taken for dead goes on: reserve again what it had, if there is room."""
        recipients, second = flight.charged, int(at)
        if recipients:
            flight.charged = 0
            refused = self._reserve(flight, at, recipients, 1, 0)
            if refused is not None:
                return refused
        flight.live = True
        for address, known in flight.recipients.items():
            if isinstance(known, int):
                flight.recipients[address] = second
        if flight.unnamed:
            flight.unnamed = {second: sum(flight.unnamed.values())}
        return None

    def _commit(self, flight: Flight, a: Attempt) -> Decision | None:
        """Charge what was really accepted, the bytes included; a limit may refuse the message yet."""
        kib = kib_of(a.size)
        refused = self._settle(flight, a) if a.recipient_count else None
        found = self._room(flight, a.at, 0, 0, kib) if refused is None else None
        refused = found if found is not None and found.stops else refused
        if refused is None:
            self.detector.read(flight, a)  # not before: what a limit refuses comes again
            refused = self._refusing.stopped_now(flight, a.at)
        if refused is not None:
            self.stop(flight, refused, a.at)
            return refused
        flight.committed, flight.landed_at, flight.kib = True, int(a.at), kib
        if a.queue_id:
            self.flights.land(a.queue_id, flight)
        if kib:
            for sender in flight.senders:
                self._count(sender, _KIB, int(a.at), kib)
                sender.spare_kib -= kib
        return None

    def _settle(self, flight: Flight, a: Attempt) -> Decision | None:
        """Make the charge equal to the number of recipients that Postfix accepted."""
        surplus = flight.charged - min(a.recipient_count, MOST_AT_ONCE)
        unasked = -surplus - flight.repeats
        if unasked > 0 and began(a) >= self.started_at and not flight.refused_some():
            refused = self._reserve(flight, a.at, unasked, 0, 0)
            flight.add_unnamed(int(a.at), unasked)
            return refused
        for address in reversed(list(flight.recipients)) if surplus > 0 else ():
            known = flight.recipients[address]
            if isinstance(known, int) and surplus > 0:
                self._refund(flight, _RECIPIENTS, known, 1)
                del flight.recipients[address]
                flight.charged -= 1
                surplus -= 1
        return None

    def sweep(self, at: float) -> None:
        """Give back what idle messages have reserved; forget messages long landed. ``at`` is the time now."""
        self._pausing.now = at
        for flight in self.flights.idle(at):
            if flight.channel.asks_end:
                self.give_back(flight)
        self.flights.forget_before(at - LANDED_KEPT)
        self.origins.sweep(at)
        self.detector.sweep(at)
        self.casework.sweep(at)

    # --- room and charge --------------------------------------------------------------------

    def _room(self, flight: Flight, at: float, recipients: int, messages: int, kib: int) -> Decision | None:
        """None when every sender concerned has room, else the refusal or the mark. Charges nothing."""
        mark = None
        for sender in flight.senders:
            if (
                sender.spare_recipients < recipients
                or sender.spare_messages < messages
                or sender.spare_kib < kib
                or at >= sender.replan_at
            ):
                found = self._look(sender, flight, at, recipients, messages, kib)
                if found is not None and found.stops:
                    return found
                mark = found or mark
        return mark

    def _look(
        self, sender: Sender, flight: Flight, at: float, recipients: int, messages: int, kib: int
    ) -> Decision | None:
        """Read the sender's standing and limits; note what shadow rules would have done."""
        if at >= sender.replan_at:
            self.roster.replan(sender, at)
        if sender.standing.stopped:
            return self._refusing.stopped(sender, flight, recipients, at)
        if at < sender.blocked_until and sender.blocked is not None:
            wanted = messages if sender.blocked_unit is Unit.MESSAGES else recipients
            if wanted:
                return self._refusing.over(sender.blocked, flight, recipients, at)
        found = None
        for excess in check(sender, int(at), recipients, messages, kib):
            limit = excess.limit
            if limit.unit in FLOW and self.detector.vouches(flight.senders[0], excess, at):
                sender.spare_recipients = sender.spare_messages = VOUCHED_AT_ONCE
                continue
            refusal = self._book.stretch(sender, f"limit:{limit.unit} {limit}", at, excess)
            if limit.mode == "shadow":
                self._book.shadowed(refusal, sender, recipients, at, str(sender.profile.over_limit))
                continue
            found = self._refusing.over(refusal, flight, recipients, at)
            if found.stops:
                block(sender, excess, refusal, int(at))
                if flight.senders[0].profile.vouched > 1:
                    sender.blocked_until = min(sender.blocked_until, at + VOUCHED_AFTER)
                return found
        return found

    def _charge(self, flight: Flight, second: int, recipients: int, messages: int) -> None:
        flight.charged += recipients
        if messages:
            flight.message_at = second
        for sender in flight.senders:
            self._mail(sender, second, recipients, messages)

    # --- refusing ---------------------------------------------------------------------------

    def _suspected(self, flight: Flight, a: Attempt, recipient: str) -> Decision | None:
        """The refusal of a recipient whom a sender under suspicion may not reach now."""
        case = self.detector.admit(a, recipient, flight)
        return None if case is None else self._refusing.suspected(flight, case, a.at)

    def _refuse(self, flight: Flight, recipient: str, decision: Decision, at: float) -> Decision:
        """Remember the refusal for a repeated question; a whole-message verb ends the flight."""
        if decision.verb in WHOLE_MESSAGE:
            self.stop(flight, decision, at)
        if len(flight.recipients) < MOST_RECIPIENTS:
            flight.recipients[recipient] = decision
        return decision
