"""Dovecot: one fact per connection that logged in or failed to, whoever writes what into the user."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.events import LoggedIn
from penstock.wire.maillog import dovecot
from penstock.wire.maillog.kinds import IGNORED

TRUE = "192.0.2.66"
FALSE = "198.51.100.1"
END = f"method=PLAIN, rip={TRUE}, lip=192.0.2.1, TLS, session=<k0x+Rq/vCADD>"


def parse(text: str) -> object:
    return dovecot.parse(1.0, "mail/dovecot", text)


@pytest.mark.parametrize(
    ("line", "service", "ok"),
    [
        ("imap-login: Login: user=<joe>, ", "imap", True),
        ("imap-login: Info: Login: user=<joe>, ", "imap", True),
        ("imap-login: Logged in: user=<joe>, ", "imap", True),
        ("pop3-login: Disconnected (auth failed, 3 attempts in 9 secs): user=<joe>, ", "pop3", False),
        ("imap-login: Aborted login (auth failed, 1 attempts): user=<joe>, ", "imap", False),
        (
            "submission-login: Remote closed connection (auth failed, 1 attempts in 2 secs): user=<joe>, ",
            "smtp",
            False,
        ),
        (
            "managesieve-login: Login aborted: Logged out (auth failed, 1 attempts in 10 secs) "
            "(auth_failed): user=<joe>, ",
            "sieve",
            False,
        ),
        ("imap-login: Disconnected (proxy dest auth failed): user=<joe>, ", "imap", False),
        (
            "imap-login: Disconnected: Connection closed: read(size=1003) failed: Connection reset by peer "
            "(auth failed, 1 attempts in 0 secs): user=<joe>, ",
            "imap",
            False,
        ),
    ],
)
def test_logins(line: str, service: str, ok: bool) -> None:
    assert parse(line + END) == LoggedIn(1.0, "joe", TRUE, service, ok)


def test_without_a_user() -> None:
    found = parse(f"imap-login: Disconnected (auth failed, 1 attempts): {END}")
    assert found == LoggedIn(1.0, "", TRUE, "imap", False)


def test_an_address_that_is_none() -> None:
    found = parse("imap-login: Login: user=<joe>, method=PLAIN, rip=999.1.1.1, lip=192.0.2.1")
    assert found == LoggedIn(1.0, "joe", "", "imap", True)


def test_a_text_about_tls_does_no_harm() -> None:
    end = END.replace("TLS", "TLS: SSL_read() syscall failed: Connection reset by peer")
    assert parse(f"imap-login: Disconnected (auth failed, 1 attempts): user=<joe>, {end}") == LoggedIn(
        1.0, "joe", TRUE, "imap", False
    )


@pytest.mark.parametrize(
    "user",
    [
        f"joe>, method=PLAIN, rip={FALSE}, lip=192.0.2.1, TLS, session=<x",
        f"joe>, rip={FALSE}, x=<",
        f"joe, rip={FALSE}",
        f"victim>, method=PLAIN, rip={FALSE}, lip=192.0.2.1",
        "a>b",
        f"x (auth failed, 1 attempts): user=<victim>, rip={FALSE}",
        "",
    ],
)
def test_a_user_changes_nothing(user: str) -> None:
    for line, ok in (
        ("imap-login: Login: ", True),
        ("imap-login: Disconnected (auth failed, 1 attempts): ", False),
    ):
        assert parse(f"{line}user=<{user}>, {END}") == LoggedIn(1.0, user, TRUE, "imap", ok)


@given(
    st.text(
        st.sampled_from("ab<>,= riplsuer(1.)") | st.characters(codec="utf-8", exclude_characters="\n"),
        max_size=200,
    )
)
def test_no_user_names_another(user: str) -> None:
    found = parse(f"imap-login: Disconnected (auth failed, 1 attempts): user=<{user}>, {END}")
    assert isinstance(found, LoggedIn)
    assert (found.login, found.client_address, found.ok) in ((user, TRUE, False), ("", "", False))


def test_a_line_that_may_be_cut_is_not_believed() -> None:
    user = f"joe>, method=PLAIN, rip={FALSE}, lip=192.0.2.1, TLS: " + "a" * 2000
    found = parse(f"imap-login: Disconnected (auth failed, 1 attempts): user=<{user}"[:950])
    assert found == LoggedIn(1.0, "", "", "imap", False)


@pytest.mark.parametrize(
    "line",
    [
        f"imap-login: Disconnected (no auth attempts in 2 secs): user=<>, rip={TRUE}, lip=192.0.2.1",
        f"pop3-login: Aborted login (tried to use disallowed plaintext auth): user=<>, rip={TRUE}, "
        f"lip=192.0.2.1",
        f"imap-login: Disconnected (no auth attempts): user=<(auth failed, 1 attempts): user=<joe>, "
        f"rip={FALSE}>, rip={TRUE}",
        f"auth-worker(7): sql(joe,{TRUE},<k0x>): Password mismatch",
        f"auth: passwd-file(joe,{TRUE}): unknown user",
        f"auth(joe,{TRUE},sasl:login)<k0x>: Info: sql: Password mismatch",
        "lmtp(joe)<1><k0x>: msgid=<a@example.com>: saved mail to INBOX",
        "imap(joe)<1><k0x>: Logged out in=1 out=2",
        "master: Warning: Killed with signal 15",
    ],
)
def test_ignored(line: str) -> None:
    assert parse(line) is IGNORED


@pytest.mark.parametrize("line", ["", "something: new", "x-login: Login: user=<joe>, rip=192.0.2.1", "<>"])
def test_unknown(line: str) -> None:
    assert parse(line) is None


def test_verbose_or_not_a_failure_counts_once() -> None:
    """Two attempts on one connection: two lines of auth (if at all), one of the login process."""
    verbose = [
        f"auth-worker(7): conn unix:auth-worker (uid=9): auth-worker<1>: sql(joe,{TRUE},<k0x>): "
        f"Password mismatch"
    ] * 2
    end = f"imap-login: Disconnected (auth failed, 2 attempts in 4 secs): user=<joe>, {END}"
    for lines in ([end], [*verbose, end]):
        assert sum(isinstance(parse(line), LoggedIn) for line in lines) == 1


def test_every_kind_is_ignored() -> None:
    for kind in dovecot.KINDS:
        assert parse(f"{kind.prefix}: x") is IGNORED, kind
