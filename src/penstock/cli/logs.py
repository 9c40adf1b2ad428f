"""What the commands that read past logs share."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from penstock.cli.common import F
from penstock.core.words import count

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.core.acquaintance import Acquaintance
    from penstock.study.reading import Reading
    from penstock.study.replay import Replay
    from penstock.study.sources import Progress

MOST_ROWS = 20

logs_argument: Callable[[F], F] = click.argument("logs", nargs=-1, required=True, metavar="LOG...")
year_option: Callable[[F], F] = click.option(
    "--year", type=click.IntRange(1990, 2054), help="Of the first line, where stamps have none."
)
timezone_option: Callable[[F], F] = click.option(
    "--timezone", default="", metavar="TZ", help="Of stamps without one (default: this machine's)."
)


def settings_of(file: Path | None) -> Settings:
    """The settings of a policy file, else of the installed one."""
    from penstock.config import ConfigError, default_path, load

    try:
        return load(file or default_path())
    except ConfigError as wrong:
        raise click.ClickException("\n".join(map(str, wrong.problems))) from None


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on standard error, if somebody is looking."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def write_text(path: Path, text: str) -> None:
    """Write a file, or say why not."""
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as wrong:
        raise click.ClickException(f"{path}: {wrong.strerror or wrong}") from None


@contextmanager
def replaying(
    logs: tuple[str, ...],
    settings: Settings,
    year: int | None,
    timezone: str,
    decisions: TextIO | None = None,
    known: Acquaintance | None = None,
) -> Iterator[tuple[Reading, Replay, Callable[[], list[str]]]]:
    """The logs, read and fed to a replay that is not finished yet, and what tells what went wrong."""
    from penstock.app.parts import blocking_directory, places
    from penstock.study.reading import Reading
    from penstock.study.replay import Replay
    from penstock.study.sources import SourceError, open_sources
    from penstock.wire.maillog.join import Join
    from penstock.zones import zone_of

    try:
        directory = blocking_directory(settings)
        with progress_bar() as progress:
            sources = open_sources(logs, progress)
            reading = Reading(sources, zone_of(timezone), year, time.time(), settings.roots)
            done = Replay(settings.policy, directory, decisions, known)
            done.origins.shared = frozenset(settings.local.shared_users)
            done.journeys.adopt(places(settings))
            with _rare_collections():
                done.feed(reading.events(Join()))
                yield reading, done, lambda: [*sources.warnings, *directory.problems.values()]
    except (SourceError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    directory.close()


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Nothing of a replay is garbage in cycles, and to look for it costs a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def read_line(summary: dict[str, Any]) -> str:
    """What was read, on one line."""
    return (
        f"{summary['from']} to {summary['to']}: {count(summary['lines'], 'line')} in "
        f"{summary['seconds']:.1f} s{_unknown(summary)}"
    )


def no_mail(summary: dict[str, Any]) -> click.ClickException:
    """What was read instead of mail."""
    lines, foreign = count(summary["lines"], "line"), f"{summary['lines_foreign']:,}"
    return click.ClickException(
        f"no message of any sender in {lines}; {foreign} of other programs{_unknown(summary)}"
    )


def _unknown(summary: dict[str, Any]) -> str:
    told = ", ".join(f"{daemon} {n:,}" for daemon, n in summary["lines_unknown"].items())
    return f"; not understood: {told}" if told else ""


def print_rows(console: Any, title: str, rows: list[str], more: str) -> None:
    """A list under its title, cut where it becomes long; ``more`` says where the rest is."""
    from rich.text import Text

    if not rows:
        console.print(Text.assemble((f"\n{title}", "bold"), ": nobody"))
        return
    console.print(Text.assemble((f"\n{title}", "bold"), f": {len(rows):,}"))
    for row in rows[:MOST_ROWS]:
        console.print(Text(f"  {row}"), soft_wrap=True)
    if len(rows) > MOST_ROWS:
        console.print(Text(f"  and {len(rows) - MOST_ROWS:,} more: see {more}"))


def print_problems(console: Any, summary: dict[str, Any]) -> None:
    """What went wrong on the way."""
    from rich.text import Text

    for problem in summary["problems"]:
        console.print(Text(f"\nwarning: {problem}", style="yellow"), soft_wrap=True)
