"""``penstock reload``: have the running service read its policy file again."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli.common import ask, json_option, print_json, state_option


@click.command()
@state_option
@json_option
def reload(state: Path | None, as_json: bool) -> None:
    """Read the policy file again. A wrong file changes nothing and says what is wrong.

    Listeners, the state folder and the directory's database take a restart.
    """
    result = ask(state, "reload")
    if as_json:
        print_json(result)
        return
    click.echo(f"the policy of {result['policy_file']} is in force")
    for warning in result["warnings"]:
        click.echo(f"warning: {warning}", err=True)
