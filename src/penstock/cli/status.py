"""``penstock status``: what the running service is doing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.common import ask, json_option, print_json, state_option
from penstock.core.words import count

_COUNTED = {"local": "scripts and local users", "all": "everybody", "none": "nobody"}


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
        f"state {result['state']}, {count(result['senders'], 'sender')} known",
        f"policy {policy}, mode {result['mode']}",
    ]
    for listener in result["listeners"]:
        stages = ", ".join(f"{stage} {n}" for stage, n in listener["stages"].items()) or "no requests yet"
        verbs = "".join(f", {n} × {verb}" for verb, n in listener["verbs"].items())
        lines.append(f"{listener['address']}: {listener['open']} connections open; {stages}{verbs}")
    for found in result["logs"]:
        lines += _log(found)
    if result["reports"]:
        lines.append(_reports(result["reports"]))
    if result["queue"]:
        lines.append(_queue(result["queue"]))
    lines += [_professional(name, found) for name, found in result["professional"].items()]
    lines.append(f"acquaintance: {acquaintance(result['acquaintance'])}")
    return lines + [f"PROBLEM: {problem}" for problem in result["problems"]]


def acquaintance(found: dict[str, Any]) -> str:
    """Who has met whom, in words."""
    if not found["pairs"] and found["saved_seconds_ago"] is None:
        return "nobody has met yet"
    ago = found["saved_seconds_ago"]
    saved = "not saved yet" if ago is None else f"saved {ago / 60:.0f} min ago"
    return (
        f"{found['pairs']:,} pairs have met, room for {found['capacity']:,} before the oldest are forgotten; "
        f"learning since {found['learning_since']}, {saved}"
    )


def _log(found: dict[str, Any]) -> list[str]:
    """One log; ``understood`` and ``ignored`` lines are both as they should be."""
    mail = found["understood"] + found["ignored"]
    behind = f", {count(found['bytes_behind'], 'byte')} still to read" if found["bytes_behind"] else ""
    late = f" ({found['lag_seconds']:.0f} s late)" if behind and found["lag_seconds"] else ""
    faults = f", {found['faults']} failed inside: a bug" if found["faults"] else ""
    last = f"last line {found['silent_for']:.0f} s ago" if found["last_line_at"] else "no line yet"
    lines = [
        f"log {found['name']} ({found['source']}): {last}; since the start {count(found['lines'], 'line')}, "
        f"{mail:,} about mail, {found['foreign']:,} of other programs{faults}{behind}{late}",
        f"  {count(found['messages_open'], 'message')} under way; its mail is counted for: "
        f"{_COUNTED[found['counted']]}",
    ]
    return lines + [
        f"  {daemon}: {count(n, 'line')} not understood, for example: {found['samples'].get(daemon, '')}"
        for daemon, n in found["unknown"].items()
    ]


def _reports(found: dict[str, Any]) -> str:
    kept = f"{found['kept']} kept in {found['folder']}/kept" if found["kept"] else "none kept"
    return (
        f"reports since the start: {count(found['received'], 'mail')} taken, {kept}, "
        f"{found['refused']} refused; {count(found['bounces'], 'bounce')} and "
        f"{count(found['complaints'], 'complaint')} counted, "
        f"{count(found['repeated'], 'repeat')} and {count(found['uncounted'], 'other')} not"
    )


def _queue(found: dict[str, Any]) -> str:
    held = f"{count(found['held'], 'message')} on hold ({found['held_bytes'] / 1e6:.1f} MB)"
    oldest = f", the oldest of ours since {found['oldest_at']}" if found["oldest_at"] else ""
    moved = ", ".join(f"{found[name]} {name}" for name in ("frozen", "released", "dropped", "bounced"))
    refused = f", {found['refused']} refused for too much on hold" if found["refused"] else ""
    return f"{found['mta']} queue: {held}{oldest}, {found['releasing']} to be released; {moved}{refused}"


def _professional(name: str, found: dict[str, dict[str, int]]) -> str:
    """One customer's mail since the start."""
    told = {
        what: ", ".join(f"{n} {detail}" for detail, n in figures.items()) for what, figures in found.items()
    }
    parts = (("tag", "tags"), ("signed", "signatures"), ("bulk", "bulk mail to unsubscribe from"))
    known = "; ".join(f"{word}: {told[what]}" for what, word in parts if told[what])
    return f"customer {name}: {known or 'no mail yet'}"
