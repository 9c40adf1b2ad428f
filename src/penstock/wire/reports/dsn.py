"""Delivery status fields (RFC 3464, RFC 6533), also where a writer lost the blank lines, the folding or the
MIME type. Cost: one pass over the lines; recipients are bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from penstock.wire.reports.addresses import first_address, unescaped
from penstock.wire.reports.model import MOST_RECIPIENTS, ReportedRecipient

MOST_LINES: Final = 20_000
LONGEST_VALUE: Final = 2000

STATUS: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
FIELD: Final = re.compile(r"[ \t]{0,8}([A-Za-z][A-Za-z0-9-]{2,40}) ?:[ \t]*(.*)")
TYPE: Final = re.compile(r"\s*([A-Za-z0-9-]{1,40})\s*;\s*(.*)", re.DOTALL)

QUOTED: Final = re.compile(r"\d\.[x\d]\.\d - [\w ]{1,80} ([45]\d\d)-'([^']{1,1000})'")

MESSAGE_FIELDS: Final = frozenset(
    {
        "original-envelope-id",
        "reporting-mta",
        "dsn-gateway",
        "received-from-mta",
        "arrival-date",
        "x-postfix-queue-id",
        "x-postfix-sender",
    }
)
RECIPIENT_FIELDS: Final = frozenset(
    {
        "original-recipient",
        "final-recipient",
        "action",
        "status",
        "remote-mta",
        "diagnostic-code",
        "last-attempt-date",
        "final-log-id",
        "will-retry-until",
        "x-actual-recipient",
    }
)
NAMES: Final = ("original-recipient", "final-recipient")

ACTIONS: Final = {
    "failed": "failed",
    "failure": "failed",
    "fail": "failed",
    "expired": "failed",
    "bounced": "failed",
    "delayed": "delayed",
    "deferred": "delayed",
    "delay": "delayed",
    "delivered": "delivered",
    "relayed": "relayed",
    "expanded": "expanded",
}


@dataclass(slots=True)
class Fields:
    """Delivery status, read: fields of the message, and of each recipient; names in lower case."""

    message: dict[str, str] = field(default_factory=dict)
    recipients: list[dict[str, str]] = field(default_factory=list)


def read_fields(text: str) -> Fields:
    """The fields of a delivery-status body.

    A recipient begins after a blank line, and also where a field comes a second time, because some
    writers forget the blank line. A line without a name goes on with the field before it.
    """
    fields = Fields()
    group: dict[str, str] = fields.message
    last = ""
    fresh = False
    for line in text.split("\n", MOST_LINES)[:MOST_LINES]:
        match = FIELD.match(line)
        name = match[1].lower() if match else ""
        if not line.strip():
            fresh, last = True, ""
        elif match and (name in RECIPIENT_FIELDS or name in MESSAGE_FIELDS or name.startswith("x-")):
            if name in RECIPIENT_FIELDS and _begins(group, name, fresh, fields):
                if len(fields.recipients) >= MOST_RECIPIENTS:
                    return fields
                group = {}
                fields.recipients.append(group)
            fresh, last = False, name
            target = fields.message if name in MESSAGE_FIELDS else group
            target.setdefault(name, match[2].lstrip()[:LONGEST_VALUE])
        elif last in group and len(group[last]) < LONGEST_VALUE:
            within = group[last].lower().startswith("x-notes")  # Domino folds within words
            group[last] += (line.removeprefix(" ") if within else " " + line.strip())[:LONGEST_VALUE]
    return fields


def _begins(group: dict[str, str], name: str, fresh: bool, fields: Fields) -> bool:
    """Whether this field belongs to a new recipient."""
    if group is fields.message:
        return True
    if name in group:
        return True
    return fresh and any(key in group for key in NAMES) and name in NAMES


def has_fields(text: str) -> bool:
    """Whether the text holds delivery status in so many words."""
    lower = text.lower()
    return "final-recipient:" in lower or ("original-recipient:" in lower and "action:" in lower)


def recipients_of(fields: Fields) -> tuple[ReportedRecipient, ...]:
    """The recipients of the fields; the address is "" where none is told that mail could be sent to."""
    return tuple(_recipient(g) for g in fields.recipients if "action" in g or "status" in g or NAMES[1] in g)


def _recipient(group: dict[str, str]) -> ReportedRecipient:
    """RFC 3464 §2.3: the final recipient, the original one where the final is no address."""
    final = address_of(group.get("final-recipient", ""))
    original = address_of(group.get("original-recipient", ""))
    address = final or original or address_of(group.get("x-actual-recipient", ""))
    told, diagnostic = group.get("status", ""), untyped(group.get("diagnostic-code", ""))
    reply = _quoted(diagnostic) or _remark(told)
    own = "" if QUOTED.match(diagnostic) else status_of(told) or told.strip()[:12]
    status = better(own, reply)
    return ReportedRecipient(
        address=address or _name(group.get("final-recipient", "")),
        action=_action(group.get("action", ""), status),
        status=status,
        reply=reply,
        relay=untyped(group.get("remote-mta", "")).partition(" ")[0].strip("[]().")[:255],
        original=original if original.lower() != address.lower() else "",
    )


def _name(value: str) -> str:
    """A recipient that has no mail address, as written: ``unknown; jsmith``."""
    return value.rpartition(";")[2].strip(" <>")[:320]


def _quoted(reply: str) -> str:
    """Cisco's own words around the remote's: ``5.1.0 - Unknown address error 550-'5.2.2 full' (…)``."""
    match = QUOTED.match(reply)
    return f"{match[1]} {match[2]}" if match else reply


def flattened(reply: str) -> str:
    """A reply of several lines as one: ``550-5.7.1 a 550-5.7.1 b 550 5.7.1 c`` → ``550 5.7.1 a b c``."""
    code, status = reply[:3], status_of(reply)
    if not (code.isdigit() and reply[3:4] == "-"):
        return reply
    for again in (f" {code}-{status} ", f" {code} {status} ", f" {code}-"):
        reply = reply.replace(again, " ")
    return f"{code} {reply[4:]}"


def _remark(status: str) -> str:
    """``5.1.10 (host does not accept mail)`` → ``host does not accept mail``."""
    return status.partition("(")[2].rpartition(")")[0].strip()


def _action(value: str, status: str) -> str:
    """The action in the RFC's words; "" is judged by the status."""
    word = re.split(r"[^a-z]", value.strip().lower(), maxsplit=1)[0]
    if word in ACTIONS:
        return ACTIONS[word]
    return "delivered" if status.startswith("2.") else "failed"


def address_of(value: str) -> str:
    """``rfc822; <a@b>`` → ``a@b``; "" when the type is another world's or there is no address."""
    match = TYPE.match(value[:LONGEST_VALUE])
    kind, given = (match[1].lower(), match[2]) if match else ("", value[:LONGEST_VALUE])
    if kind in ("x400", "fax", "tel"):
        return ""
    return first_address(unescaped(given))


def untyped(value: str) -> str:
    """``smtp; 550 no`` → ``550 no``; ``dns; mx.example.net`` → ``mx.example.net``."""
    match = TYPE.match(value[:LONGEST_VALUE])
    if match and match[1].lower() in ("smtp", "x-unix", "dns", "x-exim", "x-local", "unknown", "lmtp"):
        return match[2].strip()
    if match and match[1].lower().startswith("x-") and not match[1].isdigit():
        return match[2].strip()
    return value.strip()[:LONGEST_VALUE]


def status_of(text: str) -> str:
    """The first enhanced status code (RFC 3463) of a text, "" when there is none."""
    match = STATUS.search(text[:4000])
    return match[1] if match else ""


def better(status: str, reply: str) -> str:
    """The reply's own code where the field says nothing: ``5.0.0``, or nothing at all."""
    if status and not status.endswith(".0.0"):
        return status
    told = status_of(reply)
    return told if told and not told.endswith(".0.0") else status or told


def failed(recipients: Iterable[ReportedRecipient]) -> bool:
    """Whether any of them failed."""
    return any(r.action == "failed" for r in recipients)
