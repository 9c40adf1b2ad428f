"""Decisions as an MTA is told them, and questions from what it told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.decision import PASS, Decision
from penstock.core.flight import ASKS_END
from penstock.core.policy import Verb
from penstock.core.witness import Claim, Witness
from penstock.wire.milter import replies
from penstock.wire.milter.codes import Action
from penstock.wire.milter.commands import Connect, Header, Mail
from penstock.wire.milter.envelope import MOST_NAMED, Envelope, claimed_size, is_local
from wire.milter import mta

ALL = Action.ADD_HEADERS | Action.QUARANTINE
CLIENT = Connect("client.example.net", "4", 41234, "192.0.2.7")


def decision(verb: Verb, text: str = "Too many", argument: str = "") -> Decision:
    return Decision(verb, argument, "K7F3-9QX2", "limit:recipients 1/h", text)


RCPT = {
    Verb.PASS: b"\0\0\0\1c",
    Verb.MARK: b"\0\0\0\1c",
    Verb.HOLD: b"\0\0\0\1c",
    Verb.DISCARD: b"\0\0\0\1c",
    Verb.REROUTE: b"\0\0\0\1c",
    Verb.DEFER: mta.packet(b"y", b"451 4.7.1 Too many (ref K7F3-9QX2)\0"),
    Verb.REJECT: mta.packet(b"y", b"550 5.7.1 Too many (ref K7F3-9QX2)\0"),
}
HELD = mta.packet(b"q", b"penstock limit:recipients 1/h (ref K7F3-9QX2)\0") + b"\0\0\0\1c"


@pytest.mark.parametrize("verb", Verb)
def test_a_recipient(verb: Verb) -> None:
    assert replies.at_rcpt(decision(verb)) == RCPT[verb]


@pytest.mark.parametrize("verb", Verb)
def test_the_end(verb: Verb) -> None:
    whole = {Verb.HOLD: HELD, Verb.REROUTE: HELD, Verb.DISCARD: b"\0\0\0\1d"}
    assert replies.at_end(decision(verb), (), ALL) == whole.get(verb, RCPT[verb])


def test_headers_go_above_all_others() -> None:
    told = replies.at_end(PASS, ("X-A: one", "X-B:two"), ALL)
    assert list(mta.replies(told)) == [
        (b"i", b"\0\0\0\0X-A\0one\0"),
        (b"i", b"\0\0\0\0X-B\0two\0"),
        (b"c", b""),
    ]
    assert replies.at_end(PASS, ("X-A: one",), Action.QUARANTINE) == b"\0\0\0\1c"


def test_where_nothing_can_be_held_it_is_deferred() -> None:
    assert replies.at_end(decision(Verb.HOLD), (), Action.ADD_HEADERS) == RCPT[Verb.DEFER]


def test_a_mark_names_its_rule() -> None:
    assert replies.header_of(decision(Verb.MARK, argument="X-Over: yes")) == "X-Over: yes (ref K7F3-9QX2)"
    assert replies.header_of(Decision(Verb.MARK, "X-Penstock-Ref: abc")) == "X-Penstock-Ref: abc"


@pytest.mark.parametrize("text", ["a\r\nb", "a\0b", "a\n\tb"])
def test_a_text_stays_one_line(text: str) -> None:
    assert replies.at_rcpt(decision(Verb.DEFER, text))[5:] == b"451 4.7.1 a b (ref K7F3-9QX2)\0"
    assert replies.at_end(PASS, (f"X-A: {text}",), ALL)[5:18] == b"\0\0\0\0X-A\0a b\0\0"[:13]


def test_percent_signs_are_doubled_and_the_rest_is_ascii() -> None:
    told = replies.at_rcpt(decision(Verb.REJECT, "100% vol\u00e9"))
    assert told[5:] == b"550 5.7.1 100%% vol\\xe9 (ref K7F3-9QX2)\0"


# --- questions --------------------------------------------------------------------------------


def test_the_question_about_a_recipient() -> None:
    envelope = Envelope(CLIENT, Mail("alice@example.com", ("BODY=8BITMIME", "SIZE=5000")), "milter.1.2.0")
    envelope.login = "Alice"
    found = envelope.attempt("RCPT", "bob@example.net", 7.0, "mx1")
    assert found._asdict() == {
        "at": 7.0,
        "host": "mx1",
        "stage": "RCPT",
        "client_address": "192.0.2.7",
        "envelope_from": "alice@example.com",
        "recipient": "bob@example.net",
        "recipient_count": 0,
        "queue_id": "",
        "instance": "milter.1.2.0",
        "size": 5000,
        "login": "Alice",
        "context": ASKS_END,
        "sender": "",
        "under": "",
        "fingerprint": None,
        "score": 0.0,
    }


def test_what_came_in_counts_not_what_was_claimed() -> None:
    envelope = Envelope(CLIENT, Mail("a@x.y", ("SIZE=1",)), "1")
    envelope.learn(Header("Subject", "hello"))
    envelope.read += 1000
    envelope.recipients = 3
    found = envelope.attempt("END-OF-MESSAGE", "", 7.0, "mx1")
    assert (found.size, found.recipient_count) == (1016, 3)


@pytest.mark.parametrize(
    ("argument", "size"),
    [
        ("SIZE=5", 5),
        ("size=5", 5),
        ("SIZE=", 0),
        ("SIZE=x", 0),
        ("SIZE=-1", 0),
        ("SIZE=1e9", 0),
        ("SIZE=" + "9" * 99, 0),
    ],
)
def test_a_claimed_size(argument: str, size: int) -> None:
    assert claimed_size((argument,)) == size


@pytest.mark.parametrize(
    ("value", "claimed"),
    [
        ("1033:mailer.php", ("1033", "mailer.php")),
        (" 33: index.php(12) : eval()'d code", ("33", "index.php")),
        ("0:cron.php\n more", ("0", "cron.php")),
        ("1033:/srv/somebody/elses.php", ("1033", "elses.php")),
        ("1033:../x", ("1033", "x")),
        ("1033:", ("1033", "")),
        ("1033:a\0b", ("1033", "")),
        ("1033:" + "x" * 256, ("1033", "")),
        ("mailer.php", None),
        ("-1:x", None),
        ("1033", None),
        ("4294967295:x", None),
        ("99999999999:x", None),
        ("\u0663\u0663:x", None),
        ("", None),
    ],
)
def test_what_php_says_of_the_sender(value: str, claimed: tuple[str, str] | None) -> None:
    envelope = Envelope(CLIENT, Mail("", ()), "1")
    envelope.learn(Header("X-PHP-Originating-Script", value))
    assert envelope.claims == ((Claim(Witness.HEADER, *claimed),) if claimed else ())


def test_the_first_script_counts() -> None:
    envelope = Envelope(CLIENT, Mail("", ()), "1")
    for value in ("1033:a.php", "1044:b.php"):
        envelope.learn(Header("x-php-originating-SCRIPT", value))
    assert envelope.claims == (Claim(Witness.HEADER, "1033", "a.php"),)


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ("by web1.example.net (Postfix, from userid 33)\n\tid 4Xy1; Sun, 22 Nov 2026 05:05:53 +0000", "33"),
        ("(from www-data@localhost)\n\tby web1.example.net (8.17.1/8.17.1/Submit) id 5AM; Sun", "www-data"),
        ("from www-data by web1.example.net with local (Exim 4.96)\n\tid 1t; Sun", "www-data"),
        ("by web1.example.net (sSMTP sendmail emulation); Sun, 22 Nov 2026", ""),
        ("from x (y [192.0.2.1])\n\tby web1 (Postfix) with ESMTP id 4", ""),
        ("by web1 (Postfix, from userid 99999999999)", ""),
    ],
)
def test_what_the_mta_of_a_relay_says(value: str, user: str) -> None:
    envelope = Envelope(CLIENT, Mail("", ()), "1")
    envelope.learn(Header("Received", value))
    envelope.learn(Header("Received", "by evil (Postfix, from userid 1)"))
    assert envelope.claims == ((Claim(Witness.RELAY, user),) if user else ())


@given(st.text(max_size=3000))
def test_no_header_does_harm(value: str) -> None:
    envelope = Envelope(CLIENT, Mail("", ()), "1")
    envelope.learn(Header("X-PHP-Originating-Script", value))
    envelope.learn(Header("Received", value))
    for claim in envelope.claims:
        assert claim.user and "/" not in claim.script and claim.script.isprintable()


def test_many_recipients_are_counted_not_kept() -> None:
    envelope = Envelope(CLIENT, Mail("", ()), "1")
    for i in range(100_000):
        envelope.name(f"r{i}@example.net")
    assert envelope.recipients == 100_000 and len(envelope.named) == MOST_NAMED


@pytest.mark.parametrize(
    ("client", "local"),
    [
        (Connect("localhost", "4", 0, "127.0.0.1"), True),
        (Connect("localhost", "4", 5555, "127.0.0.1"), False),
        (Connect("mail.example.net", "4", 0, "127.0.0.1"), False),
        (Connect("localhost", "4", 0, "192.0.2.7"), False),
        (Connect("localhost", "U", 0, ""), False),
    ],
)
def test_who_is_on_this_machine(client: Connect, local: bool) -> None:
    assert is_local(client) == local
