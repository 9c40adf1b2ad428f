"""``penstock replay``: past logs through a policy, before it bites."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from penstock.cli.common import json_option, print_json

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.study.reading import Reading
    from penstock.study.replay import Replay


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE", help="The policy to try.")
@click.option("--enforce", is_flag=True, help="As if no rule were in shadow mode.")
@click.option("--year", type=click.IntRange(1990, 2054), help="Of the first line, where stamps have none.")
@click.option("--timezone", default="", metavar="TZ", help="Of stamps without one (default: this machine's).")
@click.option(
    "--decisions",
    type=click.Path(path_type=Path),
    metavar="FILE.jsonl",
    help="Write each message that would not have passed at once.",
)
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE.html", help="Write a report.")
@json_option
def replay(
    logs: tuple[str, ...],
    policy: Path | None,
    enforce: bool,
    year: int | None,
    timezone: str,
    decisions: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Tell what a policy would have done to the mail in LOG...

    LOG is a mail log (plain, .gz, .bz2, .xz, .zst), a folder of them, or - for standard input.
    Nothing is changed anywhere; the running service is not asked.
    """
    from penstock.study.summary import summary_of

    settings = _settings(policy, enforce)
    with ExitStack() as stack:
        written = stack.enter_context(_created(decisions)) if decisions is not None else None
        page = stack.enter_context(_created(report)) if report is not None else None
        reading, done, problems = _run(logs, settings, year, timezone, written, stack)
        summary = summary_of(reading, done, problems)
        if page is not None:
            from penstock.study.replay_page import replay_page

            page.write(replay_page(summary, str(settings.file or "built-in policy")))
    if as_json:
        print_json(summary)
    else:
        _print(summary)
    if not summary["messages"]:
        raise click.ClickException(_nothing(summary))


def _settings(policy: Path | None, enforce: bool) -> Settings:
    from dataclasses import replace

    from penstock.config import ConfigError, default_path, load
    from penstock.core.policy import enforced

    try:
        settings = load(policy or default_path())
    except ConfigError as error:
        raise click.ClickException("\n".join(map(str, error.problems))) from None
    return replace(settings, policy=enforced(settings.policy)) if enforce else settings


@contextmanager
def _created(path: Path) -> Iterator[TextIO]:
    try:
        with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
            yield file
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None


def _run(
    logs: tuple[str, ...],
    settings: Settings,
    year: int | None,
    timezone: str,
    decisions: TextIO | None,
    stack: ExitStack,
) -> tuple[Reading, Replay, list[str]]:
    from penstock.app.parts import blocking_directory
    from penstock.study.reading import Reading
    from penstock.study.replay import Replay
    from penstock.study.sources import SourceError, open_sources
    from penstock.wire.maillog.join import Join
    from penstock.zones import zone_of

    try:
        zone = zone_of(timezone)
        directory = blocking_directory(settings)
        sources = open_sources(logs, stack.enter_context(_progress()))
        reading = Reading(sources, zone, year, time.time())
        done = Replay(settings.policy, directory, decisions)
        done.feed(reading.events(Join()))
        done.finish()
    except (SourceError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    directory.close()
    return reading, done, [*sources.warnings, *directory.problems.values()]
