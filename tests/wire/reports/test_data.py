"""Real bounces and complaints, beside the project's own tests (skipped where the data is absent).

The labels are another project's reasons; docs/replies.md maps them to our classes. ``WRONG`` lists the
messages whose label does not fit their own text by our words.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock.config.replies import own_rules
from penstock.core.replies import Classifier
from penstock.wire.reports import Report, read_report

DATA = Path(__file__).parents[4] / "shared" / "data"
BOUNCES = DATA / "bounces" / "messages"

REASONS = {
    "authfailure requireptr": "authentication",
    "blocked badreputation": "reputation",
    "hostunknown notaccept": "no-such-domain",
    "mailboxfull": "mailbox-full",
    "mesgtoobig exceedlimit": "too-big",
    "networkerror expired": "network",
    "rejected norelaying policyviolation notcompliantrfc securityerror": "policy",
    "spamdetected virusdetected contenterror": "content",
    "suspend hasmoved": "inactive-mailbox",
    "syntaxerror undefined": "other",
    "systemerror systemfull onhold mailererror": "temporary",
    "toomanyconn speeding": "throttled",
    "userunknown filtered": "unknown-user",
}
CLASS = {reason: meant for reasons, meant in REASONS.items() for reason in reasons.split()}
NO_BOUNCE = {"delivered", "vacation", "feedback"}

WRONG = {
    "lhost-gmail-07.eml": "authentication",  # no TLS, taken for a fault of the system
    "lhost-gsuite-04.eml": "no-such-domain",  # NXDOMAIN, taken for the network
    "lhost-gsuite-05.eml": "no-such-domain",
    "lhost-gsuite-13.eml": "no-such-domain",
    "lhost-postfix-49.eml": "temporary",  # 421 service not available, taken for a block
    "lhost-qmail-04.eml": "authentication",  # invalid domain name in HELO, taken for a block
    "lhost-sendmail-21.eml": "network",  # connection refused, taken for a block
    "lhost-sendmail-34.eml": "content",  # a forbidden attachment, as in docs/replies.md
    "lhost-sendmail-53.eml": "authentication",  # unauthenticated senders
    "rfc3464-01.eml": "unknown-user",  # the text says: user unknown
    "rhost-franceptt-08.eml": "reputation",  # OFR005: the address is throttled for its reputation
    "rhost-nttdocomo-02.eml": "unknown-user",  # the text says: unknown user
    "rhost-nttdocomo-03.eml": "unknown-user",
}


class Case(NamedTuple):
    """A message of the data: its report and the reasons of its recipients."""

    name: str
    raw: str
    report: Report
    reasons: list[str]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    if not BOUNCES.exists():
        pytest.skip(f"the data for measurement is not here: {BOUNCES}")
    reasons: dict[str, list[str]] = {}
    with (BOUNCES.parent / "truth.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            reasons.setdefault(row["file"], []).append(row["reason"])
    raws = {name: (BOUNCES / name).read_bytes() for name in reasons}
    return [Case(n, raw.decode("latin-1"), read_report(raw), reasons[n]) for n, raw in raws.items()]


def is_delay(case: Case) -> bool:
    """Whether it only says that the mail is late; its label is the reason why."""
    recipients = case.report.recipients
    return bool(recipients) and all(r.action == "delayed" for r in recipients)


def share(right: Iterable[bool]) -> float:
    found = list(right)
    return sum(found) / len(found)


def test_the_kind(cases: list[Case]) -> None:
    def kind(case: Case) -> str:
        if set(case.reasons) == {"feedback"}:
            return "complaint"
        return "other" if set(case.reasons) <= NO_BOUNCE or is_delay(case) else "bounce"

    wrong = [case.name for case in cases if case.report.kind != kind(case)]
    assert len(cases) > 250
    assert len(wrong) <= 0.01 * len(cases), wrong
    assert not [case.name for case in cases if kind(case) == "complaint" and case.report.kind != "complaint"]


def test_complaints_are_complaints() -> None:
    if not DATA.exists():
        pytest.skip(f"the data for measurement is not here: {DATA}")
    reports = [read_report(path.read_bytes()) for path in sorted((DATA / "complaints").glob("*.eml"))]
    assert reports and all(r.kind == "complaint" and r.feedback_type == "abuse" and r.counts for r in reports)


def test_as_many_recipients_as_reasons(cases: list[Case]) -> None:
    bounces = [case for case in cases if case.report.kind == "bounce"]
    wrong = [case.name for case in bounces if len(case.report.failed) != len(case.reasons)]
    assert len(wrong) <= 0.01 * len(bounces), wrong


NAMED = re.compile(
    r"^(?:to|cc|x-failed-recipients|(?:final|original)-recipient|x-actual-recipient) ?:.*(?:\n[ \t].*){0,3}"
    r"|\bfor <[^>\n]+>|RCPT TO:.*|^<[^>\n]+>.*|^ *\S+@\S+.*|\"emailAddress\\?\":.*",
    re.MULTILINE | re.IGNORECASE,
)


def test_the_recipients_are_those_that_the_message_was_for(cases: list[Case]) -> None:
    """Another way to the same: addresses of To, Received and the report's fields, but for the reader's."""
    wrong = []
    for case in cases:
        text = case.raw.replace("\r\n", "\n").replace("=\n", "")
        reader = re.search(r"^to:(.*(?:\n[ \t].*)*)", text, re.MULTILINE | re.IGNORECASE)
        told = " ".join(NAMED.findall(text)).lower()
        for r in case.report.failed:
            only_reader = (
                bool(reader) and r.address.lower() in reader[1].lower() and told.count(r.address.lower()) < 2
            )
            if r.address.lower() not in told or only_reader:
                wrong.append(f"{case.name}: {r.address}")
    assert len(wrong) <= 0.02 * len(cases), wrong


def pairs(cases: list[Case]) -> Iterator[tuple[str, str, str]]:
    """(file, class by the label, class found) of each recipient; a delay's recipients count too."""
    classifier = Classifier(own_rules())
    for case in cases:
        found = case.report.failed or tuple(r for r in case.report.recipients if r.action == "delayed")
        for number, reason in enumerate(case.reasons):
            if reason in CLASS:
                r = found[number] if number < len(found) else None
                told = str(classifier.classify(r.reply, r.status, r.relay).reply_class) if r else "(none)"
                yield case.name, CLASS[reason], told


def macro_f1(found: Iterable[tuple[str, str]]) -> float:
    """The mean of F1 over the classes that are meant, from (meant, found)."""
    hits, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for meant, told in found:
        if meant == told:
            hits[meant] += 1
        else:
            missed[meant] += 1
            wrong[told] += 1
    classes = set(hits | missed)
    return sum(2 * hits[c] / (2 * hits[c] + wrong[c] + missed[c]) for c in classes) / len(classes)


def test_the_classes(cases: list[Case]) -> None:
    rows = list(pairs(cases))
    assert len(rows) > 280
    assert share(meant == told for _, meant, told in rows) >= 0.88
    assert macro_f1((meant, told) for _, meant, told in rows) >= 0.90, "by the labels as they are"
    assert macro_f1((WRONG.get(name, meant), told) for name, meant, told in rows) >= 0.93, "checked"


def test_unknown_users_and_reputation_are_not_confused(cases: list[Case]) -> None:
    rows = list(pairs(cases))
    confused = [row for row in rows if {row[1], row[2]} == {"unknown-user", "reputation"}]
    assert len(confused) < 0.01 * len(rows), confused


def test_the_rest_of_the_facts(cases: list[Case]) -> None:
    bounces = [case.report for case in cases if case.report.kind == "bounce"]
    with_original = [
        case for case in cases if re.search(r"\nmessage-id:", case.raw.partition("\n\n")[2], re.I)
    ]
    assert share(bool(case.report.original_message_id) for case in with_original) >= 0.97
    assert share(bool(r.reply) for report in bounces for r in report.failed) >= 0.99
