"""Complaints: abuse reports (RFC 5965, RFC 6430, RFC 6591, RFC 6650) and what older feedback loops send."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from penstock.wire.reports.addresses import addresses, first_address
from penstock.wire.reports.model import MOST_RECIPIENTS, ReportedRecipient
from penstock.wire.reports.original import moment
from penstock.wire.reports.phrases import any_of
from penstock.wire.reports.tree import Headers, fields_of

TYPE: Final = re.compile(r"[a-z0-9-]{1,40}")
ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{3,45}")

RECIPIENT_FIELDS: Final = ("original-rcpt-to", "redacted-address", "removal-recipient", "original-recipient")

LOOP_RECIPIENT: Final = ("x-hmxmroriginalrecipient", "x-aol-original-recipient")
"""Fields that a mailbox provider adds to a message that its user has reported, with the user's address
(the first is Microsoft's JMRP)."""

SPAM_REPORT: Final = any_of(r"""
    \[SpamCop \(
    ^complaint about message from \d
    ^(?:fwd?: |fw: )?\[?(?:spam|abuse|fbl) ?(?:complaint|report)\b
    ^email feedback report for ip[ ]
    ^AOL e-?mail program report
""")
XARF: Final = ("x-arf", "x-xarf")


@dataclass(frozen=True, slots=True)
class Feedback:
    """The machine-readable part of a complaint."""

    feedback_type: str
    recipients: tuple[ReportedRecipient, ...]
    original_from: str = ""
    arrival: float | None = None
    reporting_mta: str = ""
    source_ip: str = ""


def read_feedback(text: str) -> Feedback:
    """A message/feedback-report body; a missing type is ``abuse``, as most of these forget nothing else."""
    fields = fields_of(text.lstrip("\n").encode("utf-8", "replace"))
    kind = TYPE.match(fields.get("feedback-type").lower())
    source = ADDRESS.match(fields.get("source-ip").strip("[]"))
    return Feedback(
        feedback_type=kind[0] if kind else "abuse",
        recipients=_recipients(fields),
        original_from=first_address(fields.get("original-mail-from")),
        arrival=moment(fields.get("arrival-date") or fields.get("received-date")),
        reporting_mta=fields.get("reporting-mta").rpartition(";")[2].strip()[:255],
        source_ip=source[0] if source else "",
    )


def _recipients(fields: Headers) -> tuple[ReportedRecipient, ...]:
    """Who complained; a redacted address (``redacted@``, ``x@redacted``) is none."""
    given = (a for name in RECIPIENT_FIELDS for value in fields.all(name) for a in addresses(value))
    told = dict.fromkeys(a for a in given if "redacted" not in a.lower())
    return tuple(complainant(a) for a in list(told)[:MOST_RECIPIENTS])


def complainant(address: str) -> ReportedRecipient:
    """A recipient who got the message and complained."""
    return ReportedRecipient(address, "delivered")


def has_feedback(text: str) -> bool:
    """Whether the text is a feedback report's fields, whatever MIME type it has."""
    head = text[:2000].lower()
    return head.startswith("feedback-type:") or "\nfeedback-type:" in head


def forwarded_complaint(outer: Headers, inner: Headers) -> Feedback | None:
    """A complaint of an old feedback loop: the message itself, marked; None when it is not certain.

    ``outer`` are the report's own header fields, ``inner`` those of the message within.
    """
    for headers in (inner, outer):
        for name in LOOP_RECIPIENT:
            if address := first_address(headers.get(name)):
                return Feedback("abuse", (complainant(address),), source_ip=_source(headers))
    marked = any(outer.get(name).lower().startswith(("yes", "plain", "secure", "bulk")) for name in XARF)
    if marked or (SPAM_REPORT.search(outer.get("subject")[:500]) and inner.fields):
        return Feedback("abuse", ())
    return None


def _source(headers: Headers) -> str:
    match = ADDRESS.match(headers.get("x-originating-ip").strip("[] "))
    return match[0] if match else ""
