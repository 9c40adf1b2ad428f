"""The command line. Each command is a file of its own, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from penstock import __version__

COMMANDS: Final = {
    "serve": "penstock.cli.serve:serve",
    "demo": "penstock.cli.demo:demo",
    "setup": "penstock.cli.setup:setup",
    "doctor": "penstock.cli.doctor:doctor",
    "config": "penstock.cli.config:config",
    "status": "penstock.cli.status:status",
    "reload": "penstock.cli.reload:reload",
    "senders": "penstock.cli.senders:senders",
    "show": "penstock.cli.show:show",
    "explain": "penstock.cli.explain:explain",
    "incidents": "penstock.cli.incidents:incidents",
    "verdict": "penstock.cli.verdict:verdict",
    "learned": "penstock.cli.learned:learned",
    "quality": "penstock.cli.quality:quality",
    "classify": "penstock.cli.classify:classify",
    "pause": "penstock.cli.standing:pause",
    "slow": "penstock.cli.standing:slow",
    "lock": "penstock.cli.standing:lock",
    "resume": "penstock.cli.standing:resume",
    "limit": "penstock.cli.limit:limit",
    "queue": "penstock.cli.queue:queue",
    "dkim": "penstock.cli.dkim:dkim",
    "sendmail": "penstock.cli.sendmail:sendmail",
    "report": "penstock.cli.report:report",
    "replay": "penstock.cli.replay:replay",
    "study": "penstock.cli.study:study",
    "baseline": "penstock.cli.baseline:baseline",
    "reference": "penstock.cli.reference:reference",
}
"""Command → where it is, in the order of the help."""


class LazyGroup(click.Group):
    """Imports a command when it is asked for, so that each starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        del ctx
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="penstock")
def main() -> None:
    """Outbound-mail abuse control: limits and pauses senders beside the MTA.

    Shell completion: eval "$(_PENSTOCK_COMPLETE=bash_source penstock)" (or zsh_source, fish_source).
    """
