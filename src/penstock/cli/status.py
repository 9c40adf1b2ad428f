"""``penstock status``: what the running service is doing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import ask, json_option, print_json, state_option


@click.command()
@state_option
@json_option
def status(state: Path | None, as_json: bool) -> None:
    """Show the running service: version, policy, listeners, traffic, problems."""
    result = ask(state, "status")
    if as_json:
        print_json(result)
    else:
        click.echo("\n".join(_lines(result)))


def _lines(result: dict[str, Any]) -> list[str]:
    policy = f"{result['policy_file'] or 'built-in'}, loaded {result['policy_loaded_at']}"
    lines = [
        f"penstock {result['version']}, process {result['pid']}, since {result['started_at']}",
        f"state {result['state']}, {result['senders']} senders known",
        f"policy {policy}, mode {result['mode']}",
    ]
    for listener in result["listeners"]:
        stages = ", ".join(f"{stage} {n}" for stage, n in listener["stages"].items()) or "no requests yet"
        verbs = "".join(f", {n} × {verb}" for verb, n in listener["verbs"].items())
        lines.append(f"{listener['address']}: {listener['open']} connections open; {stages}{verbs}")
    return lines + [f"PROBLEM: {problem}" for problem in result["problems"]]
