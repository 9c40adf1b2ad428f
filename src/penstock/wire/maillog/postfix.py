"""Postfix's log lines → facts.

Each daemon writes ``QUEUEID: what``, or a text without queue id. Addresses, HELO names, headers and the
replies of other hosts are other people's text and can look like anything, whole log lines included. So a
line is read from its ends: the words that the daemon itself puts first, and where these do not suffice,
those that it puts last. In a delivery line the first anchors count: everything in the parentheses is the
other host's. Lines that were cut give no fact, or one without what may be missing.

Long queue ids and short ones are taken alike: letters and digits.

Cost: the usual form of each frequent line has a pattern of its own, which takes a part of what the general
one takes, in the same way, and in half of its time. Most of its classes have one character (``[^>]*``), over
which ``re`` runs fastest, and facts are made by ``tuple.__new__``, which is what their own constructor calls.
"""

from __future__ import annotations

import re

from penstock.wire.maillog import postfix_kinds
from penstock.wire.maillog.facts import (
    Client,
    Expired,
    Named,
    Outcome,
    PickedUp,
    Queued,
    Removed,
    Returned,
)
from penstock.wire.maillog.kinds import IGNORED, Found, Parse
from penstock.wire.maillog.postfix_refused import (
    ACTIONS,
    SHORT,
    address,
    login_failed,
    may_be_cut,
    refused,
)

KINDS = postfix_kinds.kinds()

# Hexadecimal, or with `enable_long_queue_ids` base 52: letters that are no vowels. No word is either.
QUEUE_ID = r"([0-9A-F]{5,20}+|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,30}+)"

# A quoted local part may hold anything, `>, relay=` too; an unquoted address is read up to the first ">".
_ADDRESS = r'("(?:[^"\\]|\\.)*"[^>"]*|[^">][^>]*|)'
_DELIVERED = re.compile(
    rf'{QUEUE_ID}: to=<([^">][^>]*)>, relay=([^,]*), delay=[-\d.]+, delays=[-\d./]+, '
    r"dsn=([\d.]+), status=([a-z]+) \((.*)\)"
).fullmatch
_DELIVERY = re.compile(
    rf"{QUEUE_ID}: to=(?:<{_ADDRESS}>|([^<>, ]+)), (?:orig_to=(?:<{_ADDRESS}>|([^<>, ]+)), )?relay=([^,]*), "
    r"(?:conn_use=\d+, )?delay=[-\d.]+, (?:delays=[-\d./]+, )?(?:tls=[^,]*, )?(?:dsn=([\d.]+), )?"
    r"status=([A-Za-z-]+) \("
)
_CAME = re.compile(
    rf"{QUEUE_ID}: client=[^\s\[]*\[([0-9A-Fa-f.:]+)\](?:, sasl_method=[^,]*, sasl_username=([^,]*))?"
).fullmatch
_CLIENT = re.compile(rf"{QUEUE_ID}: client=[^\s\[]*\[([^\]\s]*)\](.*)")
_LOGIN = r"[^,]*(?:,(?! (?:sasl_sender|orig_queue_id|orig_client)=)[^,]*)*"
_MORE = re.compile(
    rf"(?::\d+)?(?:, sasl_method=[^,]*)?(?:, sasl_username=({_LOGIN}))?(?:, sasl_sender=.*|"
    r"(?:, orig_queue_id=(\w+))?(?:, orig_client=[^\s,]*)?)"
)
_ACTION = re.compile(rf"(?:NOQUEUE|{QUEUE_ID}): ({'|'.join(ACTIONS)}): (.*)")
_IDENTIFIED = re.compile(rf"{QUEUE_ID}: message-id=<([^>]*)>").fullmatch
_NAMED = re.compile(rf"{QUEUE_ID}: message-id=(?:<([^<>]*)>\s*|(.*))")
_ACTIVE = re.compile(
    rf"{QUEUE_ID}: from=<([^>]*)>, size=(\d{{1,15}}), nrcpt=(\d{{1,9}}) \(queue active\)"
).fullmatch
_MOVED = re.compile(
    rf"{QUEUE_ID}: from=<([^>]*|.*)>, (?:size=(\d{{1,15}}), nrcpt=(\d{{1,9}}) \(queue active\)|"
    r"status=(?:force-)?expired, returned to sender)"
)
_PICKED_UP = re.compile(rf"{QUEUE_ID}: uid=(\d{{1,10}}) from=<(.*)>(?: orig_id=(\w+))?")
_NOTICE = re.compile(
    rf"{QUEUE_ID}: (?:sender (non-delivery|delay) notification|sender (delivery status) notification|"
    rf"(postmaster) [a-z-]+(?: status)? notification): {QUEUE_ID}"
)
_DELETED = re.compile(rf"{QUEUE_ID}: removed").fullmatch

_new = tuple.__new__

_ignored_smtpd = postfix_kinds.idle("smtpd")
_ignored_cleanup = postfix_kinds.idle("cleanup")
_ignored_qmgr = postfix_kinds.idle("qmgr")
_ignored_pickup = postfix_kinds.idle("pickup")
_ignored_bounce = postfix_kinds.idle("bounce")
_ignored_postsuper = postfix_kinds.idle("postsuper")


def smtpd(at: float, scope: str, text: str) -> Found:
    """What clients ask for. ``QID: client=…``, refusals, failed logins."""
    if text.startswith(("connect from ", "disconnect from ", "Anonymous TLS ")):  # most: looked at first
        return IGNORED
    came = _CAME(text)
    if came is not None and len(text) <= SHORT:
        queue_id, ip, login = came.groups("")
        return _new(Client, (at, scope, queue_id, ip, login.rstrip(), ""))
    client = _CLIENT.fullmatch(text)
    if client is not None:
        return _client(at, scope, *client.groups())
    acted = _ACTION.fullmatch(text)
    if acted is not None:
        return refused(at, scope, acted[1] or "", ACTIONS[acted[2]], acted[3])
    if text.startswith("warning: ") and not may_be_cut(text):
        return login_failed(at, text) or IGNORED
    return _ignored_smtpd(at, scope, text)


def _client(at: float, scope: str, queue_id: str, found: str, rest: str) -> Client | None:
    """After ``client=host[ip]``: ``, sasl_method=…, sasl_username=…, sasl_sender=…, orig_queue_id=…,
    orig_client=…``. What follows a ``sasl_sender`` is the client's own text."""
    more = _MORE.fullmatch(rest)
    if more is None or may_be_cut(rest):
        return None
    return Client(at, scope, queue_id, address(found), (more[1] or "").rstrip(), more[2] or "")


def cleanup(at: float, scope: str, text: str) -> Found:
    """The Message-ID, and what header checks and milters decide."""
    identified = _IDENTIFIED(text)
    if identified is not None and "<" not in identified[2]:
        return _new(Named, (at, scope, *identified.groups()))
    named = _NAMED.fullmatch(text)
    if named is not None:
        queue_id, name, oddly = named.groups()
        return Named(at, scope, queue_id, oddly.removeprefix("<") if name is None else name)
    acted = _ACTION.fullmatch(text)
    if acted is not None:
        return refused(at, scope, acted[1] or "", ACTIONS[acted[2]], acted[3])
    return _ignored_cleanup(at, scope, text)


def qmgr(at: float, scope: str, text: str) -> Found:
    """The queue: active, removed, expired."""
    if text[-7:] == "removed":
        removed = _DELETED(text)
        if removed is not None:
            return _new(Removed, (at, scope, removed[1]))
    active = _ACTIVE(text)
    if active is not None:
        queue_id, envelope_from, size, recipients = active.groups()
        return _new(Queued, (at, scope, queue_id, envelope_from, int(size), int(recipients)))
    moved = _MOVED.fullmatch(text)
    if moved is None:
        return _outcome(at, scope, "qmgr", text) or _ignored_qmgr(at, scope, text)
    queue_id, envelope_from, size, recipients = moved.groups()
    if size:
        return Queued(at, scope, queue_id, envelope_from, int(size), int(recipients))
    return Expired(at, scope, queue_id)


def _outcome(at: float, scope: str, service: str, text: str) -> Outcome | None:
    found = _DELIVERY.match(text)
    if found is None:
        return None
    queue_id, to, bare, before, bare_before, relay, dsn, status = found.groups()
    if status == "SOFTBOUNCE":  # `soft_bounce = yes`: it stays in the queue
        status = "deferred"
    reply = text[found.end() :].rstrip().removesuffix(")")
    to, before = to or bare or "", before or bare_before or ""
    return Outcome(at, scope, queue_id, service, to, before, relay, status, dsn or "", reply)


def delivery(service: str, kinds: str) -> Parse:
    """The parser of a delivery agent; ``kinds`` names the rows that it ignores."""
    ignored = postfix_kinds.idle(kinds)

    def deliver(at: float, scope: str, text: str) -> Found:
        delivered = _DELIVERED(text)
        if delivered is None:
            return ignored(at, scope, text) or _outcome(at, scope, service, text)
        queue_id, to, relay, dsn, status, reply = delivered.groups()
        return _new(Outcome, (at, scope, queue_id, service, to, "", relay, status, dsn, reply))

    return deliver


def pickup(at: float, scope: str, text: str) -> Found:
    """Local mail, or with ``orig_id`` what ``postsuper -r`` puts back under a new id: no new sender then,
    but the message that had the old one."""
    found = _PICKED_UP.fullmatch(text)
    if found is None:
        return _ignored_pickup(at, scope, text)
    queue_id, uid, envelope_from, original = found.groups()
    if original:
        return Client(at, scope, queue_id, "", "", original)
    return PickedUp(at, scope, queue_id, int(uid), envelope_from)


def bounce(at: float, scope: str, text: str) -> Found:
    """Notices about a message, each with the queue id of its own."""
    found = _NOTICE.fullmatch(text)
    if found is None:
        return _ignored_bounce(at, scope, text)
    queue_id, to_sender, success, postmaster, notice = found.groups()
    return Returned(at, scope, queue_id, notice, "success" if success else to_sender or postmaster)


def postsuper(at: float, scope: str, text: str) -> Found:
    """What an administrator does to the queue."""
    found = _DELETED(text)
    return Removed(at, scope, found[1]) if found else _ignored_postsuper(at, scope, text)


DELIVERY = {
    "smtp": "smtp",
    "lmtp": "smtp",
    "relay": "smtp",
    "error": "local",
    "retry": "local",
    "discard": "local",
    "local": "local",
    "virtual": "virtual",
    "pipe": "pipe",
}
"""Delivery agents, and whose rows of ignored kinds they share."""

DAEMONS: dict[str, Parse] = {
    **{daemon: postfix_kinds.idle(daemon) for daemon in (*postfix_kinds.SILENT, *postfix_kinds.PLAIN)},
    **{service: delivery(service, kinds) for service, kinds in DELIVERY.items()},
    "smtpd": smtpd,
    "cleanup": cleanup,
    "qmgr": qmgr,
    "nqmgr": qmgr,
    "oqmgr": qmgr,
    "pickup": pickup,
    "bounce": bounce,
    "defer": bounce,
    "trace": bounce,
    "postsuper": postsuper,
}
"""Postfix's daemons and commands by the name that they log under."""
