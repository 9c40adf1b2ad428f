"""Postfix's lines, one by one: facts, what is ignored, what is unknown, and what attackers write."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from penstock.core.events import LoggedIn
from penstock.wire.maillog.facts import (
    Client,
    Expired,
    Named,
    Outcome,
    PickedUp,
    Queued,
    Refused,
    Removed,
    Returned,
)
from penstock.wire.maillog.kinds import IGNORED
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.postfix import DAEMONS, KINDS
from penstock.wire.maillog.stamps import Clock

AT, SCOPE, QID, LONG = 1.5, "mail/postfix", "4F5C64474F", "44JCRG5tYPzCqt2"
END = "from=<a@example.com> to=<b@example.org> proto=ESMTP helo=<h.example.net>"


def read(daemon: str, text: str) -> Any:
    return DAEMONS[daemon](AT, SCOPE, text)


def client(address: str, login: str = "", original: str = "", queue_id: str = QID) -> Client:
    return Client(AT, SCOPE, queue_id, address, login, original)


def refused(action: str, stage: str, reply: str, **more: str) -> Refused:
    known = {
        "queue_id": "",
        "client_address": "192.0.2.7",
        "login": "",
        "envelope_from": "a@example.com",
        "recipient": "b@example.org",
        **more,
    }
    return Refused(AT, SCOPE, action=action, stage=stage, reply=reply, **known)


SASL = f"{QID}: client=unknown[192.0.2.7], sasl_method=PLAIN, sasl_username="


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (f"{QID}: client=mx.example.net[192.0.2.7]", client("192.0.2.7")),
        (f"{LONG}: client=mx.example.net[2001:db8::7]", client("2001:db8::7", queue_id=LONG)),
        (f"{QID}: client=unknown[unknown]", client("")),
        (f"{QID}: client=localhost[local]", client("")),
        (f"{QID}: client=unknown[192.0.2.7]:55729", client("192.0.2.7")),
        (SASL + "alice@example.com", client("192.0.2.7", "alice@example.com")),
        (SASL + "alice, bob", client("192.0.2.7", "alice, bob")),
        (SASL + "a=b, sasl_username=c", client("192.0.2.7", "a=b, sasl_username=c")),
        (SASL + "alice, sasl_sender=al@example.com", client("192.0.2.7", "alice")),
        (SASL + f"alice, orig_queue_id={LONG}", client("192.0.2.7", "alice", LONG)),
        (
            f"{QID}: client=unknown[192.0.2.7]:1, sasl_method=LOGIN, sasl_username=al",
            client("192.0.2.7", "al"),
        ),
        (
            f"{QID}: client=localhost[127.0.0.1], orig_queue_id=ED01244770, orig_client=unknown[192.0.2.9]",
            client("127.0.0.1", "", "ED01244770"),
        ),
        (f"{QID}: client=localhost[127.0.0.1], orig_client=mx.example.net[192.0.2.9]", client("127.0.0.1")),
    ],
)
def test_clients(text: str, fact: Client) -> None:
    assert read("smtpd", text) == fact


def test_a_sender_of_the_clients_own_words_names_no_other_message() -> None:
    text = SASL + "alice, sasl_sender=x, orig_queue_id=ED01244770, orig_client=unknown[192.0.2.9]"
    assert read("smtpd", text) == client("192.0.2.7", "alice")


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (
            f"NOQUEUE: reject: RCPT from x.example[192.0.2.7]: 550 <b@example.org>: unknown; {END}",
            refused("reject", "RCPT", "550 <b@example.org>: unknown"),
        ),
        (
            f"{QID}: reject: RCPT from unknown[192.0.2.7]:4711: 554 5.7.1 no; see x.example; {END}",
            refused("reject", "RCPT", "554 5.7.1 no; see x.example", queue_id=QID),
        ),
        (
            f"NOQUEUE: reject_warning: RCPT from unknown[192.0.2.7]: 553 5.7.1 not owned; {END}",
            refused("reject_warning", "RCPT", "553 5.7.1 not owned"),
        ),
        (
            f"{QID}: milter-reject: DATA from unknown[192.0.2.7]: 451 4.7.1 later; {END}",
            refused("milter-reject", "DATA", "451 4.7.1 later", queue_id=QID),
        ),
        (
            f"NOQUEUE: filter: RCPT from unknown[192.0.2.7]: <a@example.com>: FILTER x:[::1]:1; {END}",
            refused("filter", "RCPT", "<a@example.com>: FILTER x:[::1]:1"),
        ),
        (
            f"NOQUEUE: hold: RCPT from unknown[192.0.2.7]: <x>: HOLD action; {END} sasl_username=<al>",
            refused("hold", "RCPT", "<x>: HOLD action", login="al"),
        ),
        (
            "NOQUEUE: discard: MAIL from unknown[192.0.2.7]: <a@example.com>: Sender address SPAM; "
            "from=<a@example.com> proto=ESMTP helo=<x>",
            refused("discard", "MAIL", "<a@example.com>: Sender address SPAM", recipient=""),
        ),
        (
            "NOQUEUE: reject: CONNECT from unknown[192.0.2.7]: 554 5.7.1 Access denied; proto=SMTP",
            refused("reject", "CONNECT", "554 5.7.1 Access denied", envelope_from="", recipient=""),
        ),
        (
            "NOQUEUE: reject: VRFY from unknown[2001:db8::7]: 454 4.7.1 <b@example.org>: denied; "
            "to=<b@example.org> proto=SMTP helo=<me>",
            refused(
                "reject",
                "VRFY",
                "454 4.7.1 <b@example.org>: denied",
                envelope_from="",
                client_address="2001:db8::7",
            ),
        ),
        (
            f"{QID}: reject: BDAT from unknown[unknown]: 550 5.5.3 <DATA>: Multi-recipient bounce; "
            "from=<> to=<b@example.org> proto=ESMTP helo=<x>",
            refused(
                "reject",
                "BDAT",
                "550 5.5.3 <DATA>: Multi-recipient bounce",
                queue_id=QID,
                client_address="",
                envelope_from="",
            ),
        ),
    ],
)
def test_refusals(text: str, fact: Refused) -> None:
    assert read("smtpd", text) == fact


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (f"{QID}: message-id=<1@example.com>", Named(AT, SCOPE, QID, "1@example.com")),
        (f"{LONG}: message-id=<1@example.com>", Named(AT, SCOPE, LONG, "1@example.com")),
        (f"{QID}: message-id=<>", Named(AT, SCOPE, QID, "")),
        (f"{QID}: message-id=", Named(AT, SCOPE, QID, "")),
        (f"{QID}: message-id==?utf-8?B?PDE+?=", Named(AT, SCOPE, QID, "=?utf-8?B?PDE+?=")),
        (
            f"{QID}: milter-reject: END-OF-MESSAGE from unknown[192.0.2.7]: 5.7.1 Spam; {END}",
            refused("milter-reject", "END-OF-MESSAGE", "5.7.1 Spam", queue_id=QID),
        ),
        (
            f"{QID}: milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 5.7.1 Spam; "
            "from=<a@example.com> to=<b@example.org>",
            refused(
                "milter-reject", "END-OF-MESSAGE", "5.7.1 Spam", queue_id=QID, client_address="127.0.0.1"
            ),
        ),
        (
            f"{QID}: milter-hold: END-OF-MESSAGE from unknown[192.0.2.7]: milter triggers HOLD action; {END}",
            refused("milter-hold", "END-OF-MESSAGE", "milter triggers HOLD action", queue_id=QID),
        ),
        (
            f"{QID}: reject: header Subject: pills from unknown[192.0.2.7]; {END}: 5.7.1 No pills",
            refused("reject", "header", "5.7.1 No pills", queue_id=QID),
        ),
        (
            f"{QID}: discard: body pills from local; from=<a@example.com> to=<b@example.org>",
            refused("discard", "body", "", queue_id=QID, client_address=""),
        ),
        (
            f"{QID}: milter-header-redirect: header X: y from unknown[192.0.2.7]; {END}: c@example.com",
            refused("redirect", "header", "c@example.com", queue_id=QID),
        ),
    ],
)
def test_cleanup(text: str, fact: object) -> None:
    assert read("cleanup", text) == fact


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (
            f"{QID}: from=<a@example.com>, size=1315, nrcpt=2 (queue active)",
            Queued(AT, SCOPE, QID, "a@example.com", 1315, 2),
        ),
        (f"{QID}: from=<>, size=1, nrcpt=1 (queue active)", Queued(AT, SCOPE, QID, "", 1, 1)),
        (f"{QID}: removed", Removed(AT, SCOPE, QID)),
        (f"{QID}: from=<a@example.com>, status=expired, returned to sender", Expired(AT, SCOPE, QID)),
        (f"{QID}: from=<>, status=force-expired, returned to sender", Expired(AT, SCOPE, QID)),
        (
            f'{QID}: from=<"x>, size=9, nrcpt=9 (queue active)"@example.com>, size=1, nrcpt=2 (queue active)',
            Queued(AT, SCOPE, QID, '"x>, size=9, nrcpt=9 (queue active)"@example.com', 1, 2),
        ),
        (f"{QID}: skipped, still being delivered", IGNORED),
        (f"{QID}: from=<a@example.com>, size=1315, nrcpt=2 (queue act", None),
        (f"{QID}: from=<a@example.com>, size=13", None),
    ],
)
def test_qmgr(text: str, fact: object) -> None:
    assert read("qmgr", text) == fact


@pytest.mark.parametrize(
    ("daemon", "text", "fact"),
    [
        ("pickup", f"{QID}: uid=33 from=<www-data>", PickedUp(AT, SCOPE, QID, 33, "www-data")),
        ("pickup", f"{QID}: uid=33 from=<www-data> orig_id={LONG}", client("", "", LONG)),
        (
            "pickup",
            f"{QID}: uid=33 from=<x> orig_id={LONG}>",
            PickedUp(AT, SCOPE, QID, 33, f"x> orig_id={LONG}"),
        ),
        (
            "bounce",
            f"{QID}: sender non-delivery notification: {LONG}",
            Returned(AT, SCOPE, QID, LONG, "non-delivery"),
        ),
        ("bounce", f"{QID}: sender delay notification: {LONG}", Returned(AT, SCOPE, QID, LONG, "delay")),
        (
            "bounce",
            f"{QID}: sender delivery status notification: {LONG}",
            Returned(AT, SCOPE, QID, LONG, "success"),
        ),
        (
            "bounce",
            f"{QID}: postmaster non-delivery notification: {LONG}",
            Returned(AT, SCOPE, QID, LONG, "postmaster"),
        ),
        ("postsuper", f"{QID}: removed", Removed(AT, SCOPE, QID)),
        ("postsuper", f"{QID}: placed on hold", IGNORED),
        ("postsuper", "Placed on hold: 67 messages", IGNORED),
    ],
)
def test_other_daemons(daemon: str, text: str, fact: object) -> None:
    assert read(daemon, text) == fact


def outcome(status: str, reply: str, service: str = "smtp", **more: str) -> Outcome:
    known = {
        "recipient": "b@example.org",
        "original": "",
        "relay": "mx.example.org[192.0.2.25]:25",
        "dsn": "2.0.0",
        "queue_id": QID,
        **more,
    }
    return Outcome(AT, SCOPE, service=service, status=status, reply=reply, **known)


TIMES = "delay=3.6, delays=0.2/0.02/0.04/3.3"
MX = "relay=mx.example.org[192.0.2.25]:25"
FORGED = f"to=<c@example.net>, relay=none, {TIMES}, dsn=5.1.1, status=bounced (no)"


@pytest.mark.parametrize(
    ("daemon", "text", "fact"),
    [
        (
            "smtp",
            f"{QID}: to=<b@example.org>, {MX}, {TIMES}, dsn=2.0.0, status=sent (250 Ok: queued as 153053D)",
            outcome("sent", "250 Ok: queued as 153053D"),
        ),
        (
            "smtp",
            f"{LONG}: to=<b@example.org>, orig_to=<all@example.com>, {MX}, conn_use=2, {TIMES}, "
            "tls=dane/!requiretls:nocertmatch, dsn=4.7.1, status=deferred (said: 450 (later) )",
            outcome("deferred", "said: 450 (later) ", dsn="4.7.1", original="all@example.com", queue_id=LONG),
        ),
        (
            "lmtp",
            f"{QID}: to=<b@example.org>, relay=mail[/run/lmtp], delay=0, dsn=2.0.0, status=sent (x)",
            outcome("sent", "x", "lmtp", relay="mail[/run/lmtp]"),
        ),
        (
            "local",
            f"{QID}: to=<b@example.org>, relay=local, {TIMES}, dsn=2.0.0, status=sent (forwarded as {LONG})",
            outcome("sent", f"forwarded as {LONG}", "local", relay="local"),
        ),
        (
            "local",
            f'{QID}: to=b@example.org, orig_to=root, relay=local, {TIMES}, dsn=5.1.1, status=bounced ("b")',
            outcome("bounced", '"b"', "local", relay="local", original="root", dsn="5.1.1"),
        ),
        (
            "error",
            f"{QID}: to=<b@example.org>, relay=none, {TIMES}, dsn=5.1.1, status=undeliverable (x)",
            outcome("undeliverable", "x", "error", relay="none", dsn="5.1.1"),
        ),
        (
            "smtp",
            f"{QID}: to=<b@example.org>, {MX}, delay=1, status=sent (250 older than enhanced codes)",
            outcome("sent", "250 older than enhanced codes", dsn=""),
        ),
        (
            "smtp",
            f'{QID}: to=<"a b"@example.org>, {MX}, {TIMES}, dsn=2.0.0, status=sent (250 ok)',
            outcome("sent", "250 ok", recipient='"a b"@example.org'),
        ),
        (
            "smtp",
            f'{QID}: to=<"a\\">, {FORGED}"@example.org>, {MX}, {TIMES}, dsn=2.0.0, status=sent (250 ok)',
            outcome("sent", "250 ok", recipient=f'"a\\">, {FORGED}"@example.org'),
        ),
        (
            "smtp",
            f"{QID}: to=<b@example.org>, {MX}, {TIMES}, dsn=2.0.0, status=sent (250 {LONG}: {FORGED})",
            outcome("sent", f"250 {LONG}: {FORGED}"),
        ),
        (
            "smtp",
            f"{QID}: to=<b@example.org>, {MX}, {TIMES}, dsn=5.7.1, status=bounced (550 cut in the mi",
            outcome("bounced", "550 cut in the mi", dsn="5.7.1"),
        ),
        (
            "smtp",
            f"{QID}: to=<b@example.org>, {MX}, {TIMES}, dsn=4.1.1, status=SOFTBOUNCE (550 who)",
            outcome("deferred", "550 who", dsn="4.1.1"),
        ),
        ("smtp", f"{QID}: to=<b@example.org>, {MX}, {TIMES}, dsn=2.0.0, status=se", None),
        ("smtp", f"{QID}: to=<b@exam", None),
        ("smtp", f'{QID}: to=<"b@example.org>, {MX}, {TIMES}, dsn=2.0.0, status=sent (x)', None),
    ],
)
def test_deliveries(daemon: str, text: str, fact: object) -> None:
    assert read(daemon, text) == fact


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_of_qmgr_or_an_agent_that_is_cut_before_its_end_is_no_fact(cut: int) -> None:
    line = f"{QID}: from=<a@example.com>, size=1315, nrcpt=2 (queue active)"
    assert read("qmgr", line[: -cut * 5]) is None
    line = f"{QID}: to=<b@example.org>, {MX}, {TIMES}, dsn=2.0.0, status=sent ("
    assert read("smtp", line[: -cut * 5]) is None


WARNING = "warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: "


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (WARNING + "UGFzc3dvcmQ6, sasl_username=al", LoggedIn(AT, "al", "192.0.2.7", "smtp", False)),
        (WARNING + "(reason unavailable), sasl_username=a@example.com, sasl_username=b", "a@example.com"),
        (
            WARNING.replace("]:", "]:5570:") + "x, sasl_username=al",
            LoggedIn(AT, "al", "192.0.2.7", "smtp", False),
        ),
        (WARNING + "UGFzc3dvcmQ6", IGNORED),
        (WARNING + "authentication failure", IGNORED),
        ("warning: SASL authentication failure: Password verification failed", IGNORED),
        ("warning: hostname x.example does not resolve to address 192.0.2.7", IGNORED),
    ],
)
def test_failed_logins(text: str, fact: object) -> None:
    if isinstance(fact, str):
        fact = LoggedIn(AT, f"{fact}, sasl_username=b", "192.0.2.7", "smtp", False)
    assert read("smtpd", text) == fact


def test_a_forged_end_within_an_address_names_no_login() -> None:
    evil = (
        '"x; from=<v@example.com> to=<w@example.com> proto=ESMTP helo=<h> sasl_username=<victim>"@example.net'
    )
    found = read(
        "smtpd",
        f"NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <{evil}>: Relay access denied; "
        f"from=<{evil}> to=<{evil}> proto=ESMTP helo=<h>",
    )
    assert (found.client_address, found.login, found.envelope_from, found.recipient) == (
        "192.0.2.7",
        "",
        "",
        "",
    )


def test_a_forged_client_within_a_header_is_not_believed() -> None:
    evil = f"Subject: x from unknown[198.51.100.9]; {END}: y"
    found = read("cleanup", f"{QID}: reject: header {evil} from unknown[192.0.2.7]; {END}: 5.7.1 no")
    assert found == Refused(AT, SCOPE, QID, "reject", "header", "", "", "", "", "")


def test_a_forged_end_in_front_of_a_cut_names_no_login() -> None:
    start = "NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 Relay access denied; from=<"
    assert read("smtpd", start + "x" * 900 + "> proto=ESMTP helo=<h> sasl_username=<victim>") is None


def test_a_login_that_may_be_cut_is_no_sender() -> None:
    assert read("smtpd", SASL + "x" * 1000) is None
    assert read("smtpd", SASL + "ä" * 440) is None
    assert read("smtpd", SASL + "x" * 300) is not None
    assert read("smtpd", WARNING + "x, sasl_username=" + "x" * 1000) is IGNORED


@pytest.mark.parametrize(
    ("daemon", "text"),
    [
        ("smtpd", f"NOQUEUE: client=unknown[192.0.2.7]; {QID}: client=unknown[198.51.100.9]"),
        ("smtpd", f"improper command pipelining after DATA from x[192.0.2.7]: {QID}: client=y[198.51.100.9]"),
        ("smtpd", f"warning: non-SMTP command from x[192.0.2.7]: {QID}: client=y[198.51.100.9]"),
        ("smtp", f"{QID}: host mx.example.org[192.0.2.25] said: 450 {LONG}: {FORGED}"),
        ("smtp", f"host mx.example.org[192.0.2.25] said: {LONG}: {FORGED}"),
        ("cleanup", f"{QID}: warning: header Subject: {LONG}: message-id=<x> from unknown[192.0.2.7]; {END}"),
        ("cleanup", f"{QID}: info: header Subject: reject: header x from unknown[192.0.2.7]; {END}"),
        ("cleanup", f"{QID}: resent-message-id=<1@example.com>"),
        ("qmgr", f"warning: {QID}: removed"),
    ],
)
def test_lines_with_other_lines_in_them_are_only_what_they_begin_with(daemon: str, text: str) -> None:
    assert read(daemon, text) is IGNORED


def test_text_that_fits_nothing_is_unknown_to_every_daemon() -> None:
    for daemon in DAEMONS:
        for text in (
            "",
            "?",
            "NOQUEUE",
            f"{QID}: ",
            f"{QID}: what",
            "word: reject: ",
            f"{QID}: client=[",
            "\0" * 99,
        ):
            assert read(daemon, text) is None or (daemon, text[:7]) == ("postscreen", "NOQUEUE")


def test_every_ignored_kind_is_a_row_that_works() -> None:
    assert len(KINDS) == len({(kind.program, kind.prefix, kind.queued) for kind in KINDS})
    for kind in KINDS:
        daemon = kind.program.removeprefix("postfix/")
        text = f"{QID}: {kind.prefix}" if kind.queued else kind.prefix
        assert read("smtpd" if daemon == "*" else daemon, text + "…") is IGNORED, kind
        assert kind.why


def test_hostile_text_of_any_length_is_read() -> None:
    """A pattern that backtracks would not come to an end here; nor does repeating give a login."""
    pieces = (
        "; from=<",
        " proto=A helo=<",
        "[",
        "], sasl_username=",
        ", orig_queue_id=A",
        '"\\',
        ">, to=<",
        "<a>, ",
    )
    starts = (SASL, WARNING, f"{QID}: to=<", f'{QID}: to=<"', f"{QID}: from=<", f"{QID}: reject: header ")
    for start in (*starts, "NOQUEUE: reject: RCPT from x[192.0.2.7]: "):
        for piece in pieces:
            for daemon in ("smtpd", "cleanup", "qmgr", "smtp", "pickup", "bounce"):
                found = read(daemon, start + piece * 20_000)
                assert "sasl_username" not in getattr(found, "login", "")


@pytest.mark.parametrize("end", [" ", "\r", "\n", "\r\n"])
@pytest.mark.parametrize(
    ("daemon", "text", "field", "value"),
    [
        ("smtpd", SASL + "al", "login", "al"),
        ("smtpd", f"{QID}: client=unknown[192.0.2.7]", "client_address", "192.0.2.7"),
        ("smtpd", WARNING + "x, sasl_username=al", "login", "al"),
        ("cleanup", f"{QID}: message-id=<1@example.com>", "message_id", "1@example.com"),
        ("smtp", f"{QID}: to=<b@example.org>, {MX}, {TIMES}, dsn=2.0.0, status=sent (ok)", "reply", "ok"),
        ("qmgr", f"{QID}: removed", "queue_id", QID),
    ],
)
def test_blanks_at_the_end_of_a_line_are_no_part_of_it(
    daemon: str, text: str, field: str, value: str, end: str
) -> None:
    fact = Reader(Clock(2026, UTC)).feed(f"Jan 27 06:36:56 mail postfix/{daemon}[1]: {text}{end}")
    assert getattr(fact, field) == value
