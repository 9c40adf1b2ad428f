"""Facts of log lines → events: which message, hence which sender, an outcome belongs to.

How it works: a table per queue (``scope``) from queue id to the message that has it now. A line that starts a
message opens an entry, ``removed`` closes it. Short queue ids recur, so a new start closes what a lost
``removed`` left open. Postfix tells the envelope when the message enters the active queue: ``Accepted``
is given then, once, however often it is queued again.

Content filters send a message back under a second queue id. The second is then the same message: it is not
accepted again, the hand-over is no delivery, and its outcomes belong to the first one's sender. Witnesses,
by falling strength: ``orig_queue_id``; ``queued as ID`` in the reply of a host that belongs to us; the same
Message-ID and sender from a local client while the first message is open. The reply comes after the
second message was queued, so ``Accepted`` of what came without login waits for its next line, ``GRACE``
seconds at most. Replies and Message-IDs are other people's text: a reply counts only from an address that
the administrator wrote down (local, or not port 25), a Message-ID only for as many recipients as the first
message has; otherwise somebody could put his mail on another's account, or on nobody's.

Whom it hurts when it is wrong: a filter that changes Message-ID and envelope and names no queue id makes
each message count twice, the second time for the filter's address. A script that sends through localhost
with the Message-ID and sender of another's message in the queue gets its recipients free once.

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
    Message,
    Rejected,
    ScriptMailed,
)
from penstock.wire.maillog import join_state
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
from penstock.wire.maillog.join_state import ENDED, FRESH, KNOWN, PARKED, WAITING, BadState, Memory, Open

__all__ = ["BadState", "Join"]

GRACE = 10.0
"""Seconds that ``Accepted`` waits for a filter's hand-over."""
REST = 2 * 3600.0
"""Seconds after which a message that no client has finished is given up."""
AFTERMATH = 60.0
"""Seconds in which lines about a message that died are still about that one."""
MOST_TOMBS = 4096
MOST_REPLY = 500
MOST_WORDS = 50_000
UNTOLD = 100
"""Recipients that a message of unknown size may re-inject."""

NONE: Final[Sequence[Event]] = ()
NULL = ("", "<>")
LAST_STAGES = frozenset({"DATA", "END-OF-MESSAGE", "EOM", "header", "mime-header", "nested-header", "body"})
DROPS = frozenset({"discard", "milter-discard"})
REFUSALS = frozenset({"reject", "milter-reject"}) | DROPS
HOLDS = frozenset({"hold", "milter-hold"})

_QUEUED_AS = re.compile(r"(?:queued as |OK id=)([0-9A-Za-z-]{5,40})")
_RELAY = re.compile(r"\[([^\]]*)\](?::(\d+))?$")
# Loopback, RFC 1918, link-local, RFC 4193; a socket's path has a slash.
_LOCAL = re.compile(
    r"127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|::1$|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|.*/",
    re.IGNORECASE,
)
_SRS = re.compile(r"SRS[01][=+-]", re.IGNORECASE)
_NO_DIGITS = {ord(digit): None for digit in "0123456789"}


class Join:
    """``most`` messages are remembered, each until ``keep`` seconds have passed without a line of it.

    ``forgotten``: messages dropped because of these bounds. ``orphans``: messages of which the start was
    never seen, so that their outcomes are nobody's.
    """

    def __init__(self, most: int = 1_000_000, keep: float = 6 * 86400) -> None:
        self._most = most
        self._keep = keep
        self._take(Memory())

    def _take(self, memory: Memory) -> None:
        self._memory = memory
        self._tables = memory.tables
        self._words: dict[str, str] = {}
        self._hosts: dict[str, list[str]] = {}

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

    def settle(self, at: float) -> Sequence[Event]:
        """Events that wait for a line that has not come by ``at``: for a log that has gone quiet, or ended."""
        held, events = self._memory.held, []
        # A clock that was set back must not keep them.
        while held and abs(at - held[0].turn) >= GRACE:
            events += self._announce(held.popleft(), at)
        return events

    def pack(self) -> Iterator[bytes]:
        """The whole state in chunks of bounded size. Not to be fed before it is exhausted."""
        return join_state.dump(self._memory)

    def load(self, chunks: Iterable[bytes]) -> None:
        """Puts a packed state in the place of this one; raises BadState and changes nothing if it is none."""
        self._take(join_state.load(chunks))
        while self._memory.open > self._most:
            self._drop_oldest()

    @classmethod
    def unpack(cls, chunks: Iterable[bytes], most: int = 1_000_000, keep: float = 6 * 86400) -> Join:
        join = cls(most, keep)
        join.load(chunks)
        return join

    # Opening and closing

    def _open(self, at: float, scope: str, queue_id: str) -> Open:
        memory = self._memory
        table = self._tables.get(scope)
        if table is None:
            table = memory.table(scope)
            self._hosts.clear()
        self._sweep(table, at)
        old = table.get(queue_id)
        if old is not None:
            self._close(old, at)
        m = table[queue_id] = Open(at, scope, queue_id)
        memory.open += 1
        if memory.open > self._most:
            self._drop_oldest()
        return m

    def _close(self, m: Open, until: float) -> None:
        """``until``: lines that are not later than this are still about ``m``."""
        memory = self._memory
        del self._tables[m.scope][m.queue_id]
        memory.open -= 1
        if memory.named.get(m.message_id) is m:
            del memory.named[m.message_id]
        young, old = memory.tombs
        young[m.queue_id] = (m.scope, m.at, until)
        if len(young) >= MOST_TOMBS:
            memory.tombs = ({}, young)

    def _sweep(self, table: join_state.Table, at: float) -> None:
        """Ages the first of the row: two per opening keep up with any row, and cost no scan."""
        for _ in range(2):
            head = next(iter(table.values()), None)
            if head is None or at - head.turn < min(REST, self._keep):
                return
            given_up = head.stage == FRESH and at - head.seen >= REST
            if given_up or at - head.seen >= self._keep:
                self._memory.forgotten += not given_up
                self._close(head, head.seen)
            else:
                table.move_to_end(head.queue_id)
                head.turn = at

    def _drop_oldest(self) -> None:
        heads = [next(iter(table.values())) for table in self._tables.values() if table]
        oldest = min(heads, key=lambda m: m.turn)
        self._close(oldest, oldest.seen)
        self._memory.forgotten += 1

    def _get(self, scope: str, queue_id: str) -> Open | None:
        table = self._tables.get(scope)
        return table.get(queue_id) if table is not None else None

    def _find(self, scope: str, queue_id: str) -> Open | None:
        """The open message that has this id in any queue of the same host."""
        for near in self._near(scope):
            m = self._tables[near].get(queue_id)
            if m is not None:
                return m
        return None

    def _near(self, scope: str) -> list[str]:
        if not self._hosts:
            for known in self._tables:
                self._hosts.setdefault(known.partition("/")[0], []).append(known)
        near = self._hosts.get(scope.partition("/")[0], [])
        return [scope, *(other for other in near if other != scope)] if scope in self._tables else near

    def _tomb(self, scope: str, queue_id: str) -> tuple[str, float, float] | None:
        young, old = self._memory.tombs
        tomb = young.get(queue_id) or old.get(queue_id)
        return tomb if tomb and tomb[0] == scope else None

    def _again(self, at: float, scope: str, queue_id: str) -> bool:
        """Whether this start of a message was seen before: a log read twice at its rotation. An id cannot
        recur within the same second: it is made of the microseconds."""
        m = self._get(scope, queue_id)
        if m is not None:
            return at <= m.at
        tomb = self._tomb(scope, queue_id)
        return tomb is not None and at <= tomb[1]

    def _gone(self, at: float, scope: str, queue_id: str) -> bool:
        tomb = self._tomb(scope, queue_id)
        return tomb is not None and at <= tomb[2]

    def _orphan(self, fact: Queued | Outcome) -> Open | None:
        """A message of which the start was not seen. It was accepted then; by whom is lost."""
        if self._gone(fact.at, fact.scope, fact.queue_id):
            return None
        m = self._open(fact.at, fact.scope, fact.queue_id)
        m.stage = KNOWN
        self._memory.orphans += 1
        return m

    def _word(self, text: str) -> str:
        """One object for equal texts: names and addresses recur."""
        words = self._words
        if len(words) > MOST_WORDS:
            words.clear()
        return words.setdefault(text, text)

    # Starts

    def _client(self, fact: Client) -> Sequence[Event]:
        at, scope, queue_id, address, login, original = fact
        if self._again(at, scope, queue_id):
            return NONE
        m = self._open(at, scope, queue_id)
        m.client_address = self._word(address)
        if original:
            parent = self._find(scope, original)
            if parent is not None:
                self._link(m, parent)
        elif login:
            m.kind, m.name = "login", self._word(login)
        elif address:
            m.kind, m.name = "ip", m.client_address
        return (LoggedIn(at, login, address, "smtp", True),) if login else NONE

    def _picked_up(self, fact: PickedUp) -> Sequence[Event]:
        if not self._again(fact.at, fact.scope, fact.queue_id):
            m = self._open(fact.at, fact.scope, fact.queue_id)
            m.kind, m.name = "uid", self._word(str(fact.uid))
        return NONE

    def _arrived(self, fact: Arrived) -> Sequence[Event]:
        if self._again(fact.at, fact.scope, fact.queue_id):
            return NONE
        m = self._open(fact.at, fact.scope, fact.queue_id)
        m.client_address = self._word(fact.client_address)
        m.message_id = fact.message_id
        if fact.login:
            m.kind, m.name = "login", self._word(fact.login)
        elif fact.user:
            m.kind, m.name = "uid", self._word(fact.user)
        elif fact.client_address:
            m.kind, m.name = "ip", m.client_address
        return self._queue(m, fact)

    def _named(self, fact: Named) -> Sequence[Event]:
        """Without a start: the MTA's own message, a notice or a forward."""
        m = self._get(fact.scope, fact.queue_id)
        if m is None:
            if self._gone(fact.at, fact.scope, fact.queue_id):
                return NONE
            m = self._open(fact.at, fact.scope, fact.queue_id)
        if not m.message_id:
            m.message_id = fact.message_id
        return NONE

    def _returned(self, fact: Returned) -> Sequence[Event]:
        notice = self._get(fact.scope, fact.notice)
        if notice is not None:
            notice.kind, notice.name = NOBODY, ""
        return NONE

    # Acceptance

    def _queued(self, fact: Queued) -> Sequence[Event]:
        m = self._get(fact.scope, fact.queue_id)
        if m is None:
            m = self._orphan(fact)
            if m is not None:
                self._envelope(m, fact)
            return NONE
        m.seen = fact.at
        if m.stage >= WAITING:
            return NONE
        m.turn = fact.at
        self._tables[m.scope].move_to_end(m.queue_id)
        return self._queue(m, fact)

    def _envelope(self, m: Open, fact: Queued | Arrived) -> None:
        m.envelope_from = self._word(fact.envelope_from)
        m.recipients = fact.recipients
        m.size = fact.size
        m.left = fact.recipients or UNTOLD

    def _queue(self, m: Open, fact: Queued | Arrived) -> Sequence[Event]:
        """The message is whole: to be accepted, unless it was under another id."""
        self._envelope(m, fact)
        due = self.settle(fact.at)
        top = m.top()
        if top is not m:
            m.stage = KNOWN
            if top.stage >= WAITING:
                return due
            self._envelope(top, fact)  # held until it was queued under its second id
        elif self._is_reinjected(m):
            m.stage = KNOWN
            return due
        return [*due, *self._accept(top, fact.at)]

    def _accept(self, m: Open, at: float) -> Sequence[Event]:
        may_be_filter = m.kind == "ip"
        sender = m.envelope_from
        if sender in NULL or (m.kind != "login" and _SRS.match(sender)):
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
        return (Accepted(at, m),)

    # Content filters

    def _link(self, m: Open, parent: Open) -> None:
        top = parent.top()
        if top is m:  # a loop of mail
            return
        parent.filtered = True
        m.root = top
        if m.stage == WAITING:
            m.stage = KNOWN

    def _is_reinjected(self, m: Open) -> bool:
        """Links a message that came from a local client with the Message-ID of one that is open."""
        if m.kind != "uid" and not (m.kind == "ip" and _LOCAL.match(m.client_address)):
            return False
        parent = self._memory.named.get(m.message_id) if m.message_id else None
        if parent is None or parent is m or parent.envelope_from != m.envelope_from:
            return False
        if (parent.kind, parent.name) == (m.kind, m.name):  # a script that repeats itself
            return False
        recipients = m.recipients or 1
        if parent.left < recipients or parent.scope.partition("/")[0] != m.scope.partition("/")[0]:
            return False
        parent.left -= recipients
        self._link(m, parent)
        return True

    def _is_handed_over(self, m: Open, fact: Outcome) -> bool:
        """Whether this delivery only went to a filter, or to another instance of the same host."""
        named = _QUEUED_AS.search(fact.reply) if fact.service != "local" else None
        other = self._find(m.scope, named[1]) if named else None
        if other is not None and other is not m and _is_of(fact.relay, other):
            if other.root is None:
                self._link(other, m)
            return True
        if not m.filtered:
            return False
        # A mailbox's LMTP server that forwards looks like a filter, but it does deliver.
        return fact.service == "pipe" or (
            fact.service not in ("lmtp", "local", "virtual") and _is_ours(fact.relay)
        )

    # Outcomes

    def _outcome(self, fact: Outcome) -> Sequence[Event]:
        m = self._get(fact.scope, fact.queue_id) or self._orphan(fact)
        if m is None:
            return NONE
        m.seen = fact.at
        handle = _OUTCOMES.get(fact.status)
        return handle(self, m, fact) if handle is not None else NONE

    def _sent(self, m: Open, fact: Outcome) -> Sequence[Event]:
        if self._is_handed_over(m, fact):
            return self._announce(m.top(), fact.at)
        if not _ends(m, fact):
            return NONE
        top = m.top()
        return (*self._announce(top, fact.at), Delivered(fact.at, top, fact.recipient, fact.relay))

    def _bounced(self, m: Open, fact: Outcome) -> Sequence[Event]:
        if not _ends(m, fact):
            return NONE
        top = m.top()
        bounced = Bounced(fact.at, top, fact.recipient, fact.relay, fact.dsn, fact.reply)
        return (*self._announce(top, fact.at), bounced)

    def _deferred(self, m: Open, fact: Outcome) -> Sequence[Event]:
        who = _whom(fact)
        before = m.recall(who)
        if before == ENDED:
            return NONE
        now = (self._word(fact.relay), fact.dsn, fact.reply[:MOST_REPLY])
        if not m.note(who, now):
            return NONE
        if before is not None and before[2].translate(_NO_DIGITS) == now[2].translate(_NO_DIGITS):
            return NONE
        top = m.top()
        first = before is None
        deferred = Deferred(fact.at, top, fact.recipient, fact.relay, fact.dsn, fact.reply, first)
        return (*self._announce(top, fact.at), deferred)

    def _expired(self, fact: Expired) -> Sequence[Event]:
        m = self._get(fact.scope, fact.queue_id)
        if m is None:
            return NONE
        m.seen = fact.at
        top = m.top()
        waiting = [(who, end) for who, end in m.each() if end != ENDED]
        for who, _ in waiting:
            m.note(who, ENDED)
        return [Bounced(fact.at, top, who.partition("\0")[0], *end) for who, end in waiting]

    def _removed(self, fact: Removed) -> Sequence[Event]:
        m = self._get(fact.scope, fact.queue_id)
        if m is None:
            return NONE
        self._close(m, fact.at)
        return self._announce(m, fact.at) if m.stage == WAITING else NONE

    # Refusals

    def _refused(self, fact: Refused) -> Sequence[Event]:
        m = self._get(fact.scope, fact.queue_id) if fact.queue_id else None
        if fact.action in HOLDS and m is not None and m.stage == FRESH:
            m.stage = PARKED
        if fact.action not in REFUSALS:
            return NONE
        if fact.queue_id and (fact.stage in LAST_STAGES or fact.action in DROPS):
            return self._died(m, fact) if m is not None else NONE
        if fact.action in DROPS:
            return NONE
        login, address = fact.login, fact.client_address
        if m is not None:
            m.seen = fact.at
            login = login or (m.name if m.kind == "login" else "")
        return (Rejected(fact.at, fact.scope, login, address, fact.recipient, fact.reply),)

    def _died(self, m: Open, fact: Refused) -> Sequence[Event]:
        m.envelope_from = m.envelope_from or fact.envelope_from
        self._close(m, fact.at + AFTERMATH)
        # What a filter is refused comes back as the outcome of the first id.
        if m.root is not None or self._is_reinjected(m):
            return NONE
        return (Died(fact.at, m, fact.reply),)

    def _passed(self, fact: LoggedIn | ScriptMailed) -> Sequence[Event]:
        return (fact,)

    def _nothing(self, fact: Called) -> Sequence[Event]:
        return NONE


def _whom(fact: Outcome) -> str:
    """One address through two aliases is two recipients."""
    return f"{fact.recipient}\0{fact.original}" if fact.original else fact.recipient


def _ends(m: Open, fact: Outcome) -> bool:
    """Whether the recipient's end is news: not the same line again."""
    who = _whom(fact)
    if m.recall(who) == ENDED:
        return False
    m.note(who, ENDED)
    return True


def _is_ours(relay: str) -> bool:
    """Whether an administrator chose this relay: what DNS chose is public and has port 25."""
    found = _RELAY.search(relay)
    return found is not None and bool(_LOCAL.match(found[1]) or found[2] not in (None, "25"))


def _is_of(relay: str, m: Message) -> bool:
    """Whether ``m`` can have come from this relay, so that its reply may be believed."""
    found = _RELAY.search(relay)
    if found is None or m.kind == "login" or not _is_ours(relay):
        return False
    address = m.client_address
    return address == found[1] or (bool(_LOCAL.match(found[1])) and bool(_LOCAL.match(address)))


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
}
