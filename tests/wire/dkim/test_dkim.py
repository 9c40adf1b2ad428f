"""Signatures against an independent verifier (dkimpy), and canonical forms against its own."""

from __future__ import annotations

import hashlib
import re
import time
from itertools import pairwise

import dkim
import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.wire.dkim.canonical import BodyHash, relaxed_field
from penstock.wire.dkim.keys import BadKey, Key, generate, load, record_of, zone_line
from penstock.wire.dkim.sign import MOST_KEPT, Fields, Signer

AT = 1_790_000_000
RSA, ED25519 = generate("rsa"), generate("ed25519")
KEYS = pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])

lines = st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")))
spaced = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"=", b"\xff", b"\0", b"  \r\n"])).map(
    b"".join
)
values = st.lists(st.sampled_from([b" ", b"\t", b"\n ", b"\n\t", b"a", b"<b@x.y>", b"\xc3\xa9"])).map(
    b"".join
)
names = st.sampled_from([b"From", b"Subject", b"TO", b"X-Other", b"List-Unsubscribe", b"References"])


def hashed(*pieces: bytes) -> bytes:
    """Our hash of a body in these pieces."""
    found = BodyHash()
    for piece in pieces:
        found.feed(piece)
    return found.digest()


def signed(fields: list[tuple[bytes, bytes]], body: bytes, key: Key, lasts: int = 0) -> bytes:
    """A whole message with our signature on top."""
    kept = Fields()
    for name, value in fields:
        kept.add(name.lower(), value)
    value = Signer("example.com", "s1", key, lasts).value(kept, hashed(body), int(time.time()))
    rest = b"".join(name + b":" + each + b"\n" for name, each in fields)
    return (b"DKIM-Signature: " + value + b"\n" + rest).replace(b"\n", b"\r\n") + b"\r\n" + body


def verified(message: bytes, key: Key) -> bool:
    """What dkimpy says of it."""
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record_of(key).encode()

    good = bool(dkim.verify(message, dnsfunc=dns))
    assert asked == [b"s1._domainkey.example.com."]
    return good


@given(st.one_of(spaced, lines.map(b"\r\n".join)), st.lists(st.integers(0, 60), max_size=6))
def test_a_body_in_pieces_has_the_hash_of_its_canonical_form(body: bytes, cuts: list[int]) -> None:
    body += b"\r\n"  # a mail's last line ends
    edges = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    pieces = [body[a:b] for a, b in pairwise(edges)]
    assert hashed(*pieces) == hashlib.sha256(Relaxed.canonicalize_body(body)).digest()


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b"", b""),
        (b"\r\n\r\n", b""),
        (b" \t\r\n", b""),
        (b"a", b"a\r\n"),
        (b"a \t", b"a\r\n"),
        (b" a\t b \r\n\r\n\r\n", b" a b\r\n"),
        (b"\r\n\r\na\r\n", b"\r\n\r\na\r\n"),
        (b"a\rb\nc\r", b"a\rb\nc\r\r\n"),
    ],
)
def test_canonical_bodies(body: bytes, canonical: bytes) -> None:
    assert hashed(body) == hashed(*(body[i : i + 1] for i in range(len(body))))
    assert hashed(body) == hashlib.sha256(canonical).digest()


def test_hostile_bodies_take_linear_time_and_little_memory() -> None:
    empty = BodyHash()
    for _ in range(200):
        empty.feed(b"\r\n" * 32_768)
    empty.feed(b"x\r\n")
    assert empty.digest() == hashlib.sha256(b"\r\n" * 32_768 * 200 + b"x\r\n").digest()
    assert hashed(*[b" \t" * 32_768] * 100, b"\r\n") == hashlib.sha256(b"").digest()
    assert hashed(b"\r" * 65_536) == hashlib.sha256(b"\r" * 65_536 + b"\r\n").digest()


@given(names, values)
def test_a_field_has_its_canonical_form(name: bytes, value: bytes) -> None:
    ((their_name, their_value),) = Relaxed.canonicalize_headers([(name, value.replace(b"\n", b"\r\n"))])
    assert relaxed_field(name, value) + b"\r\n" == their_name + b":" + their_value


@KEYS
@settings(max_examples=40)
@given(fields=st.lists(st.tuples(names, values), max_size=12), body=spaced)
def test_what_is_signed_verifies(key: Key, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    fields = [(name, b" v" + value) for name, value in fields if name != b"From"]
    assert verified(signed([(b"From", b" Al <a@example.com>"), *fields], body + b"\r\n", key), key)


FIELDS = [(b"From", b" a@example.com"), (b"Subject", b" hello"), (b"X-Other", b" 1")]


@KEYS
@pytest.mark.parametrize(
    ("old", "new", "good"),
    [
        (b"X-Other: 1", b"X-Other: 2", True),
        (b"Subject: hello", b"SUBJECT:   hello ", True),
        (b"Subject: hello", b"Subject: bought", False),
        (b"Subject: hello", b"Subject: more\r\nSubject: hello", False),
        (b"From: a@", b"From: evil@example.org\r\nFrom: a@", False),
        (b"text", b"text\r\nmore", False),
    ],
)
def test_what_a_signature_covers(key: Key, old: bytes, new: bytes, good: bool) -> None:
    message = signed(FIELDS, b"text\r\n", key)
    changed = message.replace(old, new, 1)
    assert changed != message and verified(message, key)
    assert verified(changed, key) is good


def test_the_tags_of_a_signature() -> None:
    text = signed(FIELDS, b"text\r\n", RSA, lasts=86400).split(b"\r\nFrom:")[0].replace(b"\r\n\t", b" ")
    assert b" v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1; t=" in text
    begins, ends = (int(found[1]) for tag in (b"t", b"x") if (found := re.search(tag + rb"=(\d+);", text)))
    assert ends - begins == 86400
    assert b" h=from:subject:from:subject; bh=" in text
    assert b"l=" not in text.split(b"b=")[0].replace(b"rel", b"")
    assert all(len(line) < 100 for line in signed(FIELDS * 20, b"", RSA).split(b"\r\n"))


def test_too_many_fields_are_not_kept() -> None:
    fields = Fields()
    for _ in range(5):
        fields.add(b"references", b"x" * (MOST_KEPT // 4))
    fields.add(b"from", b"a@example.com")
    assert fields.full and fields.count(b"references") == 0


@KEYS
def test_a_key_is_read_as_it_was_written(key: Key) -> None:
    again = load(key.pem())
    assert (again.kind, again.bits, again.public()) == (key.kind, key.bits, key.public())


def test_what_is_no_key() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    other = Key(ec.generate_private_key(ec.SECP256R1()))
    for pem, why in (
        (b"", "no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (other.pem(), "neither an RSA nor an Ed25519 key"),
    ):
        with pytest.raises(BadKey, match=why):
            load(pem)


def test_a_long_record_is_split() -> None:
    line = zone_line(RSA, "example.com", "s1")
    strings = re.findall(r'"([^"]*)"', line)
    assert line.startswith('s1._domainkey.example.com. IN TXT ( "v=DKIM1; k=rsa; p=')
    assert len(strings) == 2 and all(len(each) <= 255 for each in strings)
    assert "".join(strings) == record_of(RSA)
    assert zone_line(ED25519, "example.com", "e").count('"') == 2
