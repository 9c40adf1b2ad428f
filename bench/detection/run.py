"""The detection benchmark: corpora, replay, table and plot. See docs/detection-bench.md.

.venv/bin/python -m bench.detection.run [--source eucore|enron|own] [--seed N]... [--accounts N] [--days N]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import click
from bench.detection import plot, tables
from bench.detection.corpus import make
from bench.detection.params import Params
from bench.detection.replay import replayed
from bench.detection.score import Labels, Score
from bench.detection.streams import SENDING
from rich.console import Console

RESULTS = Path(__file__).parents[1] / "results"
console = Console() if sys.stdout.isatty() else Console(width=200)


@dataclass(frozen=True)
class Run:
    """What is run over each corpus, and all figures so far."""

    params: Params
    source: str
    policy: Path | None
    requests: bool
    rules_only: bool
    scores: dict[str, Score] = field(default_factory=dict)

    def corpus(self, folder: Path, seed: int) -> None:
        """Make a corpus, replay it, add it to the scores."""
        begun = time.perf_counter()
        corpus = make(folder, self.params, seed, self.source, self.requests)
        labels = Labels.read(folder)
        for name, verdicts in corpus.verdicts.items():
            self.scores.setdefault(name, Score(name)).add(labels, verdicts, self.params.warm_up)
        told = f"{corpus.lines:,} lines, {corpus.messages:,} messages in {time.perf_counter() - begun:.0f} s"
        console.print(f"{self.source}, seed {seed}: {told}")
        if not self.rules_only:
            self._replay(folder, labels, self.scores.setdefault("Penstock", Score("Penstock")))

    def _replay(self, folder: Path, labels: Labels, score: Score) -> None:
        begun = time.perf_counter()
        verdicts, delays, unknown = replayed(folder, self.policy)
        score.add(labels, verdicts, self.params.warm_up, delays)
        told = f"  replayed in {time.perf_counter() - begun:.0f} s"
        console.print(f"{told}, {unknown:,} lines not understood")

    def show(self) -> None:
        """Tables and plot on the terminal."""
        tables.show(console, list(self.scores.values()))
        console.print(
            plot.text([point(score) for score in self.scores.values()]), markup=False, soft_wrap=True
        )

    def write(self, name: str, seeds: tuple[int, ...]) -> None:
        """Figures and plot as files."""
        RESULTS.mkdir(parents=True, exist_ok=True)
        title = f"Leak against false pauses: {self.source}, seeds {', '.join(map(str, seeds))}"
        (RESULTS / f"{name}.svg").write_text(
            plot.svg(title, [point(score) for score in self.scores.values()])
        )
        results = {
            "source": self.source,
            "seeds": seeds,
            "scores": [score.as_json() for score in self.scores.values()],
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
        console.print(f"written: {os.path.relpath(RESULTS / name)}.svg and .json")


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
@click.option("--requests", is_flag=True, help="Keep what Postfix asked about the mail, too: requests.txt.")
@click.option("--name", default="detection", show_default=True, help="Of the results' files.")
def main(
    source: str | None, seeds: tuple[int, ...], accounts: int | None, days: int | None, cases: int | None,
    policy: Path | None, rules_only: bool, keep: Path | None, requests: bool, name: str,
) -> None:  # fmt: skip
    """Leak and false pauses of Penstock and of the field's rules, over corpora drawn from these seeds."""
    source = source or ("eucore" if (SENDING / "eucore.tsv.gz").exists() else "own")
    if source != "own" and not (SENDING / f"{source}.tsv.gz").exists():
        raise click.ClickException(f"{SENDING} is absent: use --source own")
    if requests and keep is None:
        raise click.UsageError("--requests needs --keep: without it the corpora are removed")
    p = Params()
    params = replace(p, accounts=accounts or p.accounts, days=days or p.days, cases=cases or p.cases)
    run = Run(params, source, policy, requests, rules_only)
    with ExitStack() as stack:
        base = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="detection-")))
        for seed in seeds:
            run.corpus(base / f"{source}-{seed}", seed)
    run.show()
    run.write(name, seeds)


if __name__ == "__main__":
    main()
