"""``penstock explain``: what a reference that a customer quotes stands for."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli.common import ask, json_option, print_json, state_option


@click.command()
@click.argument("reference", nargs=-1, required=True)
@state_option
@json_option
def explain(reference: tuple[str, ...], state: Path | None, as_json: bool) -> None:
    """Tell why mail was refused. REFERENCE is as in the error that the customer got: K7F3-9QX2."""
    result = ask(state, "explain", reference=" ".join(reference))
    if as_json:
        print_json(result)
        return
    click.echo(result["sentence"])
    if "standing_now" in result:
        click.echo(f"Its standing now: {result['standing_now']}.")
    if "incident" in result["figures"]:
        click.echo(f"Its incident: penstock incidents {result['figures']['incident']}")
    click.echo(f"More: penstock show {result['sender']}")
