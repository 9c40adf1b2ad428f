"""Fuzz the reader of mail logs with Postfix's lines: whatever a line is, nothing is raised, each line is
counted once, and nobody but the line's own words names a sender.

    python tests/fuzz/fuzz_postfix_log.py [-runs=N] [-max_total_time=S] [CORPUS...]

An input is a log. Its lines are fed as they are, and as text of each daemon. A reply of a remote server and
an address of a client are filled with each line, too: they must not change what the line around them says.
"""

from __future__ import annotations

import sys
from datetime import UTC

import atheris

with atheris.instrument_imports(include=["penstock.wire.maillog", "penstock.core"]):
    from penstock.wire.maillog.facts import Client, Outcome, Queued, Refused
    from penstock.wire.maillog.lines import Reader
    from penstock.wire.maillog.postfix import DAEMONS
    from penstock.wire.maillog.stamps import Clock

MOST_LINES = 50
QID = "4F5C64474F"
SENT = f"{QID}: to=<b@example.org>, relay=none, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent ("
REJECT = "NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 550 5.1.1 no; from=<"
REJECT_END = "> to=<b@example.org> proto=ESMTP helo=<h>"


def check_reader(text: str) -> None:
    """Every line is counted once; the same line means the same twice, whatever was remembered of it."""
    reader = Reader(Clock(2026, UTC))
    lines = text.split("\n")[:MOST_LINES]
    facts = [reader.feed(line) for line in lines]
    counted = reader.ignored + reader.foreign + reader.unknown.total() + reader.understood
    assert counted == len(lines)
    assert reader.understood == sum(fact is not None for fact in facts)
    assert all(len(sample) <= 300 for sample in reader.samples.values())


def check_others_text(text: str) -> None:
    """Text of others within a line."""
    sent = DAEMONS["smtp"](1.0, "s", SENT + text + ")")
    assert isinstance(sent, Outcome)
    assert (sent.queue_id, sent.recipient, sent.status, sent.reply) == (QID, "b@example.org", "sent", text)
    active = DAEMONS["qmgr"](1.0, "s", f"{QID}: from=<{text}>, size=7, nrcpt=2 (queue active)")
    if isinstance(active, Queued):  # no line holds a line end
        assert active == (1.0, "s", QID, text, 7, 2)
    refused = DAEMONS["smtpd"](1.0, "s", REJECT + text + REJECT_END)
    if isinstance(refused, Refused):
        assert (refused.client_address, refused.login) == ("192.0.2.7", "")
        assert refused.envelope_from in (text, "")
    client = DAEMONS["smtpd"](
        1.0, "s", f"{QID}: client=x[192.0.2.7], sasl_method=LOGIN, sasl_username=al, sasl_sender={text}"
    )
    if isinstance(client, Client):
        assert client == (1.0, "s", QID, "192.0.2.7", "al", "")


def check(data: bytes) -> None:
    """One input."""
    text = data.decode(errors="surrogateescape")
    check_reader(text)
    for line in text.split("\n")[:MOST_LINES]:
        check_others_text(line)
        for parse in DAEMONS.values():
            parse(1.0, "s", line)


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
