"""``penstock senders``: who sends, who is paused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import ask, json_option, print_json, state_option
from penstock.core.words import count

_STATES = ["open", "slowed", "paused", "probation", "locked"]


@click.command()
@click.argument("match", default="")
@click.option("--standing", type=click.Choice(_STATES), help="Only senders of this standing.")
@click.option("--most", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Rows at most.")
@state_option
@json_option
def senders(match: str, standing: str | None, most: int, state: Path | None, as_json: bool) -> None:
    """List senders whose key contains MATCH: first those that are not open, then the busiest."""
    result = ask(state, "senders", match=match, state=standing, limit=most)
    if as_json:
        print_json(result)
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sender", overflow="fold")
    for name in ("standing", "profile"):
        table.add_column(name)
    for name in ("last hour", "last day", "refused"):
        table.add_column(name, justify="right")
    table.add_column("last seen")
    for row in result["senders"]:
        style = "" if row["state"] == "open" else "yellow"
        figures = (row["hour"], row["day"], row["refused_day"])
        cells = (row["sender"], row["state"], row["profile"], *map(str, figures), row["last_at"] or "")
        table.add_row(*(Text(cell, style=style) for cell in cells))
    console = Console()
    if not console.is_terminal:
        console = Console(width=600)  # one sender a line for grep and awk
    console.print(table)
    shown = len(result["senders"])
    more = f", {shown} shown (--most)" if shown < result["matching"] else ""
    matching = count(result["matching"], "matching sender")
    click.echo(f"{matching} in memory{more}; {result['known']} known in all")
