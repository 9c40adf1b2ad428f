"""The milter codec: the bytes of the protocol, the order of commands, hostile input."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire.milter.codec import LONGEST_PACKET, MilterCodec, Terms, Wish
from penstock.wire.milter.codes import Action, Stage, Step
from penstock.wire.milter.commands import (
    MOST_ARGUMENTS,
    Abort,
    Body,
    Command,
    Connect,
    Data,
    EndOfHeaders,
    EndOfMessage,
    Header,
    Helo,
    Macros,
    Mail,
    Offer,
    ProtocolError,
    Quit,
    Rcpt,
    Unknown,
)
from penstock.wire.milter.envelope import WISH_CONTENT, WISH_LOCAL, WISH_SMTP
from penstock.wire.milter.smarthost import WISH_SMARTHOST
from wire.milter import mta

GOLDEN: list[tuple[str, Command]] = [
    ("0000000d 4f 00000006 000001ff 001fffff", Offer(6, 0x1FF, 0x1FFFFF)),
    ("00000019 44 43 6a00 6d782e6578616d706c6500 7600 5000", Macros(b"C", {"j": "mx.example", "v": "P"})),
    (
        "00000018 43 6c6f63616c686f737400 34 0000 3132372e302e302e3100",
        Connect("localhost", "4", 0, "127.0.0.1"),
    ),
    ("00000007 48 6865726500 00", Helo("here")),
    ("00000012 44 4d 7b617574685f61757468656e7d00 6100", Macros(b"M", {"auth_authen": "a"})),
    ("00000011 4d 3c614078 2e793e00 53495a453d3900", Mail("a@x.y", ("SIZE=9",))),
    ("00000009 52 3c624078 2e793e00", Rcpt("b@x.y", ())),
    ("00000001 54", Data()),
    ("00000005 55 464f4f00", Unknown("FOO")),
    ("0000000c 4c 5375626a65637400 686900", Header("Subject", "hi", b"hi")),
    ("00000001 4e", EndOfHeaders()),
    ("00000005 42 61620d0a", Body(b"ab\r\n")),
    ("00000004 45 630d0a", EndOfMessage(b"c\r\n")),
    ("00000001 41", Abort()),
    ("00000001 4b", Quit(True)),
    ("00000001 51", Quit(False)),
]
"""Packets in the order of a session."""


def golden() -> bytes:
    """All of them, each length put right."""
    data = b""
    for text, _ in GOLDEN:
        raw = bytes.fromhex(text)[4:]
        data += struct.pack("!I", len(raw)) + raw
    return data


def read(*pieces: bytes) -> list[Command]:
    """The commands in what was received piece by piece."""
    codec = MilterCodec()
    return [command for piece in pieces for _, command in codec.feed(piece)]


def test_a_session_in_bytes() -> None:
    assert read(golden()) == [command for _, command in GOLDEN]


def test_byte_by_byte() -> None:
    data = golden()
    assert read(*(data[i : i + 1] for i in range(len(data)))) == [command for _, command in GOLDEN]


@given(st.lists(st.integers(1, 40), max_size=40))
def test_split_anywhere(cuts: list[int]) -> None:
    data, pieces = golden(), []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    assert read(*pieces, data) == [command for _, command in GOLDEN]


TEXT = st.text(st.characters(exclude_characters="\0<>", exclude_categories=["Cs"]), max_size=20)


@given(
    TEXT, st.lists(TEXT, max_size=5), st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=5), st.binary()
)
def test_what_is_sent_is_what_is_read(
    address: str, arguments: list[str], headers: list[tuple[str, str]], chunk: bytes
) -> None:
    data = mta.offer() + mta.connect() + mta.mail(address, *arguments) + mta.rcpt(address, *arguments)
    data += b"".join(mta.header(*pair) for pair in headers) + mta.EOH + mta.body(chunk)
    expected = [Mail(address, tuple(arguments)), Rcpt(address, tuple(arguments))]
    expected += [Header(name, value, value.encode()) for name, value in headers]  # type: ignore[misc]
    assert read(data)[2:] == [*expected, EndOfHeaders(), Body(chunk)]


def test_addresses_of_local_mail_have_no_brackets() -> None:
    start = mta.offer() + mta.LOCAL
    assert read(start + mta.packet(b"M", b"\0"))[-1] == Mail("", ())
    assert read(start + mta.packet(b"M", b"a@x.y\0"))[-1] == Mail("a@x.y", ())


def test_a_unix_client_and_an_unknown_one() -> None:
    unix = mta.packet(b"C", mta.texts("localhost") + b"L\0\0" + mta.texts("/run/x"))
    assert read(mta.offer() + unix)[-1] == Connect("localhost", "L", 0, "/run/x")
    sendmail = mta.packet(b"C", mta.texts("x") + b"6\0\x19" + mta.texts("IPv6:2001:db8::1"))
    assert read(mta.offer() + sendmail)[-1] == Connect("x", "6", 25, "2001:db8::1")
    assert read(mta.offer() + mta.packet(b"C", mta.texts("x") + b"U"))[-1] == Connect("x", "U", 0, "")


def test_bytes_that_are_no_utf_8_are_readable() -> None:
    raw = mta.packet(b"L", b"X-\xff\0caf\xe9\0")
    assert read(mta.offer() + mta.connect() + mta.mail() + raw)[-1] == Header(
        "X-\\xff", "caf\\xe9", b"caf\xe9"
    )


BAD = {
    "no offer": mta.connect(),
    "an offer that is too short": mta.packet(b"O", b"\0\0\0\6"),
    "two offers": mta.offer() + mta.offer(),
    "an unknown letter": mta.offer() + mta.packet(b"Z"),
    "an empty packet": mta.offer() + b"\0\0\0\0A",
    "a giant packet": mta.offer() + b"\x7f\xff\xff\xffB",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "a policy request": b"request=smtpd_access_policy\n\n",
    "RCPT without MAIL": mta.offer() + mta.connect() + mta.rcpt(),
    "content without MAIL": mta.offer() + mta.connect() + mta.header("a", "b"),
    "MAIL without a client": mta.offer() + mta.mail(),
    "a header after the body": mta.offer()
    + mta.connect()
    + mta.mail()
    + mta.body(b"x")
    + mta.header("a", "b"),
    "two clients": mta.offer() + mta.connect() + mta.connect(),
    "anything after the end": mta.offer() + mta.QUIT + mta.connect(),
    "a text without end": mta.offer() + mta.connect() + mta.packet(b"M", b"<a@x.y>"),
    "MAIL without address": mta.offer() + mta.connect() + mta.packet(b"M"),
    "a client of no family": mta.offer() + mta.packet(b"C", b"x\0Q\0\0y\0"),
    "a client without family": mta.offer() + mta.packet(b"C", b"x"),
    "a client without address": mta.offer() + mta.packet(b"C", b"x\x004\0\x19"),
    "a header without value": mta.offer() + mta.connect() + mta.mail() + mta.packet(b"L", b"a\0"),
    "a header without name": mta.offer() + mta.connect() + mta.mail() + mta.packet(b"L", b"\0a\0"),
    "macros for nothing": mta.offer() + mta.packet(b"D"),
    "a macro without value": mta.offer() + mta.packet(b"D", b"Ci\0"),
    "too many texts": mta.offer() + mta.connect() + mta.packet(b"M", b"a\0" * (MOST_ARGUMENTS + 1)),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_session_is_an_error(what: str) -> None:
    data = BAD[what]
    with pytest.raises(ProtocolError):
        read(data)
    with pytest.raises(ProtocolError):
        read(*(data[i : i + 1] for i in range(len(data))))


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_nothing_else_comes_out(pieces: list[bytes]) -> None:
    try:
        read(mta.offer(), *pieces)
    except ProtocolError as error:
        assert str(error)


def test_the_largest_packet_in_small_pieces() -> None:
    """Copied each time it would take hours."""
    codec = MilterCodec()
    codec.feed(mta.offer() + mta.connect() + mta.mail())
    data = mta.body(b"x" * (LONGEST_PACKET - 1))
    found = [command for i in range(0, len(data), 16) for _, command in codec.feed(data[i : i + 16])]
    assert found == [Body(b"x" * (LONGEST_PACKET - 1))]


def test_many_messages_on_one_connection_and_a_second_session() -> None:
    message = mta.mail() + mta.rcpt() + mta.header("a", "b") + mta.EOH + mta.end()
    session = mta.connect() + message * 3 + mta.mail() + mta.ABORT + message
    data = mta.offer() + session + mta.packet(b"K") + session + mta.QUIT
    assert sum(isinstance(command, EndOfMessage) for command in read(data)) == 8


# --- terms ------------------------------------------------------------------------------------

NO_MACROS = Wish(Action.ADD_HEADERS | Action.QUARANTINE, Step.NO_HELO | Step.NR_HEADER, {})


def agreed(wish: Wish, *offer: int) -> Terms:
    ((_, command),) = MilterCodec().feed(mta.offer(*offer))
    assert isinstance(command, Offer)
    return wish.terms(command)


def test_the_answer_to_an_offer_in_bytes() -> None:
    assert agreed(NO_MACROS).answer == bytes.fromhex("0000000d 4f 00000006 00000021 00000082")


@pytest.mark.parametrize("wish", [WISH_LOCAL, WISH_SMTP, WISH_CONTENT, WISH_SMARTHOST])
def test_postfix_is_spared_its_own_macros(wish: Wish) -> None:
    """It takes an empty list for "the usual ones"."""
    assert set(wish.macros) == set(Stage)
    assert all(wish.macros.values())


def test_macros_are_asked_for() -> None:
    wish = Wish(Action.SET_MACROS, Step(0), {Stage.MAIL: "i {auth_authen}", Stage.HELO: ""})
    asked = b"\0\0\0\2i {auth_authen}\0" + b"\0\0\0\1\0"
    assert agreed(wish).answer == mta.packet(b"O", struct.pack("!III", 6, 0x100, 0) + asked)


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6, 7, 99])
def test_the_lower_version_holds(version: int) -> None:
    answer = agreed(NO_MACROS, version, 0x3F, 0x7F).answer
    assert struct.unpack("!III", answer[5:]) == (min(version, 6), 0x21, 0x02)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_nothing_is_agreed_that_was_not_offered(actions: int, steps: int) -> None:
    terms = agreed(WISH_SMTP, 6, actions, steps)
    answer = terms.answer
    _, mine, spared = struct.unpack("!III", answer[5:17])
    assert mine & ~actions == 0 and spared & ~steps == 0
    assert mine == terms.actions == WISH_SMTP.actions & actions and spared == WISH_SMTP.steps & steps
    assert (b"L" in terms.replied) == (not steps & Step.NR_HEADER)
    assert len(answer) > 17 if actions & Action.SET_MACROS else len(answer) == 17


@pytest.mark.parametrize("version", [0, 1])
def test_a_version_that_is_too_old(version: int) -> None:
    with pytest.raises(ProtocolError, match=f"version {version} "):
        agreed(NO_MACROS, version)


def test_what_gets_a_reply() -> None:
    assert agreed(WISH_LOCAL).replied == {b"C", b"R", b"E"}
    assert agreed(WISH_SMTP).replied == {b"R", b"E"}
    assert b"".join(sorted(agreed(WISH_SMTP, 2, 0x3F, 0x7F).replied)) == b"BCEHLMNRTU"
