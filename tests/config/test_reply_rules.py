"""Rules for replies as data: the built-in file, an operator's own, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from penstock.config import ConfigError, parse
from penstock.config.replies import own_rules, reply_rules
from penstock.core.replies import Classifier, ReplyClass, Rule, has_words

MINE = """
[[replies]]
name = "our partner's filter"
class = "content"
phrases = ["quarantine * ticket #"]
providers = ["partner.example"]
codes = ["5.7."]
permanent = false
"""


def test_the_built_in_rules_are_sound() -> None:
    rules = own_rules()
    names = [rule.name for rule in rules]
    assert len(set(names)) == len(names)
    assert {rule.reply_class for rule in rules} == set(ReplyClass) - {ReplyClass.OTHER}
    assert all(has_words(phrase) for rule in rules for phrase in rule.phrases)
    assert all(rule.phrases or rule.codes for rule in rules)


def test_no_rule_says_a_phrase_twice() -> None:
    for rule in own_rules():
        assert len(set(rule.phrases)) == len(rule.phrases), rule.name


def test_an_operators_rule_is_read() -> None:
    assert reply_rules(MINE) == (
        Rule(
            "our partner's filter",
            ReplyClass.CONTENT,
            ("quarantine * ticket #",),
            ("partner.example",),
            ("5.7",),
            False,
        ),
    )


def test_the_policy_file_puts_an_operators_rules_first() -> None:
    replies = parse(MINE).policy.replies
    assert replies[0].name == "our partner's filter"
    assert replies[1:] == own_rules()
    found = Classifier(replies).classify("550 5.7.1 Quarantine: ticket 17", relay="mx.partner.example")
    assert found == (ReplyClass.CONTENT, False, "our partner's filter")
    assert (
        Classifier(replies).classify("550 5.7.1 Quarantine: ticket 17", relay="mx.example.org").rule
        != found.rule
    )


def test_a_group_of_providers_stands_for_its_members() -> None:
    text = '[[replies]]\nname = "x"\nclass = "other"\nphrases = "word"\nproviders = ["google", "MX.example."]'
    (rule,) = reply_rules(text)
    assert rule.phrases == ("word",)
    assert {"google.com", "mx.example"} < set(rule.providers)
    (rule,) = reply_rules('[providers]\nours = ["mx.example"]\n' + text.replace('"google", ', '"ours", '))
    assert rule.providers == ("mx.example", "mx.example")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ('class = "content"\nphrases = ["x"]', 'replies[0]: "name" is missing (text)'),
        ('name = "x"\nclass = "spam"\nphrases = ["x"]', 'replies[0].class: "spam": '),
        ('name = "x"\nclass = "content"', "replies[0]: "),
        (
            'name = "x"\nclass = "content"\nphrases = ["* #"]',
            'replies[0].phrases: "* #": there is no word in it',
        ),
        (
            'name = "x"\nclass = "content"\nphrases = [7]',
            "replies[0].phrases: 7: must be a string, in quotes",
        ),
        (
            'name = "x"\nclass = "content"\ncodes = ["250"]',
            'replies[0].codes: "250": a code begins like "550", "5.7" or "x.7.1"',
        ),
        (
            'name = "x"\nclass = "content"\nphrase = ["x"]',
            'replies[0].phrase: unknown key; did you mean "phrases"?',
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(rule: str, told: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        reply_rules("[[replies]]\n" + rule)
    assert any(str(problem).startswith(told) for problem in wrong.value.problems), wrong.value
    with pytest.raises(ConfigError, match="replies"):
        parse("[[replies]]\n" + rule)


@pytest.mark.parametrize("text", ["[[replies]", "replies = 1", "providers = 1", '[providers]\nx = "y"'])
def test_a_wrong_document_is_told(text: str) -> None:
    with pytest.raises(ConfigError):
        reply_rules(text)
