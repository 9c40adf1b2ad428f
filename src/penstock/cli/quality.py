"""``penstock quality``: how good detection has been, by the verdicts given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import ask, json_option, print_json, state_option
from penstock.core.words import count

_COLUMNS = (
    "incidents",
    "compromised",
    "legitimate",
    "unjudged",
    "false pauses",
    "delay",
    "leak",
    "p95",
    "held",
)


@click.command()
@click.option("--months", type=click.IntRange(1, 3), default=3, show_default=True,
              help="How far back; closed incidents are kept for 90 days.")  # fmt: skip
@state_option
@json_option
def quality(months: int, state: Path | None, as_json: bool) -> None:
    """Show per month and per signal: incidents, verdicts, false pauses, delay, leak, time held.

    Delay is from the day's first new recipient to the pause, leak the new recipients that got through, both
    the median of what was judged compromised. Held is how long senders judged legitimate were slowed or
    paused. What has no verdict counts in neither.
    """
    result = ask(state, "quality", months=months)
    if as_json:
        print_json(result)
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=600, highlight=False)
    console.print(_table("month", result["months"] | {"all": result["total"]}))
    console.print()
    console.print(_table("signal", result["signals"]))
    waiting = result["total"]["unjudged"]
    if waiting:
        them = count(waiting, "incident has", "incidents have")
        click.echo(f"\n{them} no verdict: penstock incidents --all")


def _table(first: str, rows: dict[str, dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    has_factor = any("factor" in row for row in rows.values())
    if has_factor:
        table.add_column("factor", justify="right")
    for name, row in rows.items():
        cells = [
            str(row[key]) for key in ("incidents", "compromised", "legitimate", "unjudged", "false_pauses")
        ]
        cells += [_duration(row["delay_median"]), _number(row["leak_median"]), _number(row["leak_p95"])]
        cells.append(_duration(row["held_median"]))
        table.add_row(name, *cells, *([f"{row['factor']:.3f}"] if has_factor else []))
    return table


def _number(n: float | None) -> str:
    return "–" if n is None else f"{n:.0f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"
