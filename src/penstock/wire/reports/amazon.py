"""Notices of Amazon SNS about mail sent through SES, as JSON in a mail (SES developer guide, "Amazon SNS
notification contents")."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from penstock.wire.reports.addresses import first_address
from penstock.wire.reports.arf import complainant
from penstock.wire.reports.dsn import better
from penstock.wire.reports.model import MOST_RECIPIENTS, Kind, Report, ReportedRecipient
from penstock.wire.reports.original import message_id

LONGEST: Final = 512_000
HALF: Final = re.compile(r"(?<!\\)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
"""Half a character beyond the basic plane: nothing that is said with these matters here."""


def read_notice(text: str) -> Report | None:
    """The report of a text that holds a notice, None when it holds none."""
    began = text.find("{")
    head = text[began : began + 3000]
    if began < 0 or ("notificationType" not in head and "eventType" not in head and '"Message"' not in head):
        return None
    notice = _object(text[began : began + LONGEST])
    if isinstance(inner := notice.get("Message"), str):
        notice = _object(inner)
    kind = str(notice.get("notificationType") or notice.get("eventType") or "")
    if kind == "Bounce":
        return _bounce(notice)
    if kind == "Complaint":
        return _complaint(notice)
    return Report("other") if kind == "Delivery" else None


def _object(text: str) -> Mapping[str, Any]:
    """The JSON object that a text begins with, {} when there is none; mail may have folded its lines."""
    text = HALF.sub("?", text)
    for attempt in (text, text.replace("\n ", ""), text.replace("\n", "")):
        try:
            found, _ = json.JSONDecoder(strict=False).raw_decode(attempt)
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else {}
    return {}


def _part(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _people(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = value.get(name)
    people = found[:MOST_RECIPIENTS] if isinstance(found, list) else []
    return [p for p in people if isinstance(p, dict) and first_address(str(p.get("emailAddress", "")))]


def _bounce(notice: Mapping[str, Any]) -> Report:
    """A bounce that SES calls Transient was given up by SES as well."""
    bounce = _part(notice, "bounce")
    fallback = {"Permanent": "5.0.0", "Transient": "4.0.0"}.get(str(bounce.get("bounceType")), "")
    recipients = []
    for person in _people(bounce, "bouncedRecipients"):
        reply = str(person.get("diagnosticCode") or bounce.get("bounceSubType") or "").removeprefix("smtp;")
        status = better(str(person.get("status") or fallback)[:12], reply)
        address = first_address(str(person["emailAddress"]))
        recipients.append(ReportedRecipient(address, "failed", status, reply.strip()[:2000]))
    kind: Kind = "bounce" if recipients else "other"
    reporter = str(bounce.get("reportingMTA", "")).rpartition(";")[2].strip()[:255]
    return Report(kind, tuple(recipients), _id(notice), original_from=_source(notice), reporting_mta=reporter)


def _complaint(notice: Mapping[str, Any]) -> Report:
    complaint = _part(notice, "complaint")
    people = _people(complaint, "complainedRecipients")
    told = tuple(complainant(first_address(str(p["emailAddress"]))) for p in people)
    kind = str(complaint.get("complaintFeedbackType") or "abuse").lower()[:40]
    return Report("complaint", told, _id(notice), feedback_type=kind, original_from=_source(notice))


def _id(notice: Mapping[str, Any]) -> str:
    """The Message-ID that the sender wrote, else the one that SES gave."""
    mail = _part(notice, "mail")
    headers = mail.get("headers")
    for item in headers[:500] if isinstance(headers, list) else []:
        if isinstance(item, dict) and str(item.get("name", "")).lower() == "message-id":
            return message_id(str(item.get("value", "")))
    return message_id(str(mail.get("messageId") or ""))


def _source(notice: Mapping[str, Any]) -> str:
    return first_address(str(_part(notice, "mail").get("source") or ""))
