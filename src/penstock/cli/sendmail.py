"""``penstock sendmail``: the wrapper before sendmail(1), for trying it out."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]}, add_help_option=True
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def sendmail(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Tell syslog who hands in a message, then become the real sendmail with these ARGUMENTS.

    Where it is called for every message, use penstock-sendmail, which does the same and starts faster.
    """
    from penstock.sendmail import run

    context.exit(run("sendmail", list(arguments)))
