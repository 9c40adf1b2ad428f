"""Canonical names: one account, one quota."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.names import KINDS, LONGEST_NAME, BadSender, Naming, ip_key, login_key, parse_sender

NAMING = Naming(
    default_realm="example.com",
    realm_aliases={"old.example": "example.com", "mail.example.com": "example.com"},
    aliases={"sales@example.com": "alice@example.com"},
)
NAMINGS = (Naming(), NAMING, Naming(plus_tags=False), Naming(default_realm="example.com", plus_tags=False))

logins = st.one_of(
    st.text(max_size=40),
    st.text("abAB@+.=% \t\x00\x7fİßẞσΣ\ud800", max_size=12),
    st.text(min_size=250, max_size=400),
    st.builds("{}@{}".format, st.text(max_size=300), st.text(max_size=300)),
)


@pytest.mark.parametrize(
    "typed",
    [
        "alice@example.com",
        "Alice@EXAMPLE.com",
        "alice",
        "ALICE",
        " alice@example.com ",
        "alice+shop@example.com",
        "alice+a+b",
        "alice@example.com.",
        "alice@old.example",
        "alice@OLD.example.",
        "Alice+x@mail.example.com",
        "sales",
        "SALES+x@old.example",
        "alice@",
    ],
)
def test_spellings_of_one_account(typed: str) -> None:
    assert login_key(typed, NAMING) == "login:alice@example.com"


@pytest.mark.parametrize(
    "typed, naming, key",
    [
        ("alice", Naming(), "login:alice"),
        ("a=b@example.com", Naming(), "login:a=b@example.com"),
        ("alice+x@example.com", Naming(plus_tags=False), "login:alice+x@example.com"),
        ("+tag@example.com", Naming(), "login:+tag@example.com"),
        ("a@b@example.com", Naming(), "login:a@b@example.com"),
        ("bob", Naming(default_realm="example.org"), "login:bob@example.org"),
        ("Zoë", Naming(), "login:zoë"),
        ("@@.", Naming(), "login:"),
        ("alice@.@", Naming(), "login:alice"),
        ("alice.@..", Naming(default_realm="b.c"), "login:alice.@b.c"),
        ("a@b.@.", Naming(), "login:a@b"),
    ],
)
def test_logins(typed: str, naming: Naming, key: str) -> None:
    assert login_key(typed, naming) == key


@given(logins, st.sampled_from(NAMINGS))
@settings(max_examples=300)
def test_a_login_key_is_printable_and_bounded(typed: str, naming: Naming) -> None:
    key = login_key(typed, naming)
    assert key.startswith("login:")
    assert key.isprintable()
    assert key == key.encode("utf-8").decode("utf-8")
    assert len(key) <= len("login:") + LONGEST_NAME + 20
    assert len(key.encode()) < 2**16, "the format on disk has 16 bits for it"


@given(logins, st.sampled_from(NAMINGS))
@settings(max_examples=300)
def test_a_login_key_is_its_own_canonical_form(typed: str, naming: Naming) -> None:
    key = login_key(typed, naming)
    assert login_key(key.removeprefix("login:"), naming) == key


def test_a_very_long_login_is_its_own_canonical_form_and_told_apart() -> None:
    """The key that a listing shows is what an administrator pastes into `penstock show`."""
    one, other = ("x" * 400 + c for c in "ab")
    assert login_key(one, NAMING) != login_key(other, NAMING)
    key = login_key(one, NAMING)
    assert parse_sender(key, NAMING) == key


@given(logins, st.sampled_from(NAMINGS))
def test_case_and_white_space_do_not_matter(typed: str, naming: Naming) -> None:
    if typed.upper().lower() == typed.lower():
        assert login_key(typed.upper(), naming) == login_key(typed, naming)
    assert login_key(f" {typed}\t", naming) == login_key(typed, naming)


@given(st.ip_addresses(v=4))
def test_ipv4_is_whole_also_when_mapped(address: IPv4Address) -> None:
    assert ip_key(str(address)) == f"ip:{address}"
    assert ip_key(f"::ffff:{address}") == f"ip:{address}"
    assert ip_key(str(IPv6Address(int(address) | 0xFFFF << 32))) == f"ip:{address}"
    assert parse_sender(f"ip:{address}") == f"ip:{address}"


@given(st.ip_addresses(v=6), st.integers(0, (1 << 64) - 1))
def test_ipv6_is_its_64(address: IPv6Address, other: int) -> None:
    if int(address) >> 64 == 0:
        return  # loopback, mapped and the like
    neighbour = IPv6Address(int(address) >> 64 << 64 | other)
    key = ip_key(str(address))
    assert key.endswith("/64")
    assert ip_key(str(neighbour)) == key
    assert ip_key(address.exploded.upper()) == key
    assert ip_key(f"{address}%eth0") == key
    assert parse_sender(key) == key
    assert parse_sender(f"ip:{address}") == key


@given(st.text(max_size=300))
def test_any_client_address_gives_a_printable_key(address: str) -> None:
    key = ip_key(address)
    assert key.startswith("ip:")
    assert len(key) > 3
    assert key.isprintable()
    assert len(key) <= 3 + LONGEST_NAME + 20


@given(st.text(max_size=60))
def test_what_a_person_types_is_a_sender_or_an_explained_error(text: str) -> None:
    for typed in (text, *(f"{kind}:{text}" for kind in KINDS)):
        try:
            key = parse_sender(typed, NAMING)
        except BadSender as error:
            assert "KIND:NAME" in str(error) or typed.startswith(("uid:", "ip:"))
            continue
        assert key.partition(":")[0] in KINDS
        assert parse_sender(key, NAMING) == key
        assert key.isprintable()


@pytest.mark.parametrize("text", ["", "alice", "mail:alice", ":x", "login:", "login: ", "Login:a"])
def test_no_senders(text: str) -> None:
    with pytest.raises(BadSender):
        parse_sender(text)


@pytest.mark.parametrize("text", ["ip:192.0.2.300", "ip:example.com", "ip:192.0.2.0/24", "uid:alice"])
def test_a_slip_of_the_pen_is_no_sender(text: str) -> None:
    """`penstock pause ip:192.0.2.300` would say "paused" and pause nobody."""
    with pytest.raises(BadSender):
        parse_sender(text)


@pytest.mark.parametrize(
    "text, key",
    [
        (" customer: 4711 ", "customer:4711"),
        ("uid:1033", "uid:1033"),
        ("script:/srv/x/mailer.php", "script:/srv/x/mailer.php"),
        ("ip: 192.0.2.7", "ip:192.0.2.7"),
        ("ip:2001:db8::1", "ip:2001:db8::/64"),
        ("ip:2001:db8::/64", "ip:2001:db8::/64"),
        ("login:ALICE", "login:alice"),
    ],
)
def test_senders_as_typed(text: str, key: str) -> None:
    assert parse_sender(text) == key
