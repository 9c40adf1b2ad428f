"""Restriction lists taken apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.mta.endpoint import Endpoint
from penstock.mta.restrictions import (
    Entry,
    Found,
    find,
    has_call,
    items,
    ours_at,
    readable,
    without,
    words,
    written,
)

IS_OURS = ours_at(Endpoint("127.0.0.1", 10040), "/var/spool/postfix")
OURS = written("inet:127.0.0.1:10040", trial=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        (" , ,", []),
        ("permit_mynetworks,reject", ["permit_mynetworks", "reject"]),
        ("a  b,\tc", ["a", "b", "c"]),
        (
            "check_policy_service { inet:h:1, x=y }, reject",
            ["check_policy_service", "{ inet:h:1, x=y }", "reject"],
        ),
        ("inline:{ {a = b, c}, d=e } f", ["inline:{ {a = b, c}, d=e }", "f"]),
    ],
)
def test_words(value: str, expected: list[str]) -> None:
    assert words(value) == expected


def test_our_entry_reads_back_as_written() -> None:
    (entry,) = items(written("unix:penstock/policy.sock", trial=True))
    assert isinstance(entry, Entry)
    assert entry.trial and entry.good and entry.fails_open and entry.tells_end
    assert entry.endpoint == Endpoint(path="penstock/policy.sock")


def test_bare_entry_has_no_options() -> None:
    (entry,) = items("check_policy_service inet:127.0.0.1:10040")
    assert isinstance(entry, Entry)
    assert not entry.good and not entry.fails_open and IS_OURS(entry)


def test_someone_elses_entry_is_not_ours() -> None:
    assert find("check_policy_service inet:127.0.0.1:10023, reject", IS_OURS) == Found()


@pytest.mark.parametrize(
    ("before", "behind", "maybe"),
    [
        ("", "", ()),
        ("reject_unknown_recipient_domain,", "", ()),
        ("permit_mynetworks, permit_sasl_authenticated,", "permit_mynetworks", ()),
        ("reject,", "reject", ()),
        ("reject_unauth_destination,", "reject_unauth_destination", ()),
        ("check_client_access hash:/etc/x,", "", ("check_client_access",)),
        ("check_policy_service inet:127.0.0.1:10023,", "", ("check_policy_service",)),
    ],
)
def test_what_stands_before_us(before: str, behind: str, maybe: tuple[str, ...]) -> None:
    found = find(f"{before} {OURS}, permit_mynetworks", IS_OURS)
    assert found.entry and (found.behind, found.maybe, found.times) == (behind, maybe, 1)


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ("$penstock_policy, permit, reject", ["permit", "reject"]),
        ("permit, warn_if_reject ${penstock_policy}, reject", ["permit", "reject"]),
        (f"permit, {OURS}, reject", ["permit", "reject"]),
        ("warn_if_reject check_policy_service inet:127.0.0.1:10040 reject", ["reject"]),
        ("warn_if_reject reject_x, reject", ["warn_if_reject", "reject_x", "reject"]),
        ("check_policy_service { inet:h:1, a=b }", ["check_policy_service", "{ inet:h:1, a=b }"]),
    ],
)
def test_without_us(value: str, rest: list[str]) -> None:
    assert without(value, IS_OURS) == rest


def test_has_call() -> None:
    assert has_call("permit,$penstock_policy") and not has_call("$penstock_policy_two, permit")


def test_readable_keeps_a_check_and_its_table_together() -> None:
    value = "warn_if_reject check_policy_service { inet:h:1, a=b }, check_client_access hash:/x, reject"
    assert readable(words(value)) == value


def test_the_how_to_shows_our_entry() -> None:
    page = Path(__file__).parents[2] / "docs" / "howto" / "postfix.md"
    assert f"\npenstock_policy = {OURS}\n" in page.read_text()
