"""Fuzz the classes of replies: any text, status and relay have one, the same again, whatever lies behind.

    python tests/fuzz/fuzz_replies.py [-runs=N] [-max_total_time=S] [CORPUS...]

The lines of an input are the reply's but for the last, which is status and relay. The reply is also tried
as a rule's phrase: a phrase that has words fits the text that it is made of.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["penstock.core.replies"]):
    from penstock.config.replies import own_rules
    from penstock.core.replies import MEANINGS, MOST_TEXT, Classifier, ReplyClass, Rule, has_words

OWN = Classifier(own_rules())
NAMES = {rule.name for rule in own_rules()} | {"(no rule)"}


def check(data: bytes) -> None:
    """One input."""
    text = data.decode("utf-8", "surrogateescape")
    reply, _, rest = text.rpartition("\n")
    status, _, relay = rest.partition(" ")
    found = OWN.classify(reply, status, relay)
    assert found.reply_class in MEANINGS
    assert found.rule in NAMES
    padded = reply.ljust(MOST_TEXT)
    assert OWN.classify(padded, status, relay) == OWN.classify(padded + " user unknown", status, relay)
    as_phrase(reply[:200])


def as_phrase(text: str) -> None:
    """The text as a rule: it fits itself, unless addresses and codes are left out of what is compared."""
    fits = Classifier([Rule("own", ReplyClass.CONTENT, (text,))]).classify(text).rule == "own"
    if fits:
        assert has_words(text)
    elif has_words(text):
        assert any(sign in text for sign in ("@", "#", "host ", "-", "\\n")), text


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
