"""Fuzz the reader of reports: any bytes are a Report or a BadReport, and what a Report says is bounded.

    python tests/fuzz/fuzz_reports.py [-runs=N] [-max_total_time=S] [CORPUS...]

The first byte chooses what the rest is: a mail, the fields of a notification or of a complaint, or the
text for people in a bounce; a fuzzer does not guess a boundary.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["penstock.wire.reports", "penstock.wire.trace"]):
    from penstock.wire.reports import BadReport, read_report
    from penstock.wire.trace import Tracer

HEAD = b"From: MAILER-DAEMON@x.example\nTo: alice@example.com\nSubject: Undeliverable\n"
PART = HEAD + b"Content-Type: multipart/report; boundary=b\n\n--b\n"
WAYS = (
    b"",
    PART + b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; ",
    PART + b"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n",
    HEAD + b"\n<bob@example.net>:\n",
    PART,
)
TRACER = Tracer(b"k" * 16)


def check(data: bytes) -> None:
    """One input."""
    raw = WAYS[data[0] % len(WAYS)] + data[1:] if data else data
    try:
        report = read_report(raw)
    except BadReport as error:
        assert 0 < len(str(error)) < 300
        return
    assert report == read_report(raw)
    str(report).encode()  # whatever stores or prints it can
    assert len(report.recipients) <= 1000
    assert report.kind != "bounce" or report.failed or report.original_message_id
    assert report.kind != "complaint" or report.feedback_type
    for recipient in report.recipients:
        assert recipient.address
        assert len(recipient.address) <= 500 and len(recipient.reply) <= 4100 and len(recipient.relay) <= 255
    assert TRACER.read(report.reference) is None


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
