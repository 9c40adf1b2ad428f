"""The speed benchmark: floor, Penstock and its peers side by side. See bench/README.md.

.venv/bin/python bench/speed.py [--quick] [--only NAMES] [--json FILE] [--markdown FILE]
.venv/bin/python bench/speed.py --senders-memory
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

import memory
import native
import report
from contenders import ALL, CONSTANT, EVIDENCE, FLOOR, PENSTOCK, compiled_program, pure_program
from native import Measured
from processes import Contender, Running, StartFailed, private_folder

PACED_RUNS = 3
PACED_RATE = 5000
PAUSE = 0.5  # seconds, for the server before to come to rest
console = Console() if sys.stdout.isatty() else Console(width=160)
Rounds = dict[str, list[Measured]]


def chosen(only: str) -> list[Contender]:
    """The contenders that were asked for, the floor always among them; unknown names are refused."""
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    if unknown := wanted - {it.name for it in ALL}:
        names = ", ".join(it.name for it in ALL)
        raise click.BadParameter(f"unknown: {', '.join(sorted(unknown))} (there are {names})")
    return [it for it in ALL if not wanted or it.name in wanted or it is FLOOR]


def start(contender: Contender, base: Path, stack: ExitStack) -> Running | None:
    """Start a contender in a folder of its own; None, and a sentence, when it cannot take part."""
    reason = contender.absent()
    if reason is None:
        folder = base / contender.name
        folder.mkdir(mode=0o755)
        try:
            return stack.enter_context(contender.start(folder))
        except StartFailed as problem:
            reason = str(problem)
    console.print(f"[yellow]Left out:[/] {contender.label}: {reason}", soft_wrap=True)
    return None


def start_all(contenders: Sequence[Contender], base: Path, stack: ExitStack) -> dict[str, Running]:
    """Start everybody; those who wait for their turn use no CPU."""
    started = {it.name: start(it, base, stack) for it in contenders}
    return {name: running for name, running in started.items() if running is not None}


def play(servers: dict[str, Running], rounds: int, seconds: float, warmup: float) -> Rounds:
    """Measure everybody once in each round, so that a drift of the machine meets all alike."""
    results: Rounds = {name: [] for name in servers}
    for number in range(1, rounds + 1):
        for name, server in servers.items():
            time.sleep(PAUSE)
            run = native.load(server, seconds, warmup)
            results[name].append(run)
            console.print(
                f"round {number}/{rounds}  {name:20} {run.rate:12,.0f}/s  p99 {run.p99_us:10,.0f} µs"
            )
    return results


def paced(contenders: Sequence[Contender], base: Path, seconds: float) -> dict[str, Measured]:
    """The open loop at a fixed rate, latency counted from the time each request was due.

    Each alone beside the load generator (on two cores every other process shows in the tail), three
    times in turn; the run with the middle p99 is told. No peer keeps up with the rate.
    """
    runs: dict[str, list[Measured]] = {}
    for number in range(PACED_RUNS):
        for it in contenders:
            folder = base / f"paced-{number}"
            folder.mkdir(exist_ok=True)
            with ExitStack() as stack:
                server = start(it, folder, stack)
                if server is not None:
                    runs.setdefault(it.label, []).append(native.load(server, seconds, 1.0, rate=PACED_RATE))
    return {
        label: sorted(found, key=lambda run: run.p99_us)[len(found) // 2] for label, found in runs.items()
    }


def summaries(results: Rounds) -> list[report.Summary]:
    """One summary a contender, in the order of the table."""
    return [
        report.summarise(it.label, results[it.name], results[FLOOR.name]) for it in ALL if it.name in results
    ]


def evidence(results: Rounds) -> list[tuple[str, list[Measured], list[Measured]]]:
    """(label, rounds without detection, rounds with it) of each Penstock that ran both ways."""
    labels = {it.name: it.label for it in PENSTOCK}
    return [
        (labels[off], results[off], results[on])
        for off, on in EVIDENCE.items()
        if off in results and on in results
    ]


def publish(part: str, tables: Sequence[report.Rows], facts: str, target: Path | None) -> None:
    """Print the tables, and put them into a Markdown file when one is named."""
    tables = [rows for rows in tables if len(rows) > 1]
    for rows in tables:
        report.show(rows, console)
    console.print(facts, soft_wrap=True)
    if target and tables:
        text = "\n".join(report.markdown(rows) for rows in tables)
        report.replace_part(target, part, f"{text}\n{facts}")


def keep(target: Path | None, values: dict[str, object]) -> None:
    """Write everything measured to a JSON file when one is named."""
    if target:
        target.write_text(json.dumps({"machine": report.machine(), **values}, indent=2) + "\n")


def run_speed(only: str, rounds: int, seconds: float, json_file: Path | None, markdown: Path | None) -> None:
    """The side-by-side run, then the open loop."""
    warmup = min(1.0, seconds / 2)
    with private_folder() as base, ExitStack() as stack:
        servers = start_all(chosen(only), base, stack)
        if FLOOR.name not in servers:
            raise click.ClickException("without the floor there is nothing to compare with")
        results = play(servers, rounds, seconds, warmup)
    steadies = [it for it in (FLOOR, CONSTANT, *PENSTOCK) if it.name in servers]
    with private_folder() as base:
        steady = paced(steadies, base, max(seconds, 2.0))
    found = summaries(results)
    facts = f"{rounds} rounds of {seconds:g} s each, 50 connections, 10,000 senders; {report.machine()}. "
    facts += f"The load generator used up to {report.busiest(results):.0%} of a CPU."
    tables = [report.speed_rows(found), report.evidence_rows(evidence(results)), report.paced_rows(steady)]
    publish("speed", tables, facts, markdown)
    values = {"rounds": report.as_json(results), "paced": {name: asdict(run) for name, run in steady.items()}}
    keep(json_file, {**values, "summary": [asdict(it) for it in found]})


def run_memory(only: str, senders: int, json_file: Path | None, markdown: Path | None) -> None:
    """Memory per sender and start-up time, for each Penstock there is."""
    found = []
    for it in (it for it in chosen(only) if it in PENSTOCK):
        reason = it.absent()
        if reason is None:
            try:
                program = compiled_program() if "compiled" in it.name else pure_program()
                detection = "enforce" if it.name in EVIDENCE.values() else "off"
                found.append(memory.measure(it.label, program, senders, detection))
                continue
            except StartFailed as problem:
                reason = str(problem)
        console.print(f"[yellow]Left out:[/] {it.label}: {reason}", soft_wrap=True)
    publish("memory", [memory.memory_rows(found)], f"{report.machine()}.", markdown)
    keep(json_file, {"memory": [{**asdict(it), "per_sender": it.per_sender} for it in found]})


@click.command()
@click.option("--quick", is_flag=True, help="Two rounds of one second: a check, not a measurement.")
@click.option("--only", default="", help="Names, comma-separated: " + ", ".join(it.name for it in ALL))
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="Measured time of each run.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write everything measured here.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Replace the marked part of this page.")
@click.option("--senders-memory", is_flag=True, help="Memory per sender and start-up time instead.")
@click.option("--senders", default=1_000_000, show_default=True, help="For --senders-memory.")
def main(
    quick: bool,
    only: str,
    rounds: int,
    seconds: float,
    json_file: Path | None,
    markdown: Path | None,
    senders_memory: bool,
    senders: int,
) -> None:
    """Measure Penstock against the floor and its peers."""
    try:
        native.build()
        if senders_memory:
            run_memory(only, senders, json_file, markdown)
        else:
            rounds, seconds = (2, 1.0) if quick else (rounds, seconds)
            run_speed(only, rounds, seconds, json_file, markdown)
    except StartFailed as problem:
        raise click.ClickException(str(problem)) from problem


if __name__ == "__main__":
    main()
