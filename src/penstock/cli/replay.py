"""``penstock replay``: past logs through a policy, before it bites."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from penstock.cli.common import json_option, print_json
from penstock.cli.logs import progress_bar, settings_of
from penstock.core.words import count

if TYPE_CHECKING:
    from penstock.config import Settings

MOST_ROWS = 20
_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--policy", type=_PATH, metavar="FILE", envvar="PENSTOCK_CONFIG",
              help="The policy to try (default: the installed one).")  # fmt: skip
@click.option("--enforce", is_flag=True, help="As if neither rules nor detection were in shadow mode.")
@click.option("--year", type=click.IntRange(1990, 2054), help="Of the first line, where stamps have none.")
@click.option("--timezone", default="", metavar="TZ", help="Of stamps without one (default: this machine's).")
@click.option("--decisions", type=_PATH, metavar="FILE.jsonl",
              help="Write each message that would not have passed at once.")  # fmt: skip
@click.option("--report", type=_PATH, metavar="FILE.html", help="Write a report.")
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

    LOG is a mail log (plain, .gz, .bz2, .xz, .zst), a folder of them, or - for standard input. Nothing is
    changed anywhere, and the running service is not asked.
    """
    settings = settings_of(policy)
    if enforce:
        settings = _enforced(settings)
    with _writing(), ExitStack() as stack:
        # Both now: a long run must not end in a file that cannot be written.
        written = stack.enter_context(_created(decisions)) if decisions is not None else None
        page = stack.enter_context(_created(report)) if report is not None else None
        summary = _run(logs, settings, year, timezone, written)
        if page is not None:
            from penstock.study.replay_page import replay_page

            page.write(replay_page(summary, str(settings.file or "built-in policy")))
    if as_json:
        print_json(summary)
    elif summary["messages"]:
        _print(summary)
    if not summary["messages"]:
        raise click.ClickException(_nothing(summary))


def _enforced(settings: Settings) -> Settings:
    from dataclasses import replace

    from penstock.core.policy import enforced

    return replace(settings, policy=enforced(settings.policy))


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"a result cannot be written: {error.strerror or error}") from None


def _created(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None


def _run(
    logs: tuple[str, ...], settings: Settings, year: int | None, timezone: str, decisions: TextIO | None
) -> dict[str, Any]:
    from penstock.app.parts import blocking_directory, places
    from penstock.study.reading import Reading
    from penstock.study.replay import Replay
    from penstock.study.sources import SourceError, open_sources
    from penstock.study.summary import summary_of
    from penstock.wire.maillog.join import Join
    from penstock.zones import zone_of

    begun = time.perf_counter()
    try:
        directory = blocking_directory(settings)
        with progress_bar() as progress:
            sources = open_sources(logs, progress)
            reading = Reading(sources, zone_of(timezone), year, time.time(), settings.roots)
            done = Replay(settings.policy, directory, decisions)
            done.origins.shared = frozenset(settings.local.shared_users)
            done.journeys.adopt(places(settings))
            with _rare_collections():
                done.feed(reading.events(Join()))
                done.finish()
    except (SourceError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    directory.close()
    problems = [*sources.warnings, *directory.problems.values()]
    return summary_of(reading, done, problems, time.perf_counter() - begun)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Nothing of a replay is garbage in cycles, and to look for it costs a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


# --- the terminal -----------------------------------------------------------------------------


def _print(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in _head(summary):
        console.print(Text(line), soft_wrap=True)
    paused = [one for one in summary["incidents"] if one["paused_at"]]
    _list(console, "Would have been paused", [_paused(one) for one in paused])
    suspects = [one for one in summary["incidents"] if not one["paused_at"]]
    suspects.sort(key=lambda one: -float(one["suspicion"]))
    _list(console, "Under suspicion, not paused", [_suspect(one) for one in suspects])
    by_limit = [one for one in summary["limited"] if not one["shadow"]]
    _list(console, "Would have been refused by a limit", [one["text"] for one in by_limit])
    shadow = [one for one in summary["limited"] if one["shadow"]]
    _list(console, "In shadow mode, so without consequence", [one["text"] for one in shadow])
    for problem in summary["problems"]:
        console.print(Text(f"\nwarning: {problem}", style="yellow"), soft_wrap=True)


def _nothing(summary: dict[str, Any]) -> str:
    lines, foreign = count(summary["lines"], "line"), f"{summary['lines_foreign']:,}"
    return f"no message of any sender in {lines}; {foreign} of other programs{_unknown(summary)}"


def _unknown(summary: dict[str, Any]) -> str:
    told = ", ".join(f"{daemon} {n:,}" for daemon, n in summary["lines_unknown"].items())
    return f"; not understood: {told}" if told else ""


def _head(summary: dict[str, Any]) -> list[str]:
    delayed = summary["recipients_delayed"]
    later = f", {delayed:,} later than they did" if delayed else ""
    return [
        f"{summary['from']} to {summary['to']}: {count(summary['lines'], 'line')} in "
        f"{summary['seconds']:.1f} s{_unknown(summary)}",
        f"{count(summary['messages'], 'message')} of {count(summary['senders'], 'sender')} to "
        f"{count(summary['recipients'], 'recipient')}; "
        f"{summary['recipients_refused']:,} of these would not have passed{later}",
    ]


def _paused(one: dict[str, Any]) -> str:
    end = f"until {one['released_at']}" if one["released_at"] else "to the end of the log"
    return (
        f"{one['sender']} from {one['paused_at']} {end}: {_why(one)}. "
        f"Out before it: {count(one['recipients_before_pause'], 'recipient')}; asked for during the pause: "
        f"{one['recipients_after_pause']:,}."
    )


def _suspect(one: dict[str, Any]) -> str:
    return f"{one['sender']} from {one['opened_at']}: {_why(one)}."


def _why(one: dict[str, Any]) -> str:
    from penstock.study.incident import why

    return why(one)


def _list(console: Any, title: str, rows: list[str]) -> None:
    from rich.text import Text

    if not rows:
        console.print(Text.assemble((f"\n{title}", "bold"), ": nobody"))
        return
    console.print(Text.assemble((f"\n{title}", "bold"), f": {len(rows):,}"))
    for row in rows[:MOST_ROWS]:
        console.print(Text(f"  {row}"), soft_wrap=True)
    if len(rows) > MOST_ROWS:
        console.print(Text(f"  and {len(rows) - MOST_ROWS:,} more: see --json or --report"))
