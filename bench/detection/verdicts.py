"""What an administrator's word is worth, and what it costs: replays of one corpus that differ in it alone.

.venv/bin/python -m bench.detection.verdicts [--source eucore|enron|own] [--seed N]... [--cases N]
                                             [--false-pauses N]...

The policies pause much sooner than the default one, or hardly any of the honest hard cases would be paused.
An hour after each incident of an honest sender somebody says that it was legitimate. What that teaches is
forgotten at once (``NOTHING``), kept for that sender only (``NARROW``), or kept whole, with the signals'
weights (``ALL``). Each of these senders does the same twice more, once exactly and once a little different
(again.py): with the lesson it must not be paused for that. Then the default policy is put in force, and their
accounts are robbed: these attacks, and all others, must leak as little as without any lesson.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TextIO

import click
from bench.detection.again import EXACT, VARIED, Judged, once_more
from bench.detection.corpus import make
from bench.detection.draw import DAY, HOUR
from bench.detection.params import Params
from bench.detection.score import Labels, penstock
from bench.detection.streams import SENDING
from rich.console import Console
from rich.table import Table

from penstock.app.parts import blocking_directory
from penstock.config import Settings, parse
from penstock.core.incident import Incident, Verdict
from penstock.core.learning import Learn, Word
from penstock.study.reading import Reading
from penstock.study.replay import Replay
from penstock.study.sources import open_sources
from penstock.study.summary import summary_of
from penstock.wire.maillog.join import Join

RESULTS: Final = Path(__file__).parents[1] / "results"
AFTER: Final = HOUR
"""Seconds after which an incident is judged."""

LASTS: Final = 2 * DAY
"""Seconds from a repeat's begin in which a pause is about it."""

NOTHING, NARROW, ALL = "nothing", "narrow", "all"
LEARNING = (NOTHING, NARROW, ALL)
REPEATS: Final = {"exact": EXACT, "varied": VARIED - HOUR}
"""How many seconds after the incident's day they begin, at the earliest."""

MINUTE: Final = 60.0
NEVER: Final = float("inf")
WORD: Final = Word(Verdict.LEGITIMATE, Learn.SENDER, "bench")
QUICK: Final = replace(
    Params(),
    accounts=40, cases=4, snowshoe_campaigns=1, snowshoe_accounts=(10, 12), most_attack=300,
    list_size=(200, 2000), bulk_budget=8_000, first_list=(200, 1200), fan_out=(15, 60), posts=(0.2, 1.0),
    invoices=(30, 300), notice=(80, 600), orders=(2, 20), companies=1500, dead_pool=2000,
    backscatter=(50, 300), repeated=(50, 500), storm_recipients=(5, 40),
)  # fmt: skip
"""A corpus of hard cases: what replays in some ten seconds."""

console = Console() if sys.stdout.isatty() else Console(width=200)


@dataclass
class Told:
    """What came of one corpus. ``leaks``: attack → recipients let through; ``paused``, ``slowed``: sender →
    when."""

    judged: list[Judged] = field(default_factory=list)
    leaks: dict[int, int] = field(default_factory=dict)
    paused: dict[str, list[float]] = field(default_factory=dict)
    slowed: dict[str, list[float]] = field(default_factory=dict)

    def was_judged(self, one: Judged, before: float) -> bool:
        """Whether there is a word about that day, or a later one."""
        return any(
            each.sender == one.sender and one.begun <= each.opened_at and each.judged_at < before
            for each in self.judged
        )


class Office(Replay):
    """A replay with an administrator, who knows whom attackers have taken over, and since when
    (``attacked``). ``learns``: what is kept of the verdicts' lessons; ``until``: when the default policy is
    put in force."""

    def __init__(
        self, settings: Settings, decisions: TextIO, attacked: dict[str, float], learns: str, until: float
    ) -> None:
        super().__init__(settings.policy, blocking_directory(settings), decisions)
        self.judged: list[Judged] = []
        self._attacked, self._learns, self._until = attacked, learns, until

    def _sweep(self, at: float) -> None:
        super()._sweep(at)
        if at >= self._until:
            self._engine.adopt(parse("").policy)
            self._until = NEVER
        incidents = self._engine.casework.incidents.by_id.values()
        for incident in [i for i in incidents if i.verdict is None and i.opened_at + AFTER <= at]:
            if not incident.into and all(self._is_honest(key, incident) for key in incident.suspects):
                self._judge(incident, at)

    def _is_honest(self, sender: str, incident: Incident) -> bool:
        return incident.seen_at < self._attacked.get(sender, NEVER) - MINUTE

    def _judge(self, incident: Incident, at: float) -> None:
        verdicts = self._engine.casework.verdicts
        for key, suspect in incident.suspects.items():
            self.judged.append(Judged(key, suspect.opened_at, suspect.paused_at, at))
        _, lesson, _ = verdicts.give(incident.id, WORD, at)
        if self._learns == NOTHING:
            verdicts.forget(incident.id, at, WORD.by)
        elif self._learns == NARROW:
            lesson.steps.clear()
            self._engine.casework.learning.keep(lesson)


def attacked(labels: Labels) -> dict[str, float]:
    """Sender → when its attack began, seconds since the epoch."""
    return {case["sender"]: case["start"] for case in labels.cases if case["malicious"] and case["start"]}


def lived_through(folder: Path, policy: str, learns: str, until: float = NEVER) -> Told:
    """One replay of a corpus. ``until``: when the default policy takes the place of this one."""
    labels = Labels.read(folder)
    decided = folder / f"decisions-{learns}.jsonl"
    with decided.open("w") as decisions:
        office = Office(parse(policy), decisions, attacked(labels), learns, until)
        reading = Reading(open_sources([str(folder / "mail.log")]), UTC, None, time.time())
        office.feed(reading.events(Join()))
        office.finish()
    verdicts, _ = penstock(folder, summary_of(reading, office, [], 0.0), decided)
    told = Told(office.judged, dict(verdicts.passed))
    for one in office.incidents:
        told.slowed.setdefault(one.sender, []).append(one.opened_at)
        if one.paused_at is not None:
            told.paused.setdefault(one.sender, []).append(one.paused_at)
    return told


# --- figures ----------------------------------------------------------------------------------


@dataclass
class Repeats:
    """Of one family and kind of repeat, by what is learned: how many there were after a verdict, those that
    were slowed, and paused."""

    judged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEARNING, 0))
    slowed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEARNING, 0))
    paused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEARNING, 0))

    def add(self, learns: str, slowed: bool, paused: bool) -> None:
        """One more."""
        self.judged[learns] += 1
        self.slowed[learns] += slowed
        self.paused[learns] += paused

    def include(self, other: Repeats) -> None:
        """Those of another family, too."""
        for learns in LEARNING:
            self.judged[learns] += other.judged[learns]
            self.slowed[learns] += other.slowed[learns]
            self.paused[learns] += other.paused[learns]


ELSEWHERE: Final = "robbed, from another network"
AT_HOME: Final = "robbed, by the owner's machine or script"
BEFORE: Final = "sooner policy: on senders judged before"
OTHERS: Final = "sooner policy: on others"


def kind_of(case: dict[str, Any], taught: dict[str, float]) -> str:
    """The kind of an attack. ``taught``: sender → when somebody first said a word about it."""
    if "at_home" in case:
        return AT_HOME if case["at_home"] else ELSEWHERE
    return BEFORE if taught.get(case["sender"], NEVER) < case["start"] else OTHERS


@dataclass
class Figures:
    """Of all corpora. ``repeats``: family → kind → what became of them. ``attacks``: kind → [attacks, leak by
    what is learned …]; ``families``: the same of those that are made on senders judged before (robbed)."""

    repeats: dict[str, dict[str, Repeats]] = field(default_factory=dict)
    attacks: dict[str, list[int]] = field(default_factory=dict)
    families: dict[str, list[int]] = field(default_factory=dict)

    def add(self, labels: Labels, again: list[Judged], told: dict[str, Told]) -> None:
        """One corpus. ``told``: by what is learned."""
        families = {account["sender"]: account["family"] for account in labels.accounts}
        for one in again:
            family = families[one.sender]
            kinds = self.repeats.setdefault(family, {kind: Repeats() for kind in REPEATS})
            for kind, repeats in kinds.items():
                begin = one.begun + REPEATS[kind]
                for learns, found in told.items():
                    if found.was_judged(one, begin):
                        pauses, slowed = (x.get(one.sender, ()) for x in (found.paused, found.slowed))
                        repeats.add(learns, _meets(begin, slowed), _meets(begin, pauses))
        self._attacks(labels, told)

    def _attacks(self, labels: Labels, told: dict[str, Told]) -> None:
        taught = {one.sender: one.judged_at for one in reversed(told[NARROW].judged)}
        for case in labels.cases:
            if case["malicious"] and case["start"] is not None:
                leaks = [told[learns].leaks.get(case["number"], 0) for learns in LEARNING]
                _count(self.attacks, kind_of(case, taught), leaks)
                if "at_home" in case:
                    _count(self.families, case["family"], leaks)

    @property
    def pooled(self) -> list[int]:
        """All attacks, and their leak by what is learned."""
        return [sum(counts) for counts in zip(*self.attacks.values(), strict=True)]

    def paused(self, learns: str) -> int:
        """All repeats that were paused."""
        return sum(each.paused[learns] for kinds in self.repeats.values() for each in kinds.values())


def _count(of: dict[str, list[int]], name: str, leaks: list[int]) -> None:
    of[name] = [a + b for a, b in zip(of.get(name, [0] * 4), (1, *leaks), strict=True)]


def _meets(begin: float, times: Iterable[float]) -> bool:
    return any(begin <= at < begin + LASTS for at in times)


def change(before: int, after: int) -> float:
    """By how many per cent a leak is greater."""
    return 100 * (after - before) / max(1, before)


def leak_table(figures: Figures) -> Table:
    """Attacks and their leak."""
    found = Table(title="Recipients leaked, attacks together (bar: 2 %)", title_justify="left")
    for column in ("", "attacks", "nothing learned", "narrow lessons", "%", "all lessons", "%"):
        found.add_column(column, justify="right" if column else "left")
    robbed = [(f"robbed: {name}", counts) for name, counts in sorted(figures.families.items())]
    for name, counts in (*figures.attacks.items(), ("all", figures.pooled), *robbed):
        attacks, nothing, narrow, everything = counts
        found.add_row(
            name,
            f"{attacks:,}",
            f"{nothing:,}",
            f"{narrow:,}",
            f"{change(nothing, narrow):+.2f}",
            f"{everything:,}",
            f"{change(nothing, everything):+.2f}",
        )
    return found


def repeat_table(figures: Figures) -> Table:
    """Honest senders that were judged, and did the same again."""
    found = Table(
        title="Repeats of what was judged legitimate: paused (slowed) of how many", title_justify="left"
    )
    for column in ("", *(f"{kind}, {learns}" for kind in REPEATS for learns in LEARNING)):
        found.add_column(column, justify="right" if column else "left")
    total = {kind: Repeats() for kind in REPEATS}
    for family, kinds in sorted(figures.repeats.items()):
        found.add_row(family, *_cells(kinds))
        for kind, one in kinds.items():
            total[kind].include(one)
    found.add_section()
    found.add_row("all (bar: 0 with lessons)", *_cells(total))
    return found


def _cells(kinds: dict[str, Repeats]) -> list[str]:
    return [
        f"{kinds[kind].paused[learns]} ({kinds[kind].slowed[learns]}) of {kinds[kind].judged[learns]}"
        for kind in REPEATS
        for learns in LEARNING
    ]


def show(figures: Figures) -> None:
    """Repeats, then attacks."""
    console.print(repeat_table(figures))
    console.print(leak_table(figures))


def run(folder: Path, seed: int, false_pauses: float, figures: Figures) -> None:
    """One corpus and policy: find out whom there is to judge, repeat their days, replay with and without
    lessons."""
    begun = time.perf_counter()
    policy = f"[detection]\nfalse_pauses = {false_pauses}\n"
    scouted = lived_through(folder, policy, NOTHING)
    into = folder / f"again-{false_pauses:g}"
    again, until = once_more(folder, scouted.judged, into, seed)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        tasks = {learns: pool.submit(lived_through, into, policy, learns, until) for learns in LEARNING}
        told = {learns: task.result() for learns, task in tasks.items()}
    figures.add(Labels.read(into), again, told)
    console.print(f"seed {seed}, {false_pauses:g} false pauses: {time.perf_counter() - begun:.0f} s")


@click.command()
@click.option("--source", type=click.Choice(("eucore", "enron", "own")), help="Default: eucore if there.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(1,), show_default=True)
@click.option("--accounts", type=click.IntRange(1), help="Ordinary accounts.")
@click.option("--cases", type=click.IntRange(1), help="Attacks, and hard cases, of each family.")
@click.option("--false-pauses", "levels", type=click.FloatRange(1e-7, 1000, min_open=True),
              multiple=True, default=(10.0, 1000.0), show_default=True,
              help="Of a policy, per 10,000 account-days.")  # fmt: skip
@click.option("--name", default="verdicts", show_default=True, help="Of the results' file.")
def main(
    source: str | None, seeds: tuple[int, ...], accounts: int | None, cases: int | None,
    levels: tuple[float, ...], name: str,
) -> None:  # fmt: skip
    """What verdicts of legitimate prevent, and what they cost."""
    source = source or ("eucore" if (SENDING / "eucore.tsv.gz").exists() else "own")
    params = replace(QUICK, accounts=accounts or QUICK.accounts, cases=cases or QUICK.cases)
    figures = Figures()
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="verdicts-") as base:
            make(Path(base), params, seed, source)
            for false_pauses in levels:
                run(Path(base), seed, false_pauses, figures)
    show(figures)
    RESULTS.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"source": source, "seeds": seeds, "false_pauses": levels}
    (RESULTS / f"{name}.json").write_text(json.dumps(results | asdict(figures), indent=1) + "\n")
    console.print(f"written: {os.path.relpath(RESULTS / name)}.json")


if __name__ == "__main__":
    main()
