"""Whatever the bytes are, the reader ends soon, in a Report or in an error that says what and where."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.wire.reports import BadReport, read_report
from penstock.wire.reports.addresses import addresses
from penstock.wire.reports.tree import characters, plain, words_of
from wire.reports.samples import ORIGINAL, SAMPLES
from wire.reports.test_dsn import check, dsn

MIB = 1 << 20
DAEMON = b"From: MAILER-DAEMON@x.example\nTo: a@b.example\nSubject: Undeliverable\n"
REPORT = b"From: MAILER-DAEMON@x\nContent-Type: multipart/report; boundary=b\n\n--b\n"
STATUS = REPORT + b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"


def nested(depth: int) -> bytes:
    parts = [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(depth)]
    return b"From: a@b.example\n" + b"".join(parts) + b"\nx"


BAD = {
    "empty": (b"", "the mail is empty"),
    "only line ends": (b"\r\n" * 1000, "the mail is empty"),
    "no mail": (b"hello\nthere\n", "line 1: no header field, so this is no mail: b'hello"),
    "noise": (bytes(range(256)) * 4, "line 1: no header field"),
    "too long": (b"A: b\n\n" + b"x" * (32 * MIB), "bytes: more than 33554432 are not read"),
    "many parts": (REPORT + b"\nx\n--b\n" * 100_000, "a multipart holds more than 200 parts"),
    "many big parts": (REPORT + (b"\n" + b"x" * 95 + b"\n--b\n") * 100_000, "more than 200 parts"),
    "nested deeply": (nested(5000), "multipart/… within multipart/… 11 deep: more than 10"),
    "messages within messages": (
        b"From: a@b\nContent-Type: message/rfc822\n\n" * 20_000 + b"x",
        "messages within messages: nested too deep",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_not_be_read(name: str) -> None:
    raw, why = BAD[name]
    with pytest.raises(BadReport) as error:
        read_report(raw)
    assert why in str(error.value)
    assert len(str(error.value)) < 200


HOSTILE = {
    "at signs": DAEMON + b"\n" + b"@" * MIB,
    "half addresses": DAEMON + b"\n" + b"a@" * (MIB // 2),
    "addresses": DAEMON + b"\n" + b"".join(b"a%d@b.example\n" % i for i in range(60_000)),
    "quotes": DAEMON + b"\n" + b'"a"@' * (MIB // 4),
    "codes": DAEMON + b"\n" + b"550-x\n" * (MIB // 6),
    "dialogue": DAEMON + b"\n" + b">>> RCPT TO:<a@b.example>\n<<< 550 x\n" * 20_000,
    "spaces": DAEMON + b"\n" + b" " * MIB,
    "folded": b"A: b\n" + b" x\n" * (MIB // 3),
    "header fields": b"A: b\n" * (MIB // 5) + b"\n",
    "a long header field": b"A: " + b" \t" * (MIB // 2) + b"\n\n",
    "parameters": b"Content-Type: multipart/mixed" + b'; a="' * (MIB // 5) + b"\n\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?" * (MIB // 10) + b"\nFrom: MAILER-DAEMON@x\n\nx",
    "open tags": DAEMON + b"Content-Type: text/html\n\n" + b"<a" * (MIB // 2),
    "open styles": DAEMON + b"Content-Type: text/html\n\n" + b"<style>" * (MIB // 7),
    "soft breaks": DAEMON + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=\n" * (MIB // 2),
    "base64": DAEMON + b"Content-Transfer-Encoding: base64\n\n" + b"QQ" * (MIB // 2),
    "punycode": DAEMON + b"Content-Type: text/plain; charset=punycode\n\n" + b"a-" * (MIB // 2),
    "recipients": STATUS + b"Final-Recipient: rfc822; a@b\nAction: failed\n\n" * 22_000,
    "a folded field": STATUS + b"Diagnostic-Code: smtp; " + b"x\n " * (MIB // 3),
    "empty lines": STATUS + b"\n" * MIB,
    "JSON": DAEMON + b'\n{"notificationType":' + b"[" * MIB,
    "a dash as boundary": b"A: b\nContent-Type: multipart/mixed; boundary=-\n\n" + b"-" * MIB,
    "zeros": DAEMON + b"\n" + b"\0" * MIB,
}


def lines_run(call: Callable[[], object]) -> int:
    """How many lines of Python a call costs: a measure of work that no clock disturbs."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_read_in_bounded_work(name: str) -> None:
    report = read_report(HOSTILE[name])
    assert len(report.recipients) <= 1000
    assert all(len(r.reply) <= 4000 for r in report.recipients)
    assert lines_run(lambda: read_report(HOSTILE[name])) < 2_500_000


def test_what_lies_behind_the_first_mebibyte_is_not_needed() -> None:
    check(read_report(dsn(returned=ORIGINAL + "x" * 100 + "\n" + "y" * 5 * MIB)))


def test_a_smaller_cut_loses_the_returned_message_only() -> None:
    raw = dsn()
    report = read_report(raw, most_bytes=raw.index(b"Content-Type: message/rfc822"))
    assert [r.address for r in report.recipients] == ["bob@example.net"]
    assert report.original_message_id == ""


def test_limits_of_the_caller() -> None:
    with pytest.raises(BadReport, match="too many MIME parts"):
        read_report(dsn(), most_parts=2)
    with pytest.raises(BadReport, match=r"more than 1$"):
        read_report(nested(2), most_depth=1)


@given(st.integers(0, len(dsn())), st.binary(max_size=300))
@settings(max_examples=400, deadline=None)
def test_a_torn_notification_names_nobody_else(cut: int, rubbish: bytes) -> None:
    raw = dsn()
    report = None
    try:
        report = read_report(raw[:cut])
        read_report(raw[:cut] + rubbish)
    except BadReport as error:
        assert str(error)
    for recipient in report.recipients if report else ():
        assert (
            "bob@example.net".startswith(recipient.address) or recipient.address in "rfc822; bob@example.net"
        )


CHARSETS = [
    "utf-8",
    "iso-8859-1",
    "windows-1252",
    "koi8-r",
    "gb18030",
    "shift_jis",
    "iso-2022-jp",
    "big5",
]


@pytest.mark.parametrize("charset", CHARSETS)
def test_any_charset(charset: str) -> None:
    words = {
        "koi8-r": "не доставлено",
        "gb18030": "退信",
        "shift_jis": "配信不能",
        "iso-2022-jp": "配信不能",
        "big5": "退信",
    }
    word = words.get(charset, "über")
    head = f"{DAEMON.decode()}Content-Type: text/plain; charset={charset}\n\n".encode()
    report = read_report(head + f"bob@example.net: {word} rejected\n".encode(charset))
    assert [(r.address, r.reply) for r in report.recipients] == [("bob@example.net", f"{word} rejected")]


@pytest.mark.parametrize(
    "charset", ["x-unknown", "unicode-1-1-utf-7", "punycode", "idna", "zip", "rot13", "hex", ""]
)
def test_what_is_no_charset_is_utf8_or_latin1(charset: str) -> None:
    assert characters("é".encode(), charset) == "é"
    assert characters(b"\xe9", charset) == "é"


def test_addresses_in_words() -> None:
    text = (
        'to <a.b+c@x.example>, "d e"@y.example; (f@z.example). mailto:g@w.example?x '
        "g@[192.0.2.1] @h i@ @ =j@k.example."
    )
    assert addresses(text) == [
        "a.b+c@x.example",
        '"d e"@y.example',
        "f@z.example",
        "g@w.example",
        "g@[192.0.2.1]",
        "j@k.example",
    ]


def test_html_as_text() -> None:
    markup = "<html><head><title>t</title></head>a<br>b<b>c</b>&lt;x&gt;<p>d <e@f.example> <style>g</style>h"
    assert plain(markup).split("\n") == ["", "a", "bc<x>", "d <e@f.example> h"]


def test_encoded_words() -> None:
    assert words_of("=?utf-8?B?w6k=?= =?iso-8859-1?Q?=E9_x?=!") == "éé x!"
    assert words_of("=?no?=") == "=?no?="


def test_mail_in_html_and_text_tells_it_once() -> None:
    html = SAMPLES["only HTML"].body
    raw = DAEMON + b"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n"
    raw += b"<bob@example.net>: 550 5.1.1 unknown, says the plain text\n--b\nContent-Type: text/html\n\n"
    report = read_report(raw + html.encode())
    assert [(r.address, r.reply) for r in report.recipients] == [
        ("bob@example.net", "550 5.1.1 unknown, says the plain text")
    ]


def test_half_a_character_goes_nowhere() -> None:
    """UTF-7 and JSON can write it, and then no database and no terminal takes it."""
    assert characters(b"+2AA- x", "utf-7") == "? x"
    notice = r'{"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":"b@x.example",'
    notice += r'"diagnosticCode":"no \ud800"}]}}'
    (found,) = read_report(DAEMON + b"\n" + notice.encode()).recipients
    assert found.reply == "no ?"
    assert addresses("\x1b[31mbob\x00@x.example") == []
