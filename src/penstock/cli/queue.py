"""``penstock queue``: mail in the MTA's queue: list, hold, release, drop, show."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from penstock.cli.common import ask, json_option, print_json, state_option
from penstock.core.words import count

_target = click.argument("target", metavar="SENDER|QUEUE_ID")


class _Listing(click.Group):
    """``penstock queue SENDER`` is ``penstock queue list SENDER``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in front that was left out."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Listing)
def queue() -> None:
    """See and change what lies in the MTA's queue. Without a command: list."""


@queue.command("list")
@click.argument("target", metavar="[SENDER]", default="")
@state_option
@json_option
def list_(target: str, state: Path | None, as_json: bool) -> None:
    """List the queue by sender, or the messages of one SENDER."""
    result = ask(state, "queue", do="list", target=target)
    if as_json:
        print_json(result)
    elif target:
        _print_messages(result)
    else:
        _print_senders(result)


@queue.command()
@_target
@state_option
@json_option
def hold(target: str, state: Path | None, as_json: bool) -> None:
    """Put mail on hold. It stays there until somebody releases or drops it.

    TARGET is a queue id, or a sender: all of its mail that is in the queue now.
    """
    _do(state, as_json, "hold", target, "put on hold")


@queue.command()
@_target
@state_option
@json_option
def release(target: str, state: Path | None, as_json: bool) -> None:
    """Let held mail go: one message at once, a sender's mail at the policy's rate.

    It is delivered whatever the sender's standing is, and neither counted nor held again.
    """
    _do(
        state,
        as_json,
        "release",
        target,
        "to be released, at the policy's rate" if ":" in target else "released",
    )


@queue.command()
@_target
@click.option("--bounce", is_flag=True, help="Return it to its envelope sender, which may be forged.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_option
@json_option
def drop(target: str, bounce: bool, yes: bool, state: Path | None, as_json: bool) -> None:
    """Delete mail for good: one message, or all of a sender's mail that is in the queue, held or not."""
    if not yes:
        found = ask(state, "queue", do="list", target=target)
        if not found["matching"]:
            raise click.ClickException(f"no mail of {target} is in the queue")
        what = "returned to its envelope sender" if bounce else "deleted for good"
        them = f"{count(found['matching'], 'message')} of {target} ({_size(found['bytes'])})"
        click.confirm(f"{them} will be {what}. Go on?", abort=True, err=True)
    done = "returned" if bounce else "deleted"
    _do(state, as_json, "bounce" if bounce else "drop", target, done)


@queue.command()
@click.argument("queue_id", metavar="QUEUE_ID")
@state_option
@json_option
def show(queue_id: str, state: Path | None, as_json: bool) -> None:
    """Show one message: header and the beginning of the body."""
    result = ask(state, "queue", do="show", target=queue_id)
    if as_json:
        print_json(result)
        return
    click.echo(f"{result['queue_id']} in {result['instance']}, {_where(result)}")
    click.echo(f"of {result['sender'] or 'an unknown sender'}, arrived {result['arrived_at']}")
    click.echo(f"from <{_safe(result['from'])}> to {_people(result)}, {_size(result['bytes'])}")
    if result["reason"]:
        click.echo(f"waits: {_safe(result['reason'])}")
    click.echo(f"\n{_safe(result['header'])}\n{_safe(result['body'])}")
    if result["cut"]:
        click.echo("[…]")


def _do(state: Path | None, as_json: bool, do: str, target: str, done: str) -> None:
    result = ask(state, "queue", do=do, target=target)
    if as_json:
        print_json(result)
    else:
        more = "" if result["done"] else ": that takes a while and goes on by itself"
        click.echo(f"{done}: {count(result['messages'], 'message')} of {target}{more}")


def _print_senders(result: dict[str, Any]) -> None:
    rows = [
        (
            row["sender"] or "(unknown)",
            str(row["messages"]),
            str(row["held"]),
            str(row["releasing"]),
            _size(row["bytes"]),
            row["oldest_at"],
        )
        for row in result["senders"]
    ]
    _table(("sender", "in queue", "on hold", "releasing", "size", "oldest"), rows)
    click.echo(f"{count(result['messages'], 'message')}, {result['held']} on hold, {_size(result['bytes'])}")


def _print_messages(result: dict[str, Any]) -> None:
    rows = [
        (
            row["queue_id"],
            _where(row),
            row["arrived_at"],
            _size(row["bytes"]),
            _safe(row["from"]),
            _people(row),
        )
        for row in result["messages"]
    ]
    _table(("queue id", "queue", "arrived", "size", "from", "to"), rows)
    shown = len(result["messages"])
    more = f" (the oldest {shown} shown)" if shown < result["matching"] else ""
    them = f"{count(result['matching'], 'message')}{more}"
    click.echo(f"{them}, {result['held']} on hold, {_size(result['bytes'])}")


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console() if sys.stdout.isatty() else Console(width=600)
    console.print(table)


def _where(row: dict[str, Any]) -> str:
    return f"{row['queue']}, to be released" if row["wish"] == "release" else str(row["queue"])


def _people(row: dict[str, Any]) -> str:
    named = ", ".join(map(_safe, row["recipients"]))
    more = row["recipient_count"] - len(row["recipients"])
    return f"{named} and {more} more" if more > 0 else named


def _safe(text: str) -> str:
    """Strangers' text must not steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def _size(n: int) -> str:
    return f"{n / 1e6:.1f} MB" if n >= 100_000 else f"{n / 1e3:.1f} kB"
