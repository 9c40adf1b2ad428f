"""Dovecot's log lines → logins (Dovecot 2.x, 2.4 as well).

One failed connection is one fact. Its source is the login process (``imap-login: … (auth failed, 3 attempts
in 9 secs): user=<…>, …``), which writes one line per connection whether ``auth_verbose`` is on or off. With
``auth_verbose = yes`` the processes ``auth`` and ``auth-worker`` write a line for each password as well.
Those are ignored, for two reasons: they would count the same failure again; and those of an MTA that asks
Dovecot tell no service, while the MTA itself writes whom it refused. The price: failures before a
success on the same connection are not seen, and neither are those of an MTA that does not name who
failed (Postfix before 3.7).

No failure of a login: clients that never tried one, and clients whose plaintext login was refused unheard.

The user is the client's text and may hold whole log lines. Dovecot puts its own fields behind it, so the
last ``>, … rip=`` is the true one; and in a line so long that syslog may have cut its end, nothing
is believed.
"""

from __future__ import annotations

import re
from functools import lru_cache

from penstock.core.events import LoggedIn
from penstock.wire.maillog.addresses import valid
from penstock.wire.maillog.kinds import IGNORED, Found, Kind

_ELSE = "neither a login nor a failure of one"
_VERBOSE = "auth_verbose: the login process or the MTA tells it"
_MAILBOX = "what a user does in the mailbox, or a delivery into it"
_SERVER = "the server itself"

PROCESSES = {
    "imap-login": _ELSE,
    "pop3-login": _ELSE,
    "submission-login": _ELSE,
    "managesieve-login": _ELSE,
    "sieve-login": _ELSE,
    "lmtp-login": _ELSE,
    "auth": _VERBOSE,
    "auth-worker": _VERBOSE,
    "imap": _MAILBOX,
    "pop3": _MAILBOX,
    "lmtp": _MAILBOX,
    "lda": _MAILBOX,
    "deliver": _MAILBOX,
    "submission": _MAILBOX,
    "managesieve": _MAILBOX,
    "sieve": _MAILBOX,
    "sieve-test": _MAILBOX,
    "imap-urlauth": _MAILBOX,
    "imap-hibernate": _MAILBOX,
    "indexer": _MAILBOX,
    "indexer-worker": _MAILBOX,
    "quota-status": _MAILBOX,
    "doveadm": _SERVER,
    "dsync": _SERVER,
    "dsync-local": _SERVER,
    "dsync-server": _SERVER,
    "master": _SERVER,
    "config": _SERVER,
    "anvil": _SERVER,
    "stats": _SERVER,
    "old-stats": _SERVER,
    "log": _SERVER,
    "dict": _SERVER,
    "dict-async": _SERVER,
    "director": _SERVER,
    "replicator": _SERVER,
    "aggregator": _SERVER,
    "ssl-params": _SERVER,
    "ssl-build-param": _SERVER,
    "ipc": _SERVER,
    "script": _SERVER,
    "welcome": _SERVER,
    "health-check": _SERVER,
    "Error": _SERVER,
    "Warning": _SERVER,
    "Info": _SERVER,
    "Fatal": _SERVER,
    "Panic": _SERVER,
}
"""Processes whose lines are ignored, or all but those that tell of a login."""

KINDS = tuple(Kind("dovecot", process, why) for process, why in PROCESSES.items())

SERVICES = {
    "imap": "imap",
    "pop3": "pop3",
    "submission": "smtp",
    "managesieve": "sieve",
    "sieve": "sieve",
    "lmtp": "lmtp",
}

MAY_BE_CUT = 900
"""Bytes from which on syslog may have cut the end of the line (RFC 3164 §4.1: 1024 with stamp and host)."""

SHORT = MAY_BE_CUT // 4
"""Characters up to which a line is whole, whatever they are."""

_LOGGED_IN = re.compile(
    rf"({'|'.join(SERVICES)})-login: Log(?:in|ged in): user=<([^<>]*)>, method=[^ ,<>]+, rip=([^ ,<>]+)"
)
"""The usual login up to its address."""

_LOGIN = re.compile(r"([a-z][a-z0-9]*)-login: (?:Info: )?")
_WHO = re.compile(
    r"(?:user=<([^<>]*)>, )?(?:method=([^ ,<>]+), )?rip=([^ ,<>]+)(?:, [^<>]*(?:<[^<>]*>[^<>]*)?)?"
)
_FAILED = re.compile(r"auth failed(?:,[^<>)]{0,99})?\)[^<>:]{0,99}: ?(?=user=<|method=|rip=)")
_FAILURES = ("(", "(proxy dest ")
_TRUE_END = re.compile(r">, (?:method=[^ ,]+, )?rip=([^ ,<>]+)(?=,|$)")
_PROCESS = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_OF_A_USER = tuple(f"{process}(" for process in ("imap", "pop3", "lmtp"))
_new = tuple.__new__


def is_process(tag: str) -> bool:
    """Whether a line of Dovecot's own file begins like this: ``imap-login``, ``imap(user)<pid><session>``."""
    return tag.partition("(")[0] in PROCESSES


def parse(at: float, scope: str, text: str) -> Found:
    """What follows ``dovecot: `` or ``dovecot[pid]: ``; or a line of Dovecot's own file without its stamp."""
    if text.startswith(_OF_A_USER):
        return IGNORED
    told, _, rest = text.partition(", lip=")
    if len(text) <= SHORT and ", rip=" not in rest:
        who = _who(told)
        if who is not None:
            return _new(LoggedIn, (at, *who, True))
    return _parse_unusually(at, text)


@lru_cache(maxsize=8192)
def _who(told: str) -> tuple[str, str, str] | None:
    """(user, address, service) of a login up to its address. Give it short texts only: it remembers them,
    because the same clients come all day."""
    found = _LOGGED_IN.fullmatch(told)
    return None if found is None else (found[2], valid(found[3]), SERVICES[found[1]])


def _parse_unusually(at: float, text: str) -> Found:
    found = _LOGIN.match(text)
    if found is None:
        process = _PROCESS.match(text)
        return IGNORED if process and process[0] in PROCESSES else None
    service = SERVICES.get(found[1])
    if service is None:
        return None
    end = found.end()
    if text.startswith(("Login: ", "Logged in: "), end):
        return _login(at, service, text, text.index(": ", end) + 2, True)
    start = text.find("auth failed", end)
    before = text[end:start] if start > 0 else ""
    failed = _FAILED.match(text, start) if before.endswith(_FAILURES) and "<" not in before else None
    return IGNORED if failed is None else _login(at, service, text, failed.end(), False)


def _login(at: float, service: str, text: str, start: int, ok: bool) -> LoggedIn:
    """``user=<…>, method=…, rip=…, lip=…, …`` from ``start`` on."""
    if len(text) > SHORT and len(text.encode(errors="surrogateescape")) > MAY_BE_CUT:
        return LoggedIn(at, "", "", service, ok)
    found = _WHO.fullmatch(text, start)
    if found is not None and ", rip=" not in text[found.end(3) :]:
        user, _, ip = found.groups()
        return LoggedIn(at, user or "", valid(ip) if len(ip) < 46 else "", service, ok)
    return _login_oddly(at, service, text[start:], ok)


def _login_oddly(at: float, service: str, told: str, ok: bool) -> LoggedIn:
    """Fields in another order, or a user who writes log lines: what is last is true."""
    begin = told.find("user=<")
    ends = list(_TRUE_END.finditer(told))
    if begin != 0 or not ends:
        return LoggedIn(at, "", "", service, ok)
    last = ends[-1]
    ip = valid(last[1]) if len(last[1]) < 46 else ""
    return LoggedIn(at, told[6 : last.start()], ip, service, ok)
