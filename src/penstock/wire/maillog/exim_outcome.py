"""Exim's ``=>``, ``->``, ``>>``, ``*>``, ``==`` and ``**``: what became of a recipient.

``recipient (parents) <original> F=<…> P=<…> R=router T=transport S=n H=host [ip]:port X=… C="250 …" DT=…``
for deliveries; ``… defer (errno): text H=host [ip]: reply`` for deferrals, ``… : reply`` for failures.

``Outcome.service`` is the transport's name as configured; ``discard`` (``:blackhole:``), ``pipe``, ``file``
or ``autoreply`` where the recipient itself says so; "" when no transport was chosen. The reply of another
host comes without Exim's words before it: from the code on.
"""

from __future__ import annotations

import re
from functools import lru_cache

from penstock.wire.maillog.facts import Fact, Outcome, Refused

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_RECIPIENT = rf'(:\w+:|{_QUOTED}[^\s"]*?|[^\s"<>|(/:][^\s"]*?)(?= |: |$)'
_ORIGINAL = rf'(?: <((?:{_QUOTED})?[^\s"<>]*)>)?'
_FIELDS = (
    rf'(?: F=<(?:{_QUOTED})?[^\s"<>]*>)?(?: Q=\S+)?(?: P=<(?:{_QUOTED})?[^\s"<>]*>)?'
    r"(?: R=([^\s:]+))?(?: T=([^\s:]+))?"
)
_HOST = r'((?:[^\s":]++|:(?=[^\s"]))+(?: (?:DS )?\[[^\s\]"]*\](?::\w+)?)?)\*?'
_PEER = rf"(?: S=\w+)?(?: H={_HOST})?"
_ITEMS = rf'(?: (?!C=|defer )[A-Za-z0-9*.-]++(?:=(?:{_QUOTED}|(?:[^\s":]++|:(?=[^\s"]))*+))?)*+'
_TO = re.compile(
    _RECIPIENT
    + r"(?: \(([^()\"]*)\))?"
    + _ORIGINAL
    + _FIELDS
    + _PEER
    + r"(?= ?:| ?$| [A-Z0-9]| defer \(| routing | mua_wrapper )"
)
_ODD_TO = re.compile(
    rf'((?:[^<]|<(?!(?:{_QUOTED})?[^\s<>"]*>(?:[ :]|$)))*?)(?: \([^()"]*\))?'
    rf'(?: <((?:{_QUOTED})?[^\s<>"]*)>(?=[ :]|$)|(?= [FPRT]=| defer \())' + _FIELDS + _PEER
)
_SHADOW = r'(?: ST=[^\s"]+(?: \([^()"]*\))?)?'
_SAID = re.compile(_SHADOW + _ITEMS + r'(?: C="((?:[^"\\]|\\.)*+)")?')
_USUAL_HEAD = (
    r"([^ <>|(/:\"]+)(?: <([^ <>]*)>)?(?: F=<[^ <>]*>)?(?: P=<[^ <>]*>)?(?: R=([^ :]+))?(?: T=([^ :]+))?"
)
_USUAL_HOST = r"H=([^ ]+ \[[^ \]]+\](?::\d+)?)\*?(?: I=[^ ]+)?"
_USUAL_TLS = r"(?: L[*.-]?)?(?: X=[^ ]+)?(?: CV=[a-z]+)?"
_USUAL_SENT = re.compile(
    rf"{_USUAL_HEAD}(?: S=\d+)?(?: {_USUAL_HOST}{_USUAL_TLS}(?: K)?)?"
    r'(?: C="([^"]*)")?(?: QT=[^ ]+)?(?: DT=[^ ]+)?'
)
"""What nearly all deliveries look like, and quicker; for lines whose only quotes are those of the reply."""

_USUAL_BOUNCE = re.compile(rf"{_USUAL_HEAD}(?: {_USUAL_HOST}{_USUAL_TLS})? ?: (.*)")
_USUAL_DEFER = re.compile(rf"{_USUAL_HEAD} defer \(-\d+\)(?: {_USUAL_HOST}{_USUAL_TLS})?: (.*)")
_DEFERRED = re.compile(r"(?: routing)? defer \((-?\w+)\)")
_AT_HOST = re.compile(rf"(?:: ([^:]*?))? H={_HOST}{_ITEMS}(?= ?:|$)")
_FAILED = re.compile(_ITEMS + r" ?: ?")
_REMOTE = re.compile(
    r"(?:SMTP error from remote \w+(?: server)?|LMTP error(?: from remote mail server)?) after "
    rf"(?:(?:pipelined )?(?:MAIL FROM|RCPT TO):<(?:{_QUOTED})?[^\s\">]*>[^:]*|[^:<]*): "
    r"(?:host \S+ \[[^\s\]]*\]: )?"
)
_ENHANCED = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CLASSES = ("2", "4", "5", "#")
_ESCAPED = re.compile(r'\\(["\\])')


def sent(at: float, scope: str, queue_id: str, rest: str) -> Fact | None:
    """Delivered here, handed to another host, or thrown away."""
    found = _USUAL_SENT.fullmatch(rest)
    if found is None or rest.count('"') != (0 if found[6] is None else 2):
        return _sent_oddly(at, scope, queue_id, rest)
    to, original, _, transport, relay, reply = found.groups("")
    service = "discard" if to == "discarded" else transport
    return Outcome(at, scope, queue_id, service, to, original, relay, "sent", _dsn(reply), reply)


def _sent_oddly(at: float, scope: str, queue_id: str, rest: str) -> Fact | None:
    if rest.startswith("blackhole ") and "<" not in rest:  # an ACL or local_scan took all recipients
        return Refused(
            at, scope, queue_id, "discard", "END-OF-MESSAGE", "", "", "", "", rest[10:].strip("()")
        )
    found = _TO.match(rest) or _ODD_TO.match(rest)
    if found is None or not found[1]:
        return None
    recipient, original, transport, relay, end = _parts(found)
    said = _SAID.match(rest, end)
    reply = _ESCAPED.sub(r"\1", said[1] or "") if said else ""
    service = _service(recipient, transport)
    return Outcome(at, scope, queue_id, service, recipient, original, relay, "sent", _dsn(reply), reply)


def deferred(at: float, scope: str, queue_id: str, rest: str) -> Fact | None:
    """Exim will try again."""
    found = _USUAL_DEFER.fullmatch(rest)
    if found is not None:
        return _undelivered(at, scope, queue_id, found.groups(""), "deferred")
    found = _TO.match(rest) or _ODD_TO.match(rest)
    if found is None or not found[1]:
        return None
    recipient, original, transport, relay, end = _parts(found)
    delay = _DEFERRED.match(rest, end)
    if delay is None:
        return None
    told = rest[delay.end() :]
    where = _AT_HOST.match(told)
    if where is not None:
        relay = where[2]
        told = told[where.end() :] if len(told) > where.end() else where[1] or ""
    whom = (recipient, original, "", transport, relay, told.lstrip(" :"))
    return _undelivered(at, scope, queue_id, whom, "deferred")


def bounced(at: float, scope: str, queue_id: str, rest: str) -> Fact | None:
    """Exim gives up."""
    found = _USUAL_BOUNCE.fullmatch(rest)
    if found is not None:
        return _undelivered(at, scope, queue_id, found.groups(""), "bounced")
    found = _TO.match(rest) or _ODD_TO.match(rest)
    if found is None or not found[1]:
        return None
    recipient, original, transport, relay, end = _parts(found)
    failed = _FAILED.match(rest, end)
    told = rest[failed.end() :] if failed else rest[end:].strip()
    return _undelivered(at, scope, queue_id, (recipient, original, "", transport, relay, told), "bounced")


def _parts(found: re.Match[str]) -> tuple[str, str, str, str, int]:
    """Recipient, original recipient, transport, relay, and where they end."""
    recipient, *_, original, _, transport, relay = found.groups()
    return recipient, original or "", transport or "", relay or "", found.end()


def _undelivered(at: float, scope: str, queue_id: str, whom: tuple[str, ...], status: str) -> Outcome:
    """``whom``: recipient, original recipient, router, transport, relay, and Exim's words with the reply."""
    recipient, original, _, transport, relay, told = whom
    remote = _REMOTE.match(told)
    reply = told[remote.end() :] if remote else told
    service = _service(recipient, transport)
    return Outcome(at, scope, queue_id, service, recipient, original, relay, status, _dsn(reply), reply)


def _service(recipient: str, transport: str) -> str:
    if recipient == ":blackhole:" or recipient == "discarded":
        return "discard"
    if recipient[:1] == "|":
        return "pipe"
    if recipient[:1] == "/":
        return "file"
    return "autoreply" if recipient[:1] == ">" else transport


def _dsn(reply: str) -> str:
    """RFC 3463, where the other host tells it: ``550 5.1.1 …``, ``550-5.1.1 …``."""
    return _code(reply[4:14].partition(" ")[0]) if reply[4:5] in _CLASSES else ""


@lru_cache(maxsize=1024)
def _code(word: str) -> str:
    found = _ENHANCED.match(word)
    return found[1] if found else ""
