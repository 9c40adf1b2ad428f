"""One message of a professional customer: what is kept of it, what is changed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.tags import LONGEST
from penstock.wire.dkim.keys import generate
from penstock.wire.dkim.sign import Signer
from penstock.wire.milter.commands import Header, Offer
from penstock.wire.milter.smarthost import BULK_FROM, MOST_TAGS, WISH_SMARTHOST, Orders, Piece
from wire.milter import mta

SIGNER = Signer("acme.example", "s1", generate("ed25519"))


def piece(*fields: tuple[str, bytes], tags: tuple[str, ...] = ("x-tag",)) -> Piece:
    """A message with these fields."""
    found = Piece(tags)
    for name, raw in fields:
        found.header(Header(name, raw.decode("utf-8", "backslashreplace"), raw))
    return found


def test_tags_are_taken_out_from_the_last_to_the_first() -> None:
    found = piece(("X-Tag", b"1"), ("From", b"a"), ("x-TAG ", b"2"), ("X-Other-Tag", b"3"))
    assert found.values == {"x-tag": [b"1", b"2"]} and found.tagged
    told = [(letter, data) for letter, data in mta.replies(found.stripped())]
    assert told == [(b"m", struct.pack("!I", n) + b"x-tag\0\0") for n in (2, 1)]


def test_however_many_tags_there_are_few_are_judged_and_all_go() -> None:
    found = piece(*[("X-Tag", b"x")] * (MOST_TAGS + 50))
    assert len(found.values["x-tag"]) == MOST_TAGS
    assert len(list(mta.replies(found.stripped()))) == MOST_TAGS + 50
    assert found.is_overloaded and not piece(*[("X-Tag", b"x")] * MOST_TAGS).is_overloaded


def test_of_a_huge_tag_little_is_kept() -> None:
    (value,) = piece(("X-Tag", b"x" * 100_000)).values["x-tag"]
    assert LONGEST < len(value) < 2 * LONGEST


@pytest.mark.parametrize(
    ("fields", "domain"),
    [
        ([b"news@acme.example"], "acme.example"),
        ([b' "A, B" <News@Mail.ACME.example>'], "mail.acme.example"),
        ([b" =?utf-8?q?N=C3=A9?= <n@acme.example> "], "acme.example"),
        ([b"n@acme.example."], "acme.example"),
        ([b"<a@acme.example>, <b@acme.example>"], ""),
        ([b"a@evil.example, b@acme.example"], ""),
        ([b"a@evil.example, <b@acme.example>"], ""),
        ([b'"A, at <a@evil.example>, \\" b@evil.example" <b@acme.example>'], "acme.example"),
        ([b'"a b"@acme.example'], "acme.example"),
        ([b"Doe, John <b@acme.example>"], "acme.example"),
        ([b'"\\' * 2000 + b"<b@acme.example>"], ""),
        ([b"a@acme.example", b"b@acme.example"], ""),
        ([], ""),
        ([b""], ""),
        ([b"@"], ""),
        ([b"a@acme.example <b@evil.example>"], "evil.example"),
        ([b"a@\xc3\xa4.example"], ""),
        ([b"x" * 5000 + b"@acme.example"], ""),
        ([b"a@acme.example (comment)"], ""),
    ],
)
def test_the_authors_domain(fields: list[bytes], domain: str) -> None:
    assert piece(*(("From", raw) for raw in fields)).author_domain() == domain


def test_only_keys_of_the_authors_domain_sign() -> None:
    other = Signer("example", "s1", SIGNER.key)
    both = Orders((SIGNER, other))
    assert piece(("From", b"a@shop.acme.example")).signed_by(both) == (SIGNER, other)
    assert piece(("From", b"a@notacme.example")).signed_by(both) == (other,)
    assert piece(("From", b"a@acme.example")).signed_by(Orders()) == ()
    full = piece(("References", b"x" * 300_000), ("From", b"a@acme.example"))
    assert full.signed_by(both) == ()


def test_who_takes_complaints_signs_as_well() -> None:
    house = Signer("house.example", "s1", SIGNER.key)
    orders = Orders((SIGNER, house), cfbl_address="FBL@mail.House.example; report=arf")
    assert orders.complaints_domain == "mail.house.example" and Orders().complaints_domain == ""
    assert piece(("From", b"a@acme.example")).signed_by(orders) == (SIGNER, house)
    assert piece(("Subject", b"no author")).signed_by(orders) == ()


@pytest.mark.parametrize(
    ("fields", "recipients", "way"),
    [
        ([], 1, ""),
        ([], BULK_FROM, "missing"),
        ([("List-Id", b"<n.example>")], 1, "missing"),
        ([("Precedence", b" Bulk")], 1, "missing"),
        ([("Precedence", b"first-class")], 1, ""),
        ([("List-Id", b"x"), ("List-Unsubscribe", b"<mailto:a@b.example>")], 1, "link"),
        ([("List-Id", b"x"), ("List-Unsubscribe", b"see our site")], 1, "missing"),
        (
            [
                ("List-Id", b"x"),
                ("List-Unsubscribe", b"<mailto:a@b.example>,\n <https://b.example/u>"),
                ("List-Unsubscribe-Post", b"List-Unsubscribe=One-Click"),
            ],
            1,
            "one-click",
        ),
        (
            [
                ("List-Id", b"x"),
                ("List-Unsubscribe", b"<mailto:a@b.example>"),
                ("List-Unsubscribe-Post", b"List-Unsubscribe=One-Click"),
            ],
            1,
            "link",
        ),
    ],
)
def test_the_way_out_of_bulk_mail(fields: list[tuple[str, bytes]], recipients: int, way: str) -> None:
    assert piece(*fields).unsubscribe(recipients) == way


def names_of(told: bytes) -> list[tuple[bytes, bytes]]:
    """(letter, field name) of each reply."""
    return [(letter, data[4:].split(b"\0")[0]) for letter, data in mta.replies(told)]


def test_what_a_customers_mail_gets() -> None:
    orders = Orders((SIGNER,), "a:b:c:d", "fbl@example.com", "pool")
    found = piece(("From", b"a@acme.example"), ("Subject", b"x"))
    found.hash_body()
    found.body(b"text\r\n")
    told = found.sent_on(orders, found.signed_by(orders), 1_790_000_000)
    assert names_of(told) == [
        (b"i", b"Feedback-ID"),
        (b"i", b"CFBL-Address"),
        (b"i", b"X-Penstock-Pool"),
        (b"m", b"X-Penstock-Pool"),
        (b"i", b"DKIM-Signature"),
    ]
    signature = list(mta.replies(told))[-1][1]
    assert b"h=from:subject:feedback-id:cfbl-address:from:subject;" in signature.replace(b"\n\t", b"")


def test_fields_that_are_there_are_kept() -> None:
    orders = Orders((), "a:b:c:d", "fbl@example.com")
    found = piece(("Feedback-ID", b"own"), ("CFBL-Address", b"own@example.com"))
    assert found.sent_on(orders, (), 1) == b""


@given(
    st.lists(
        st.tuples(st.sampled_from(["X-Tag", "From", "List-Unsubscribe", "Precedence", "é"]), st.binary())
    ),
    st.binary(),
    st.text(max_size=20),
)
def test_whatever_comes_replies_are_whole(fields: list[tuple[str, bytes]], body: bytes, text: str) -> None:
    found = piece(*fields)
    found.hash_body()
    found.body(body)
    found.unsubscribe(1)
    orders = Orders((SIGNER,), text, text, text)
    told = found.stripped() + found.sent_on(orders, (SIGNER,), 1_790_000_000)
    for letter, data in mta.replies(told):
        assert letter in b"im" and data.count(b"\0", 4) == 2 and data[-1:] == b"\0"


def test_it_wants_all_of_a_message_and_one_reply() -> None:
    assert WISH_SMARTHOST.terms(Offer(*mta.OFFER)).replied == {b"E"}
