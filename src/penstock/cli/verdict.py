"""``penstock verdict``: what an administrator says of an incident; returns when it is durable."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from penstock.cli.common import ask, json_option, print_json, state_option, warn_if_not_durable

_DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])


@click.command()
@click.argument("incident", metavar="ID")
@click.argument("verdict", type=click.Choice(["compromised", "legitimate"]))
@click.option("--learn", type=click.Choice(["sender", "pattern", "profile", "nothing"]), default="sender",
              show_default=True, help="Whom the verdict concerns later on.")  # fmt: skip
@click.option("--until", type=_DATE, metavar="DATE",
              help="How long that holds: 2027-03-01, in UTC [default: 180 days].")  # fmt: skip
@click.option("--note", metavar="TEXT", help="Kept with the verdict.")
@state_option
@json_option
def verdict(
    incident: str,
    verdict: str,
    learn: str,
    until: datetime | None,
    note: str | None,
    state: Path | None,
    as_json: bool,
) -> None:
    """Say of the incident ID whether a stranger sent (compromised) or the owner (legitimate).

    compromised: the sender stays paused until somebody resumes it. legitimate: it goes on at once, and by
    --learn

    \b
    sender   what was seen is not held against it again, up to twice its scale
    pattern  and half as much against all of its customer, or else its profile
    profile  it gets the profile 'newsletter' (or 'professional')
    nothing  nothing is learned
    """
    end = until.replace(tzinfo=UTC).timestamp() if until is not None else None
    asked = {"id": incident, "verdict": verdict, "learn": learn, "until": end, "note": note}
    result = ask(state, "verdict", **asked)
    if as_json:
        print_json(result)
    else:
        more = f" and {result['senders'] - 1} more" if result["senders"] > 1 else ""
        click.echo(f"{result['id']} is judged {result['verdict']}: {result['sender']}{more}")
        click.echo(f"{result['sender']} is {result['standing']}")
        click.echo(f"Learned: {result['lesson']['sentence']}")
    warn_if_not_durable(result)
