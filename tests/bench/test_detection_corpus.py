"""The detection benchmark: a small corpus is true to its labels, replays whole, and is scored."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest
from bench.detection import plot
from bench.detection.corpus import Corpus, make
from bench.detection.params import Params
from bench.detection.postfix_log import EPOCH
from bench.detection.replies import TABLES
from bench.detection.rules import Verdicts
from bench.detection.score import Labels, Score, penstock, rows
from bench.detection.streams import Streams
from click.testing import CliRunner

from penstock.cli.replay import replay
from penstock.config.replies import own_rules
from penstock.core.replies import Classifier

SMALL = Params(
    accounts=12, days=100, cases=1, snowshoe_campaigns=1, most_attack=120, bulk_budget=400,
    list_size=(50, 100), first_list=(50, 100), companies=200, dead_pool=100, snowshoe_accounts=(3, 3),
    snowshoe_day=(5, 6), snowshoe_days=(2, 3), backscatter=(20, 40), invoices=(20, 40), fan_out=(10, 20),
    posts=(0.2, 0.3), orders=(1, 2), notice=(30, 60), storm_recipients=(3, 6), rotations=2,
    repeated=(20, 60), slow_day=(20, 30), slow_days=(3, 4), ramp_days=(5, 6), ramp_customer=(5, 6),
)  # fmt: skip
FAMILIES = {
    "fast flood", "low and slow", "script hijack", "snowshoe", "dormant", "hijacked professional", "lateral",
    "adversarial",
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """One small corpus."""
    return make(tmp_path_factory.mktemp("corpus"), SMALL, 3, "own")


@pytest.fixture(scope="module")
def summary(corpus: Corpus) -> dict[str, Any]:
    """What replay says about it, under a policy that limits little."""
    policy = corpus.folder / "policy.toml"
    policy.write_text("")
    arguments = ["--policy", str(policy), "--json", "--timezone", "UTC"]
    arguments += ["--decisions", str(corpus.folder / "decisions.jsonl"), str(corpus.folder / "mail.log")]
    done = CliRunner().invoke(replay, arguments)
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_penstock_reads_every_line_and_finds_the_labelled_mail(
    corpus: Corpus, summary: dict[str, Any]
) -> None:
    labels = list(rows(corpus.folder / "labels.jsonl"))
    assert summary["lines"] == corpus.lines
    assert summary["lines_unknown"] == {}
    assert summary["messages"] == len(labels) == corpus.messages
    assert summary["recipients"] == sum(label["recipients"] for label in labels)
    assert summary["senders"] == len({label["account"] for label in labels})


def test_every_family_is_there_and_attacks_come_after_the_warm_up(corpus: Corpus) -> None:
    cases = Labels.read(corpus.folder).cases
    assert {case["family"] for case in cases if case["malicious"]} == FAMILIES
    assert len({case["family"] for case in cases if not case["malicious"]}) == 12
    begun = [case["start"] for case in cases if case["malicious"] and case["start"] is not None]
    assert len(begun) >= len(FAMILIES)
    assert min(begun) >= EPOCH + (SMALL.warm_up - 2) * 86400  # a probe comes up to two days before


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


def test_lines_are_in_order_but_for_those_repeated_at_rotation(corpus: Corpus) -> None:
    with (corpus.folder / "mail.log").open() as log:
        stamps = [line.partition(" ")[0] for line in log]
    backwards = sum(later < earlier for earlier, later in pairwise(stamps))
    assert backwards == SMALL.rotations


def test_a_seed_gives_the_same_corpus_again(corpus: Corpus, tmp_path: Path) -> None:
    small = replace(SMALL, accounts=2, snowshoe_campaigns=0)
    first, second = (make(tmp_path / name, small, 5, "own").folder for name in ("one", "two"))
    for name in ("mail.log", "labels.jsonl", "cases.jsonl", "accounts.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_unstopped_attacks_leak_everything_and_stopped_ones_what_came_before(corpus: Corpus) -> None:
    labels = Labels.read(corpus.folder)
    nobody = Score("nobody")
    everything = Verdicts("nobody")
    for label in rows(corpus.folder / "labels.jsonl"):
        if label["malicious"]:
            everything.passed[label["case"]] = everything.passed.get(label["case"], 0) + label["recipients"]
    nobody.add(labels, everything, SMALL.warm_up)
    assert all(family.stopped == 0 for family in nobody.families.values())
    limit = Score("30 new")
    limit.add(labels, corpus.verdicts["30 new recipients/h"], SMALL.warm_up)
    assert sum(limit.families["fast flood"].leaks) <= sum(nobody.families["fast flood"].leaks)
    assert limit.families["fast flood"].leaks[0] <= 60


def test_penstock_is_scored_from_its_decisions(corpus: Corpus, summary: dict[str, Any]) -> None:
    verdicts, delays = penstock(corpus.folder, summary)
    score = Score("Penstock")
    score.add(Labels.read(corpus.folder), verdicts, SMALL.warm_up, delays)
    malicious = sum(
        label["recipients"] for label in rows(corpus.folder / "labels.jsonl") if label["malicious"]
    )
    assert 0 < sum(verdicts.passed.values()) <= malicious
    assert delays.recipients + malicious == summary["recipients"]
    json.dumps(score.as_json())


def test_slowed_mail_that_is_let_go_after_the_pause_is_no_leak(tmp_path: Path) -> None:
    label = {"account": "login:a", "family": "fast flood", "case": 0, "malicious": True, "recipients": 1}
    stamps = ("00:00:00", "00:01:00", "00:02:00", "00:09:00")
    at = [f"2026-01-05T{stamp}Z" for stamp in stamps]
    labels = [{**label, "queue_id": f"Q{n}", "at": EPOCH + n} for n in range(4)]
    decisions = [
        {"queue_id": "Q1", "recipients": 1, "until": at[1]},  # let go before the pause: leaked
        {"queue_id": "Q2", "recipients": 1, "until": at[3]},  # after it: not
        {"queue_id": "Q3", "recipients": 1, "until": None},
    ]
    for name, lines in (("labels", labels), ("decisions", decisions)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    incident = {"sender": "login:a", "opened_at": at[0], "paused_at": at[2], "released_at": None}
    verdicts, _ = penstock(tmp_path, {"incidents": [incident]})
    assert verdicts.passed == {0: 2}
    assert verdicts.stopped == {"login:a": 120.0}


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


def test_the_plot_is_well_formed() -> None:
    points = [plot.Point("a < b & c", 0.0, 12.0, True), plot.Point("500/h", 33.0, 5000.0, False)]
    root = ElementTree.fromstring(plot.svg("Leak & cost", points))
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert "a < b & c" in texts
