"""Delivery status notifications (RFC 3464), as the RFC has them and as they come."""

from __future__ import annotations

import base64
import quopri

import pytest

from penstock.wire.reports import Report, read_report
from wire.reports.samples import ORIGINAL

FIELDS = """\
Reporting-MTA: dns; mail.example.com
X-Postfix-Queue-ID: 4XyZ12abcDz9
X-Postfix-Sender: rfc822; alice@example.com
Arrival-Date: Sat, 21 Nov 2026 10:00:00 +0000 (UTC)

Final-Recipient: rfc822; bob@example.net
Original-Recipient: rfc822;bob@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: Recipient address rejected:
    User unknown in virtual mailbox table
"""


def dsn(
    fields: str = FIELDS,
    *,
    text: str = "It could not be delivered.",
    returned: str = ORIGINAL,
    kind: str = "message/delivery-status",
    original: str = "message/rfc822",
    encoding: str = "7bit",
    end: str = "\n--==b==--\n",
) -> bytes:
    """A notification."""
    return (
        "From: MAILER-DAEMON@mail.example.com (Mail Delivery System)\nTo: alice@example.com\n"
        "Subject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="==b=="\n\n'
        f"This is a MIME-encapsulated message.\n\n--==b==\nContent-Type: text/plain\n\n{text}\n\n"
        f"--==b==\nContent-Description: Delivery report\nContent-Type: {kind}\n"
        f"Content-Transfer-Encoding: {encoding}\n\n{fields}\n--==b==\n"
        f"Content-Type: {original}\n\n{returned}{end}"
    ).encode()


def read(fields: str, **others: str) -> Report:
    return read_report(dsn(fields, **others))


def check(report: Report) -> None:
    """It says what FIELDS and ORIGINAL say."""
    assert report.kind == "bounce" and report.counts
    (bob,) = report.recipients
    assert (bob.address, bob.action, bob.status, bob.relay) == (
        "bob@example.net",
        "failed",
        "5.1.1",
        "mx.example.net",
    )
    assert bob.reply == (
        "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in virtual mailbox table"
    )
    assert bob.original == ""
    assert report.original_message_id == "one@example.com"
    assert report.original_queue_id == "4XyZ12abcDz9"
    assert report.original_from == "alice@example.com"
    assert report.reporting_mta == "mail.example.com"
    assert report.arrival == 1795255200.0


def test_as_postfix_writes_it() -> None:
    check(read_report(dsn()))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(dsn().replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(dsn().replace(b"\n", b"\r\r\n"), id="CRCRLF"),
        pytest.param(dsn(end=""), id="no end boundary"),
        pytest.param(dsn(kind="message/global-delivery-status"), id="RFC 6533"),
        pytest.param(dsn(kind="MESSAGE/Delivery-Status; charset=x"), id="case"),
        pytest.param(dsn(original="text/rfc822-headers"), id="headers only"),
        pytest.param(dsn(original="message/global-headers"), id="RFC 6533 headers"),
        pytest.param(dsn().replace(b'boundary="==b=="', b'boundary="==other=="'), id="wrong boundary"),
        pytest.param(dsn().replace(b'boundary="==b=="', b""), id="no boundary"),
        pytest.param(
            dsn(base64.encodebytes(FIELDS.encode()).decode(), encoding="base64"), id="base64, against the RFC"
        ),
        pytest.param(
            dsn(quopri.encodestring(FIELDS.encode()).decode(), encoding="quoted-printable"),
            id="quoted-printable",
        ),
        pytest.param(
            dsn(FIELDS.replace("+0000 (UTC)\n\n", "+0000\n")), id="no blank line before the recipient"
        ),
        pytest.param(dsn(FIELDS.replace("Action: failed", "Action: failed (bad mailbox)")), id="a comment"),
        pytest.param(dsn(FIELDS.replace("Action: failed\n", "")), id="no action"),
        pytest.param(dsn(FIELDS.replace("\n    User", "\nUser")), id="folded without a space"),
        pytest.param(b"\n\n" + dsn(), id="empty lines before it"),
        pytest.param(b"From MAILER-DAEMON Sat Nov 21 10:00:00 2026\n" + dsn(), id="out of an mbox"),
    ],
)
def test_what_is_done_to_it_on_the_way(raw: bytes) -> None:
    check(read_report(raw))


def test_within_a_text_and_without_mime() -> None:
    raw = "From: MAILER-DAEMON@mail.example.com\nSubject: Returned mail\n\n"
    raw += f"It could not be delivered.\n\n{FIELDS}\n{ORIGINAL}"
    check(read_report(raw.encode()))


def test_several_recipients_and_only_the_failed_count() -> None:
    more = "\nFinal-Recipient: rfc822; carol@example.net\nAction: delayed\nStatus: 4.4.1\n"
    more += "\nFinal-Recipient: RFC822;<dave@example.net>\nAction: Failed\nStatus: 5.2.2\n"
    report = read(FIELDS + more)
    assert [(r.address, r.action) for r in report.recipients] == [
        ("bob@example.net", "failed"),
        ("carol@example.net", "delayed"),
        ("dave@example.net", "failed"),
    ]
    assert [r.address for r in report.failed] == ["bob@example.net", "dave@example.net"]


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_no_failure_is_no_bounce(action: str) -> None:
    report = read(FIELDS.replace("failed", action).replace("5.1.1", "2.0.0"))
    assert report.kind == "other" and not report.counts
    assert [r.action for r in report.recipients] == [action]


@pytest.mark.parametrize(
    "field,address",
    [
        ("rfc822; bob+2Blist@example.net", "bob+list@example.net"),
        ("rfc822;bob+list@example.net", "bob+list@example.net"),
        ("utf-8; grün@exämple.net", "grün@exämple.net"),
        ("utf-8; gr\\x{FC}n@example.net", "grün@example.net"),
        ("RFC822; <Bob@Example.NET>", "Bob@Example.NET"),
        ("bob@example.net", "bob@example.net"),
        ("unknown; bob@example.net", "bob@example.net"),
        ('rfc822; "a b"@example.net', '"a b"@example.net'),
        ("rfc822; bob@[192.0.2.1]", "bob@[192.0.2.1]"),
    ],
)
def test_the_address(field: str, address: str) -> None:
    fields = FIELDS.replace("rfc822; bob@example.net", field).replace("Original-Recipient", "X-Nothing")
    assert [r.address for r in read(fields).recipients] == [address]


def test_an_address_that_was_forwarded() -> None:
    report = read(FIELDS.replace("rfc822;bob@", "rfc822;team@"))
    assert [(r.address, r.original) for r in report.recipients] == [("bob@example.net", "team@example.net")]


def test_a_recipient_of_another_world() -> None:
    fields = FIELDS.replace("rfc822; bob@example.net", "X400; /CN=bob/O=example").replace(
        "rfc822;bob@", "rfc822;b@"
    )
    assert [r.address for r in read(fields).recipients] == ["b@example.net"]
    fields = FIELDS.replace("rfc822; bob@example.net", "unknown; bob").replace("Original-Recipient", "X-None")
    assert [r.address for r in read(fields, returned="").recipients] == ["bob"]
    assert [r.address for r in read(fields).recipients] == ["bob@example.net"], "the returned message tells"


def test_a_hidden_recipient_leaves_the_message() -> None:
    hidden = FIELDS.replace("rfc822; bob@example.net", "rfc822;").replace("Original-Recipient", "X-None")
    returned = ORIGINAL.replace("To: Bob <bob@example.net>\n", "")
    report = read(hidden, returned=returned)
    assert (report.kind, report.recipients, report.original_message_id) == ("bounce", (), "one@example.com")
    assert read(hidden, returned="").kind == "other", "nothing is told that could be charged"


def test_the_text_tells_what_the_field_cuts_short() -> None:
    text = (
        ">>> DATA\n<<< 550-5.7.1 This message was blocked\n"
        "<<< 550-5.7.1 for its content,\n<<< 550 5.7.1 see x"
    )
    fields = (
        FIELDS[: FIELDS.index("Diagnostic")] + "Diagnostic-Code: SMTP; 550-5.7.1 This message was blocked\n"
    )
    (bob,) = read(fields, text=text).recipients
    assert bob.reply == "550 5.7.1 This message was blocked for its content, see x"
    (bob,) = read(fields[: fields.index("Diagnostic")], text=text).recipients
    assert bob.reply == "550 5.7.1 This message was blocked for its content, see x"


@pytest.mark.parametrize(
    "status,diagnostic,expected",
    [
        ("5.0.0", "smtp; 550 5.7.1 no", ("5.7.1", "550 5.7.1 no")),
        ("5.1.1", "smtp; 550 5.7.1 no", ("5.1.1", "550 5.7.1 no")),
        ("5.1.10 (takes no mail)", "", ("5.1.10", "takes no mail")),
        ("", "smtp; 550 5.2.2 full", ("5.2.2", "550 5.2.2 full")),
        ("5.1.0", "smtp; 5.1.0 - Unknown address error 550-'5.2.2 full' (x)", ("5.2.2", "550 5.2.2 full")),
        ("5.0.0", "X-Notes; Maximum hop co\n unt exceeded", ("5.0.0", "Maximum hop count exceeded")),
        ("5.3.0", "x-unix; 69 exit", ("5.3.0", "69 exit")),
    ],
)
def test_status_and_reply(status: str, diagnostic: str, expected: tuple[str, str]) -> None:
    fields = "Final-Recipient: rfc822; bob@example.net\nAction: failed\n"
    fields += (f"Status: {status}\n" if status else "") + f"Diagnostic-Code: {diagnostic}\n"
    (bob,) = read(fields).recipients
    assert (bob.status, bob.reply) == expected


def test_a_returned_message_that_is_encoded_anew() -> None:
    packed = base64.encodebytes(ORIGINAL.encode()).decode()
    report = read_report(
        dsn(returned=packed).replace(
            b"Content-Type: message/rfc822\n",
            b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n",
        )
    )
    check(report)


def test_a_bounce_that_is_returned_itself_is_not_taken_for_the_bounce() -> None:
    inner = dsn(FIELDS.replace("bob@", "other@")).decode()
    report = read(FIELDS, returned=inner.replace("==b==", "==i=="))
    assert [r.address for r in report.recipients] == ["bob@example.net"]


def test_amazon_tells_it_in_json() -> None:
    head = "From: AWS <no-reply@sns.amazonaws.com>\nSubject: AWS Notification Message\n\n"
    bounced = (
        '{"notificationType":"Bounce","bounce":{"bounceType":"Permanent",'
        '"bouncedRecipients":[{"emailAddress":'
    )
    bounced += (
        '"bob@example.net","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 unknown"}]},"mail":{"source":'
    )
    bounced += (
        '"alice@example.com","messageId":"m1","headers":[{"name":"Message-ID","value":"<one@example.com>"}]}}'
    )
    report = read_report((head + bounced + "\n\n--\nunsubscribe").encode())
    assert (report.kind, report.original_message_id) == ("bounce", "one@example.com")
    assert [(r.address, r.status, r.reply) for r in report.recipients] == [
        ("bob@example.net", "5.1.1", "550 5.1.1 unknown")
    ]
    complained = (
        '{"eventType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"bob@example.net"}],'
    )
    complained += '"complaintFeedbackType":"abuse"},"mail":{"messageId":"m1"}}'
    report = read_report((head + complained).encode())
    assert (report.kind, report.feedback_type, report.recipients[0].address) == (
        "complaint",
        "abuse",
        "bob@example.net",
    )
    assert read_report((head + '{"notificationType":"Delivery"}').encode()).kind == "other"
    for broken in (
        '{"notificationType":"Bounce"}',
        '{"notificationType":"Bounce","bounce":[1]}',
        '{"notificationType":',
    ):
        assert read_report((head + broken).encode()).kind == "other"
