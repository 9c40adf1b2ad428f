"""``penstock baseline``: past logs as the first month of a new installation."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.common import json_option, print_json, state_option
from penstock.cli.logs import (
    logs_argument,
    no_mail,
    print_problems,
    print_rows,
    read_line,
    replaying,
    settings_of,
    timezone_option,
    year_option,
)
from penstock.core.words import count

if TYPE_CHECKING:
    from penstock.app.baseline import Baseline
    from penstock.config import Settings


@click.command()
@logs_argument
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              envvar="PENSTOCK_CONFIG", help="The policy file (default: the installed one).")  # fmt: skip
@state_option
@click.option("--anew", is_flag=True, help="In place of what is counted already, which is kept aside.")
@year_option
@timezone_option
@json_option
def baseline(
    logs: tuple[str, ...],
    config: Path | None,
    state: Path | None,
    anew: bool,
    year: int | None,
    timezone: str,
    as_json: bool,
) -> None:
    """Let a new installation know its senders from the first day, by the mail in LOG...

    What is usual for whom, who writes to whom and from where: else that takes two weeks, in which detection
    is careful. LOG is a mail log (plain, .gz, .bz2, .xz, .zst) or a folder of them; four weeks are enough.
    The service must not run meanwhile. Mail that the policy would have stopped teaches nothing, and
    nobody is paused for what is past.
    """
    settings = settings_of(config)
    _refuse_beginnings(settings)
    with closing(_opened(state or settings.state, anew)) as made:
        found = _run(logs, made, settings, year, timezone)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _refuse_beginnings(settings: Settings) -> None:
    for name, source in settings.logs.items():
        if source.from_beginning:
            raise click.ClickException(
                f"logs.{name}.from_beginning: the service would count the same mail again; take it out"
            )


def _opened(folder: Path, anew: bool) -> Baseline:
    from penstock.app.baseline import Baseline, Occupied
    from penstock.app.state import InUse

    try:
        return Baseline(folder, anew, time.time())
    except Occupied:
        raise click.ClickException(
            f"{folder} has counts already. With --anew the logs take their place; then name all logs up to "
            "now"
        ) from None
    except InUse as error:
        raise click.ClickException(f"{error}: stop it first") from None
    except OSError as error:
        raise click.ClickException(str(error)) from None


def _run(
    logs: tuple[str, ...], made: Baseline, settings: Settings, year: int | None, timezone: str
) -> dict[str, Any]:
    from penstock.app.baseline import watching
    from penstock.study.summary import summary_of

    begun = time.perf_counter()
    with replaying(logs, watching(settings), year, timezone, None, made.known) as (reading, done, problems):
        if not done.tally.messages:
            raise no_mail(summary_of(reading, done, problems(), 0.0))
        try:
            aside = made.lay_down(done.senders, done.origins, done.tally.first_at, done.tally.last_at)
        except OSError as error:
            raise click.ClickException(f"{made.folder}: {error.strerror or error}") from None
        found = summary_of(reading, done, problems(), time.perf_counter() - begun)
    found["state"] = str(made.folder)
    found["before"] = str(aside) if aside is not None else None
    return found


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(read_line(found), soft_wrap=True, markup=False)
    console.print(
        f"{found['state']} knows {count(found['senders'], 'sender')} now, by "
        f"{count(found['messages'], 'message')} to {count(found['recipients'], 'recipient')}.",
        soft_wrap=True,
        markup=False,
    )
    if found["before"]:
        console.print(f"What was counted before: {found['before']}", soft_wrap=True, markup=False)
    paused = [one for one in found["incidents"] if one["paused_at"]]
    if paused:
        title = "Left out from when on they would have been paused (penstock replay tells why)"
        print_rows(console, title, [f"{one['sender']}, {one['paused_at']}" for one in paused], "--json")
    print_problems(console, found)
