"""The reader: a mail's bytes → Report. What is sure is tried first: the machine-readable parts, then marks
of single writers, then the text for people, and at last a mail that was forwarded within this one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from penstock.wire.reports import amazon, arf, dsn, plain, signs
from penstock.wire.reports.addresses import addresses
from penstock.wire.reports.model import (
    HARD_BYTES,
    MOST_BYTES,
    MOST_DEPTH,
    MOST_PARTS,
    MOST_RECIPIENTS,
    BadReport,
    Report,
    ReportedRecipient,
)
from penstock.wire.reports.original import RETURNED, Original, moment, of_part, of_text
from penstock.wire.reports.tree import Budget, Headers, Part, leaves, read_headers
from penstock.wire.trace import find_reference

STATUS_KINDS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
TEXT_KINDS: Final = frozenset({"", "text/plain", "text", "text/html", "text/enriched"})
LONGEST_TEXT: Final = 200_000
MOST_FORWARDED: Final = 3
RELAY: Final = re.compile(
    r"(?:\bhost|talking to|rejected by|recipient domain \S{1,100} by) <?([\w.-]{3,255}\.\w[\w-]{1,30})"
)
BARE_CODE: Final = re.compile(r"[45]\d\d[ -]?(?:[45]\.\d{1,3}\.\d{1,3})?\W{0,3}$")
CUT_SHORT: Final = re.compile(r"[45]\d\d-")


@dataclass(slots=True)
class Mail:
    """A mail, taken apart: what it says to people, to machines, and the message that it returns."""

    headers: Headers
    parts: list[Part]
    text: str = ""
    behind: str = ""
    """The message that stands below the text, when it is no part of its own."""
    status: str = ""
    feedback: str = ""
    returned: list[Part] = field(default_factory=list)
    original: Original = field(default_factory=Original)


def read_report(
    raw: bytes, most_bytes: int = MOST_BYTES, most_parts: int = MOST_PARTS, most_depth: int = MOST_DEPTH
) -> Report:
    """The report in a mail; whatever is none, or only odd, has the kind ``other``.

    Raises:
        BadReport: longer than 32 MiB, no message at all, too many parts or too deep.
    """
    if len(raw) > HARD_BYTES:
        raise BadReport(f"the mail has {len(raw)} bytes: more than {HARD_BYTES} are not read")
    kept = raw[:most_bytes].replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n")
    kept = kept.removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")
    if not kept.strip():
        raise BadReport("the mail is empty")
    if not read_headers(kept)[0].fields:
        raise BadReport(f"line 1: no header field, so this is no mail: {kept[:60]!r}")
    report = _read(kept, Budget(most_parts, most_depth))
    if report.kind != "other" and not report.reference:
        return replace(report, reference=find_reference(kept.decode("latin-1")))
    return report


def _read(raw: bytes, budget: Budget) -> Report:
    """The report of a mail with ``\\n`` line ends."""
    mail = _taken_apart(raw, budget)
    for way in (_complaint, _delivery_status, _notice, _for_people, _marked):
        if (report := way(mail)) is not None:
            return report
    return _forwarded(mail, budget)


def _taken_apart(raw: bytes, budget: Budget) -> Mail:
    headers, _ = read_headers(raw)
    mail = Mail(headers, list(leaves(raw, budget)))
    status = [p.text() for p in mail.parts if p.kind in STATUS_KINDS]
    mail.status = "\n\n".join(status)[:LONGEST_TEXT]
    mail.returned = [p for p in mail.parts if p.kind in RETURNED]
    mail.feedback = next((p.text() for p in mail.parts if p.kind == "message/feedback-report"), "")
    lines, mail.behind = plain.cut(_text(mail.parts))
    mail.text = "\n".join(lines)
    mail.original = _original(mail)
    return mail


def _text(parts: list[Part]) -> str:
    """What is written for people before the returned message; HTML where nothing else is said."""
    told: list[str] = []
    markup: list[str] = []
    for part in parts:
        if part.kind in RETURNED:
            break
        if part.kind in TEXT_KINDS:
            (markup if part.kind == "text/html" else told).append(part.text()[:LONGEST_TEXT])
    if len("".join(told).strip()) < 30:
        told += markup
    return "\n\n".join(told)[:LONGEST_TEXT]


def _original(mail: Mail) -> Original:
    """The returned message: a part of its own, or what stands below the text."""
    for part in mail.returned:
        if (found := of_part(part)).headers.fields:
            return found
    return of_text(mail.behind)


def _complaint(mail: Mail) -> Report | None:
    """RFC 5965."""
    text = mail.feedback
    if not text and arf.has_feedback(mail.text) and not mail.status:
        text = mail.text
    return _report_of(arf.read_feedback(text), mail) if text else None


def _report_of(feedback: arf.Feedback, mail: Mail) -> Report:
    original = mail.original
    return Report(
        "complaint",
        feedback.recipients,
        original_message_id=original.message_id,
        reference=original.reference,
        feedback_type=feedback.feedback_type,
        original_from=feedback.original_from or original.sender,
        arrival=feedback.arrival,
        reporting_mta=feedback.reporting_mta,
        source_ip=feedback.source_ip,
        hops=original.hops,
    )


def _delivery_status(mail: Mail) -> Report | None:
    """RFC 3464, in a part of its own or within the text."""
    fields = dsn.read_fields(mail.status or (mail.text if dsn.has_fields(mail.text) else ""))
    told = dsn.recipients_of(fields)
    if not told:
        return None
    recipients = _completed(told, mail)
    message = fields.message
    failed = dsn.failed(recipients) or bool(dsn.failed(told) and mail.original.message_id)
    return Report(
        "bounce" if failed else "other",
        recipients,
        original_message_id=mail.original.message_id,
        original_queue_id=message.get("x-postfix-queue-id", "").strip()[:64],
        reference=mail.original.reference,
        original_from=dsn.address_of(message.get("x-postfix-sender", "")) or mail.original.sender,
        arrival=moment(message.get("arrival-date", "")),
        reporting_mta=dsn.untyped(message.get("reporting-mta", "")).partition(" ")[0][:255],
        hops=mail.original.hops,
    )


def _completed(recipients: tuple[ReportedRecipient, ...], mail: Mail) -> tuple[ReportedRecipient, ...]:
    """With addresses and words from the text for people where the fields have none."""
    told = plain.read_text(mail.text, (), _others(mail))
    only = len(recipients) == 1
    found = []
    for recipient in recipients:
        address = recipient.address
        if "@" not in address and only:
            address = next(iter(_failed(told, mail)), address)
        if address:
            reply = _fuller(recipient.reply, told, address, only)
            status = dsn.better(recipient.status, reply)
            reply = dsn.flattened(reply)
            found.append(replace(recipient, address=address, reply=reply, status=status))
    return tuple(found)


def _fuller(reply: str, told: plain.Told, address: str, only: bool) -> str:
    """The reply, or the text's where that says more: it has all lines of what the field cuts short."""
    if not (only or address.lower() in told.where):
        return reply
    if not reply or BARE_CODE.match(reply):
        return told.reply(address) or reply
    if CUT_SHORT.match(reply):
        found = (told.dialogue(reply[:3]), told.reply(address))
        return next((x for x in found if len(x) > len(reply) and x[:3] == reply[:3]), reply)
    return reply


def _others(mail: Mail) -> frozenset[str]:
    """Who did not fail: the reader of this mail, and the original's sender."""
    readers = addresses(mail.headers.get("to")[:2000])
    return frozenset(a.lower() for a in (*readers, mail.original.sender) if a)


def _failed(told: plain.Told, mail: Mail) -> list[str]:
    """Who failed: by the text, else the original's only recipient, else by the text's weak mentions."""
    if told.sure:
        return told.failed
    to = list(mail.original.recipients)
    if len(to) == 1:
        return to
    return [a for a in to if a in told.failed] or (told.failed if len(told.failed) == 1 else [])


def _themselves(mail: Mail) -> list[str]:
    """Readers or senders of the original who failed: somebody wrote to himself."""
    told = plain.read_text(mail.text)
    return told.failed if told.sure else []


def _notice(mail: Mail) -> Report | None:
    """Amazon's notices."""
    return amazon.read_notice(mail.text)


def _for_people(mail: Mail) -> Report | None:
    """A bounce that only people can read; a notice of delay is ``other``, an autoreply nothing."""
    headers = mail.headers
    if not signs.looks_returned(headers, mail.text) or signs.is_autoreply(headers):
        return None
    if "disposition-notification" in headers.get("content-type"):
        return None
    known = [a for value in headers.all("x-failed-recipients") for a in addresses(value)]
    told = plain.read_text(mail.text, dict.fromkeys(known[:MOST_RECIPIENTS]), _others(mail))
    if not told.sure and _returns_a_bounce(mail):
        return None
    failed = _failed(told, mail) or _themselves(mail)
    if not (told.evidence or signs.says_returned(headers)) or not (failed or mail.original.message_id):
        return None
    delay = signs.is_delay(headers, mail.text)
    return Report(
        "other" if delay else "bounce",
        tuple(_recipient(address, told, "delayed" if delay else "failed") for address in failed),
        original_message_id=mail.original.message_id,
        reference=mail.original.reference,
        original_from=mail.original.sender,
        hops=mail.original.hops,
    )


def _recipient(address: str, told: plain.Told, action: str) -> ReportedRecipient:
    reply = dsn.flattened(told.reply(address))
    rows = told.where.get(address.lower(), [0])
    around = " ".join(line.text for line in told.lines[max(0, rows[0] - 3) : rows[0] + 6])
    match = RELAY.search(around)
    relay = match[1].rstrip(".") if match else ""
    return ReportedRecipient(address, action, dsn.status_of(reply), reply, relay)


def _marked(mail: Mail) -> Report | None:
    """Complaints of loops that are older than RFC 5965."""
    feedback = arf.forwarded_complaint(mail.headers, mail.original.headers)
    return _report_of(feedback, mail) if feedback else None


def _forwarded(mail: Mail, budget: Budget) -> Report:
    """A report that somebody forwarded, attached or below his words; each message within costs one depth."""
    inner = [p.content() for p in mail.returned if p.kind in ("message/rfc822", "message/global")]
    if mail.behind and _returns_a_bounce(mail):
        inner.append(mail.behind.encode("utf-8", "replace"))
    for raw in inner[:MOST_FORWARDED]:
        if budget.depth <= 0:
            raise BadReport("messages within messages: nested too deep")
        left = Budget(budget.parts, budget.depth - 1)
        report = _read(raw.lstrip(b"\n"), left)
        budget.parts = left.parts
        if report.kind != "other":
            return report
    return Report("other", original_message_id=mail.original.message_id)


def _returns_a_bounce(mail: Mail) -> bool:
    """Whether a mail system's message is within."""
    return signs.from_daemon(mail.original.headers)
