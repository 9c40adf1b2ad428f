"""The detection benchmark's figures: scored, marked, plotted, with and without a signal."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from bench.detection import ablation, plot, rules, run, tables
from bench.detection.corpus import Corpus, make
from bench.detection.params import Params
from bench.detection.postfix_log import EPOCH
from bench.detection.replay import replayed
from bench.detection.rules import Verdicts
from bench.detection.score import Family, Labels, Score, penstock, rows
from click.testing import CliRunner
from rich.console import Console
from rich.table import Table

from penstock.config import parse


def test_unstopped_attacks_leak_everything_and_stopped_ones_what_came_before(
    corpus: Corpus, small: Params
) -> None:
    labels = Labels.read(corpus.folder)
    nobody = Score("nobody")
    everything = Verdicts("nobody")
    for label in rows(corpus.folder / "labels.jsonl"):
        if label["malicious"]:
            everything.passed[label["case"]] = everything.passed.get(label["case"], 0) + label["recipients"]
    nobody.add(labels, everything, small.warm_up)
    assert all(family.stopped == 0 for family in nobody.families.values())
    limit = Score("30 new")
    limit.add(labels, corpus.verdicts["30 new recipients/h"], small.warm_up)
    assert sum(limit.families["fast flood"].leaks) <= sum(nobody.families["fast flood"].leaks)
    assert limit.families["fast flood"].leaks[0] <= 60


def test_penstock_is_scored_from_its_decisions(
    corpus: Corpus, summary: dict[str, Any], small: Params
) -> None:
    verdicts, delays = penstock(corpus.folder, summary, corpus.folder / "decisions.jsonl")
    score = Score("Penstock")
    score.add(Labels.read(corpus.folder), verdicts, small.warm_up, delays)
    malicious = sum(
        label["recipients"] for label in rows(corpus.folder / "labels.jsonl") if label["malicious"]
    )
    assert 0 < sum(verdicts.passed.values()) <= malicious
    assert delays.recipients + malicious == summary["recipients"]
    json.dumps(score.as_json())


def test_rules_that_watch_one_pass_together_do_not_see_each_other(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: Params, seed: int
) -> None:
    name = "25 hard bounces/h"
    monkeypatch.setattr(rules, "RULES", {name: rules.RULES[name]})
    alone = make(tmp_path, small, seed, "own").verdicts
    assert alone == {name: corpus.verdicts[name]}


def test_a_signal_is_silent_in_its_own_replay(corpus: Corpus, summary: dict[str, Any]) -> None:
    verdicts, _, unknown = replayed(corpus.folder, corpus.folder / "policy.toml", "bounces")
    assert unknown == 0
    silent = parse((corpus.folder / "policy-without-bounces.toml").read_text()).policy.detection.silent
    assert silent == ("bounces",)
    assert verdicts != penstock(corpus.folder, summary, corpus.folder / "decisions.jsonl")[0]


def test_what_is_silent_already_stays_so(corpus: Corpus, tmp_path: Path) -> None:
    policy = tmp_path / "my.toml"
    policy.write_text('[detection]\nmissed = 0.02\nsilent = ["volume"]\n')
    replayed(corpus.folder, policy, "spread")
    detection = parse((corpus.folder / "policy-without-spread.toml").read_text()).policy.detection
    assert (detection.missed, detection.silent) == (0.02, ("volume", "spread"))


@pytest.mark.parametrize(
    ("leaks", "stopped", "bars"),
    [([12.0] * 3, 3, 0), ([13.0] * 3, 3, 1), ([5.0, 5.0, 41.0], 3, 1), ([41.0] * 3, 2, 3), ([], 0, 0)],
)
def test_bars_that_are_missed(leaks: list[float], stopped: int, bars: int) -> None:
    family = Family(leaks=leaks, stopped=stopped)
    assert tables.missed("fast flood", family) == bars
    assert tables.missed("lateral", family) == 0


def printed(table: Table) -> str:
    console = Console(width=250, file=StringIO())
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_family_with_more_than_one_bar_missed_is_marked() -> None:
    good, bad = Score("good"), Score("bad")
    good.families["fast flood"] = Family([12.0, 13.0, 14.0], 3)
    bad.families["fast flood"] = Family([50.0, 50.0], 1)
    found = printed(tables.attacks([good, bad]))
    assert "13 / 14 / 100 " in found and "13 / 14 / 100 !" not in found
    assert "50 / 50 / 50 !" in found


def test_a_bar_that_is_just_missed_does_not_look_reached() -> None:
    score = Score("nearly")
    score.families["fast flood"] = Family([12.0, 13.0] * 150, 299)
    assert "12.5 / 13 / 99 !" in printed(tables.attacks([score]))


def test_the_ablation_shows_what_changes() -> None:
    whole, without, same = Score("all"), Score("bounces"), Score("volume")
    for score, leak, stopped in ((whole, 10.0, 2), (without, 300.0, 1), (same, 10.0, 2)):
        score.families["snowshoe"] = Family([leak, leak], stopped)
        score.hard["travel"] = [4, 2 - stopped]
    lines = {
        line.split("│")[1].strip(): line
        for line in printed(ablation.table(whole, [without, same])).splitlines()
        if "│" in line
    }
    assert "10 / 100" in lines[ablation.ALL]
    assert "+290.0 / -50" in lines["bounces"] and "+25.00" in lines["bounces"]
    assert lines["volume"].count("=") == 4


def test_an_ablation_replays_once_for_each_signal(corpus: Corpus, small: Params) -> None:
    scores = {name: Score(name) for name in (ablation.ALL, "bounces")}
    ablation.replay_all(corpus.folder, scores, small.warm_up, None, 2)
    found = [score.as_json() for score in scores.values()]
    assert found[0]["families"] != found[1]["families"]
    assert sum(family["attacks"] + family["early"] for family in found[0]["families"].values()) > 5


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
    verdicts, _ = penstock(tmp_path, {"incidents": [incident]}, tmp_path / "decisions.jsonl")
    assert verdicts.passed == {0: 2}
    assert verdicts.stopped == {"login:a": 120.0}


def test_the_plot_is_well_formed() -> None:
    points = [plot.Point("a < b & c", 0.0, 12.0, True), plot.Point("500/h", 33.0, 5000.0, False)]
    root = ElementTree.fromstring(plot.svg("Leak & cost", points))
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert "a < b & c" in texts


def test_the_plot_on_a_terminal_has_every_way_once() -> None:
    points = [plot.Point("Wald", 0.0, 12.0, False), plot.Point("ours", 5.0, 8.0, True)]
    points += [plot.Point("far", 1000.0, 1e9, False), plot.Point("nothing leaks", 100.0, 0.0, False)]
    drawn = plot.text(points)
    cells = [line[7:] for line in drawn.splitlines()[1 : plot.ROWS + 1]]
    assert Counter("".join(cells).replace(" ", "")) == Counter("*bcd")
    assert max(map(len, cells)) == plot.COLUMNS
    assert {"*  ours: 5.0 %, 8", "b  Wald: 0.0 %, 12"} <= set(drawn.splitlines())


def test_options_that_make_no_sense_together() -> None:
    done = CliRunner().invoke(run.main, ["--source", "own", "--requests"])
    assert done.exit_code == 2 and "--requests needs --keep" in done.output


def test_a_run_prints_and_writes_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Params
) -> None:
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(run, "console", Console(width=200, file=StringIO()))
    tiny = replace(small, accounts=2, snowshoe_campaigns=0)
    found = run.Run(tiny, "own", None, True, False)
    found.corpus(tmp_path / "own-1", 1)
    found.show()
    found.write("tried", (1,))
    told = run.console.file.getvalue()  # type: ignore[attr-defined]
    assert "recipients leaked, median" in told
    written = json.loads((tmp_path / "results" / "tried.json").read_text())
    assert [score["name"] for score in written["scores"]] == [*rules.RULES, "Penstock"]
    assert (tmp_path / "own-1" / "requests.txt").stat().st_size > 0
    ElementTree.fromstring((tmp_path / "results" / "tried.svg").read_text())
