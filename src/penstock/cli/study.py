"""``penstock study``: what senders really send, and which limits would touch whom."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.common import json_option, print_json
from penstock.cli.logs import progress_bar, settings_of, write_text
from penstock.core.words import count

if TYPE_CHECKING:
    from datetime import tzinfo

    from penstock.config import Settings
    from penstock.study.findings import Group, Study, Threshold, Touched

MOST_ROWS = 10
_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--report", type=_PATH, metavar="FILE.html", help="Write a report with plots.")
@click.option("--propose", type=_PATH, metavar="FILE.toml", help="Write the proposed policy to a new file.")
@click.option("--config", type=_PATH, metavar="FILE", envvar="PENSTOCK_CONFIG",
              help="The policy file with the [names] of accounts (default: the installed one).")  # fmt: skip
@click.option("--year", type=click.IntRange(1990, 2054), help="Of the first line, where stamps have none.")
@click.option("--timezone", default="", metavar="TZ",
              help="Of stamps without one, and of days (default: this machine's).")  # fmt: skip
@json_option
def study(
    logs: tuple[str, ...],
    report: Path | None,
    propose: Path | None,
    config: Path | None,
    year: int | None,
    timezone: str,
    as_json: bool,
) -> None:
    """Study what the senders in LOG... really send, and propose limits.

    LOG is a mail log (plain, .gz, .bz2, .xz, .zst), a folder of them, or - for standard input. Told are the
    busiest minute, hour and day of each sender's days, the limits that would touch 1 in 100, 1,000 and
    10,000 of them, who would have been touched and what it was doing, and a policy to begin with.
    """
    if propose is not None and propose.exists():
        raise click.ClickException(f"{propose}: is there already; name a new file")
    _check_folders(report, propose)
    found, zone = _studied(logs, settings_of(config), year, timezone)
    if report is not None:
        from penstock.study.study_page import study_page

        write_text(report, study_page(found, zone))
    if propose is not None:
        write_text(propose, found.policy)
    if as_json:
        from penstock.study.export import as_json as exported

        print_json(exported(found))
    else:
        _print(found, zone, report, propose)


def _check_folders(*files: Path | None) -> None:
    """Who cannot write there shall know before an hour has passed."""
    for file in files:
        if file is not None and not os.access(file.absolute().parent, os.W_OK | os.X_OK):
            raise click.ClickException(f"{file}: cannot be written in that folder")


def _studied(
    logs: tuple[str, ...], settings: Settings, year: int | None, timezone: str
) -> tuple[Study, tzinfo]:
    from penstock.config import load
    from penstock.study.run import NothingToStudy
    from penstock.study.run import study as studied
    from penstock.study.sources import SourceError, open_sources
    from penstock.zones import zone_of

    builtin = load(None).policy
    try:
        zone = zone_of(timezone)
        with progress_bar() as progress:
            sources = open_sources(logs, progress)
            found = studied(sources, zone, year, time.time(), settings.policy.naming, builtin)
    except (SourceError, NothingToStudy, ValueError) as wrong:
        raise click.ClickException(str(wrong)) from None
    return found, zone


# --- the terminal -----------------------------------------------------------------------------


def _print(found: Study, zone: tzinfo, report: Path | None, propose: Path | None) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in _head(found, zone):
        console.print(Text(line), soft_wrap=True)
    for group in found.groups:
        said = f"{group.senders:,} active, {count(group.sender_days, 'sender-day')}"
        console.print(Text.assemble((f"\n{group.name.capitalize()}", "bold"), f": {said}"))
        console.print(_limits(group))
        console.print()
        console.print(_touched(group))
    for warning in found.warnings:
        console.print(Text(f"\nwarning: {warning}", style="yellow"), soft_wrap=True)
    for line in _next(report, propose):
        console.print(Text(line), soft_wrap=True)


def _head(found: Study, zone: tzinfo) -> Iterator[str]:
    from datetime import datetime

    period = found.period
    begin, end = (datetime.fromtimestamp(at, zone) for at in (period.begin, period.end))
    yield (
        f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({period.zone}): {count(period.lines, 'line')}, "
        f"{period.unknown_lines:,} not understood"
    )
    yield (
        f"{count(period.messages, 'message')} to {count(period.recipients, 'recipient')}; "
        f"{period.accepted - period.messages:,} more from outside or notices, charged to nobody"
    )


def _limits(group: Group) -> Any:
    """What is usual, and the limits; a dash stands where there is too little data."""
    from penstock.study.findings import WINDOW_NAMES

    table = _table("busiest", "median", "p99", "most", "1 in 100", "1 in 1,000", "1 in 10,000")
    for spread in group.spreads:
        usual = [spread.quantiles["50"], spread.quantiles["99"], spread.most]
        table.add_row(
            f"{spread.unit} per {WINDOW_NAMES[spread.window]}",
            *("–" if value is None else f"{value:,}" for value in usual),
            *map(_threshold, spread.thresholds),
        )
    return table


def _threshold(found: Threshold) -> str:
    return "–" if found.limit is None else f"{found.limit:,} ({found.days:,})"


def _touched(group: Group) -> Any:
    from rich.text import Text

    table = _table(
        "most unusual or busiest", "days", "minute", "hour", "day", "per msg", "bounced", "clients"
    )
    for one in group.touched[:MOST_ROWS]:
        table.add_row(_who(one), *_figures(one))
    if len(group.touched) > MOST_ROWS:
        above = count(group.touched_senders, "sender")
        table.add_row(Text(f"{above} above 1 in 100: more with --report or --json", style="dim"))
    return table


def _who(one: Touched) -> Any:
    from datetime import date

    from rich.text import Text

    who = Text(one.sender, style="bold", overflow="fold")
    if one.guess:
        style = "bold red" if one.guess == "hijacked?" else "green"
        who.append(f" {one.guess}", style=style)
    day = one.busiest
    domains = ", ".join(name for name, _ in day.domains)
    said = [f"{date.fromordinal(day.day):%a %-d %b}", *one.signs, *([f"to {domains}"] if domains else [])]
    who.append(f"\n{', '.join(said)}", style="not bold dim")
    return who


def _figures(one: Touched) -> list[str]:
    from penstock.study.judge import counted

    day = one.busiest
    known = day.delivered + day.bounced
    return [
        f"{one.touched_days}/{one.active_days}",
        *(f"{recipients:,}" for recipients, _, _ in day.peaks),
        f"{day.recipients / day.messages:.1f}",
        f"{day.bounced / known:.0%}" if known else "–",
        counted(day.clients),
    ]


def _table(first: str, *others: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold underline")
    table.add_column(first, min_width=24)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _next(report: Path | None, propose: Path | None) -> Iterator[str]:
    yield "\nIn brackets: sender-days that the limit would have touched. –: too few sender-days to tell."
    if report is not None:
        yield f"Report: {report}"
    if propose is not None:
        yield f"Proposed policy: {propose} (penstock config check {propose})"
    else:
        yield "A policy with limits like these: --propose FILE.toml"
