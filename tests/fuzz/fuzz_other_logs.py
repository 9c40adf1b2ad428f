"""Fuzz the parsers of Exim, Dovecot, PHP, saslauthd, the wrapper and web servers: a fact, ignored, unknown.

    python tests/fuzz/fuzz_other_logs.py [-runs=N] [-max_total_time=S] [CORPUS...]

The input is a line as it stands, and also what a client says about himself (HELO, subject, user) in lines
whose true address and name are known: no other may come out.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["penstock.wire"]):
    from penstock.core.events import LoggedIn, Posted, Submitted
    from penstock.wire import weblog
    from penstock.wire.maillog import dovecot, exim, php, saslauthd, wrapper
    from penstock.wire.maillog.facts import Arrived, Refused

TRUE = "192.0.2.66"
QUEUE_ID = "1rTxyz-000000005vi-0000"
ROOTS = weblog.Roots({}, "/srv/{host}")
STAMP = "[22/Nov/2026:05:05:53 +0000]"
MAILED = f"H=(pc) [{TRUE}] P=esmtpsa A=plain:mallory"


def check_exim(text: str) -> None:
    subject = text.replace("\\", "\\\\").replace('"', '\\"')
    found = exim.parse(1.0, "s", f'{QUEUE_ID} <= a@b {MAILED} S=9 T="{subject}" for c@d')
    assert isinstance(found, Arrived)
    assert (found.client_address, found.login, found.user, found.size) == (TRUE, "mallory", "", 9)
    found = exim.parse(1.0, "s", f'{QUEUE_ID} <= a@b H=({text}) [{TRUE}] P=esmtpsa A=plain:mallory S=9 T="x"')
    assert isinstance(found, Arrived)
    assert found.client_address in ("", TRUE)
    assert found.login in ("", "mallory")
    assert not found.user
    refused = exim.parse(1.0, "s", f"H=({text}) [{TRUE}] F=<a@b> rejected RCPT <c@d>: no")
    assert not isinstance(refused, Refused) or refused.client_address in ("", TRUE)
    failed = exim.parse(
        1.0, "s", f"login authenticator failed for ({text}) [{TRUE}]: 535 Incorrect authentication data"
    )
    assert not isinstance(failed, LoggedIn) or failed.client_address in ("", TRUE)


def check_others(text: str) -> None:
    end = f">, method=PLAIN, rip={TRUE}, lip=192.0.2.1, session=<x>"
    found = dovecot.parse(1.0, "s", f"imap-login: Disconnected (auth failed, 1 attempts): user=<{text}{end}")
    assert isinstance(found, LoggedIn)
    assert (found.login, found.client_address) in ((text, TRUE), ("", ""))
    told = saslauthd.parse(
        1.0, "s", f"do_auth : auth failure: [user={text}] [service=smtp] [realm=] [mech=pam]"
    )
    assert isinstance(told, LoggedIn)
    assert told.login in ("", text)


def check_web(text: str) -> None:
    """What a browser writes: the URL, its user's name, its own; the servers escape quotes."""
    told = text.replace("\\", "\\\\").replace('"', '\\"')
    url = told.replace(" ", "%20")
    for line in (
        f'a.example:80 {TRUE} - - {STAMP} "POST /{url} HTTP/1.1" 200 1 "-" "-"',
        f'a.example:80 {TRUE} - - {STAMP} "GET /x.php HTTP/1.1" 200 1 "-" "{told}"',
        f'a.example:80 {TRUE} - {told} {STAMP} "POST /x.php HTTP/1.1" 200 1 "-" "-"',
    ):
        found = weblog.parse(line, ROOTS)
        assert not isinstance(found, Posted) or found.path.startswith("/srv/a.example/")
        assert not isinstance(found, Posted) or (found.client_address, found.at) == (TRUE, 1795323953.0)
    called = wrapper.parse(1.0, "s", f"uid=1033 script={url}")
    assert isinstance(called, Submitted) and called.user == "1033"
    assert not called.script or (called.script.startswith("/") and "/../" not in called.script)


def check(data: bytes) -> None:
    """One input."""
    text = data.decode("utf-8", "surrogateescape").replace("\n", " ")
    for parse in (exim.parse, dovecot.parse, php.parse, saslauthd.parse, wrapper.parse):
        parse(1.0, "s", text)
    weblog.parse(text, ROOTS)
    check_web(text)
    check_exim(text)
    check_others(text)


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
