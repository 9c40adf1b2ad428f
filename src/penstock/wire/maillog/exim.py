"""Exim's main log → facts (Exim specification, "Log files").

One parser for the file and for syslog; the stamp and the process id are off already. ``scope`` is
``host/exim``.

What is attacker text: the sender, HELO, ident, the Message-ID, the subject, recipients, and in replies all
that another host says. Exim writes them between its own fields without much quoting. So:

- The common form of each line is read by one pattern in which no item of others' text has a blank, unless
  it is quoted. Quotes come in pairs: a quote that a client smuggles in before the real fields leaves an
  odd one at the end, and the pattern does not match.
- A line that does not fit is read from what Exim put last: the size is the first from which on the rest of
  the line is sound; the address is the last one before it that Exim's own fields follow; ``A=`` and ``P=``
  count behind that only. What can be read in two ways is not believed: the fact comes without it.
- ``U=`` is a user only with ``P=local…``, which Exim never writes for a client of the network; elsewhere it
  is the answer of the client's ident service. ``A=driver:id`` is kept with all its colons (with
  ``log_selector = +smtp_mailauth`` a sender follows the id, and cannot be told from it).

A name with blanks in ``A=`` or in a subject is no loss: the slower way reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from penstock.core.events import LoggedIn
from penstock.wire.maillog import exim_kinds
from penstock.wire.maillog.addresses import valid
from penstock.wire.maillog.exim_outcome import bounced, deferred, sent
from penstock.wire.maillog.exim_refused import address_of, refused
from penstock.wire.maillog.facts import Arrived, Called, Fact, Removed
from penstock.wire.maillog.kinds import IGNORED, Found

KINDS = exim_kinds.KINDS

_Read = Callable[[float, str, str, str], Fact | None]

_USUAL = re.compile(
    r"([^ ]+)(?: R=([^ ]+))?(?: H=(?:[^ ]+ )?(?:[^ ]+ )?\[([^ ]+)\](?::\d+)?)?(?: I=[^ ]+)?(?: Ci=[^ ]+)?"
    r"(?: U=([^ ]+))? P=([^ ]+)(?: L[*.-]?)?(?: X=[^ ]+)?(?: CV=[^ ]+)?(?: SNI=[^ ]+)?(?: A=[^ :]+:?([^ ]*))?"
    r'(?: K)? S=([^ ]+)(?: id=([^ ]+))?( T="[^"]*")?(?: for([^()\[\]=]+))?'
)
"""What nearly all arrivals look like: a part of what ``_ARRIVAL`` takes, and quicker. For lines whose only
quotes are those of the subject."""

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_SENDER = rf'(<>|{_QUOTED}[^\s"]*|[^\s"<>]+)'
_FLAG = r"(?:DS|TFO\*?|L[*.-]?|K|PRDR|ARC)(?= |$)"
_ITEM = rf'(?:{_FLAG}|(?:[A-Z][A-Za-z0-9]*+|id\*)=(?:{_QUOTED}|[^\s"]*+))'
_TAIL = (
    rf" S=(\w+)(?: (?!id=|T=|for |from ){_ITEM})*+"
    rf'(?: id=({_QUOTED}[^\s"]*|[^\s"]+))?(?: T={_QUOTED})?(?: from <(?:{_QUOTED})?[^\s"<>]*>)?'
    rf'(?: for((?: (?:(?:{_QUOTED}|[^\s"@]*)@[^\s"]*|[\w.+-]+))++))?'
)
_ARRIVAL = re.compile(
    _SENDER + r"(?: R=(\S+))?"
    r'(?: DS)?(?: H=(?:[^\s()"\[\]]+ )?(?:\([^\s()"]*\) )?\[([^\s\]"]+)\](?::\w+)?'
    r'(?: (?:I|Ci|PRX)=[^\s"]*| TFO\*?| DS)*+)?'
    r'(?: U=([^\s"]+))?(?: Ci=\w+)?(?: P=([^\s"]+))?'
    rf"(?: (?![AHPSU]=){_ITEM})*+"
    rf'(?: A=[^\s":]+:?({_QUOTED}|[^\s"]*)(?: (?:{_FLAG}|PRX=[^\s"]*+))*+)?' + _TAIL
)
_SIZE = re.compile(r" S=\w+(?= |$)")
_TAIL_ONLY = re.compile(_TAIL)
_SENDER_ONLY = re.compile(_SENDER + r"(?: R=(\S+))?")
_ADDRESS = re.compile(r"[^\s\"]*(?:\"(?:[^\"\\]|\\.)*+\")?[^\s\"]*")
_LOGIN_FAILED = re.compile(r"(\S+) authenticator failed for ")
_REFUSED_PASSWORD = re.compile(r": 535 Incorrect authentication data *")
_SET_ID = re.compile(r"\(set_id=(.*)\)")
_CWD = re.compile(r"cwd=(.*?) \d{1,6} args: (.*)")
_MASK = re.compile(r' DN="[^"]*"(?= |$)')
_PROTOCOL = re.compile(r" P=(\S+)")
_USER = re.compile(r" U=(\S+)")
_AUTH = re.compile(r" A=[\w.-]+(?::(.*))?")
_FLAGS = ("L", "L*", "L-", "L.", "K", "PRDR")
_PART = re.compile(r"\[(\d{1,3})([/\\])\d{1,3}\] ?")
_PEER = re.compile(
    r"(?:H=)?[^\s\[]*(?: ?\([^()\s]*\))? ?\[[^\s\]]*\](?::\w+)?:?(?: (?:I|Ci|U|X|CV|SNI)=\S*)* "
)
_LOCAL_ONLY = re.compile(r" U=(.*?)(?: Ci=\w+)? P=(?:utf8)?local\S*")  # a system's user name may hold a blank
_LOCAL = ("local", "utf8local")
_MOST_SIZES = 16


def parse(at: float, scope: str, text: str) -> Found:
    """A line of the main log without its stamp. An entry that goes on over several lines, or parts of one
    that was split for syslog (``[2/3]``), count with the first only."""
    if text[6:7] == "-":
        end = 16 if text[16:17] == " " else 23  # since Exim 4.97
        queue_id = text[:end]
        if text[end : end + 1] == " " and queue_id.count("-") == 2 and queue_id.replace("-", "").isalnum():
            read = _FLOWS.get(text[end + 1 : end + 4])
            if read is not None:
                return read(at, scope, queue_id, text[end + 4 :])
            return _queued(at, scope, queue_id, text[end + 1 :])
    return _plain(at, scope, text)


def _arrived(at: float, scope: str, queue_id: str, rest: str) -> Fact | None:
    found = _USUAL.fullmatch(rest)
    if found is None or rest.count('"') != (2 if found[9] else 0):
        return _arrived_unusually(at, scope, queue_id, rest)
    sender, parent, ip, ident, protocol, login, size, message_id, _, to = found.groups("")
    return Arrived(
        at,
        scope,
        queue_id,
        valid(ip) if ip and len(ip) < 46 else "",
        login,
        ident if not ip and protocol.startswith(_LOCAL) else "",
        "" if sender == "<>" else sender,
        message_id,
        _number(size),
        _count(to) if to else 0,
        parent,
    )


def _arrived_unusually(at: float, scope: str, queue_id: str, rest: str) -> Fact | None:
    found = _ARRIVAL.fullmatch(rest)
    if found is None:
        return _arrived_oddly(at, scope, queue_id, rest)
    sender, parent, ip, ident, protocol, login, size, message_id, to = found.groups("")
    return Arrived(
        at,
        scope,
        queue_id,
        valid(ip) if ip and len(ip) < 46 else "",
        login,
        ident if not ip and protocol.startswith(_LOCAL) else "",
        "" if sender == "<>" else sender,
        message_id,
        _number(size),
        _count(to),
        parent,
    )


def _arrived_oddly(at: float, scope: str, queue_id: str, rest: str) -> Fact | None:
    """An arrival with blanks or quotes where there are usually none: a certificate's name, or an attack."""
    begin = _SENDER_ONLY.match(rest)
    if begin is None:
        return None
    sender, parent = begin.groups()
    size, message_id, recipients = "", "", 0
    head = rest[begin.end() :]
    for start in [found.start() for found in _SIZE.finditer(head)][:_MOST_SIZES]:
        tail = _TAIL_ONLY.fullmatch(head, start)
        if tail is not None:
            size, message_id = tail[1], tail[2] or ""
            recipients = _count(tail[3] or "")
            ip, login, user = _head(head[:start])
            break
    else:
        ip = login = user = ""
    return Arrived(
        at,
        scope,
        queue_id,
        ip,
        login,
        user,
        "" if sender == "<>" else sender,
        message_id,
        _number(size),
        recipients,
        parent or "",
    )


def _head(head: str) -> tuple[str, str, str]:
    """Address, login and local user of what lies between sender and size, HELO and all."""
    local = _LOCAL_ONLY.fullmatch(head)
    if local is not None:
        return "", "", local[1]
    ip, end = address_of(head)
    rest = _MASK.sub("", head[end:]).rpartition('"')[
        2
    ]  # a certificate's name may hold a quote: what follows it
    protocols = list(_PROTOCOL.finditer(rest))
    if protocols and protocols[-1][1].startswith(_LOCAL):
        users = _USER.findall(rest, 0, protocols[-1].start())
        return "", "", users[-1] if users else ""
    auth = _AUTH.search(rest, protocols[-1].end() if protocols else 0)
    return ip, _without_flags(auth[1] or "") if auth else "", ""


def _without_flags(told: str) -> str:
    """A login, which may hold blanks, without what Exim says next: pipelining, chunking and the like."""
    words = told.split(" ")
    while len(words) > 1 and (words[-1] in _FLAGS or words[-1].startswith("PRX=")):
        words.pop()
    return " ".join(words)


def _number(told: str) -> int:
    return int(told) if told.isdecimal() and len(told) < 16 else 0


def _count(to: str) -> int:
    """How many addresses: a quoted local part may hold blanks."""
    if '"' not in to:
        return to.count(" ")
    return sum(1 for found in _ADDRESS.finditer(to) if found[0])


_FLOWS: dict[str, _Read] = {
    "<= ": _arrived,
    "(= ": _arrived,  # taken, although the client was told otherwise: control = fakereject
    "=> ": sent,
    "-> ": sent,
    ">> ": sent,
    "*> ": sent,
    "== ": deferred,
    "** ": bounced,
}


def _queued(at: float, scope: str, queue_id: str, text: str) -> Found:
    if text.startswith("Completed"):
        return Removed(at, scope, queue_id)
    if text.startswith(_CLIENT):
        return refused(at, scope, queue_id, text) or _about_a_client(text)
    if text.startswith(_QUEUED_KINDS):
        return IGNORED
    if " authenticator failed H=" in text[:200]:
        return IGNORED  # our own login at another host
    return _about_a_client(text)


def _plain(at: float, scope: str, text: str) -> Found:
    if text.startswith("cwd="):
        called = _CWD.fullmatch(text)
        return Called(at, scope, called[1], called[2]) if called else None
    if text.startswith(_CLIENT):
        return refused(at, scope, "", text) or _about_a_client(text)
    if text.startswith(_PLAIN_KINDS) or text[:1] in ("", " ", "\t"):
        return IGNORED
    failed = _LOGIN_FAILED.match(text)
    if failed is not None:
        return _login_failed(at, text[failed.end() - 1 :])
    part = _PART.match(text)
    if part is not None:
        return parse(at, scope, text[part.end() :]) if part[1] == "1" else IGNORED
    return _about_a_client(text)


def _about_a_client(text: str) -> Found:
    peer = _PEER.match(text)
    return IGNORED if peer and text.startswith(_CLIENT_KINDS, peer.end()) else None


def _login_failed(at: float, told: str) -> Found:
    """`` name (helo) [ip]:port I=[…]:25: 535 Incorrect authentication data (set_id=user)``. Both HELO and
    user are the client's text: when the phrase is there twice, neither name nor address is believed."""
    phrase = _REFUSED_PASSWORD.search(told)
    if phrase is None:
        return IGNORED  # cancelled, no valid base64, or the server could not tell
    after = told[phrase.end() :]
    if _REFUSED_PASSWORD.search(after):
        return LoggedIn(at, "", "", "smtp", False)
    name = _SET_ID.fullmatch(after)
    ip, _ = address_of(told[: phrase.start()])
    return LoggedIn(at, name[1] if name else "", ip, "smtp", False)


_CLIENT = ("H=", "U=", "F=", "rejected by ", "temporarily rejected by ")
_PLAIN_KINDS = tuple(exim_kinds.PLAIN)
_QUEUED_KINDS = tuple(exim_kinds.QUEUED)
_CLIENT_KINDS = tuple(exim_kinds.CLIENTS)
