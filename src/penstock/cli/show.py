"""``penstock show``: all about one sender, its last week included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import Sender, ask, json_option, print_json, state_option

_LABELS = {
    "recipients": "recipients",
    "messages": "messages",
    "kib": "KiB",
    "refused": "refused by limits",
    "stopped": "refused while paused",
    "shadowed": "would be refused (shadow)",
}
_WEEK = {
    "recipients": "recipients",
    "delivered": "delivered",
    "deferred": "deferred",
    "bounced": "bounced",
    "complaints": "complaints",
    "scored as spam": "spam_scored",
    "logins": "logins",
    "failed": "login_failures",
}
_ALWAYS = ("recipients", "delivered", "deferred", "bounced")


@click.command()
@click.argument("sender", type=Sender())
@state_option
@json_option
def show(sender: str, state: Path | None, as_json: bool) -> None:
    """Show SENDER's standing, counts, limits, last week, refusals and history."""
    result = ask(state, "show", sender=sender)
    if as_json:
        print_json(result)
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(f"{result['sender']} is {result['standing']['sentence']}", style="bold"))
    about = [f"profile {result['profile']}", f"first seen {result['first_seen']}"]
    about += [f"parent {parent}" for parent in result["parents"]]
    about += [f"contact {result['contact']}"] if result["contact"] else []
    console.print(Text(", ".join(about)))
    console.print(_counts(result["counts"]))
    console.print(_limits(result["limits"]))
    console.print()
    console.print(_week(result["week"]))
    if result["origin"]:
        console.print(Text(f"\n{result['origin']}"))
    if result["override"]:
        override = result["override"]
        until = f" until {override['until']}" if override["until"] else ""
        what = ", ".join(filter(None, [override["profile"], *override["limits"]]))
        console.print(Text(f"\nexception: {what}{until} by {override['by']}: {override['why']}"))
    if result["incident"]:
        text = f"\nincident {result['incident']['headline']} (penstock incidents {result['incident']['id']})"
        console.print(Text(text))
    for refusal in result["refusals"][:5]:
        console.print(Text(f"\n{refusal['reference']}  {refusal['sentence']}"))
    for change in result["history"][:10]:
        console.print(Text(_change(change)))


def _counts(counts: dict[str, dict[str, int]]) -> Any:
    from rich.table import Table

    windows = list(counts["recipients"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in windows:
        table.add_column(f"last {name}", justify="right")
    for counter, row in counts.items():
        if counter in ("recipients", "messages") or any(row.values()):
            table.add_row(_LABELS.get(counter, counter), *(str(row[name]) for name in windows))
    return table


def _week(week: list[dict[str, Any]]) -> Any:
    """What became of the mail, the newest day first; days and columns without anything are left out."""
    from rich.table import Table
    from rich.text import Text

    days = [day for day in reversed(week) if day["classes"] or any(day[key] for key in _WEEK.values())]
    if not days:
        return Text("nothing in the last 7 days")
    shown = {name: key for name, key in _WEEK.items() if key in _ALWAYS or any(day[key] for day in days)}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("day (UTC)", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("came back as")
    for day in days:
        classes = sorted(day["classes"].items(), key=lambda pair: -pair[1])
        what = ", ".join(f"{name} {n}" for name, n in classes)
        table.add_row(day["day"], *(str(day[key] or "") for key in shown.values()), what)
    return table


def _limits(limits: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("limit")
    table.add_column("used", justify="right")
    table.add_column("allowed now", justify="right")
    table.add_column("")
    for limit in limits:
        unit = "KiB" if limit["unit"] == "bytes" else limit["unit"]
        shadow = "shadow" if limit["mode"] == "shadow" else ""
        table.add_row(f"{limit['limit']} {unit}", str(limit["used"]), str(limit["allowed"]), shadow)
    return table


def _change(change: dict[str, Any]) -> str:
    from penstock.core.explain import when

    until = f" until {when(change['until'])}" if change["until"] is not None else ""
    before = f"{change['before']} → " if change["before"] else ""
    return (
        f"{when(change['at'])}  {change['what']}: {before}{change['after']}{until}, "
        f"by {change['by']}: {change['why']}"
    )
