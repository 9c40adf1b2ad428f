"""The benchmark of verdicts: whom it judges, what comes again, and that a lesson prevents the same pause."""

from __future__ import annotations

from io import StringIO
from itertools import pairwise

import pytest
from bench.detection import verdicts
from bench.detection.corpus import Corpus
from bench.detection.score import Labels
from bench.detection.verdicts import ALL, LEARNING, NARROW, NOTHING, Figures, Judged, Told
from rich.console import Console

from penstock.config import parse

POLICY = "[detection]\nfalse_pauses = 100\n"


@pytest.fixture(scope="module")
def scouted(corpus: Corpus) -> Told:
    """Whom there is to judge."""
    return verdicts.lived_through(corpus.folder, "mail.log", POLICY, NOTHING)


def test_only_honest_senders_are_judged(corpus: Corpus, scouted: Told) -> None:
    taken = verdicts.attacked(Labels.read(corpus.folder))
    assert len(scouted.judged) > 5
    for one in scouted.judged:
        assert one.opened_at < taken.get(one.sender, float("inf"))
        assert one.judged_at - one.opened_at >= verdicts.AFTER
    assert any(scouted.paused.get(sender) for sender in taken), "thieves are paused and stay so"


def test_what_comes_again_is_the_same_mail_later(corpus: Corpus, scouted: Told) -> None:
    again = verdicts.repeated(corpus.folder, scouted.judged)
    assert len({one.sender for one in again}) == len(again) > 2
    before = (corpus.folder / "mail.log").read_text().splitlines()
    after = (corpus.folder / "again.log").read_text().splitlines()
    added = [line for line in after if "9: " in line and line not in set(before)]
    assert len(after) == len(before) + len(added)
    stamps = [line[:26] for line in added]
    assert all(one <= other for one, other in pairwise(stamps))
    told = verdicts.lived_through(corpus.folder, "again.log", POLICY, NOTHING)
    assert {one.sender for one in scouted.judged} <= {one.sender for one in told.judged}


def test_with_lessons_fewer_are_judged_and_nobody_more_is_paused(corpus: Corpus, scouted: Told) -> None:
    again = verdicts.repeated(corpus.folder, scouted.judged)
    told = {learns: verdicts.lived_through(corpus.folder, "again.log", POLICY, learns) for learns in LEARNING}
    figures = Figures()
    figures.add(Labels.read(corpus.folder), again, told)
    assert max(figures.repeats[NARROW], figures.repeats[ALL]) <= figures.repeats[NOTHING]
    assert figures.judged[NARROW] < figures.judged[NOTHING], "what was judged is not even slowed again"
    assert figures.pooled[0] == sum(counts[0] for counts in figures.families.values())
    assert all(leak > 0 for leak in figures.pooled)


def test_figures_pool_all_attacks() -> None:
    cases = [
        {"malicious": True, "start": 100.0 * n, "sender": f"login:{n}", "number": n, "family": "snowshoe"}
        for n in (1, 2)
    ]
    judged = [Judged("login:2", 100.0, 110.0, 150.0)]
    told = {
        learns: Told(judged, {1: 50, 2: leak}) for learns, leak in zip(LEARNING, (50, 51, 53), strict=True)
    }
    figures = Figures()
    figures.add(Labels(cases, []), [], told)
    assert (figures.same, figures.others) == ([1, 50, 51, 53], [1, 50, 50, 50])
    assert [verdicts.change(figures.pooled[1], leak) for leak in figures.pooled[2:]] == [1.0, 3.0]
    out = StringIO()
    Console(width=200, file=out).print(verdicts.table(figures))
    assert "+1.00" in out.getvalue() and "+3.00" in out.getvalue()


def test_the_policy_of_the_benchmark_is_one() -> None:
    assert parse(POLICY).policy.detection.slow_at < parse("").policy.detection.slow_at
