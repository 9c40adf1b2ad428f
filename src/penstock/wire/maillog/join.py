"""Facts of log lines → events: which message, hence which sender, an outcome belongs to.

How it works: a table per queue (``scope``) from queue id to the message that has it now. A line that starts a
message opens an entry, ``removed`` closes it. Short queue ids recur, so a new start closes what a lost
``removed`` left open. Postfix tells the envelope when the message enters the active queue: ``Accepted``
is given then, once, however often it is queued again.

Content filters send a message back under a second queue id (join_filter.py). The second is then the same
message: it is not accepted again, the hand-over is no delivery, and its outcomes belong to the first one's
sender. The filter's reply tells the second id only after it was queued, so ``Accepted`` of what came without
login waits for its next line, ``GRACE`` seconds at most.

Cost: 0.5 KB per message in a queue; `most` bounds them, `keep` ages them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    Posted,
    Rejected,
    ScriptMailed,
    Seen,
    Submitted,
)
from penstock.wire.maillog import join_filter, join_state
from penstock.wire.maillog.facts import (
    Arrived,
    Called,
    Client,
    Expired,
    Fact,
    Named,
    Outcome,
    PickedUp,
    Queued,
    Refused,
    Removed,
    Returned,
)
from penstock.wire.maillog.join_memory import ENDED, FRESH, KNOWN, PARKED, WAITING, Memory, Open, Words
from penstock.wire.maillog.join_state import BadState

__all__ = ["BadState", "Join"]

GRACE = 10.0
"""Seconds that ``Accepted`` waits for a filter's hand-over."""
AFTERMATH = 60.0
"""Seconds in which lines about a message that died are still about that one."""
MOST_TEXT = 500
"""Characters kept of an id, an address or a reply."""
NONE: Final[Sequence[Event]] = ()
NULL = ("", "<>")
LAST_STAGES = frozenset(
    {"DATA", "END-OF-MESSAGE", "EOM", "header", "mime-header", "nested-header", "body", "DKIM"}
)
DROPS = frozenset({"discard", "milter-discard"})
REFUSALS = frozenset({"reject", "milter-reject"}) | DROPS
HOLDS = frozenset({"hold", "milter-hold"})

_SRS = re.compile(r"SRS[01][=+-]", re.IGNORECASE)
_new = tuple.__new__  # what the constructors of the events call
_NO_DIGITS = {ord(digit): None for digit in "0123456789"}


class Join:
    """``most`` messages are remembered, each until ``keep`` seconds have passed without a line of it.

    ``forgotten``: messages dropped because of these bounds. ``orphans``: messages of which the start was
    never seen, so that their outcomes are nobody's.
    """

    def __init__(self, most: int = 1_000_000, keep: float = 6 * 86400) -> None:
        self._memory = Memory(most, keep)
        self._word = Words()

    def __len__(self) -> int:
        return self._memory.open

    @property
    def forgotten(self) -> int:
        return self._memory.forgotten

    @property
    def orphans(self) -> int:
        return self._memory.orphans

    def feed(self, fact: Fact) -> Sequence[Event]:
        """The events that this fact completes: usually none or one. It never raises."""
        return _HANDLERS[type(fact)](self, fact)

    def feed_facts(self, facts: Iterable[Fact]) -> Iterator[Event]:
        """The same for many. Each event comes before the next fact is read, because that one may change its
        message."""
        handlers = _HANDLERS
        for fact in facts:
            events = handlers[type(fact)](self, fact)
            if events:
                yield from events

    def settle(self, at: float) -> Sequence[Event]:
        """What waits for a line that has not come by ``at``. At the end of a log: ``GRACE`` seconds after its
        last line. Not for a log that is followed: reading it again has to give the same events."""
        held = self._memory.held
        events: list[Event] = []
        # A clock that was set back must not keep them.
        while held and abs(at - held[0].turn) >= GRACE:
            events += self._announce(held.popleft(), at)
        return events

    def pack(self) -> Iterator[bytes]:
        """The whole state in chunks of bounded size. Not to be fed before it is exhausted."""
        return join_state.dump(self._memory)

    def load(self, chunks: Iterable[bytes]) -> None:
        """Puts a packed state in the place of this one; raises BadState and changes nothing if it is none."""
        self._memory = join_state.load(chunks, self._memory.most, self._memory.keep)

    @classmethod
    def unpack(cls, chunks: Iterable[bytes], most: int = 1_000_000, keep: float = 6 * 86400) -> Join:
        join = cls(most, keep)
        join.load(chunks)
        return join

    def _orphan(self, fact: Queued | Outcome) -> Open | None:
        """A message of which the start was not seen. It was accepted then; by whom is lost."""
        if self._memory.has_gone(fact.at, fact.scope, fact.queue_id):
            return None
        m = self._memory.start(fact.at, fact.scope, fact.queue_id)
        m.stage = KNOWN
        self._memory.orphans += 1
        return m

    # Starts

    def _client(self, fact: Client) -> Sequence[Event]:
        at, scope, queue_id, address, login, original = fact
        m = self._memory.begin(at, scope, queue_id)
        if m is None:
            return NONE
        m.client_address = self._word[address]
        if original:
            parent = self._memory.find(scope, original)
            if parent is not None:
                join_filter.link(m, parent)
        elif login:
            m.kind, m.name = "login", self._word[login]
        elif address:
            m.kind, m.name = "ip", m.client_address
        return (_new(LoggedIn, (at, login, address, "smtp", True)),) if login else NONE

    def _picked_up(self, fact: PickedUp) -> Sequence[Event]:
        m = self._memory.begin(fact.at, fact.scope, fact.queue_id)
        if m is not None:
            m.kind, m.name = "uid", self._word[str(fact.uid)]
        return NONE

    def _arrived(self, fact: Arrived) -> Sequence[Event]:
        m = self._memory.begin(fact.at, fact.scope, fact.queue_id)
        if m is None:
            return NONE
        m.client_address = self._word[fact.client_address]
        m.message_id = fact.message_id[:MOST_TEXT]
        if fact.parent:
            return self._queue(m, fact)
        if fact.login:
            m.kind, m.name = "login", self._word[fact.login]
        elif fact.user:
            m.kind, m.name = "uid", self._word[fact.user]
        elif fact.client_address:
            m.kind, m.name = "ip", m.client_address
        return self._queue(m, fact)

    def _named(self, fact: Named) -> Sequence[Event]:
        """Without a start: the MTA's own message, a notice or a forward."""
        m = self._memory.tables[fact.scope].get(fact.queue_id)
        if m is None:
            if self._memory.has_gone(fact.at, fact.scope, fact.queue_id):
                return NONE
            m = self._memory.start(fact.at, fact.scope, fact.queue_id)
        if not m.message_id:
            m.message_id = fact.message_id[:MOST_TEXT]
        return NONE

    def _returned(self, fact: Returned) -> Sequence[Event]:
        notice = self._memory.get(fact.scope, fact.notice)
        if notice is not None:
            notice.kind, notice.name = NOBODY, ""
        return NONE

    # Acceptance

    def _queued(self, fact: Queued) -> Sequence[Event]:
        m = self._memory.tables[fact.scope].get(fact.queue_id)
        if m is None:
            m = self._orphan(fact)
            if m is not None:
                self._envelope(m, fact)
            return NONE
        m.seen = fact.at
        if m.stage >= WAITING:
            return NONE
        self._memory.back(m, fact.at)
        return self._queue(m, fact)

    def _envelope(self, m: Open, fact: Queued | Arrived) -> None:
        m.envelope_from = self._word[fact.envelope_from[:MOST_TEXT]]
        m.recipients = fact.recipients
        m.size = fact.size
        m.left = fact.recipients or join_filter.UNTOLD

    def _queue(self, m: Open, fact: Queued | Arrived) -> Sequence[Event]:
        """The message is whole: to be accepted, unless it was under another id."""
        self._envelope(m, fact)
        due = self.settle(fact.at) if self._memory.held else NONE
        top = m
        if m.root is not None:
            top, m.stage = m.top(), KNOWN
            if top.stage >= WAITING:
                return due
            self._envelope(top, fact)  # held until it was queued under its second id
        elif join_filter.is_reinjected(self._memory, m):
            m.stage = KNOWN
            return due
        accepted = self._accept(top, fact.at)
        return [*due, *accepted] if due else accepted

    def _accept(self, m: Open, at: float) -> Sequence[Event]:
        may_be_filter = m.kind == "ip"
        sender = m.envelope_from
        # Only of a stranger's client: who logged in, or runs here, could otherwise write himself free.
        if may_be_filter and (sender in NULL or _SRS.match(sender)):
            m.kind, m.name = NOBODY, ""
        if m.message_id:
            self._memory.named[m.message_id] = m
        if may_be_filter:
            m.stage = WAITING
            self._memory.held.append(m)
            return NONE
        return self._announce(m, at)

    def _announce(self, m: Open, at: float) -> Sequence[Event]:
        if m.stage == KNOWN:
            return NONE
        m.stage = KNOWN
        return (_new(Accepted, (at, m)),)

    # Outcomes

    def _outcome(self, fact: Outcome) -> Sequence[Event]:
        m = self._memory.tables[fact.scope].get(fact.queue_id) or self._orphan(fact)
        if m is None:
            return NONE
        m.seen = fact.at
        handle = _OUTCOMES.get(fact.status)
        return handle(self, m, fact) if handle is not None else NONE

    def _sent(self, m: Open, fact: Outcome) -> Sequence[Event]:
        if join_filter.is_handed_over(self._memory, m, fact):
            if m.recall(_whom(fact)):
                m.note(_whom(fact), ENDED)
            return self._announce(m.top(), fact.at)
        delivered = _new(Delivered, (fact.at, m, fact.recipient, fact.relay))
        return self._ended(m, fact, delivered)

    def _bounced(self, m: Open, fact: Outcome) -> Sequence[Event]:
        bounced = Bounced(fact.at, m, fact.recipient, fact.relay, fact.dsn, fact.reply)
        return self._ended(m, fact, bounced)

    def _ended(self, m: Open, fact: Outcome, event: Delivered | Bounced) -> Sequence[Event]:
        if not m.end(_whom(fact) if fact.original else fact.recipient):
            return NONE
        if m.root is not None:
            m = m.top()
            event = event._replace(message=m)
        return (event,) if m.stage == KNOWN else (*self._announce(m, fact.at), event)

    def _deferred(self, m: Open, fact: Outcome) -> Sequence[Event]:
        who = _whom(fact)
        before = m.recall(who)
        if before == ENDED:
            return NONE
        now = (self._word[fact.relay], fact.dsn, fact.reply[:MOST_TEXT])
        if not m.note(who, now):
            return NONE
        if before is not None and _is_alike(before[2], now[2]):
            return NONE
        top = m.top()
        first = before is None
        deferred = Deferred(fact.at, top, fact.recipient, fact.relay, fact.dsn, fact.reply, first)
        return (*self._announce(top, fact.at), deferred)

    def _expired(self, fact: Expired) -> Sequence[Event]:
        m = self._memory.tables[fact.scope].get(fact.queue_id)
        if m is None:
            return NONE
        m.seen = fact.at
        top = m.top()
        waiting = [(who, end) for who, end in m.each() if end != ENDED]
        for who, _ in waiting:
            m.note(who, ENDED)
        return [Bounced(fact.at, top, who.partition("\0")[0], *end) for who, end in waiting]

    def _removed(self, fact: Removed) -> Sequence[Event]:
        m = self._memory.tables[fact.scope].get(fact.queue_id)
        if m is None:
            return NONE
        self._memory.close(m, fact.at)
        return self._announce(m, fact.at) if m.stage == WAITING else NONE

    # Refusals

    def _refused(self, fact: Refused) -> Sequence[Event]:
        m = self._memory.tables[fact.scope].get(fact.queue_id) if fact.queue_id else None
        if fact.action in HOLDS and m is not None and m.stage == FRESH:
            m.stage = PARKED
        if fact.action not in REFUSALS:
            return NONE
        if fact.queue_id and (fact.stage in LAST_STAGES or fact.action in DROPS):
            return self._died_unseen(fact) if m is None else self._died(m, fact)
        if fact.action in DROPS:
            return NONE
        login, address = fact.login, fact.client_address
        if m is not None:
            m.seen = fact.at
            login = login or (m.name if m.kind == "login" else "")
        return (Rejected(fact.at, fact.scope, login, address, fact.recipient, fact.reply),)

    def _died(self, m: Open, fact: Refused) -> Sequence[Event]:
        m.envelope_from = m.envelope_from or fact.envelope_from
        self._memory.close(m, fact.at + AFTERMATH)
        # What a filter is refused comes back as the outcome of the first id.
        if m.root is not None or join_filter.is_reinjected(self._memory, m):
            return NONE
        return (Died(fact.at, m, fact.reply),)

    def _died_unseen(self, fact: Refused) -> Sequence[Event]:
        """Exim names no message that it has not accepted before."""
        if self._memory.has_gone(fact.at, fact.scope, fact.queue_id):
            return NONE
        m = Open(fact.at, fact.scope, fact.queue_id)
        m.envelope_from, m.client_address = fact.envelope_from, fact.client_address
        m.kind = "login" if fact.login else "ip" if fact.client_address else NOBODY
        m.name = fact.login or fact.client_address
        self._memory.bury(m, fact.at + AFTERMATH)
        return (Died(fact.at, m, fact.reply),)

    def _passed(self, fact: LoggedIn | Seen) -> Sequence[Event]:
        return (fact,)

    def _nothing(self, fact: Called) -> Sequence[Event]:
        return NONE


def _whom(fact: Outcome) -> str:
    """One address through two aliases is two recipients."""
    return f"{fact.recipient}\0{fact.original}" if fact.original else fact.recipient


def _is_alike(reply: str, other: str) -> bool:
    """Times, ids and ports change from one try to the next."""
    return reply == other or reply.translate(_NO_DIGITS) == other.translate(_NO_DIGITS)


_OUTCOMES: dict[str, Callable[[Join, Open, Outcome], Sequence[Event]]] = {
    "sent": Join._sent,
    "bounced": Join._bounced,
    "expired": Join._bounced,
    "deferred": Join._deferred,
    "SOFTBOUNCE": Join._deferred,
}

_HANDLERS: dict[type, Callable[[Join, Any], Sequence[Event]]] = {
    Client: Join._client,
    PickedUp: Join._picked_up,
    Named: Join._named,
    Queued: Join._queued,
    Arrived: Join._arrived,
    Outcome: Join._outcome,
    Returned: Join._returned,
    Expired: Join._expired,
    Removed: Join._removed,
    Refused: Join._refused,
    Called: Join._nothing,
    LoggedIn: Join._passed,
    ScriptMailed: Join._passed,
    Submitted: Join._passed,
    Posted: Join._passed,
}
