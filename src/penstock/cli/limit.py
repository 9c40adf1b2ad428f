"""``penstock limit``: an exception for one sender; returns when it is durable."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli.common import (
    Duration,
    Sender,
    ask,
    json_option,
    print_json,
    state_option,
    warn_if_not_durable,
)


@click.command()
@click.argument("sender", type=Sender())
@click.option("--recipients", multiple=True, metavar="LIMIT", help="For example 1000/h; may be repeated.")
@click.option("--messages", multiple=True, metavar="LIMIT", help="For example 500/d; may be repeated.")
@click.option(
    "--bytes", "sizes", multiple=True, metavar="LIMIT", help="For example 500MB/d; may be repeated."
)
@click.option(
    "--outcome", "outcomes", multiple=True, metavar="LIMIT", help='For example "unknown-user 100/h".'
)
@click.option("--profile", metavar="NAME", help="Treat the sender by this profile.")
@click.option("--default", is_flag=True, help="Take the exception back.")
@click.option("--for", "seconds", type=Duration(), metavar="DURATION", help="Until then (2h, 7d).")
@click.option("--reason", metavar="TEXT", help="Why; kept with the exception.")
@state_option
@json_option
def limit(
    sender: str,
    recipients: tuple[str, ...],
    messages: tuple[str, ...],
    sizes: tuple[str, ...],
    outcomes: tuple[str, ...],
    profile: str | None,
    default: bool,
    seconds: int | None,
    reason: str | None,
    state: Path | None,
    as_json: bool,
) -> None:
    """Give SENDER other limits than its profile's, or another profile.

    Limits of a unit (recipients, messages, bytes, an outcome) replace all the profile's limits of
    that unit.
    """
    asked: dict[str, object] = {"recipients": recipients, "messages": messages, "bytes": sizes}
    asked |= {"outcomes": outcomes, "profile": profile}
    result = ask(state, "limit", sender=sender, default=default, reason=reason, **asked, **{"for": seconds})
    if as_json:
        print_json(result)
    elif result["override"] is None:
        click.echo(f"{result['sender']}: the limits of its profile hold again")
    else:
        override = result["override"]
        what = ", ".join(
            [*([f"profile {override['profile']}"] if override["profile"] else []), *override["limits"]]
        )
        until = f" until {override['until']}" if override["until"] else ""
        click.echo(f"{result['sender']}: {what}{until}")
    warn_if_not_durable(result)
