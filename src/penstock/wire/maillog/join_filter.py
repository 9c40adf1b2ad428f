"""Content filters: which message is another one on its way back into the queue.

Witnesses, by falling strength: ``orig_queue_id``; ``queued as ID`` in the reply of a host that belongs to us;
the same Message-ID and sender from a local client while the first message is open. Replies and Message-IDs
are other people's text. So a reply counts only from an address that the administrator wrote down (local, or
not port 25) and that the second message came from; a Message-ID only for as many recipients as the first
message has. Otherwise somebody could put mail on another's account, or on nobody's.

Whom it hurts when it is wrong: a filter that changes the Message-ID and names no queue id makes each message
count twice, the second time for the filter's address. A script that sends through localhost with the
Message-ID and sender of another's message in the queue gets that message's number of recipients free once.
"""

from __future__ import annotations

import re

from penstock.core.events import Message
from penstock.wire.maillog.facts import Outcome
from penstock.wire.maillog.join_memory import KNOWN, WAITING, Memory, Open, host_of

UNTOLD = 100
"""Recipients that a message of unknown size may re-inject."""

MAILBOXES = frozenset({"local", "virtual", "lmtp", "discard", "appendfile"})
"""Agents that deliver. The filter behind LMTP names the new id; a mailbox that forwards does not."""

_QUEUED_AS = re.compile(r"(?:queued as |OK id=)([0-9A-Za-z-]{1,40})")
# Loopback, RFC 1918, link-local, RFC 4193.
_LOCAL = re.compile(
    r"127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|::1$|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:",
    re.IGNORECASE,
)


def link(m: Open, parent: Open) -> None:
    top = parent.top()
    if top is m:  # a loop of mail
        return
    parent.filtered = True
    m.root = top
    if m.stage == WAITING:
        m.stage = KNOWN


def is_reinjected(memory: Memory, m: Open) -> bool:
    """Links a message that came from a local client with the Message-ID of one that is open."""
    if m.kind != "uid" and not (m.kind == "ip" and _is_local(m.client_address)):
        return False
    parent = memory.named.get(m.message_id) if m.message_id else None
    if parent is None or parent is m or parent.envelope_from != m.envelope_from:
        return False
    if (parent.kind, parent.name) == (m.kind, m.name):  # a script that repeats itself
        return False
    recipients = m.recipients or 1
    if parent.left < recipients or host_of(parent.scope) != host_of(m.scope):
        return False
    parent.left -= recipients
    link(m, parent)
    return True


def is_handed_over(memory: Memory, m: Open, fact: Outcome) -> bool:
    """Whether this delivery only went to a filter, or to another instance of the same host."""
    reply = fact.reply
    named = _QUEUED_AS.search(reply) if "queued as " in reply or "OK id=" in reply else None
    other = memory.find(m.scope, named[1]) if named else None
    if other is not None and other is not m and _is_of(fact.relay, other):
        if other.root is None:
            link(other, m)
        return True
    if not m.filtered or fact.service in MAILBOXES:
        return False
    address = _address(fact.relay)[0]
    return not address or _is_local(address)  # none: a program


def _address(relay: str) -> tuple[str, str]:
    """(address or path, port) of ``host[address]:port``."""
    start = relay.rfind("[") + 1
    end = relay.find("]", start)
    return (relay[start:end], relay[end + 2 :]) if 0 < start <= end else ("", "")


def _is_local(address: str) -> bool:
    return "/" in address or _LOCAL.match(address) is not None


def _is_ours(relay: str) -> bool:
    """Whether an administrator chose this relay: what DNS chose is public and has port 25."""
    address, port = _address(relay)
    return _is_local(address) or port not in ("", "25")


def _is_of(relay: str, m: Message) -> bool:
    """Whether ``m`` can have come from this relay, so that its reply may be believed."""
    if m.kind == "login" or not _is_ours(relay):
        return False
    address, _ = _address(relay)
    client = m.client_address
    # "": its start was before the log.
    return address == client or (_is_local(address) and (client == "" or _is_local(client)))
