"""saslauthd: who failed to log in; it does not know from where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.events import LoggedIn
from penstock.wire.maillog import saslauthd
from penstock.wire.maillog.kinds import IGNORED

END = "[mech=pam] [reason=PAM auth error]"


def parse(text: str) -> object:
    return saslauthd.parse(1.0, "mail/saslauthd", text)


@pytest.mark.parametrize(
    ("line", "login", "service", "ok"),
    [
        (f"do_auth         : auth failure: [user=joe] [service=smtp] [realm=] {END}", "joe", "smtp", False),
        (
            f"do_auth         : auth failure: [user=joe] [service=imap] [realm=example.com] {END}",
            "joe@example.com",
            "imap",
            False,
        ),
        (
            f"do_auth : auth failure: [user=joe@a.example] [service=smtp] [realm=b.example] {END}",
            "joe@a.example",
            "smtp",
            False,
        ),
        (f"                : auth failure: [user=joe] [service=] [realm=] {END}", "joe", "auth", False),
        (
            "do_auth         : auth failure: [user=joe] [service=smtp] [realm=] [mech=rimap] "
            "[reason=[ALERT] x]",
            "joe",
            "smtp",
            False,
        ),
        (
            "do_auth         : auth success: [user=joe] [service=smtp] [realm=] [mech=pam]",
            "joe",
            "smtp",
            True,
        ),
        ("do_auth         : auth success (cached): [user=joe] [service=smtp] [realm=]", "joe", "smtp", True),
    ],
)
def test_logins(line: str, login: str, service: str, ok: bool) -> None:
    assert parse(line) == LoggedIn(1.0, login, "", service, ok)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n")))
def test_a_user_names_no_other(user: str) -> None:
    for hostile in (user, f"victim] [service=smtp] [realm=] {END} {user}", f"{user}] [service=imap"):
        found = parse(f"do_auth         : auth failure: [user={hostile}] [service=smtp] [realm=] {END}")
        assert isinstance(found, LoggedIn)
        assert found.login in ("", hostile)


def test_a_realm_names_no_other() -> None:
    realm = "x] [service=smtp] [realm=] [mech=pam] [reason=y"
    found = parse(f"do_auth         : auth failure: [user=joe] [service=smtp] [realm={realm}] {END}")
    assert found == LoggedIn(1.0, "", "", "smtp", False)


def test_ignored_and_unknown() -> None:
    assert parse("pam_unix(smtp:auth): authentication failure; logname= uid=0 user=joe") is IGNORED
    assert parse("do_request      : NULL password received") is IGNORED
    assert parse("something new") is None


def test_every_kind_is_ignored() -> None:
    for kind in saslauthd.KINDS:
        assert parse(f"{kind.prefix}x") is IGNORED, kind
