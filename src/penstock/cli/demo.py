"""``penstock demo``: a hosting platform's day in half a minute."""

from __future__ import annotations

import click

from penstock.cli.common import json_option, print_json

INTERRUPTED = 130


@click.command()
@click.option("--seconds", type=click.FloatRange(2, 3600), default=30.0, show_default=True,
              help="Real seconds in which the day passes.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another day.")
@json_option
def demo(seconds: float, seed: int, as_json: bool) -> None:
    """Watch Penstock at work: 200 senders, three of them hijacked, a whole day in half a minute.

    The real service runs on its built-in policy in a temporary folder, is asked through its policy
    socket, as Postfix would, and follows the mail log. Nothing is installed and nothing stays.
    """
    from penstock.demo.run import DemoError, run
    from penstock.demo.screen import screen

    try:
        if as_json:
            found = run(seconds, seed, lambda figures: None)
            print_json(found)
        else:
            with screen(seconds) as view:
                found = run(seconds, seed, view.show)
                view.finish(found)
    except DemoError as error:
        raise click.ClickException(str(error)) from None
    if found["interrupted"]:
        raise SystemExit(INTERRUPTED)
