"""Postfix's own decisions: refusals by smtpd and cleanup, and failed logins.

All of sender, recipient, HELO and header are text of the client. What is trusted: the client between its
fixed words at the beginning (a verified name holds no brackets), and the end of the line, because
smtpd replaces ``<>()\\";@`` and spaces in a HELO name. Between these, addresses are told only when their
anchor occurs once.
"""

from __future__ import annotations

import re

from penstock.core.events import LoggedIn
from penstock.wire.maillog.facts import Refused

MAY_BE_CUT = 900
"""Bytes of text from which on a line may have lost its end: syslog cuts at 1024 bytes (RFC 3164 §4.1) with
stamp, host and program. A name at such an end may be a part of another's."""
SHORT = MAY_BE_CUT // 4
"""Characters up to which a text is whole, whatever they are."""

ACTIONS = {
    "reject": "reject",
    "reject_warning": "reject_warning",
    "hold": "hold",
    "discard": "discard",
    "filter": "filter",
    "redirect": "redirect",
    "milter-reject": "milter-reject",
    "milter-hold": "milter-hold",
    "milter-discard": "milter-discard",
    "milter-header-reject": "milter-reject",
    "milter-header-hold": "milter-hold",
    "milter-header-discard": "milter-discard",
    "milter-header-filter": "filter",
    "milter-header-redirect": "redirect",
}

_WHO = re.compile(r"([A-Z][A-Z-]*(?: [A-Z]+)?) from [^\s\[]*\[([^\]\s]*)\](?::\d+)?: ")
_END = re.compile(r"(?: proto=\w+)?(?: helo=<[^<> ]*>)?(?: sasl_username=<([^<>]*)>)?")
_FROM_TO = re.compile(r'; (?:from=<([^<>";]*)>)?(?: ?to=<([^<>";]*)>)?')
_CHECK = re.compile(r"(header|body|mime|nested|content|mime-error) ")
_CONTENT = re.compile(r" from [^\s\[]*(?:\[([^\]\s]*)\](?::\d+)?)?$")
_CONTENT_END = re.compile(
    r'; from=<([^<>";]*)>(?: to=<([^<>";]*)>)?(?: proto=\w+)?(?: helo=<[^<> ]*>)?(?:: (.*))?'
)
_LOGIN_FAILED = re.compile(
    r"warning: [^\s\[]*\[([^\]\s]*)\](?::\d+)?: SASL \S+ authentication (?:failed|aborted): (.*)"
)


def may_be_cut(text: str) -> bool:
    """Whether the end of this text may be missing."""
    return len(text) > SHORT and len(text.encode(errors="surrogateescape")) > MAY_BE_CUT


def address(found: str) -> str:
    """What smtpd has in the brackets: an address, or ``unknown`` or ``local``, which are none."""
    return "" if found in ("unknown", "local") else found


def refused(at: float, scope: str, queue_id: str, action: str, told: str) -> Refused | None:
    """``RCPT from host[ip]: 550 …; from=<…> to=<…> proto=ESMTP helo=<…>``, or a header or body check."""
    who = _WHO.match(told)
    if who is None:
        return _checked(at, scope, queue_id, action, told)
    end = told.rfind(" proto=")
    if end < 0 and queue_id:  # what came through sendmail
        end = len(told)
    ended = _END.fullmatch(told, end) if end > 0 else None
    if ended is None or may_be_cut(told):
        return None
    body = told[who.end() : end]
    reply, envelope_from, recipient = _addresses(body)
    stage, client = who.groups()
    login = ended[1] or ""
    return Refused(
        at, scope, queue_id, action, stage, address(client), login, envelope_from, recipient, reply
    )


def _addresses(body: str) -> tuple[str, str, str]:
    """(reply, from, to) of ``550 …; from=<…> to=<…>``."""
    anchor = "; from=<" if "; from=<" in body else "; to=<"
    start = body.find(anchor)
    if start < 0:
        return body.removesuffix(";"), "", ""
    found = _FROM_TO.fullmatch(body, start) if body.rfind(anchor) == start else None
    return (body[:start], found[1] or "", found[2] or "") if found else (body[:start], "", "")


def _checked(at: float, scope: str, queue_id: str, action: str, told: str) -> Refused | None:
    """``header Subject: … from host[ip]; from=<…> to=<…> proto=ESMTP helo=<…>: text``. The header is the
    sender's: only the queue id and the action are sure."""
    check = _CHECK.match(told)
    if check is None or queue_id == "":
        return None
    stage, start = check[1], told.find("; from=<")
    sure = 0 <= start == told.rfind("; from=<") and not may_be_cut(told)
    found = _CONTENT_END.fullmatch(told, start) if sure else None
    if found is None:
        return Refused(at, scope, queue_id, action, stage, "", "", "", "", "")
    origin = _CONTENT.search(told, max(0, start - 400), start)
    client = address(origin[1] or "") if origin else ""
    envelope_from, recipient, reply = (part or "" for part in found.groups())
    return Refused(at, scope, queue_id, action, stage, client, "", envelope_from, recipient, reply)


def login_failed(at: float, text: str) -> LoggedIn | None:
    """``warning: host[ip]: SASL LOGIN authentication failed: …, sasl_username=x`` (newer Postfix tells
    the name). None when it is another warning, or names nobody."""
    found = _LOGIN_FAILED.fullmatch(text)
    if found is None:
        return None
    login = found[2].partition(", sasl_username=")[2].rstrip()
    return LoggedIn(at, login, address(found[1]), "smtp", False) if login else None
