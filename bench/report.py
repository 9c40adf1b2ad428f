"""Turns the rounds of a run into medians, ratios, a table on the terminal, Markdown and JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from native import Measured

Rows = list[list[str]]


@dataclass(frozen=True)
class Summary:
    """A contender over all rounds: medians, and the ratio of its rate to the floor's of the same round."""

    label: str
    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float | None
    ratio: float | None
    ratio_min: float | None
    ratio_max: float | None
    cpu_ratio: float | None
    answers: dict[str, int]


def ratios(runs: Sequence[Measured], floor: Sequence[Measured]) -> list[float]:
    """The rate of each round against the floor's in that round."""
    return [run.rate / base.rate for run, base in zip(runs, floor, strict=False) if base.rate]


def cpu_ratios(runs: Sequence[Measured], floor: Sequence[Measured]) -> list[float]:
    """The floor's CPU per answer against this contender's, round by round; hardly moved by other load."""
    pairs = [
        (base.cpu_us_per_request, run.cpu_us_per_request) for run, base in zip(runs, floor, strict=False)
    ]
    return [base / own for base, own in pairs if base and own]


def all_answers(runs: Sequence[Measured]) -> dict[str, int]:
    """How often each action was answered, over all rounds."""
    total: dict[str, int] = {}
    for run in runs:
        for action, count in run.answers.items():
            total[action] = total.get(action, 0) + count
    return total


def summarise(label: str, runs: Sequence[Measured], floor: Sequence[Measured]) -> Summary:
    """Condense the rounds of one contender."""
    against, effort = ratios(runs, floor), cpu_ratios(runs, floor)
    cpu = [run.cpu_us_per_request for run in runs if run.cpu_us_per_request is not None]
    return Summary(
        label=label,
        rate=median(run.rate for run in runs),
        p50_us=median(run.p50_us for run in runs),
        p99_us=median(run.p99_us for run in runs),
        cpu_us=median(cpu) if cpu else None,
        ratio=median(against) if against else None,
        ratio_min=min(against, default=None),
        ratio_max=max(against, default=None),
        cpu_ratio=median(effort) if effort else None,
        answers=all_answers(runs),
    )


def duration(us: float) -> str:
    """Microseconds as people read them."""
    return f"{us / 1000:.1f} ms" if us >= 1000 else f"{us:.0f} µs"


def share(ratio: float | None) -> str:
    """A ratio with two digits that matter."""
    return "" if ratio is None else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.4f}"


def speed_rows(summaries: Sequence[Summary]) -> Rows:
    """The main table: header first."""
    rows = [
        [
            "contender",
            "decisions/s",
            "p50",
            "p99",
            "CPU per decision",
            "ratio to floor",
            "min … max",
            "CPU ratio",
        ]
    ]
    for it in summaries:
        spread = f"{share(it.ratio_min)} … {share(it.ratio_max)}" if it.ratio is not None else ""
        cpu = f"{it.cpu_us:.1f} µs" if it.cpu_us is not None else ""
        times = [duration(it.p50_us), duration(it.p99_us)]
        rows.append([it.label, f"{it.rate:,.0f}", *times, cpu, share(it.ratio), spread, share(it.cpu_ratio)])
    return rows


def paced_rows(runs: Mapping[str, Measured]) -> Rows:
    """The open-loop table: header first."""
    rows = [
        [
            "open loop",
            "asked/s",
            "answered/s",
            "p50",
            "p99",
            "p99.9",
            "max",
            "CPU per decision",
        ]
    ]
    for label, run in runs.items():
        times = [duration(value) for value in (run.p50_us, run.p99_us, run.p999_us, run.max_us)]
        cpu = f"{run.cpu_us_per_request:.1f} µs" if run.cpu_us_per_request is not None else ""
        asked = (run.requests + run.waiting) / run.seconds
        rows.append([label, f"{asked:,.0f}", f"{run.rate:,.0f}", *times, cpu])
    return rows


def busiest(rounds: Mapping[str, Sequence[Measured]]) -> float:
    """The largest share of a CPU that the load generator used: near 1 it was a limit itself."""
    return max((run.load_cpu_share for runs in rounds.values() for run in runs), default=0.0)


def machine() -> str:
    """What the figures were measured on, in one line that names nobody."""
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} CPUs, {system}, Python {platform.python_version()}"


def show(rows: Rows, console: Console) -> None:
    """Print a table on the terminal."""
    table = Table(*rows[0])
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)


def markdown(rows: Rows) -> str:
    """A table in Markdown, figures to the right."""
    lines = [rows[0], ["---"] + ["---:"] * (len(rows[0]) - 1), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def replace_part(path: Path, part: str, text: str) -> None:
    """Put `text` between the markers of `part` in a Markdown file, which gets markers when it has none."""
    begin, end = f"<!-- bench:{part}:begin -->", f"<!-- bench:{part}:end -->"
    old = path.read_text() if path.exists() else ""
    if begin not in old or end not in old:
        old = f"{old.rstrip()}\n\n{begin}\n{end}\n".lstrip()
    before, rest = old.split(begin, 1)
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{rest.split(end, 1)[1]}")


def evidence_rows(pairs: Sequence[tuple[str, Sequence[Measured], Sequence[Measured]]]) -> Rows:
    """What evidence adds to the CPU of a decision, from (label, rounds without it, rounds with it)."""
    rows = [["evidence", "CPU without", "CPU with", "it adds", "min … max"]]
    for label, without, with_it in pairs:
        added = [1 / ratio - 1 for ratio in cpu_ratios(with_it, without)]
        if added:
            cpu = [median(run.cpu_us_per_request or 0 for run in runs) for runs in (without, with_it)]
            spread = f"{min(added):.0%} … {max(added):.0%}"
            rows.append([label, *(f"{us:.1f} µs" for us in cpu), f"{median(added):.0%}", spread])
    return rows


def as_json(rounds: Mapping[str, Sequence[Measured]]) -> dict[str, list[dict[str, object]]]:
    """Every round of every contender, for a file."""
    return {name: [asdict(run) for run in runs] for name, runs in rounds.items()}
