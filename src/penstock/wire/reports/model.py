"""What a report that came by mail says: a bounce, a complaint, or something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

MOST_BYTES: Final = 1 << 20
"""Bytes of a mail that are read; what lies behind is not needed and cut off."""

HARD_BYTES: Final = 32 << 20
"""A mail longer than this is not looked at."""

MOST_PARTS: Final = 200
MOST_DEPTH: Final = 10
MOST_RECIPIENTS: Final = 1000

Kind = Literal["bounce", "complaint", "other"]

UNCOUNTED: Final = frozenset({"not-spam", "auth-failure", "dmarc", "dkim", "tls"})
"""Feedback types that are no complaint about the sender: a correction (RFC 6430) or a
technical report about a signature, often of mail that somebody else forged (RFC 6591)."""


class BadReport(ValueError):
    """The mail can not be read; the message says what and where."""


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What became of one recipient (RFC 3464 §2.3).

    ``action``: failed, delayed, delivered, relayed, expanded. ``status``: enhanced code or "". ``reply``: the
    remote server's words, or the reporter's. ``relay``: the host that said so. ``original``: the
    address before forwarding and aliases, "" when the same or unknown.
    """

    address: str
    action: str
    status: str = ""
    reply: str = ""
    relay: str = ""
    original: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report, read. Everything in it was written by strangers.

    A bounce has a recipient with the action ``failed``, or none at all when only the message is told;
    a notice of delay or success is ``other``, with its recipients. ``original_message_id``: without
    brackets. ``original_queue_id``: at ``reporting_mta``. ``hops``: (host, queue id) of the Received
    lines of the returned message, newest first. ``reference``: our own token in the returned headers,
    not yet verified. ``feedback_type``: RFC 5965 §7.3, lower case. ``arrival``: seconds since the epoch
    when the reporter got the message, or None.
    """

    kind: Kind
    recipients: tuple[ReportedRecipient, ...] = ()
    original_message_id: str = ""
    original_queue_id: str = ""
    reference: str = ""
    feedback_type: str = ""
    original_from: str = ""
    arrival: float | None = None
    reporting_mta: str = ""
    source_ip: str = ""
    hops: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> tuple[ReportedRecipient, ...]:
        """The recipients that will never get the message."""
        return tuple(r for r in self.recipients if r.action == "failed")

    @property
    def counts(self) -> bool:
        """Whether somebody is to be charged with it."""
        return self.kind != "other" and self.feedback_type not in UNCOUNTED
