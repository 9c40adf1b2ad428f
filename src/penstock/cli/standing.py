"""``penstock pause | slow | lock | resume``: change a sender's standing; returns when it is durable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import (
    Duration,
    Sender,
    ask,
    json_option,
    print_json,
    reason_option,
    state_option,
    warn_if_not_durable,
)

_sender = click.argument("sender", type=Sender())
_for = click.option("--for", "seconds", type=Duration(), metavar="DURATION", help="Until then (2h, 7d).")


def _change(
    state: Path | None, as_json: bool, sender: str, to: str, reason: str, seconds: int | None, then: str
) -> None:
    arguments: dict[str, Any] = {"sender": sender, "to": to, "reason": reason, "for": seconds, "then": then}
    result = ask(state, "standing", **arguments)
    if as_json:
        print_json(result)
    else:
        click.echo(f"{result['sender']} is {result['sentence']}")
    warn_if_not_durable(result)


@click.command()
@_sender
@reason_option
@_for
@click.option("--then", type=click.Choice(["open", "probation"]), default="open", show_default=True,
              help="What follows when the time is over.")  # fmt: skip
@state_option
@json_option
def pause(
    sender: str, reason: str, seconds: int | None, then: str, state: Path | None, as_json: bool
) -> None:
    """Let nothing from SENDER pass, losing nothing: it is told to try again later.

    SENDER is KIND:NAME, for example login:alice@example.com, ip:192.0.2.7 or customer:4711.
    """
    _change(state, as_json, sender, "paused", reason, seconds, then)


@click.command()
@_sender
@reason_option
@_for
@state_option
@json_option
def slow(sender: str, reason: str, seconds: int | None, state: Path | None, as_json: bool) -> None:
    """Leave SENDER a fraction of its limits (the profile's 'slowed')."""
    _change(state, as_json, sender, "slowed", reason, seconds, "open")


@click.command()
@_sender
@reason_option
@_for
@state_option
@json_option
def lock(sender: str, reason: str, seconds: int | None, state: Path | None, as_json: bool) -> None:
    """Refuse everything from SENDER for good; only an administrator can open it again."""
    _change(state, as_json, sender, "locked", reason, seconds, "probation")


@click.command()
@_sender
@reason_option
@click.option("--probation", "seconds", type=Duration(), metavar="DURATION",
              help="First with a fraction of the limits for that long.")  # fmt: skip
@state_option
@json_option
def resume(sender: str, reason: str, seconds: int | None, state: Path | None, as_json: bool) -> None:
    """Let SENDER send again: ends a pause, a slowing, a probation or a lock."""
    _change(state, as_json, sender, "probation" if seconds else "open", reason, seconds, "open")
