"""What one log line says, before lines are joined. ``at``: seconds since the epoch, UTC.

``scope`` names the queue that a queue id is unique in: ``host/instance``, for example
``mail/postfix`` or ``mail/postfix-out`` or ``mail/exim``. Texts are as logged: written by attackers.
"""

from __future__ import annotations

from typing import NamedTuple

from penstock.core.events import LoggedIn, Posted, ScriptMailed, Submitted


class Client(NamedTuple):
    """Postfix smtpd has given a queue id to what a client sends.

    ``original``: queue id before a content filter, as XFORWARD or the log tell it ("" when none).
    """

    at: float
    scope: str
    queue_id: str
    client_address: str
    login: str
    original: str


class PickedUp(NamedTuple):
    """Postfix pickup: a local user's sendmail."""

    at: float
    scope: str
    queue_id: str
    uid: int
    envelope_from: str


class Named(NamedTuple):
    """Postfix cleanup: the Message-ID, without angle brackets."""

    at: float
    scope: str
    queue_id: str
    message_id: str


class Queued(NamedTuple):
    """Postfix qmgr: the message is in the active queue (again, after each deferral)."""

    at: float
    scope: str
    queue_id: str
    envelope_from: str
    size: int
    recipients: int


class Arrived(NamedTuple):
    """Exim ``<=``: all of an arrival in one line. ``parent``: the message that a bounce is about (``R=``).

    ``user``: local user's name (``U=``) of a local submission, "" otherwise. ``login``: ``A=driver:id``.
    ``recipients`` is 0 when the log does not tell.
    """

    at: float
    scope: str
    queue_id: str
    client_address: str
    login: str
    user: str
    envelope_from: str
    message_id: str
    size: int
    recipients: int
    parent: str


class Outcome(NamedTuple):
    """What a delivery attempt came to for one recipient.

    ``service``: the agent (smtp, lmtp, local, virtual, pipe, error, discard, …). ``status``: sent, deferred,
    bounced, expired, or what else the MTA writes (undeliverable and deliverable are probes).
    ``dsn``: enhanced status code. ``reply``: the text in parentheses, without them.
    ``original``: the recipient before aliases ("" when the same).
    """

    at: float
    scope: str
    queue_id: str
    service: str
    recipient: str
    original: str
    relay: str
    status: str
    dsn: str
    reply: str


class Returned(NamedTuple):
    """Postfix bounce: a notice about the message was queued as ``notice``. ``what``: ``non-delivery``,
    ``delay`` or ``success`` (to the sender), or ``postmaster``."""

    at: float
    scope: str
    queue_id: str
    notice: str
    what: str


class Expired(NamedTuple):
    """Postfix qmgr: it was too long in the queue; every recipient still waiting is lost."""

    at: float
    scope: str
    queue_id: str


class Removed(NamedTuple):
    """The message has left the queue (Postfix ``removed``, Exim ``Completed``)."""

    at: float
    scope: str
    queue_id: str


class Refused(NamedTuple):
    """The MTA's own decision about a client, a recipient or a message.

    ``action``: reject, milter-reject, hold, milter-hold, discard, milter-discard, filter, redirect,
    reject_warning. ``queue_id`` is "" before there is one (NOQUEUE). ``stage``: RCPT, DATA,
    END-OF-MESSAGE, ``header``, ``body``, CONNECT, …
    """

    at: float
    scope: str
    queue_id: str
    action: str
    stage: str
    client_address: str
    login: str
    envelope_from: str
    recipient: str
    reply: str


class Called(NamedTuple):
    """Exim ``cwd=``: the working directory and arguments of a local call (``log_selector = +arguments``)."""

    at: float
    scope: str
    cwd: str
    arguments: str


Fact = (
    Client
    | PickedUp
    | Named
    | Queued
    | Arrived
    | Outcome
    | Returned
    | Expired
    | Removed
    | Refused
    | Called
    | LoggedIn
    | ScriptMailed
    | Submitted
    | Posted
)
