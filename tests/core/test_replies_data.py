"""The classes of real providers' replies, beside the project's own tests (skipped where the data is absent).

The labels of the data were found by heuristics. ``WRONG`` lists by source, label and a word or two of the
text where they do not hold; docs/replies.md says why, kind by kind.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from penstock.config.replies import own_rules
from penstock.core.replies import Classifier

DATA = Path(__file__).parents[3] / "shared" / "data" / "bounces" / "replies.tsv"
NOT_REPLIES = ("diagnosticcode", "replycode", "Sisimai::")
MEANT = {
    "authfailure": "authentication",
    "badreputation": "reputation",
    "blacklist": "reputation",
    "blocked": "reputation",
    "capacity": "mailbox-full",
    "exceedlimit": "too-big",
    "expired": "network",
    "mailboxfull": "mailbox-full",
    "mesgtoobig": "too-big",
    "networkerror": "network",
    "notcompliantrfc": "policy",
    "policyviolation": "policy",
    "recipient": "unknown-user",
    "rejected": "policy",
    "requireptr": "authentication",
    "securityerror": "authentication",
    "spam": "content",
    "spamdetected": "content",
    "speeding": "throttled",
    "suspend": "inactive-mailbox",
    "syntaxerror": "other",
    "systemerror": "temporary",
    "toomanyconn": "throttled",
    "userunknown": "unknown-user",
    "virusdetected": "content",
}
WRONG = (
    ("sisimai/google", "syntaxerror", "starttls command first", "authentication"),
    ("sisimai/google", "syntaxerror", "authent", "authentication"),
    ("sisimai/google", "syntaxerror", "xoauth", "authentication"),
    ("sisimai/google", "rejected", "unauthenticated", "authentication"),
    ("sisimai/google", "blocked", "helo", "authentication"),
    ("sisimai/google", "policyviolation", "attachment", "content"),
    ("sisimai/google", "notcompliantrfc", "rfc 5321 address", "unknown-user"),
    ("sisimai/microsoft", "blocked", "rejected by recipient", "policy"),
    ("sisimai/microsoft", "blocked", "ipv6", "policy"),
    ("sisimai/microsoft", "suspend", "recipient address rejected", "unknown-user"),
    ("sisimai/microsoft", "systemerror", "suspiciousremote", "network"),
    ("sisimai/mimecast", "badreputation", "temporarily unavailable", "temporary"),
    ("sisimai/yahooinc", "rejected", "user complaints", "reputation"),
    ("zone-mta", "spam", "Query Refused", "temporary"),
)


def meant(source: str, category: str, text: str) -> str:
    """The class that a row should have."""
    for wrong_source, label, words, right in WRONG:
        if (source, category) == (wrong_source, label) and words in text:
            return right
    return MEANT[category]


def is_reply(source: str, text: str) -> bool:
    """The data has names of variables where its source builds a pattern from others."""
    bare_word = source == "sisimai/nttdocomo" and text.isalpha()
    return not bare_word and not any(part in text for part in NOT_REPLIES)


def macro_f1(pairs: Iterable[tuple[str, str]]) -> float:
    """The mean over the classes that are meant of F1, from (meant, found)."""
    hits, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for want, found in pairs:
        if want == found:
            hits[want] += 1
        else:
            missed[want] += 1
            wrong[found] += 1
    each = [2 * hits[c] / (2 * hits[c] + wrong[c] + missed[c]) for c in hits | missed]
    return sum(each) / len(each)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    if not DATA.exists():
        pytest.skip(f"the data for measurement is not here: {DATA}")
    classifier = Classifier(own_rules())
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["category"] in MEANT]
    return [
        (meant(row["source"], row["category"], row["string"]), str(classifier.classify(row["string"])[0]))
        for row in rows
        if is_reply(row["source"], row["string"])
    ]


def test_the_classes_agree_with_the_checked_labels(pairs: list[tuple[str, str]]) -> None:
    assert len(pairs) > 190
    assert macro_f1(pairs) >= 0.90


def test_unknown_users_and_reputation_are_never_confused(pairs: list[tuple[str, str]]) -> None:
    confused = [pair for pair in pairs if set(pair) == {"unknown-user", "reputation"}]
    assert len(confused) < 0.01 * len(pairs)
