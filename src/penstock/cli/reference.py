"""``penstock reference``: the references of commands and metrics, written from the code."""

from __future__ import annotations

from collections.abc import Iterator

import click


@click.command()
@click.argument("what", type=click.Choice(["commands", "metrics"]))
def reference(what: str) -> None:
    """Print the reference of all commands or of all metrics as Markdown."""
    lines = _commands() if what == "commands" else _metrics()
    click.echo("\n".join(lines).rstrip())


def _commands() -> Iterator[str]:
    from penstock.cli import main

    yield from ("# Commands", "", "Written by `penstock reference commands`.", "")
    context = click.Context(main, info_name="penstock", help_option_names=["-h", "--help"])
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        if command is not None:
            yield from _command(command, context, name)


def _command(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=96, max_content_width=96)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _command(found, context, child)
        return
    yield from (f"## {context.command_path}", "", "```", command.get_help(context), "```", "")


def _metrics() -> Iterator[str]:
    from penstock.app.metrics import METRICS

    yield from ("# Metrics", "", "Written by `penstock reference metrics`. Counters end in `_total`.", "")
    yield from ("| metric | kind | labels | meaning |", "|---|---|---|---|")
    for metric in METRICS:
        end = "_total" if metric.kind == "counter" else ""
        labels = ", ".join(metric.labels)
        yield f"| `penstock_{metric.name}{end}` | {metric.kind} | {labels} | {metric.text} |"
