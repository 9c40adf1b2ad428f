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
    """Show the running service: version, policy, listeners, traffic, logs, reports, problems."""
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
    for found in result["logs"]:
        lines.append(_log(found))
        lines += [
            f"  not understood, {daemon} {n} times, last: {found['samples'].get(daemon, '')}"
            for daemon, n in found["unknown"].items()
        ]
    if result["reports"]:
        lines.append("reports: " + ", ".join(f"{name} {n}" for name, n in result["reports"].items()))
    return lines + [f"PROBLEM: {problem}" for problem in result["problems"]]


def _log(found: dict[str, Any]) -> str:
    behind = f", {found['bytes_behind']} bytes behind" if found["bytes_behind"] else ""
    return (
        f"log {found['name']}: {found['lines']} lines, {found['understood']} understood, "
        f"{found['ignored']} ignored, {found['foreign']} of other programs{behind}; last line "
        f"{found['silent_for']:.0f} s ago, {found['messages_open']} messages open"
    )
