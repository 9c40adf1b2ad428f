"""Facts that reach the engine. Each carries its own time; nothing in the core asks a clock."""

from __future__ import annotations

from typing import NamedTuple

from penstock.core.fingerprint import Fingerprint

NOBODY = ""
"""The origin of a message that is charged to nobody: a notice, a forward, mail from outside."""


class Attempt(NamedTuple):
    """One question of an MTA: may this client go on? (Postfix SMTPD_POLICY_README.)

    ``at`` is seconds since the epoch. ``recipient_count`` is known at DATA and END-OF-MESSAGE
    only; ``size`` (bytes) is the client's claim until END-OF-MESSAGE. ``host`` and ``instance``
    together name one message while it is being received. ``sender`` is the key to charge where neither
    login nor address tells it (``uid:33``), ``under`` the key of the user whose script that is.
    ``fingerprint`` and ``score`` are known only where content is seen: what the mail says, as hashes, and
    what the operator's spam filter found, as a part of what counts as high (1.0 and more is).
    """

    at: float
    host: str
    stage: str
    client_address: str
    envelope_from: str
    recipient: str
    recipient_count: int
    queue_id: str
    instance: str
    size: int
    login: str
    context: str
    sender: str = ""
    under: str = ""
    fingerprint: Fingerprint | None = None
    score: float = 0.0


MOST_KIB = 1 << 29


def kib_of(size: int) -> int:
    """Bytes in KiB, as far as a counter goes."""
    return min((size + 1023) >> 10, MOST_KIB)


def began(a: Attempt) -> float:
    """When Postfix began to receive the message: ``instance`` is pid.seconds.microseconds.n in hex."""
    parts = a.instance.split(".")
    try:
        return float(int(parts[1], 16))
    except (IndexError, ValueError):
        return a.at


class Message:
    """A message that the MTA took into its queue; the events of its recipients point to it.

    ``scope`` and ``queue_id`` name it together: the host and the MTA instance whose queue it lies in.
    ``kind`` and ``name`` tell whom it is charged to as the log has it, not yet canonical: ``login``,
    ``uid``, ``script`` or ``ip``; ``NOBODY`` for notices (``<>``), forwards and what is re-injected
    of these. ``recipients`` and ``size`` (bytes) are 0 until the MTA has told them; ``told``: of how many
    recipients it has told what became of them, or that they wait. ``stopped`` is for
    whoever replays: recipients that were not let through, or by how many seconds later.
    """

    __slots__ = (
        "at",
        "client_address",
        "envelope_from",
        "kind",
        "message_id",
        "name",
        "queue_id",
        "recipients",
        "scope",
        "size",
        "stopped",
        "told",
    )

    def __init__(self, at: float, scope: str, queue_id: str) -> None:
        self.at = at
        self.scope = scope
        self.queue_id = queue_id
        self.kind = NOBODY
        self.name = ""
        self.client_address = ""
        self.envelope_from = ""
        self.message_id = ""
        self.recipients = 0
        self.size = 0
        self.told = 0
        self.stopped: dict[str, float] | None = None


class Accepted(NamedTuple):
    """The MTA has queued a message: its sender, recipients and size are known now."""

    at: float
    message: Message


class Died(NamedTuple):
    """A message was refused or dropped by the MTA itself after its end was reached: a header check, a
    milter. Nobody received it. ``why`` is the MTA's text."""

    at: float
    message: Message
    why: str


class Delivered(NamedTuple):
    """A recipient has got the message, or another host has taken it. ``relay``: who, as logged."""

    at: float
    message: Message
    recipient: str
    relay: str


class Deferred(NamedTuple):
    """A recipient must wait. Only the first such line of each recipient, and each one whose reply differs
    from the one before, is an event: retries are no news. ``first`` tells them apart. ``status`` is
    the enhanced status code (RFC 3463), "" when unknown."""

    at: float
    message: Message
    recipient: str
    relay: str
    status: str
    reply: str
    first: bool


class Bounced(NamedTuple):
    """A recipient will never get the message."""

    at: float
    message: Message
    recipient: str
    relay: str
    status: str
    reply: str


class Rejected(NamedTuple):
    """The MTA refused a recipient or a command of a client in the dialogue, for a reason of its own.

    ``login`` is "" when the client has not logged in.
    """

    at: float
    scope: str
    login: str
    client_address: str
    recipient: str
    reply: str


class LoggedIn(NamedTuple):
    """Somebody logged in, or tried to (``ok`` False). ``service``: smtp, imap, pop3, sieve, …"""

    at: float
    login: str
    client_address: str
    service: str
    ok: bool


class ScriptMailed(NamedTuple):
    """A web script called PHP's mail(): ``path`` and ``line`` of the caller, ``recipients`` in its To."""

    at: float
    path: str
    line: int
    recipients: int


class Submitted(NamedTuple):
    """Our sendmail wrapper was called (``penstock sendmail``). ``user``: a user id; ``script``: a full path,
    "" when nothing names one; ``folder``: where it was called; ``url`` and ``client_address``: of the request
    behind it."""

    at: float
    user: str
    script: str
    folder: str
    url: str
    client_address: str


class Posted(NamedTuple):
    """A web server answered a POST to a script: ``path`` is its full path."""

    at: float
    path: str
    client_address: str


class Reported(NamedTuple):
    """A report came in by mail about a message that left earlier: a late bounce or a complaint.

    ``sender`` is the canonical key that it was resolved to. ``feedback_type`` (RFC 5965) is "" for a bounce.
    """

    at: float
    sender: str
    recipient: str
    status: str
    reply: str
    feedback_type: str


Seen = ScriptMailed | Submitted | Posted
"""What somebody saw of a script about the time when it mailed."""

Event = Accepted | Died | Delivered | Deferred | Bounced | Rejected | LoggedIn | Seen | Reported
