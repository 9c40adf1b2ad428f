"""What each signal is worth: Penstock over the same corpora without it.

.venv/bin/python -m bench.detection.ablation [--source eucore|enron|own] [--seed N]... [--cases N] [--jobs N]

Many attacks and hard cases, but small ones (``LEAN``: nothing that decides comes after the first hundreds of
recipients), and few ordinary accounts: these tell nothing of a signal but its false pauses, and are most of a
log. Each corpus is made once and replayed once for each signal: with 30 cases a replay of 2.3 million lines,
some two minutes each.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from math import floor
from pathlib import Path
from statistics import median
from typing import Final

import click
from bench.detection.corpus import make
from bench.detection.params import Params
from bench.detection.replay import replayed
from bench.detection.run import RESULTS
from bench.detection.score import Family, Labels, Score
from bench.detection.streams import SENDING
from bench.detection.tables import FAMILIES
from rich.console import Console
from rich.table import Table

from penstock.signals import SIGNALS

ALL: Final = "(all count)"
LEAN: Final = replace(
    Params(), most_attack=300, bulk_budget=6_000, list_size=(200, 2_000), first_list=(200, 1_000),
    invoices=(30, 300), fan_out=(15, 60), posts=(0.2, 1), notice=(80, 600), backscatter=(50, 500),
    orders=(2, 20), snowshoe_campaigns=2,
)  # fmt: skip
console = Console() if sys.stdout.isatty() else Console(width=220)


def replay_all(folder: Path, scores: dict[str, Score], warm_up: int, policy: Path | None, jobs: int) -> None:
    """Add one corpus to the score of each signal that is left out, ``jobs`` replays at a time."""
    labels = Labels.read(folder)

    def without(name: str) -> None:
        verdicts, delays, _ = replayed(folder, policy, "" if name == ALL else name)
        scores[name].add(labels, verdicts, warm_up, delays)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(without, scores))


def table(whole: Score, without: list[Score]) -> Table:
    """Signals × families. First what all signals do together, then what changes without one."""
    title = "Without one signal: change of leak median / stopped in points; hard cases paused; false pauses"
    found = Table(title=f"{title} (=: none)", title_justify="left")
    for column in ("without", *FAMILIES, "hard %", "per 10,000", "with hard"):
        found.add_column(column, justify="left" if column == "without" else "right")
    counts = [str(len(whole.families[f].leaks) + whole.families[f].early) for f in FAMILIES]
    hard = str(sum(n for n, _ in whole.hard.values()))
    found.add_row("cases", *counts, hard, "", "")
    found.add_row(
        ALL, *map(_figures, (whole.families[f] for f in FAMILIES)), *_rates(whole), end_section=True
    )
    for score in without:
        changes = [_change(whole.families[f], score.families[f]) for f in FAMILIES]
        rates = [_signed(b - a, 2) for a, b in zip(_costs(whole), _costs(score), strict=True)]
        found.add_row(score.name, *changes, *rates)
    return found


def _stopped(family: Family) -> float:
    return 100 * family.stopped / max(1, len(family.leaks))


def _figures(family: Family) -> str:
    return f"{median(family.leaks):g} / {floor(_stopped(family))}" if family.leaks else "–"


def _change(before: Family, after: Family) -> str:
    if not before.leaks or not after.leaks:
        return "–"
    leak = _signed(median(after.leaks) - median(before.leaks), 1)
    stopped = _signed(_stopped(after) - _stopped(before), 0)
    return "=" if leak == stopped == "=" else f"{leak} / {stopped}"


def _signed(change: float, digits: int) -> str:
    rounded = round(change, digits)
    return f"{rounded:+.{digits}f}" if rounded else "="


def _costs(score: Score) -> tuple[float, float, float]:
    """Hard cases paused (%), false pauses per 10,000 account-days: of ordinary accounts, of all."""
    return score.hard_percent(), score.per_10k("real"), score.per_10k("all")


def _rates(score: Score) -> list[str]:
    return [f"{rate:.2f}" for rate in _costs(score)]


@click.command()
@click.option("--source", type=click.Choice(("eucore", "enron", "own")), help="Default: eucore if there.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(1,), show_default=True)
@click.option("--accounts", type=click.IntRange(1), default=60, show_default=True, help="Ordinary ones.")
@click.option("--cases", type=click.IntRange(1), default=30, show_default=True,
              help="Attacks, and hard cases, of each family and corpus.")  # fmt: skip
@click.option("--signal", "signals", multiple=True, type=click.Choice([name for name, _, _ in SIGNALS]),
              help="Only this one (again and again: these).")  # fmt: skip
@click.option("--policy", type=click.Path(path_type=Path, exists=True), help="Default: an empty file.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Replays at a time.")
@click.option("--name", default="ablation", show_default=True, help="Of the results' file.")
def main(
    source: str | None, seeds: tuple[int, ...], accounts: int, cases: int, signals: tuple[str, ...],
    policy: Path | None, jobs: int, name: str,
) -> None:  # fmt: skip
    """Leak, share stopped and false pauses of Penstock without each of its signals."""
    source = source or ("eucore" if (SENDING / "eucore.tsv.gz").exists() else "own")
    params = replace(LEAN, accounts=accounts, cases=cases)
    scores = {one: Score(one) for one in (ALL, *(signals or [name for name, _, _ in SIGNALS]))}
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ablation-")))
        for seed in seeds:
            begun = time.perf_counter()
            folder = base / f"{source}-{seed}"
            lines = make(folder, params, seed, source).lines
            replay_all(folder, scores, params.warm_up, policy, jobs)
            told = f"{lines:,} lines, {len(scores)} replays in {time.perf_counter() - begun:.0f} s"
            console.print(f"{source}, seed {seed}: {told}")
    whole, *without = scores.values()
    console.print(table(whole, without))
    RESULTS.mkdir(parents=True, exist_ok=True)
    found = {"source": source, "seeds": seeds, "scores": [score.as_json() for score in scores.values()]}
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    console.print(f"written: {os.path.relpath(RESULTS / name)}.json")


if __name__ == "__main__":
    main()
