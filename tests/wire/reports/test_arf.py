"""Complaints: RFC 5965 and what came before it."""

from __future__ import annotations

import pytest

from penstock.wire.reports import Report, read_report
from penstock.wire.trace import HEADER
from wire.reports.samples import ORIGINAL

FIELDS = """\
Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <alice@example.com>
Original-Rcpt-To: <bob@example.net>
Arrival-Date: Sat, 21 Nov 2026 10:00:00 +0000
Reporting-MTA: dns; mail.example.net
Source-IP: 203.0.113.9
"""


def arf(fields: str = FIELDS, returned: str = ORIGINAL, kind: str = "message/feedback-report") -> bytes:
    """A complaint."""
    return (
        "From: <abusedesk@example.net>\nTo: <abuse@example.com>\nSubject: FW: Hello\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report;\n    boundary="part1"\n\n--part1\n'
        "Content-Type: text/plain\n\nThis is an email abuse report.\n\n--part1\n"
        f"Content-Type: {kind}\n\n{fields}\n--part1\nContent-Type: message/rfc822\n"
        f"Content-Disposition: inline\n\n"
        f"{returned}\n--part1--\n"
    ).encode()


def test_a_complaint() -> None:
    report = read_report(arf())
    assert (report.kind, report.feedback_type, report.counts) == ("complaint", "abuse", True)
    assert [r.address for r in report.recipients] == ["bob@example.net"]
    assert report.original_message_id == "one@example.com"
    assert report.original_from == "alice@example.com"
    assert report.source_ip == "203.0.113.9"
    assert report.reporting_mta == "mail.example.net"
    assert report.arrival == 1795255200.0
    assert report.hops == (("mail.example.com", "4XyZ12abcDz9"),)


@pytest.mark.parametrize(
    "kind,counts",
    [
        ("abuse", True),
        ("fraud", True),
        ("virus", True),
        ("other", True),
        ("opt-out", True),
        ("not-spam", False),
        ("auth-failure", False),
    ],
)
def test_the_type_is_told_and_some_count_for_nothing(kind: str, counts: bool) -> None:
    report = read_report(arf(FIELDS.replace("abuse", kind.title())))
    assert (report.kind, report.feedback_type, report.counts) == ("complaint", kind, counts)


def test_the_last_message_id_counts() -> None:
    """Some loops put fields of their own above the sender's."""
    returned = "Message-ID: <loop@feedback.example>\n" + ORIGINAL
    assert read_report(arf(returned=returned)).original_message_id == "one@example.com"


def test_our_reference_is_found() -> None:
    token = "A" * 60
    for returned in (f"{HEADER}: {token}\n{ORIGINAL}", f"{HEADER.lower()}:\n\t{token}\n{ORIGINAL}"):
        assert read_report(arf(returned=returned)).reference == token
    assert read_report(arf()).reference == ""


def test_several_complain_and_redacted_addresses_are_none() -> None:
    fields = (
        FIELDS
        + "Original-Rcpt-To: carol@example.net\nOriginal-Rcpt-To: redacted@\nRedacted-Address: x@redacted\n"
    )
    assert [r.address for r in read_report(arf(fields)).recipients] == [
        "bob@example.net",
        "carol@example.net",
    ]


def test_headers_only_and_no_type() -> None:
    report = read_report(
        arf(FIELDS.replace("Feedback-Type: abuse\n", ""), ORIGINAL[: ORIGINAL.index("Date:")])
    )
    assert (report.kind, report.feedback_type) == ("complaint", "abuse")
    assert report.original_message_id == "one@example.com"


def test_fields_in_a_plain_part() -> None:
    assert read_report(arf(kind="text/plain")).kind == "complaint"


def forwarded(outer: str, inner: str) -> Report:
    return read_report(
        f'{outer}\nContent-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: message/rfc822\n\n'
        f"{inner}\n--x--\n".encode()
    )


def test_a_loop_that_marks_the_message() -> None:
    report = forwarded(
        "From: staff@loop.example\nSubject: complaint about message from 203.0.113.9",
        f"X-HmXmrOriginalRecipient: <bob@example.net>\n{ORIGINAL}",
    )
    assert (report.kind, report.feedback_type) == ("complaint", "abuse")
    assert [r.address for r in report.recipients] == ["bob@example.net"]
    assert report.original_message_id == "one@example.com"


def test_x_arf_and_spamcop() -> None:
    assert forwarded("From: x@report.example\nX-XARF: PLAIN\nSubject: abuse", ORIGINAL).kind == "complaint"
    assert (
        forwarded("From: 1@reports.example\nSubject: [SpamCop (203.0.113.9) id:1]x", ORIGINAL).kind
        == "complaint"
    )


def test_a_forwarded_letter_is_no_complaint() -> None:
    assert forwarded("From: bob@example.net\nSubject: Fwd: Hello", ORIGINAL).kind == "other"
