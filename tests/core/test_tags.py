"""Whose message a tag makes it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.tags import LONGEST, NOTHING, Judged, Result, TagRule, Tags

ACME = TagRule(
    "acme",
    "x-tag",
    (b"new-secret", b"old-secret"),
    (ip_network("192.0.2.0/28"), ip_network("2001:db8:1::/48")),
    ("login:mailer@acme.example",),
)
BOLT = TagRule("bolt", "x-tag", (b"bolts-secret",), (ip_network("192.0.2.0/24"),))
CORE = TagRule("core", "x-core-tag", (b"new-secret",), (ip_network("203.0.113.1"),))
TAGS = Tags((ACME, BOLT, CORE), b"key")


def judged(
    value: bytes | list[bytes] | None, address: str = "192.0.2.1", login: str = "", header: str = "x-tag"
) -> Judged:
    """What is said of a message with that tag."""
    values = [value] if isinstance(value, bytes) else value
    return TAGS.judge(login, address, {header: values} if values is not None else {})


@pytest.mark.parametrize(
    ("value", "address", "login", "result", "customer"),
    [
        (b"new-secret", "192.0.2.1", "", Result.OK, "acme"),
        (b" old-secret ", "192.0.2.15", "", Result.OK, "acme"),
        (b"\n new-\n\tsecret\r\n", "2001:db8:1:2::3", "", Result.OK, "acme"),
        (b"new-secret", "::ffff:192.0.2.1", "", Result.OK, "acme"),
        (b"new-secret", "198.51.100.1", "login:mailer@acme.example", Result.OK, "acme"),
        (b"new-secret", "198.51.100.1", "login:mallory@acme.example", Result.FOREIGN, "acme"),
        (b"new-secret", "192.0.2.16", "", Result.FOREIGN, "acme"),
        (b"bolts-secret", "192.0.2.1", "", Result.OK, "bolt"),
        (b"New-secret", "192.0.2.1", "", Result.WRONG, "acme"),
        (b"", "192.0.2.16", "", Result.WRONG, "bolt"),
        (b"x", "nonsense", "", Result.WRONG, ""),
        (b"x" * LONGEST + b"x", "198.51.100.1", "", Result.WRONG, ""),
        (None, "192.0.2.1", "", Result.MISSING, "acme"),
        (None, "192.0.2.16", "", Result.MISSING, "bolt"),
        (None, "198.51.100.1", "", Result.NONE, ""),
        (None, "", "", Result.NONE, ""),
    ],
)
def test_whose_it_is(value: bytes | None, address: str, login: str, result: Result, customer: str) -> None:
    assert judged(value, address, login) == Judged(result, customer)


def test_a_secret_counts_in_its_own_header_only() -> None:
    assert judged(b"new-secret", "203.0.113.1", header="x-core-tag") == Judged(Result.OK, "core")
    assert judged(b"bolts-secret", "192.0.2.1", header="x-core-tag").result is Result.WRONG


def test_several_tags_must_agree() -> None:
    assert judged([b"new-secret", b" new-secret"]).result is Result.OK
    assert judged([b"new-secret", b"old-secret"]).result is Result.OK
    assert judged([b"new-secret", b"bolts-secret"]).result is Result.WRONG
    assert judged([b"new-secret", b""]).result is Result.WRONG


def test_nobody_has_a_tag_where_there_are_no_customers() -> None:
    assert Tags((), b"key").judge("", "192.0.2.1", {}) is NOTHING
    assert not Tags((), b"key").headers and TAGS.headers == {"x-tag", "x-core-tag"}


def test_a_secret_is_not_shown() -> None:
    assert "secret" not in repr(ACME) + repr(TAGS.__dict__)


@given(st.binary(max_size=50), st.text(max_size=20), st.text(max_size=20))
def test_anything_may_be_asked(value: bytes, address: str, login: str) -> None:
    assert judged(value, address, login).result in (Result.WRONG, Result.OK, Result.FOREIGN)
