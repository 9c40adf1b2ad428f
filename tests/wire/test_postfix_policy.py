"""The policy protocol: bytes, however they arrive, to attempts; decisions to one safe line."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.decision import PASS, Decision
from penstock.core.events import Attempt
from penstock.core.policy import Verb
from penstock.wire.postfix_policy import (
    LONGEST_REQUEST,
    WANTED,
    PolicyCodec,
    ProtocolError,
    learn,
    number,
    render,
)
from wire.support import ATTRIBUTES, dialogue, request, write

STAGES = ("CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN")


def read(data: bytes, *cuts: int) -> list[Attempt]:
    """The attempts in ``data``, fed in pieces."""
    codec = PolicyCodec("mx1")
    found = []
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        found += codec.feed(data[start:end], 7.0)
    return found


def expected(pairs: dict[str, str]) -> Attempt:
    """The attempt of a request, worked out the plain way."""
    return Attempt(
        7.0,
        "mx1",
        pairs.get("protocol_state", ""),
        pairs.get("client_address", ""),
        pairs.get("sender", ""),
        pairs.get("recipient", ""),
        int(pairs.get("recipient_count") or 0),
        pairs.get("queue_id", ""),
        pairs.get("instance", ""),
        int(pairs.get("size") or 0),
        pairs.get("sasl_username", ""),
        pairs.get("policy_context", ""),
    )


# --- splitting ---------------------------------------------------------------------------------


def test_the_golden_dialogue() -> None:
    attempts = read(b"".join(dialogue()))
    assert [a.stage for a in attempts] == [
        *("RCPT", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "RCPT", "END-OF-MESSAGE")
    ]
    assert attempts[0] == Attempt(
        7.0,
        "mx1",
        "RCPT",
        "192.0.2.7",
        "alice@example.com",
        "bob@example.net",
        0,
        "",
        "1f2e.6554a1b0.5d4c1.0",
        4321,
        "alice@example.com",
        "penstock/rcpt+eom",
    )
    assert attempts[1].recipient == "carol=x@example.net"
    assert (attempts[2].recipient_count, attempts[2].queue_id) == (2, "4SfXyz1Q2vz9")
    assert attempts[3].size == 5120
    assert (attempts[4].instance, attempts[4].context) == ("", "")
    assert attempts[5].login == "a=b@example.com"
    assert attempts[5].recipient == "zoë@example.net"


def test_cut_at_every_byte() -> None:
    data = b"".join(dialogue()[:3])
    whole = read(data)
    for cut in range(1, len(data)):
        assert read(data, cut) == whole, cut


def test_byte_by_byte() -> None:
    data = b"".join(dialogue())
    assert read(data, *range(1, len(data))) == read(data)


@given(st.lists(st.integers(1, 5000), max_size=12))
@settings(max_examples=60, deadline=None)
def test_cut_anywhere(cuts: list[int]) -> None:
    data = b"".join(dialogue())
    assert read(data, *sorted(cut for cut in cuts if cut < len(data))) == read(data)


def test_requests_with_a_pause_between_each() -> None:
    codec = PolicyCodec("mx1")
    attempts = [codec.feed(one, 7.0) for one in dialogue()]
    assert [len(found) for found in attempts] == [1] * 7
    assert [found[0] for found in attempts] == read(b"".join(dialogue()))


# --- the quick way and the plain way -----------------------------------------------------------

values = st.one_of(
    st.just(""),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(
        ["=", "a=b", "==", " ", "\r", "\x00", "\x85\u2028", "request=smtpd_access_policy", "é" * 9]
    ),
)
extra = st.text(st.characters(exclude_characters="\n=", exclude_categories=["Cs"]), max_size=12).filter(
    lambda name: name not in WANTED and name != "request"
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, str]:
    """Any attributes in any order; ``request`` first and ``protocol_state`` present."""
    names = draw(st.lists(st.one_of(st.sampled_from(WANTED), extra), unique=True, max_size=16))
    if "protocol_state" not in names:
        names.insert(draw(st.integers(0, len(names))), "protocol_state")
    pairs = {"request": "smtpd_access_policy"}
    for name in names:
        if name in ("size", "recipient_count"):
            pairs[name] = draw(st.sampled_from(["", "0", "7", "007", "999999999999"]))
        else:
            pairs[name] = draw(values)
    return pairs


@given(requests(), requests())
@settings(max_examples=150, deadline=None)
def test_any_order_and_any_attributes(one: dict[str, str], other: dict[str, str]) -> None:
    """The first request teaches the layout, the second uses it, the third has another."""
    codec = PolicyCodec("mx1")
    changed = {
        name: value if name in ("request", "size", "recipient_count") else value + "=x"
        for name, value in one.items()
    }
    for pairs in (one, changed, other, one):
        assert codec.feed(write(pairs.items()), 7.0) == [expected(pairs)]


@given(st.binary(max_size=30).filter(lambda value: b"\n" not in value))
def test_any_bytes_in_a_value_are_read_alike_both_ways(value: bytes) -> None:
    taught = PolicyCodec("mx1")
    taught.feed(request(), 7.0)
    data = write([*list(ATTRIBUTES.items())[:-1], ("policy_context", value)])
    (quick,), (plain,) = taught.feed(data, 7.0), PolicyCodec("mx1").feed(data, 7.0)
    assert quick == plain
    assert quick.context == value.decode("utf-8", "backslashreplace")


def test_eight_bits_and_broken_utf_8() -> None:
    pairs = {**ATTRIBUTES, "sender": ""}
    data = write([(name, value if name != "sender" else b"\xffalice\xc3") for name, value in pairs.items()])
    assert read(data)[0].envelope_from == "\\xffalice\\xc3"


def test_absent_attributes_are_empty() -> None:
    attempt = read(b"request=smtpd_access_policy\nprotocol_state=RCPT\n\n")[0]
    assert attempt == expected({"protocol_state": "RCPT"})


def test_a_value_may_contain_equals_signs() -> None:
    assert read(request(sasl_username="a=b==c"))[0].login == "a=b==c"


# --- what is no request ------------------------------------------------------------------------

BAD = [
    (b"GET / HTTP/1.1\nHost: x\n\n", "without '='"),
    (b"\n\n", "without '='|empty"),
    (b"\n", "without '='|empty"),
    (b"request=something_else\nprotocol_state=RCPT\n\n", "expected request=smtpd_access_policy"),
    (b"protocol_state=RCPT\nrequest=smtpd_access_policy\n\n", "expected request=smtpd_access_policy"),
    (b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender\n\n", "without '='"),
    (b"request=smtpd_access_policy\n\n", "no protocol_state"),
    (b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a\nsender=b\n\n", "twice"),
    (b"request=smtpd_access_policy\nprotocol_state=RCPT\nsize=-1\n\n", "size is not a number"),
    (b"request=smtpd_access_policy\nprotocol_state=RCPT\nsize=1e3\n\n", "size is not a number"),
    (b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient_count=\xd9\xa3\n\n", "not a number"),
    (b"request=smtpd_access_policy\nprotocol_state=RCPT\nsize=" + b"9" * 30 + b"\n\n", "not a number"),
    (b"x" * (LONGEST_REQUEST + 1), "more than"),
]


@pytest.mark.parametrize("data, why", BAD, ids=[why for _, why in BAD])
def test_malformed_requests(data: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        read(data)
    taught = PolicyCodec("mx1")
    taught.feed(request(), 7.0)
    with pytest.raises(ProtocolError, match=why):
        taught.feed(data, 7.0)


@pytest.mark.parametrize("data, why", BAD[:12], ids=[why for _, why in BAD[:12]])
def test_malformed_requests_in_pieces(data: bytes, why: str) -> None:
    with pytest.raises(ProtocolError):
        read(data, *range(1, len(data)))


@pytest.mark.parametrize("taught", [True, False])
@pytest.mark.parametrize("pieces", [1, 2, 9])
@pytest.mark.parametrize("size", [LONGEST_REQUEST - 5000, LONGEST_REQUEST + 5000])
def test_the_longest_request_is_the_same_in_any_pieces(taught: bool, pieces: int, size: int) -> None:
    """A request that is too long when it arrives slowly is too long when it arrives at once."""
    data = request(stress="x" * size)
    codec = PolicyCodec("mx1")
    if taught:
        codec.feed(request(), 7.0)
    step = len(data) // pieces + 1

    def feed() -> list[Attempt]:
        return [a for i in range(0, len(data), step) for a in codec.feed(data[i : i + step], 7.0)]

    if size > LONGEST_REQUEST:
        with pytest.raises(ProtocolError, match="more than"):
            feed()
    else:
        assert len(feed()) == 1


def test_length_is_counted_in_bytes_both_ways() -> None:
    data = write([*ATTRIBUTES.items(), ("junk", b"\xff" * 20_000)])
    assert len(data) < LONGEST_REQUEST
    taught = PolicyCodec("mx1")
    taught.feed(write([*ATTRIBUTES.items(), ("junk", b"")]), 7.0)
    assert taught.feed(data, 7.0) == PolicyCodec("mx1").feed(data, 7.0)


@given(st.binary(max_size=200))
def test_any_bytes_are_attempts_or_a_protocol_error(data: bytes) -> None:
    try:
        read(data)
    except ProtocolError as error:
        assert "\n" not in str(error)


def test_a_peer_with_thousands_of_attributes_does_not_stall_the_others() -> None:
    """Each new order costs a new pattern: that must stay cheap, for a hostile local peer too."""
    slowest = 0.0
    for turn in range(3):
        names = (f"n{turn}x{i}=\n" for i in range(6000))
        data = b"request=smtpd_access_policy\nprotocol_state=RCPT\n" + "".join(names).encode() + b"\n"
        began = time.process_time()
        try:
            PolicyCodec("mx1").feed(data, 7.0)
        except ProtocolError:
            pass
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 0.05


def test_the_layout_of_postfix_is_learned_once() -> None:
    text = request().decode()
    assert learn(text) is learn(text.replace("alice", "bob"))


@pytest.mark.parametrize("text, value", [("", 0), ("0", 0), ("12", 12), ("9" * 18, 10**18 - 1)])
def test_numbers(text: str, value: int) -> None:
    assert number("size", text) == value


# --- answers -----------------------------------------------------------------------------------

ARGUMENTS = {Verb.REROUTE: "smtp:[192.0.2.9]:10025", Verb.MARK: "X-Penstock: suspect"}
FORMS = {
    Verb.PASS: r"DUNNO",
    Verb.DEFER: r"DEFER_IF_PERMIT 4\.7\.1 Wait a while \(ref K7F3-9QX2\)",
    Verb.REJECT: r"REJECT 5\.7\.1 Wait a while \(ref K7F3-9QX2\)",
    Verb.HOLD: r"HOLD .*\(ref K7F3-9QX2\)",
    Verb.DISCARD: r"DISCARD .*\(ref K7F3-9QX2\)",
    Verb.REROUTE: r"FILTER smtp:\[192\.0\.2\.9\]:10025",
    Verb.MARK: r"PREPEND X-Penstock: suspect \(ref K7F3-9QX2\)",
}


def decision(verb: Verb, text: str = "Wait a while") -> Decision:
    return Decision(verb, ARGUMENTS.get(verb, ""), "K7F3-9QX2", "limit:recipients 200/h", text)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("verb", list(Verb))
def test_every_verb_at_every_stage(verb: Verb, stage: str) -> None:
    answer = render(decision(verb), stage)
    form = "DUNNO" if verb is Verb.MARK and stage == "END-OF-MESSAGE" else FORMS[verb]
    assert re.fullmatch(rf"action={form}\n\n", answer.decode("ascii"))
    assert not re.match(rb"action=(OK|PERMIT|\d)", answer)


@pytest.mark.parametrize("stage", STAGES)
def test_pass_is_dunno(stage: str) -> None:
    assert render(PASS, stage) == b"action=DUNNO\n\n"


@pytest.mark.parametrize("verb", [Verb.DEFER, Verb.REJECT, Verb.REROUTE, Verb.MARK])
def test_what_a_client_can_read_tells_no_configuration(verb: Verb) -> None:
    assert b"200" not in render(decision(verb), "RCPT")


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize(
    "text", ["Zu viele Empfänger", "a\nb", "a\r\nb", "a\n\naction=OK", "\x00\x1b[0m", "日本"]
)
def test_whatever_the_text_the_answer_is_one_ascii_line(verb: Verb, text: str) -> None:
    answer = render(decision(verb, text), "RCPT")
    assert answer.endswith(b"\n\n")
    line = answer.removesuffix(b"\n\n").decode("ascii")
    assert "\n" not in line
    assert "\r" not in line
