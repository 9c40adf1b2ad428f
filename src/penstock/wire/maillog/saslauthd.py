"""saslauthd's log lines → logins (Cyrus SASL, saslauthd.c ``do_auth``).

``do_auth         : auth failure: [user=…] [service=smtp] [realm=…] [mech=pam] [reason=…]``; successes are
told in its debug mode only. It does not know the client's address. User and realm are the client's text: a
line that tells its service twice is not believed.
"""

from __future__ import annotations

import re

from penstock.core.events import LoggedIn
from penstock.wire.maillog.kinds import IGNORED, Found, Kind

_INSIDE = "how saslauthd goes about it; do_auth tells what came of it"
IGNORES = {
    "pam_": "a PAM module's word; do_auth tells what came of it",
    "(pam_": "a PAM module's word; do_auth tells what came of it",
    "PAM ": "a PAM module's word; do_auth tells what came of it",
    "DEBUG: ": _INSIDE,
    "do_request ": _INSIDE,
    "do_auth ": _INSIDE,
    "auth_": _INSIDE,
    "cache_": _INSIDE,
    "ipc_": _INSIDE,
    "main ": "the daemon starts",
    "detach_tty ": "the daemon starts",
    "have_baby ": "the daemon starts a process",
    "handle_sig": "the daemon ends",
    "server_exit ": "the daemon ends",
    "get_accept_lock ": _INSIDE,
    "rel_accept_lock ": _INSIDE,
    "num_procs ": "the daemon starts",
    "master exited": "the daemon ends",
}
KINDS = tuple(Kind("saslauthd", prefix, why) for prefix, why in IGNORES.items())

SERVICES = {
    "smtp": "smtp",
    "smtps": "smtp",
    "submission": "smtp",
    "imaps": "imap",
    "pop3s": "pop3",
    "pop": "pop3",
}
"""Other names that are in use for a service."""

_TOLD = re.compile(
    r"(?:do_auth)? *: auth (failure|success)(?: \(cached\))?: "
    r"\[user=(.*)\] \[service=([^\]]*)\] \[realm=([^\]]*)\](?: \[mech=.*| *)"
)
_IGNORES = tuple(IGNORES)


def parse(at: float, scope: str, text: str) -> Found:
    """What follows ``saslauthd[pid]: ``."""
    found = _TOLD.fullmatch(text)
    if found is None:
        return IGNORED if text.startswith(_IGNORES) else None
    word, user, service, realm = found.groups()
    if text.count("[service=") != 1:
        user = realm = ""
    login = f"{user}@{realm}" if user and realm and "@" not in user else user
    return LoggedIn(at, login, "", SERVICES.get(service, service or "auth"), word == "success")
