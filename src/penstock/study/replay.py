"""Past logs through a policy: the engine of production, with time taken from the lines.

Each message that the log accepted is asked about as the MTA would have asked: recipient by recipient,
then its end. What the policy stops has not happened: nothing that became of it is counted. What it defers
is tried again as a queue does, what it holds goes out as soon as the sender may send it (waiting.py), and
what came of it follows later by as much. What it rejects or discards is gone.

A sender that is paused without an end stays paused, because nobody gives a verdict here, and what waits of
it never passes (``_is_stopped_for_good`` knows that; a verdict would be one more thing that is due in
``_play``). After the log's last line what still waits is played on for a day; whom the log leaves paused
stays so.

Memory grows with the number of senders and of refusals, not with the number of lines.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TextIO

from penstock.core import explain
from penstock.core.acquaintance import Acquaintance
from penstock.core.decision import Refusal
from penstock.core.events import Accepted, Attempt, Bounced, Deferred, Delivered, Event, LoggedIn, Message
from penstock.core.flight import Channel
from penstock.core.limits import Unit
from penstock.core.policy import Policy, Verb
from penstock.core.sender import PLAN_LASTS, Excess, Sender
from penstock.engine.releasing import Releasing
from penstock.ports import Directory
from penstock.study.asking import AskedAtOnce, Stopped
from penstock.study.incident import Incident, Incidents
from penstock.study.lookahead import Names, named_first
from penstock.study.memory import Memory
from penstock.study.waiting import CHECK_EVERY, DAY, RETRY, STOPPED, Fate, Outcome, Waiting, Waits
from penstock.study.witnessed import witnessed

NOTHING: Final = frozenset[str]()
"""Whom the observer charges: the gate has charged everybody."""

SAVE_EVERY: Final = 5000
"""Messages."""

SWEEP_EVERY: Final = 60.0
QUIET: Final = 30 * DAY
"""Of a longer silence only the beginning is lived through: then no suspicion is left."""
END: Final = "END-OF-MESSAGE"

MOST_RECIPIENTS: Final = 100_000
"""Recipients that one message is believed to have: a forged line may claim any number."""

_FOREVER: Final = 1 << 62
_COMES_AGAIN: Final = (Verb.DEFER, Verb.HOLD)
_OUTCOMES: Final = frozenset({Delivered, Deferred, Bounced})


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


class Replay:
    """One policy over one stream of events. ``decisions``: a file for one JSON line for each message
    that would not have passed at once. ``known``: learns who has met whom."""

    def __init__(
        self,
        policy: Policy,
        directory: Directory,
        decisions: TextIO | None = None,
        known: Acquaintance | None = None,
    ) -> None:
        self.tally = Tally()
        self._memory = memory = Memory()
        known = known or Acquaintance(b"replay")
        self._engine = AskedAtOnce(policy, directory, memory, memory, memory, memory, known, 0.0)
        self.senders = self._engine.roster.senders
        self._releasing = Releasing(self._engine)
        self.origins = self._engine.origins
        self.journeys = self._engine.detector.journeys
        self._incidents = Incidents(self._engine.roster, self._engine.detector)
        self._decisions = decisions
        self._channel = Channel("")
        self._waits = Waits()
        self._refused: Counter[str] = Counter()
        """Reference → recipients, each once however often it is tried."""
        self._sweep_at = 0.0

    def feed(self, events: Iterable[Event]) -> None:
        """The log's events in their order. The installation begins to watch with the first one."""
        detects, events = self._engine.detector.mode != "off", witnessed(events, self.origins)
        observe, waits, memory = self._engine.observe, self._waits, self._memory
        for event, names in named_first(events) if detects else named_first(_that_count(events), False):
            at = event.at
            if at >= self._sweep_at:
                self._sweep(at)
            if waits.next_at <= at:
                self._play(at)
            if names is not None:
                self._accepted(event, names)  # type: ignore[arg-type]
            elif type(event) not in _OUTCOMES:
                observe(event, NOTHING)
            elif event.message.stopped is None or not self._comes_later(event):  # type: ignore[union-attr, arg-type]
                observe(event, NOTHING)
                if waits.held:
                    self._look_at_held(event.message, at)  # type: ignore[union-attr]
            if memory.changes:
                self._note_changes()

    def finish(self) -> None:
        """The log has ended."""
        roster, end = self._engine.roster, max(self._sweep_at - SWEEP_EVERY, self.tally.last_at)
        for key in self._incidents.paused():
            roster.replan(roster.find(key), end)
        self._note_changes()
        for waiting in self._waits.all():
            if waiting.sender.standing.stopped:
                self._give_up(waiting)
        self._play(end + DAY)
        for waiting in self._waits.all():
            self._give_up(waiting)
        self._engine.refusals.save(_FOREVER, float("inf"))

    @property
    def incidents(self) -> list[Incident]:
        """Who was slowed or paused, in the order of time."""
        return self._incidents.all

    @property
    def limited(self) -> list[Refusal]:
        """What limits refused, or would have in shadow mode: one stretch after the other. A recipient that
        is tried again is counted once."""
        found = []
        for one in self._memory.refusals.values():
            if one.rule.startswith(("limit:", "pause:")):
                recipients = one.recipients if one.shadow else self._refused[one.reference]
                if recipients or one.shadow:
                    found.append(replace(one, recipients=recipients))
        return sorted(found, key=lambda refusal: refusal.first_at)

    def _sweep(self, at: float) -> None:
        """What a service does by the clock, also while nothing happens."""
        if not self._sweep_at:
            self._engine.roster.watching_since = self._sweep_at = at
        for quiet in range(int(self._sweep_at), int(min(at, self._sweep_at + QUIET)), int(SWEEP_EVERY)):
            if not self._engine.detector.cases and self._waits.next_at > at:
                break
            self._play(quiet)
            self._engine.sweep(quiet)
        self._sweep_at = at + SWEEP_EVERY
        self._engine.sweep(at)

    # --- asking -----------------------------------------------------------------------------

    def _accepted(self, event: Accepted, names: Names) -> None:
        at, message = event
        sender = self._engine.observer.sender_of(message, at)
        if sender is None:
            return
        recipients = _named(message, names)
        self._count(sender, at, len(recipients))
        refused = self._ask(at, message, sender, recipients, False)
        if refused:
            for _, decision in refused:
                self._refused[decision.reference] += 1
            stopped = [recipient for recipient, _ in refused]
            message.stopped = Fate(stopped, names, len(recipients))
            decision = refused[-1][1]
            self._stop(Waiting(message, sender, at, len(stopped), stopped, decision, decision))

    def _count(self, sender: Sender, at: float, recipients: int) -> None:
        tally = self.tally
        tally.first_at = tally.first_at or at
        tally.last_at = at
        tally.messages += 1
        tally.recipients += recipients
        tally.senders.add(sender.key)
        if tally.messages % SAVE_EVERY == 0:
            self._engine.refusals.save(_FOREVER, float("inf"))

    def _ask(self, at: float, message: Message, sender: Sender, recipients: list[str], held: bool) -> Stopped:
        """The recipients that are stopped now, each with its decision. ``held``: nobody comes with it."""
        asked = Attempt(
            at, "", END, message.client_address, message.envelope_from, "", 0, message.queue_id, "",
            message.size, "", "", sender.key,
        )  # fmt: skip
        return self._engine.decide_all(asked, recipients, self._channel, held)

    # --- what is stopped --------------------------------------------------------------------

    def _stop(self, waiting: Waiting) -> None:
        decision = waiting.decision
        if decision.rule.startswith("standing:"):
            self._incidents.note_stopped(waiting.sender, waiting.stopped)
        if (
            decision.verb not in _COMES_AGAIN
            or _is_stopped_for_good(waiting.sender)
            or not self._waits.take(waiting)
        ):
            self._tell(waiting, None)

    def _comes_later(self, event: Outcome) -> bool:
        """Whether the recipient's mail has not passed, or not yet, or later than it did."""
        fate = event.message.stopped
        assert isinstance(fate, Fate)
        delay = fate.delay(event.recipient)
        if not delay:
            return False
        if delay != STOPPED:
            self._waits.later(event.at + delay, event)
            return True
        waiting = self._waits.of(event.message)
        if waiting is not None and len(waiting.outcomes) < 4 * len(waiting.recipients):
            waiting.outcomes.append(event)
        return True

    def _play(self, until: float) -> None:
        """All that is due up to that time, in its order."""
        while self._waits.next_at <= until:
            at, what = self._waits.pop()
            if isinstance(what, str):
                self._release_held(what, at)
            elif isinstance(what, Waiting):
                self._try_again(what, at)
            else:
                self._engine.observe(what._replace(at=at), NOTHING)
                if self._waits.held:
                    self._look_at_held(what.message, at)
            if self._memory.changes:
                self._note_changes()

    def _try_again(self, waiting: Waiting, at: float) -> None:
        """A deferred message is brought again; not asked is what would certainly be deferred again."""
        if self._waits.of(waiting.message) is not waiting:
            return
        sender = waiting.sender
        self._plan(sender, at)
        if at > waiting.given_up_at or _is_stopped_for_good(sender):
            self._give_up(waiting)
        elif sender.standing.stopped:
            self._waits.later(waiting.next_try(at, sender.standing.until or 0.0), waiting)
        elif self._is_refused_again(waiting, at):
            self._waits.later(waiting.next_try(at, 0.0), waiting)
        elif not self._passes(waiting, at):
            if waiting.last.verb in _COMES_AGAIN:
                self._waits.later(waiting.next_try(at, 0.0), waiting)
            else:
                self._give_up(waiting)

    def _is_refused_again(self, waiting: Waiting, at: float) -> bool:
        """Whether it is certain without asking in full."""
        sender, engine = waiting.sender, self._engine
        if waiting.last.rule.startswith("evidence:"):
            return engine.detector.is_full(sender, at)
        return engine.refuses_again(sender, len(waiting.recipients), at, self._channel)

    def _look_at_held(self, message: Message, at: float) -> None:
        """An outcome may have made room for what is held of that sender."""
        sender = self._engine.observer.sender_of(message, at)
        if sender is not None and sender.key in self._waits.held:
            self._let_go(sender.key, at)

    def _release_held(self, key: str, at: float) -> None:
        """The queue here is looked at again."""
        if key in self._waits.held and self._let_go(key, at):
            first = self._waits.held[key][0]
            standing, blocked_until = first.sender.standing, first.sender.blocked_until
            ends = standing.until or 0.0 if standing.stopped else blocked_until
            self._waits.check(key, max(at + CHECK_EVERY, min(first.not_before, at + RETRY), ends))

    def _let_go(self, key: str, at: float) -> bool:
        """Release what may be sent now, oldest first; whether any is left."""
        held = self._waits.held[key]
        self._plan(held[0].sender, at)
        while held:
            waiting = held[0]
            if self._waits.of(waiting.message) is waiting:
                if _is_stopped_for_good(waiting.sender) or waiting.last.verb not in _COMES_AGAIN:
                    self._give_up(waiting)
                elif not self._may_go(waiting, at) or not self._passes(waiting, at):
                    if waiting.not_before >= at + DAY:
                        held.rotate(-1)  # the others need not wait for it
                    return True
            held.popleft()
        del self._waits.held[key]
        return False

    def _may_go(self, waiting: Waiting, at: float) -> bool:
        """Whether a held message would pass: seen without asking, because no client asks for it again."""
        sender, n = waiting.sender, len(waiting.recipients)
        if at < waiting.not_before or not self._releasing.is_open(sender, n, at):
            return False
        full = self._releasing.over(sender, n, at)
        waiting.not_before = max([0.0, *(_room_at(each, excess, n, at) for each, excess in full)])
        return not full

    def _plan(self, sender: Sender, at: float) -> None:
        if at >= sender.replan_at:
            self._engine.roster.replan(sender, at)

    def _passes(self, waiting: Waiting, at: float) -> bool:
        """Ask again for the recipients that wait; whether the last of them has passed."""
        refused = self._ask(at, waiting.message, waiting.sender, waiting.recipients, waiting.held)
        stopped = [recipient for recipient, _ in refused]
        passed = set(waiting.recipients).difference(stopped)
        waiting.recipients = stopped
        if passed:
            self.tally.delayed += len(passed)
            self._happens(waiting, passed, at)
        if refused:
            waiting.last, waiting.not_before = refused[-1][1], at + RETRY
            return False
        self._waits.end(waiting)
        self._tell(waiting, at)
        return True

    def _happens(self, waiting: Waiting, passed: set[str], at: float) -> None:
        """Recipients get the message now: their outcomes follow as much later as they did."""
        fate, delay = waiting.message.stopped, at - waiting.at
        assert isinstance(fate, Fate)
        fate.update(dict.fromkeys(passed, delay))
        outcomes, waiting.outcomes = waiting.outcomes, []
        for event in outcomes:
            if fate.asked_as(event.recipient) in passed:
                self._waits.later(event.at + delay, event)
            else:
                waiting.outcomes.append(event)

    def _give_up(self, waiting: Waiting) -> None:
        self._waits.end(waiting)
        self._tell(waiting, None)

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
            "never": len(waiting.recipients),
            "rule": waiting.decision.rule,
            "reference": waiting.decision.reference,
        }
        self._decisions.write(json.dumps(line) + "\n")

    def _note_changes(self) -> None:
        self._incidents.note_changes(self._memory.changes)
        self._memory.changes.clear()


def _is_stopped_for_good(sender: Sender) -> bool:
    """Paused, and only a verdict would end it."""
    return any(each.standing.stopped and each.standing.until is None for each in sender.lineage())


def _room_at(sender: Sender, excess: Excess, recipients: int, at: float) -> float:
    """When a limit that is reached may have room for a message: to be looked at again then. What is above
    the limit by itself is looked at once a day, because limits grow."""
    limit = excess.limit
    most = excess.allowed - (recipients if limit.unit is Unit.RECIPIENTS else 1)
    if most < 0:
        return at + DAY
    room = sender.ledger.room_at(limit.unit.counter, int(at), limit.window, most)
    return min(max(float(room), at + CHECK_EVERY), at + PLAN_LASTS)


def _that_count(events: Iterable[Event]) -> Iterator[Event]:
    """What limits need: acceptances, what may count against a sender, and the names of several recipients."""
    for event in events:
        kind = type(event)
        if kind is LoggedIn or (kind is Delivered and event.message.recipients == 1):  # type: ignore[union-attr]
            continue
        yield event


def _named(message: Message, names: Names) -> list[str]:
    """The message's recipients, those that nothing is known of by number."""
    found = list(names)
    return found + [f"#{n}" for n in range(len(found), min(max(message.recipients, 1), MOST_RECIPIENTS))]
