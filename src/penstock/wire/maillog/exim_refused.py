"""What Exim itself refuses, by an ACL or by ``local_scan``.

``H=name (helo) [ip]:port I=[…]:25 U=ident X=… F=<sender> A=driver:id rejected RCPT <recipient>: text``

The text is the administrator's, and may quote the client; HELO and sender are the client's. A line that
could also be read with another client further right is not believed: it tells no address and no login.
"""

from __future__ import annotations

import re

from penstock.wire.maillog.addresses import valid
from penstock.wire.maillog.facts import Refused

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_ADDRESS = rf'(?:{_QUOTED})?[^\s"<>]*'
_ITEM = rf'(?![AF]=|H=|rejected )[A-Za-z0-9*.-]++(?:=(?:{_QUOTED}|[^\s"]*+))?'
_WHO = re.compile(
    rf"(?:F=<?({_ADDRESS})>? )?"
    r'(?:H=(?:[^\s()"\[\]]+ )?(?:\([^\s()"]*\) )?(?:\[([^\s\]"]+)\](?::\w+)? )?)?'
    rf"(?:(?!temporarily |RCPT |discarded ){_ITEM} )*+"
    rf"(?:F=<?({_ADDRESS})>? )?"
    rf'(?:A=[^\s":]+:?({_QUOTED}|[^\s"]*) )?(?:(?!temporarily |RCPT |discarded ){_ITEM} )*+'
    r"(?=(?:temporarily )?rejected |RCPT <|discarded by )"
)
_WHAT = re.compile(
    r"(?:temporarily )?(rejected|discarded)(?: (by|after|during|connection|EHLO or HELO|[A-Z]+)\b)?"
    rf"(?:(?<=[A-Z]) (?:<({_ADDRESS})>|([^\s:<]*)))?(?:: (.*)|[^:]*(?:: ?(.*))?)",
    re.DOTALL,
)
_DISCARDED = re.compile(rf"RCPT <({_ADDRESS})>: discarded by (.*)", re.DOTALL)
_ELSE = re.compile(r"(?<= )(?:temporarily )?rejected ")
_AGAIN = re.compile(r"\) \[[^\s\]]*\](?::\w+)? ")
_IP = re.compile(
    r"(?: H=| |^)\[([0-9A-Fa-f.:]{2,45})\](?::\w+)?(?= (?:I=\[|Ci=|TFO|DS|U=|P=|PRX=|X=|F=)| ?$)"
)

STAGES = {
    "after": "END-OF-MESSAGE",
    "during": "END-OF-MESSAGE",
    "by": "END-OF-MESSAGE",
    "connection": "CONNECT",
    "EHLO or HELO": "EHLO",
}


def address_of(head: str) -> tuple[str, int]:
    """The last client address that Exim's own fields follow, and where it ends. ``U=`` between two such
    addresses is an ident, and so others' text, or part of a HELO: then none of them is believed."""
    found = list(_IP.finditer(head))
    if not found:
        return "", 0
    last = found[-1]
    doubt = len(found) > 1 and " U=" in head[found[0].end() : last.start() + 1]
    return "" if doubt else valid(last[1]), last.end()


def refused(at: float, scope: str, queue_id: str, text: str) -> Refused | None:
    """None when the line tells of no refusal."""
    who = _WHO.match(text)
    if who is None:
        return _refused_oddly(at, scope, queue_id, text)
    first, ip, second, login = who.groups()
    sender = second or first
    rest = text[who.end() :]
    if _again(rest, 1):
        ip = login = sender = ""
    address = valid(ip) if ip and len(ip) < 46 else ""
    return _decision(at, scope, queue_id, address, login or "", sender or "", rest)


def _again(text: str, start: int) -> bool:
    """Whether there is another client and another refusal behind it."""
    return _AGAIN.search(text, start, max(start, text.rfind("rejected "))) is not None


def _refused_oddly(at: float, scope: str, queue_id: str, text: str) -> Refused | None:
    """Blanks or quotes where there are usually none: nothing but the address is told, if there is but one."""
    what = _ELSE.search(text)
    if what is None:
        return None
    told = _IP.findall(text, 0, what.start())
    ip = valid(told[0]) if len(told) == 1 and not _again(text, what.end()) else ""
    found = _WHAT.match(text, what.start())
    stage = _stage(found[2]) if found else ""
    return Refused(at, scope, queue_id, "reject", stage, ip, "", "", "", text[what.start() :])


def _decision(
    at: float, scope: str, queue_id: str, ip: str, login: str, sender: str, rest: str
) -> Refused | None:
    dropped = _DISCARDED.fullmatch(rest)
    if dropped is not None:
        to, reply = dropped.groups()
        return Refused(at, scope, queue_id, "discard", "RCPT", ip, login, sender, to, reply)
    found = _WHAT.fullmatch(rest)
    if found is None:
        return None
    verb, where, bracketed, bare, *replies = found.groups()
    action = "reject" if verb == "rejected" else "discard"
    recipient = bracketed or bare or "" if where == "RCPT" else ""
    reply = replies[0] or replies[1] or ""
    return Refused(at, scope, queue_id, action, _stage(where), ip, login, sender, recipient, reply)


def _stage(where: str | None) -> str:
    return STAGES.get(where, where) if where else ""
