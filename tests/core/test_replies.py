"""Classes of replies: real wordings, what a rule can say, what hostile text cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config.replies import own_rules
from penstock.core.replies import MEANINGS, MOST_CACHED, MOST_TEXT, Classifier, ReplyClass, Rule

OWN = Classifier(own_rules())
KNOWN = [
    tuple(part.strip() for part in line.split("|", 1))
    for line in (Path(__file__).parent / "replies.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
NAMES = {rule.name for rule in own_rules()} | {"(no rule)"}
FULL = ReplyClass.MAILBOX_FULL
CONTENT = ReplyClass.CONTENT


@pytest.mark.parametrize(("meant", "reply"), KNOWN)
def test_a_known_reply_has_its_class(meant: str, reply: str) -> None:
    found = OWN.classify(reply)
    assert found.reply_class == meant, found.rule


def test_every_class_is_among_the_known_replies_and_has_a_meaning() -> None:
    assert {meant for meant, _ in KNOWN} == set(ReplyClass) == set(MEANINGS)


@pytest.mark.parametrize(
    ("reply", "status", "meant", "permanent"),
    [
        ("", "5.1.1", "unknown-user", True),
        ("", "4.1.1", "unknown-user", False),
        ("550", "5.1.2", "no-such-domain", True),
        ("", "5.2.1", "inactive-mailbox", True),
        ("", "4.2.2", "mailbox-full", False),
        ("", "5.3.4", "too-big", True),
        ("", "4.4.1", "network", False),
        ("", "5.7.1", "policy", True),
        ("", "5.7.26", "authentication", True),
        ("", "4.7.28", "throttled", False),
        ("", "4.0.0", "temporary", False),
        ("", "5.0.0", "other", True),
        ("", "", "other", False),
        ("no code, but: user unknown", "", "unknown-user", True),
        ("connection timed out", "", "network", False),
        ("550 5.1.1 the reply's own code counts", "4.4.1", "unknown-user", True),
    ],
)
def test_codes_tell_where_words_do_not(reply: str, status: str, meant: str, permanent: bool) -> None:
    found = OWN.classify(reply, status)
    assert (found.reply_class, found.permanent) == (meant, permanent)


def test_5_7_1_alone_is_no_verdict_of_spam() -> None:
    assert OWN.classify("550 5.7.1 no").reply_class is ReplyClass.POLICY


def only(*rules: Rule) -> Classifier:
    """With these rules and no others."""
    return Classifier(rules)


def test_earlier_rules_win_whatever_the_words() -> None:
    first, second = Rule("a", FULL, ("beta",)), Rule("b", CONTENT, ("alpha beta gamma",))
    assert only(first, second).classify("alpha beta gamma").rule == "a"
    assert only(second, first).classify("alpha beta gamma").rule == "b"
    mine = Rule("mine", FULL, ("user unknown",))
    assert Classifier((mine, *own_rules())).classify("550 5.1.1 User unknown").rule == "mine"


@pytest.mark.parametrize(
    ("phrase", "reply", "fits"),
    [
        ("User  UNKNOWN", "550 user\r\n unknown.", True),
        ("user unknown", "users unknown", False),
        ("user unknown", "user is unknown", False),
        ("user*unknown", "user is unknown", True),
        ("user*unknown", "unknown user", False),
        ("user * unknown * here", "here: user bob unknown there and here", True),
        ("over # bytes", "over 1000 bytes", True),
        ("over # bytes", "over many bytes", False),
        ("tss#", "[TSS04] later", True),
        ("tss#", "[TSSx] later", False),
        ("# bytes * # bytes", "of 10 bytes", False),
        ("# bytes * # bytes", "10 bytes of 20 bytes", True),
        ("can't", "we can’t", True),
        ("block-list", "on a block list", True),
        ("Empfänger", "550 EMPFANGER", True),
        ("Empfänger unbekannt", "550 Empf??nger unbekannt", True),
        ("不存在", "550 用户不存在!", True),
        ("ip被", "the ip is fine", False),
        ("5.7.26", "550 5.7.26 no", True),
        ("*", "anything", False),
        ("", "anything", False),
        ("(.*)+$", "aaaa", False),
    ],
)
def test_phrases(phrase: str, reply: str, fits: bool) -> None:
    assert (only(Rule("r", FULL, (phrase,))).classify(reply).rule == "r") is fits


@pytest.mark.parametrize(
    ("providers", "relay", "reply", "fits"),
    [
        (("google.com",), "mx.google.com[192.0.2.1]:25", "x word", True),
        (("google.com",), "dns; MX.Google.Com.", "x word", True),
        (("google.com",), "notgoogle.com", "x word", False),
        (("google.com",), "", "host mx.google.com[192.0.2.1] said: x word", True),
        (("google.com",), "", "after RCPT TO: host mx.google.com [192.0.2.1]: x word", True),
        (("google.com",), "", "x word at google.com", False),
        (("gsmtp",), "", "x word - gsmtp", True),
        (("gsmtp",), "mx.example.org", "x word", False),
    ],
)
def test_providers(providers: tuple[str, ...], relay: str, reply: str, fits: bool) -> None:
    rules = only(Rule("r", FULL, ("word",), providers))
    assert (rules.classify(reply, relay=relay).rule == "r") is fits


@pytest.mark.parametrize(
    ("code", "reply", "fits"),
    [
        ("550", "550 no", True),
        ("55", "552-5.2.2 no", True),
        ("5", "5.1.1 no", True),
        ("5.7", "550 5.7.1 no", True),
        ("5.7.1", "550 5.7.1 no", True),
        ("5.7.1", "550 5.7.10 no", False),
        ("x.7.1", "450 4.7.1 no", True),
        ("x.7.1", "no", False),
        ("550", "450 mailbox 550", False),
        ("550", "smtp;550 no", True),
        ("550", "<bob@example.org>: 550: no", True),
        ("550", "mx[2001:db8:550::1] no", False),
        ("5.7.1", "mx[192.5.7.1] no", False),
        ("5.1.2", "mx[5.1.2.3] no", False),
    ],
)
def test_codes(code: str, reply: str, fits: bool) -> None:
    assert (only(Rule("r", FULL, codes=(code,))).classify(reply).rule == "r") is fits
    assert (only(Rule("r", FULL, ("no",), codes=(code,))).classify(reply).rule == "r") is fits


def test_a_rule_may_say_what_is_for_good() -> None:
    rules = only(Rule("r", FULL, ("never",), permanent=True), Rule("s", FULL, ("later",), permanent=False))
    assert rules.classify("450 never").permanent
    assert not rules.classify("550 later").permanent
    assert OWN.classify("450 4.1.1 user unknown").permanent is False


@pytest.mark.parametrize(
    "reply",
    [
        "550-5.1.1 The account\n550-5.1.1 that you tried\n550 5.1.1 is unknown",
        "550-5.1.1 The account 550-5.1.1 that you tried 550 5.1.1 is unknown",
        "550-The account\\n550-that you tried\\n550 is unknown",
        "smtp; 550-The account\r\n\t550-that you tried\r\n\t550 is unknown",
        "4.1.0 - Unknown address error 550-'The account that you tried is unknown'",
    ],
)
def test_lines_of_a_reply_are_read_as_one(reply: str) -> None:
    rules = only(Rule("r", FULL, ("the account that you tried is unknown",), codes=("550",)))
    assert rules.classify(reply).rule == "r"


@pytest.mark.parametrize("name", ["spam", "a.spam", "spam+b", '"spam"', "x@spam", "spam@"])
def test_addresses_are_no_words(name: str) -> None:
    rules = only(Rule("r", CONTENT, ("spam",)))
    for reply in (f"550 <{name}@example.org> no", f"{name}@example.org: no", f"no {name}@spam.example"):
        if '"' not in name:
            assert rules.classify(reply).reply_class is not CONTENT, reply
    assert rules.classify("550 <bob@example.org>: spam <al@example.org>").reply_class is CONTENT


@given(st.text(), st.text(max_size=12), st.text(max_size=40))
def test_nothing_raises(reply: str, status: str, relay: str) -> None:
    found = OWN.classify(reply, status, relay)
    assert found.reply_class in MEANINGS
    assert found.rule in NAMES


@pytest.mark.parametrize(
    "piece",
    ["@", "a@", "\\n", "host a", "550-", "5.1.", "4 - ", " - ", "<", "用", "é", "\ud800", "'", "1", "* # "],
)
def test_long_and_odd_texts_are_cut(piece: str) -> None:
    text = piece * 20_000
    assert OWN.classify(text) == OWN.classify(text[:MOST_TEXT])
    assert only(Rule("r", FULL, ("tail",))).classify(text + " tail").rule != "r"


def test_memory_is_bounded() -> None:
    rules = only(Rule("r", FULL, ("full",)), Rule("s", CONTENT, codes=("5.7",)))
    for i in range(2 * MOST_CACHED + 10):
        rules.classify(f"550 5.{i % 900}.{i // 900} mailbox {i} full")
    assert len(rules._cache) <= MOST_CACHED
    assert len(rules._codes) <= MOST_CACHED
