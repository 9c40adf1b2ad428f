"""The detection benchmark: a small corpus is true to its labels, replays whole, and is scored."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bench.detection.corpus import Corpus, make
from bench.detection.params import Params
from bench.detection.postfix_log import EPOCH
from bench.detection.replies import TABLES
from bench.detection.score import Labels, rows
from bench.detection.streams import Streams

from penstock.config.replies import own_rules
from penstock.core.replies import Classifier

FAMILIES = {
    "fast flood", "low and slow", "script hijack", "snowshoe", "dormant", "hijacked professional", "lateral",
    "adversarial",
}  # fmt: skip


def test_penstock_reads_every_line_and_finds_the_labelled_mail(
    corpus: Corpus, summary: dict[str, Any]
) -> None:
    labels = list(rows(corpus.folder / "labels.jsonl"))
    assert summary["lines"] == corpus.lines
    assert summary["lines_unknown"] == {}
    assert summary["messages"] == len(labels) == corpus.messages
    assert summary["recipients"] == sum(label["recipients"] for label in labels)
    assert summary["senders"] == len({label["account"] for label in labels})


def test_every_family_is_there_and_attacks_come_after_the_warm_up(corpus: Corpus, small: Params) -> None:
    cases = Labels.read(corpus.folder).cases
    assert {case["family"] for case in cases if case["malicious"]} == FAMILIES
    assert len({case["family"] for case in cases if not case["malicious"]}) == 13
    begun = [case["start"] for case in cases if case["malicious"] and case["start"] is not None]
    assert len(begun) >= len(FAMILIES)
    assert min(begun) >= EPOCH + (small.warm_up - 2) * 86400  # a probe comes up to two days before


def test_queue_ids_are_unique_and_account_days_add_up(corpus: Corpus) -> None:
    labels = list(rows(corpus.folder / "labels.jsonl"))
    assert len({label["queue_id"] for label in labels}) == len(labels)
    sent = Counter[str]()
    for label in labels:
        sent[label["account"]] += label["recipients"]
    totals = {
        account["sender"]: sum(day[1] for day in account["mail"].values())
        for account in Labels.read(corpus.folder).accounts
        if account["mail"]
    }
    assert totals == dict(sent)


def test_lines_are_in_order_but_for_those_repeated_at_rotation(corpus: Corpus, small: Params) -> None:
    with (corpus.folder / "mail.log").open() as log:
        stamps = [line.partition(" ")[0] for line in log]
    backwards = sum(later < earlier for earlier, later in pairwise(stamps))
    assert backwards == small.rotations


def test_a_seed_gives_the_same_corpus_again(corpus: Corpus, tmp_path: Path, small: Params) -> None:
    tiny = replace(small, accounts=2, snowshoe_campaigns=0)
    first, second = (make(tmp_path / name, tiny, 5, "own", name == "one").folder for name in ("one", "two"))
    assert (first / "requests.txt").exists() and not (second / "requests.txt").exists()
    for name in ("mail.log", "labels.jsonl", "cases.jsonl", "accounts.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_own_model_mails_like_the_shared_sets() -> None:
    """Of the sets: 0.3–0.6 messages per account-day, recipients per active day median 2, p99 22–35."""
    streams = [Streams("own", 100).draw(Random(n), str(n)) for n in range(300)]
    days = Counter[tuple[int, int]]()
    for number, stream in enumerate(streams):
        for at, recipients in stream:
            days[number, int(at // 86400)] += len(recipients)
    volumes = sorted(days.values())
    assert 0.2 < sum(map(len, streams)) / (300 * 100) < 0.8
    assert volumes[len(volumes) // 2] in (1, 2, 3)
    assert 15 < volumes[int(len(volumes) * 0.99)] < 50


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("unknown", {"unknown-user"}),
        ("inactive", {"inactive-mailbox", "unknown-user"}),
        ("full", {"mailbox-full"}),
        ("content", {"content", "reputation", "policy"}),
        ("throttled", {"throttled", "reputation"}),
        ("grey", {"temporary"}),
    ],
)
def test_replies_mean_what_they_are_drawn_for(kind: str, classes: set[str]) -> None:
    classifier = Classifier(own_rules())
    for style, (status, text) in TABLES[kind].items():
        said = text.replace("{mx}", "mx.example").replace("{ip}", "192.0.2.1").replace("{to}", "a@b.example")
        verdict = classifier.classify(said, status, "mx.example[192.0.2.1]:25")
        assert str(verdict.reply_class) in classes, (style, verdict)
