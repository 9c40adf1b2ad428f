"""``penstock incidents``: senders that looked like somebody else's, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import ask, json_option, print_json, state_option


@click.command()
@click.argument("incident", required=False, metavar="[ID]")
@click.option("--open", "which", flag_value="open", help="Only open ones.")
@click.option("--all", "which", flag_value="all", help="Judged and old ones too (kept for 90 days).")
@click.option("--sender", metavar="TEXT", help="Only of senders whose key contains TEXT.")
@state_option
@json_option
def incidents(
    incident: str | None, which: str | None, sender: str | None, state: Path | None, as_json: bool
) -> None:
    """List incidents that wait for a verdict, or tell all about the one with that ID."""
    if incident is not None:
        result = ask(state, "incident", id=incident)
    else:
        result = ask(state, "incidents", which=which, sender=sender)
    if as_json:
        print_json(result)
    elif incident is not None:
        click.echo(result["text"])
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("incident", "state", "opened (UTC)"):
        table.add_column(name, no_wrap=True)
    table.add_column("sender", overflow="fold")
    for name in ("leak", "stopped"):
        table.add_column(name, justify="right")
    table.add_column("why")
    for row in result["incidents"]:
        style = "yellow" if row["state"].startswith("open") else ""
        more = f" +{row['senders'] - 1}" if row["senders"] > 1 else ""
        why = ", ".join(list(row["signals"])[:4])
        cells = [row["id"], row["state"], row["opened_at"], row["sender"] + more]
        cells += [str(row["leak"]), str(row["stopped"]), why]
        table.add_row(*(Text(cell, style=style) for cell in cells))
    console = Console()
    if not console.is_terminal:
        console = Console(width=600)  # one incident a line for grep and awk
    if result["incidents"]:
        console.print(table)
    click.echo(f"{len(result['incidents'])} shown, {result['known']} known; more: penstock incidents ID")
