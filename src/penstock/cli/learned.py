"""``penstock learned``: what verdicts have taught, and taking it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import ask, json_option, print_json, state_option, warn_if_not_durable
from penstock.core.words import count


@click.command()
@click.option("--forget", metavar="ID", help="Take back what the verdict on that incident has taught.")
@state_option
@json_option
def learned(forget: str | None, state: Path | None, as_json: bool) -> None:
    """Show what was learned from which verdict, and how much each signal counts by now."""
    result = ask(state, "learned", forget=forget)
    if as_json:
        print_json(result)
    elif forget:
        click.echo(f"Forgotten: {result['forgotten']['sentence']}")
    else:
        _print(result)
    warn_if_not_durable(result)


def _print(result: dict[str, Any]) -> None:
    for lesson in result["lessons"]:
        said = f" ({lesson['note']})" if lesson["note"] else ""
        click.echo(f"{lesson['incident']}  {lesson['at']}  {lesson['verdict']}, by {lesson['by']}{said}")
        click.echo(f"  {lesson['sentence']}")
        if lesson["steps"]:
            steps = ", ".join(f"{name} {100 * step:+.1f} %" for name, step in lesson["steps"].items())
            click.echo(f"  signals: {steps}")
    factors = ", ".join(f"{name} × {factor:.3f}" for name, factor in sorted(result["factors"].items()))
    click.echo(count(len(result["lessons"]), "lesson") + (f"; signals now: {factors}" if factors else ""))
