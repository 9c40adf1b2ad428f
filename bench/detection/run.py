"""The detection benchmark: corpora, replay, table and plot. See docs/detection-bench.md.

.venv/bin/python -m bench.detection.run [--source eucore|enron|own] [--seed N]... [--accounts N] [--days N]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import click
from bench.detection import plot, tables
from bench.detection.corpus import make
from bench.detection.params import Params
from bench.detection.score import Labels, Score, penstock
from bench.detection.streams import SENDING
from rich.console import Console

RESULTS = Path(__file__).parents[1] / "results"
console = Console() if sys.stdout.isatty() else Console(width=200)


def replay(folder: Path, policy: Path | None) -> dict[str, Any]:
    """Penstock over the log: its summary; the decisions are in the folder."""
    if policy is None:
        policy = folder / "policy.toml"
        policy.write_text("")
    command = [
        str(Path(sys.executable).with_name("penstock")), "replay", "--policy", str(policy), "--json",
        "--decisions", str(folder / "decisions.jsonl"), "--timezone", "UTC", str(folder / "mail.log"),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def one(
    folder: Path,
    params: Params,
    seed: int,
    source: str,
    policy: Path | None,
    rules_only: bool,
    scores: dict[str, Score],
) -> None:
    """Make a corpus, replay it, add it to the scores."""
    begun = time.perf_counter()
    corpus = make(folder, params, seed, source)
    made = time.perf_counter()
    labels = Labels.read(folder)
    for name, verdicts in corpus.verdicts.items():
        scores.setdefault(name, Score(name)).add(labels, verdicts, params.warm_up)
    told = (
        f"{source}, seed {seed}: {corpus.lines:,} lines, {corpus.messages:,} messages in {made - begun:.0f} s"
    )
    if not rules_only:
        summary = replay(folder, policy)
        unknown = sum(summary["lines_unknown"].values())
        told += f", replayed in {time.perf_counter() - made:.0f} s, {unknown:,} lines not understood"
        verdicts, delays = penstock(folder, summary)
        scores.setdefault("Penstock", Score("Penstock")).add(labels, verdicts, params.warm_up, delays)
    console.print(told)


def point(score: Score) -> plot.Point:
    """Where a way of judging lies in the plot."""
    leaks = [leak for family in tables.BARS for leak in score.families[family].leaks]
    return plot.Point(
        score.name, score.hard_percent(), median(leaks) if leaks else 1.0, score.name == "Penstock"
    )


@click.command()
@click.option(
    "--source", type=click.Choice(("eucore", "enron", "own")), help="Default: eucore if it is there."
)
@click.option("--seed", "seeds", type=int, multiple=True, default=(1,), show_default=True)
@click.option("--accounts", type=click.IntRange(1), help="Ordinary accounts.")
@click.option("--days", type=click.IntRange(36))
@click.option("--cases", type=click.IntRange(1), help="Attacks, and hard cases, of each family.")
@click.option("--policy", type=click.Path(path_type=Path, exists=True), help="Default: an empty file.")
@click.option("--rules-only", is_flag=True, help="The field's rules, without Penstock.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Folder for the corpora; otherwise they are removed."
)
@click.option("--name", default="detection", show_default=True, help="Of the results' files.")
def main(
    source: str | None, seeds: tuple[int, ...], accounts: int | None, days: int | None, cases: int | None,
    policy: Path | None, rules_only: bool, keep: Path | None, name: str,
) -> None:  # fmt: skip
    """Leak and false pauses of Penstock and of the field's rules, over corpora drawn from these seeds."""
    source = source or ("eucore" if (SENDING / "eucore.tsv.gz").exists() else "own")
    if source != "own" and not (SENDING / f"{source}.tsv.gz").exists():
        raise click.ClickException(f"{SENDING} is absent: use --source own")
    p = Params()
    params = replace(p, accounts=accounts or p.accounts, days=days or p.days, cases=cases or p.cases)
    scores: dict[str, Score] = {}
    with ExitStack() as stack:
        base = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="detection-")))
        for seed in seeds:
            one(base / f"{source}-{seed}", params, seed, source, policy, rules_only, scores)
    tables.show(console, list(scores.values()))
    RESULTS.mkdir(parents=True, exist_ok=True)
    title = f"Leak against false pauses: {source}, seeds {', '.join(map(str, seeds))}"
    (RESULTS / f"{name}.svg").write_text(plot.svg(title, [point(score) for score in scores.values()]))
    results = {"source": source, "seeds": seeds, "scores": [score.as_json() for score in scores.values()]}
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    console.print(f"written: {os.path.relpath(RESULTS / name)}.svg and .json")


if __name__ == "__main__":
    main()
