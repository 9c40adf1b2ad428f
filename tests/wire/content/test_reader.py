"""What is read of a message: the same text in every packing, links, scores; any bytes are harmless."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.fingerprint import BINS, KEY_BYTES, SAME, Fingerprint, Printer
from penstock.wire.content import ContentReader, score_of
from penstock.wire.content.mime import text_of
from penstock.wire.content.reader import MOST_BYTES
from wire.content import mails
from wire.content.mails import INVITATION, PACKINGS, PITCH, personal, plain, story

PRINTER = Printer(bytes(KEY_BYTES))

Packed = tuple[str, str, bytes]


def read(packed: Packed, step: int = MOST_BYTES, printer: Printer = PRINTER) -> Fingerprint | None:
    """The fingerprint of a message that comes in pieces."""
    kind, encoding, body = packed
    reader = ContentReader(printer)
    reader.header("Content-TYPE", kind)
    reader.header("content-transfer-encoding", encoding)
    for begin in range(0, len(body), step):
        reader.feed(body[begin : begin + step])
    return reader.finish()


def text(packed: Packed) -> tuple[int, ...]:
    """The same, its text alone."""
    found = read(packed)
    return found.text if found is not None else ()


def common(one: Packed, other: Packed) -> int:
    """Bins in common."""
    return len(set(text(one)) & set(text(other)))


# --- the same mail ----------------------------------------------------------------------------


@pytest.mark.parametrize("pack", PACKINGS)
@pytest.mark.parametrize("step", [1, 77, MOST_BYTES])
def test_a_text_is_the_same_in_every_packing_and_however_it_comes(
    pack: Callable[[str], Packed], step: int
) -> None:
    found, usual = read(pack(PITCH + "\n\nhttps://a.example.net/b"), step), read(plain(PITCH))
    assert found is not None and usual is not None
    assert len(found.text) == BINS and found.text == usual.text
    assert len(found.hosts) == 1 and usual.hosts == ()


@pytest.mark.parametrize("packs", list(combinations(PACKINGS, 2)))
def test_copies_of_one_spam_are_the_same(
    packs: tuple[Callable[[str], Packed], Callable[[str], Packed]],
) -> None:
    one, other = (pack(personal(PITCH, random.Random(i))) for i, pack in enumerate(packs))
    assert common(one, other) >= SAME
    first, second = read(one), read(other)
    assert first is not None and second is not None and first.hosts == second.hosts != ()


def test_nearly_all_copies_with_a_strange_word_after_every_tenth_are_the_same() -> None:
    copies = [plain(personal(PITCH, random.Random(i), 0.1)) for i in range(40)]
    pairs = [common(one, other) >= SAME for one, other in combinations(copies, 2)]
    assert sum(pairs) >= 0.9 * len(pairs)


def test_what_nobody_sees_makes_no_difference() -> None:
    hidden = PITCH.replace("a", "a\u200b").replace("o", "о").replace("e", "е").replace("c", "ｃ")
    assert hidden != PITCH and text(plain(hidden)) == text(plain(PITCH))


def test_unrelated_mails_differ() -> None:
    stories = [text(plain(story(random.Random(i), 60 + 20 * i))) for i in range(30)]
    assert all(len(found) >= BINS - 2 for found in stories)
    assert max(len(set(one) & set(other)) for one, other in combinations(stories, 2)) < SAME
    assert common(plain(PITCH), plain(INVITATION)) < SAME


@pytest.mark.parametrize(
    "body", ["", "Thanks, see you tomorrow!\n\nKind regards\nAlice", "ok " * 900, "7 " * 900]
)
def test_short_and_empty_mails_have_no_fingerprint(body: str) -> None:
    assert read(plain(body)) is None


def test_links_count_by_their_domain() -> None:
    def links(body: str) -> tuple[int, ...]:
        found = read(plain(body))
        return found.hosts if found is not None else ()

    usual = links("http://example.net/x")
    assert len(usual) == 1
    for same in (
        "HTTPS://a7f3.Example.NET:8080/?u=1",
        "<a href='http://me@www.example.net'>",
        "(http://example.net.)",
    ):
        assert links(same) == usual
    assert links("http://www.one.co.uk") == links("http://one.co.uk") != links("http://two.co.uk")
    assert links("http://192.0.2.7/a") != links("http://198.51.2.7/a")
    assert links("http://localhost/ http:// https://..") == ()
    assert len(links(" ".join(f"http://shop{i}.example/" for i in range(99)))) == 8


def test_another_key_gives_another_fingerprint() -> None:
    packed = plain(personal(PITCH, random.Random(1)))
    one, other = read(packed), read(packed, printer=Printer(b"k" * KEY_BYTES))
    assert one is not None and other is not None
    assert not set(one.text) & set(other.text) and not set(one.hosts) & set(other.hosts)


def test_a_key_must_be_whole() -> None:
    with pytest.raises(ValueError, match="32 are needed"):
        Printer(b"short")


def test_it_keeps_no_text() -> None:
    reader = ContentReader(PRINTER)
    reader.feed(mails.lines(PITCH))
    reader.finish()
    assert not reader._body and reader.finish() is None


# --- scores -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("default: False [4.20 / 15.00];\n\tBAYES_SPAM(5.10)[99.99%]", 4.2),
        ("default: True [19.75 / 15.00];", 19.75),
        ("default: False [-2.40 / 15.00];", None),
        ("Yes, score=12.3 required=5.0 tests=BAYES_99,\n\tHTML_MESSAGE autolearn=no", 12.3),
        ("No, score=-0.9 required=5.0 tests=none", None),
        ("Yes", None),
        ("12.3", 12.3),
        (" +7.1 (+++++++)", 7.1),
        ("++++++", 6),
        ("*****", 5),
        ("/", None),
        ("--", None),
        ("", None),
        ("1e999", None),
        ("99999999999", None),
        ("nan", None),
        ("[[[[[ 3 /", None),
    ],
)
def test_scores_as_filters_write_them(value: str, score: float | None) -> None:
    assert score_of(value) == score


@given(st.text())
@settings(max_examples=200)
def test_any_value_has_a_finite_score_or_none(value: str) -> None:
    found = score_of(value)
    assert found is None or 0 <= found <= 10_000


def test_only_the_named_header_counts_and_the_highest_of_several() -> None:
    reader = ContentReader(None, "x-spam-score", 10.0)
    reader.header("X-Spam-Status", "Yes, score=99")
    assert reader.score == 0
    for value in ("-5", "12", "1", "no score"):
        reader.header("X-SPAM-Score", value)
    assert reader.score == 1.2
    reader.feed(mails.lines(PITCH))
    assert reader.finish() is None


# --- hostile ----------------------------------------------------------------------------------

HEADERS = st.one_of(
    st.sampled_from([kind for pack in PACKINGS for kind, _, _ in [pack("a")]]),
    st.text(max_size=60),
    st.sampled_from(
        ["multipart/mixed; boundary=-", "text/html; charset=utf-7", "text/plain; charset=iso-8859-99"]
    ),
)
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [
                b"--in\r\n",
                b"--in--",
                b"--",
                b"\r\n\r\n",
                b"Content-Type: multipart/mixed; boundary=in\r\n",
                b"<!--",
            ]
        ),
        st.sampled_from(
            [b"<style", b"</", b"&#x110000;", b"&#0;", b"&#xd800;", b"=\r\n", b"=ZZ", b"http://", b"@"]
        ),
        st.sampled_from([mails.lines(PITCH), "ａ漢字İ\u0301".encode() * 9, b"\xff\x00\xfe"]),
    ),
    max_size=30,
)


@given(HEADERS, st.sampled_from(["", "base64", "quoted-printable", "x\nbase64", "7bit"]), PIECES)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read(kind: str, encoding: str, pieces: list[bytes]) -> None:
    found = read((kind, encoding, b"".join(pieces)))
    assert found is None or (len(found.text) <= BINS and len(found.hosts) <= 8)
    assert found is None or all(0 <= value < 1 << 64 for value in (*found.text, *found.hosts))


def test_a_boundary_within_itself_ends() -> None:
    part = b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    assert text_of("multipart/mixed; boundary=b", "", part * 5000) == ("", False)
    nested = b"".join(
        f"--{i}\r\nContent-Type: multipart/mixed; boundary={i + 1}\r\n\r\n".encode() for i in range(2000)
    )
    assert text_of("multipart/mixed; boundary=0", "", nested) == ("", False)


def test_twenty_megabytes_without_a_line_break_stay_small() -> None:
    chunk = b"a" * 65_535
    reader = ContentReader(PRINTER)
    tracemalloc.start()
    try:
        for _ in range(320):
            reader.feed(chunk)
        assert reader.finish() is None
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_what_lies_behind_the_first_bytes_is_not_read() -> None:
    body = b"." * MOST_BYTES + mails.lines(PITCH)
    assert read(("text/plain", "7bit", body)) is None
