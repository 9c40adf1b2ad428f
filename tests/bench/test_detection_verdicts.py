"""The benchmark of verdicts: whom it judges, what comes again, and that a lesson prevents the same pause."""

from __future__ import annotations

from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from bench.detection import again, verdicts
from bench.detection.corpus import Corpus
from bench.detection.score import Labels, rows
from bench.detection.verdicts import (
    ALL,
    AT_HOME,
    BEFORE,
    ELSEWHERE,
    LEARNING,
    NARROW,
    NOTHING,
    OTHERS,
    Figures,
    Judged,
    Told,
)
from rich.console import Console

from penstock.config import parse

POLICY = "[detection]\nfalse_pauses = 1000\n"
Again = tuple[Path, list[Judged], float]


@pytest.fixture(scope="module")
def scouted(corpus: Corpus) -> Told:
    """Whom there is to judge."""
    return verdicts.lived_through(corpus.folder, POLICY, NOTHING)


@pytest.fixture(scope="module")
def repeated(corpus: Corpus, scouted: Told, tmp_path_factory: pytest.TempPathFactory) -> Again:
    """The corpus once more, whose days are in it again, and when the attacks on them begin."""
    into = tmp_path_factory.mktemp("again")
    return (into, *again.once_more(corpus.folder, scouted.judged, into, 1))


def lines_of(folder: Path) -> list[str]:
    return (folder / "mail.log").read_text().splitlines()


def test_only_honest_senders_are_judged(corpus: Corpus, scouted: Told) -> None:
    taken = verdicts.attacked(Labels.read(corpus.folder))
    assert len(scouted.judged) > 5
    for one in scouted.judged:
        assert one.opened_at < taken.get(one.sender, float("inf"))
        assert one.judged_at - one.opened_at >= verdicts.AFTER
    assert any(scouted.paused.get(sender) for sender in taken), "thieves are paused and stay so"


def test_what_comes_again_is_written_in_between(corpus: Corpus, repeated: Again) -> None:
    folder, chosen, _ = repeated
    assert len({one.sender for one in chosen}) == len(chosen) > 2
    before = set(lines_of(corpus.folder))
    added = [line for line in lines_of(folder) if line not in before]
    assert added and all(one[:26] <= other[:26] for one, other in pairwise(added))


def test_the_same_is_the_same_and_a_variation_has_others(corpus: Corpus, repeated: Again) -> None:
    folder, chosen, _ = repeated
    days, before = again.days_of(corpus.folder, {one.sender: one for one in chosen})
    ids = {queue_id for found in days.values() for queue_id in found}
    past = again.past_of(corpus.folder / "mail.log", ids, set(days), before)
    log = set(lines_of(folder))
    for one in chosen:
        lines = past.lines[days[one.sender][0]]
        moved = again.moved(lines, days[one.sender][0], "9", again.EXACT, {})
        assert [at - again.EXACT for at, _ in moved] == [at for at, _ in lines]
        assert {again.written(*line).rstrip() for line in moved} <= log
        varied = list(again.varied(past, one, "personal", days[one.sender], 1))
        assert varied == list(again.varied(past, one, "personal", days[one.sender], 1))
        queued = sum("queue active" in rest for _, rest in varied)
        once = sum("queue active" in rest for id_ in days[one.sender] for _, rest in past.lines[id_])
        assert once <= queued <= 2 * once


def test_whoever_was_judged_is_robbed_after_everything_else(repeated: Again) -> None:
    folder, chosen, until = repeated
    labels = Labels.read(folder)
    robberies = [case for case in labels.cases if "at_home" in case]
    assert {case["sender"] for case in robberies} == {one.sender for one in chosen}
    assert all(case["start"] >= until for case in robberies)
    told = {label["queue_id"]: label for label in rows(folder / "labels.jsonl")}
    assert {label["case"] for label in told.values()} >= {case["number"] for case in robberies}
    log = "\n".join(lines_of(folder))
    for case in robberies:
        label = next(label for label in told.values() if label["case"] == case["number"])
        assert label["malicious"] and f": {label['queue_id']}: " in log


def test_with_lessons_nobody_is_paused_for_the_same_again(repeated: Again) -> None:
    folder, chosen, until = repeated
    told = {learns: verdicts.lived_through(folder, POLICY, learns, until) for learns in LEARNING}
    figures = Figures()
    figures.add(Labels.read(folder), chosen, told)
    assert figures.paused(NOTHING) > 2
    assert figures.paused(NARROW) == figures.paused(ALL) == 0
    assert set(figures.attacks) >= {ELSEWHERE, OTHERS} and all(leak > 0 for leak in figures.pooled)
    out = StringIO()
    Console(width=200, file=out).print(verdicts.repeat_table(figures))
    assert "bar: 0" in out.getvalue()


def test_figures_pool_all_attacks() -> None:
    cases = [
        {"malicious": True, "start": 100.0 * n, "sender": f"login:{n}", "number": n, "family": "flood"}
        for n in (1, 2, 3)
    ]
    cases[2]["at_home"] = True
    judged = [Judged("login:2", 100.0, 110.0, 150.0)]
    leaks = (50, 51, 53)
    told = {learns: Told(judged, {1: 50, 2: n, 3: 7}) for learns, n in zip(LEARNING, leaks, strict=True)}
    figures = Figures()
    figures.add(Labels(cases, []), [], told)
    assert figures.attacks == {OTHERS: [1, 50, 50, 50], BEFORE: [1, 50, 51, 53], AT_HOME: [1, 7, 7, 7]}
    assert figures.pooled == [3, 107, 108, 110] and figures.families == {"flood": [1, 7, 7, 7]}
    out = StringIO()
    Console(width=200, file=out).print(verdicts.leak_table(figures))
    assert "+2.00" in out.getvalue() and "+6.00" in out.getvalue()


def test_the_policies_of_the_benchmark_pause_sooner() -> None:
    assert parse(POLICY).policy.detection.slow_at < parse("").policy.detection.slow_at
