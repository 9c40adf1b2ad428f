"""Bounces for people: each sample's recipients, their codes and words, however the mail came here."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.wire.reports import BadReport, Report, read_report
from wire.reports.samples import ORIGINAL, SAMPLES, Sample


def check(sample: Sample, report: Report) -> None:
    assert report.kind == "bounce"
    assert [(r.address, r.action) for r in report.recipients] == [
        (a, "failed") for a, _, _ in sample.expected
    ]
    for recipient, (_, status, piece) in zip(report.recipients, sample.expected, strict=True):
        assert recipient.status == status
        assert piece in recipient.reply
    if ORIGINAL in sample.body:
        assert report.original_message_id == "one@example.com"
        assert report.original_from == "alice@example.com"
        assert report.hops == (("mail.example.com", "4XyZ12abcDz9"),)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample(name: str) -> None:
    check(SAMPLES[name], read_report(SAMPLES[name].raw()))


@pytest.mark.parametrize("name", SAMPLES)
def test_with_the_line_ends_of_the_wire(name: str) -> None:
    check(SAMPLES[name], read_report(SAMPLES[name].raw().replace(b"\n", b"\r\n")))


@pytest.mark.parametrize("name", SAMPLES)
def test_forwarded_as_an_attachment(name: str) -> None:
    outer = b"From: alice@example.com\nTo: abuse@example.com\nSubject: what is this?\n"
    outer += b'Content-Type: multipart/mixed; boundary="fwd"\n\n--fwd\n\nplease look\n--fwd\n'
    outer += b"Content-Type: message/rfc822\n\n" + SAMPLES[name].raw() + b"\n--fwd--\n"
    check(SAMPLES[name], read_report(outer))


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_cut_anywhere_it_names_nobody_else(data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(list(SAMPLES.values())))
    raw = sample.raw()
    cut = data.draw(st.integers(raw.index(b"\n\n") + 2, len(raw)))
    report = read_report(raw[:cut])
    known = {address for address, _, _ in sample.expected}
    for recipient in report.recipients:
        torn = recipient.address
        assert torn in known or any(address.startswith(torn) for address in known), torn


@given(st.binary(max_size=2000), st.sampled_from(sorted(SAMPLES)), st.integers(0, 3000))
@settings(max_examples=300, deadline=None)
def test_rubbish_within_never_raises(rubbish: bytes, name: str, at: int) -> None:
    raw = SAMPLES[name].raw()
    try:
        read_report(raw[:at] + rubbish + raw[at:])
    except BadReport as error:
        assert str(error)


def test_somebody_to_write_to_did_not_fail() -> None:
    sample = SAMPLES["Postfix for people only"]
    assert [r.address for r in read_report(sample.raw()).recipients] == ["bob@example.net"]


def test_the_relay_is_told() -> None:
    report = read_report(SAMPLES["Exim"].raw())
    assert report.recipients[0].relay == "mx.example.net"


OTHERS = {
    "a vacation reply": (
        "From: bob@example.net\nTo: alice@example.com\nSubject: Out of office: Hello\n"
        "Auto-Submitted: auto-replied",
        "I am away until Monday. Undeliverable questions go to carol@example.net.",
    ),
    "a vacation reply with an empty path": (
        "Return-Path: <>\nFrom: bob@example.net\nSubject: Re: Hello\nPrecedence: auto_reply",
        "Your message could not be delivered to my attention, I am ill.",
    ),
    "a ticket system": (
        "From: help@example.net\nSubject: [#12] Hello\nX-Autoreply: yes\nAuto-Submitted: auto-generated",
        "We have got your message alice@example.com and will answer.",
    ),
    "a delay by Exim": (
        "Return-Path: <>\nFrom: Mail Delivery System <mailer-daemon@mx.example.org>\n"
        "Subject: Warning: message x "
        "delayed 24 hours",
        "A message that you sent has not yet been delivered to one or more of its\nrecipients:\n\n"
        "  bob@example.net\n    450 4.7.1 try again later\n\nDelivery attempts will continue for some time.",
    ),
    "a delay by Sendmail": (
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.org\n"
        "Subject: Mail delivery: could not send for 4 hours",
        "**      THIS IS A WARNING MESSAGE ONLY      **\n\n<bob@example.net>... Deferred: 421\n"
        "Will keep trying until message is 5 days old",
    ),
    "a letter that speaks of bounces": (
        "From: bob@example.net\nTo: alice@example.com\nSubject: lunch",
        "My mail to carol@example.net came back with 550 5.1.1 user unknown. Have you got another address?",
    ),
    "a newsletter": ("From: news@example.net\nSubject: Sale", "Buy at https://example.net/ now, 550 items."),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_bounce(name: str) -> None:
    headers, body = OTHERS[name]
    report = read_report(f"{headers}\n\n{body}\n".encode())
    assert (report.kind, report.failed) == ("other", ())
    assert not report.counts
    assert {r.action for r in report.recipients} == ({"delayed"} if "delay" in name else set())


def test_a_bounce_below_the_words_of_who_forwards_it() -> None:
    inner = (
        SAMPLES["Yahoo"].raw().decode().replace("From: ", "Received: by mx.example.org id x123\nFrom: ", 1)
    )
    raw = "Return-Path: <>\nFrom: MAILER-DAEMON@a.example\nSubject: Undelivered Mail\n\n"
    report = read_report(f"{raw}This is for you, it could not be delivered.\n\n{inner}".encode())
    check(SAMPLES["Yahoo"], report)
