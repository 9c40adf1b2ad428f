"""``penstock replay``: past logs through a policy, before it bites."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from penstock.cli.common import json_option, print_json
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
    from penstock.config import Settings

THE_REST = "--json or --report"
_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command()
@logs_argument
@click.option("--policy", type=_PATH, metavar="FILE", envvar="PENSTOCK_CONFIG",
              help="The policy to try (default: the installed one).")  # fmt: skip
@click.option("--enforce", is_flag=True, help="As if neither rules nor detection were in shadow mode.")
@year_option
@timezone_option
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
        raise no_mail(summary)


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
    from penstock.study.summary import summary_of

    begun = time.perf_counter()
    with replaying(logs, settings, year, timezone, decisions) as (reading, done, problems):
        done.finish()
        return summary_of(reading, done, problems(), time.perf_counter() - begun)


# --- the terminal -----------------------------------------------------------------------------


def _print(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in _head(summary):
        console.print(Text(line), soft_wrap=True)
    paused = [one for one in summary["incidents"] if one["paused_at"]]
    print_rows(console, "Would have been paused", [_paused(one) for one in paused], THE_REST)
    suspects = [one for one in summary["incidents"] if not one["paused_at"]]
    suspects.sort(key=lambda one: -float(one["suspicion"]))
    print_rows(console, "Under suspicion, not paused", [_suspect(one) for one in suspects], THE_REST)
    by_limit = [one for one in summary["limited"] if not one["shadow"]]
    print_rows(console, "Would have been refused by a limit", [one["text"] for one in by_limit], THE_REST)
    shadow = [one for one in summary["limited"] if one["shadow"]]
    print_rows(console, "In shadow mode, so without consequence", [one["text"] for one in shadow], THE_REST)
    print_problems(console, summary)


def _head(summary: dict[str, Any]) -> list[str]:
    delayed = summary["recipients_delayed"]
    later = f", {delayed:,} later than they did" if delayed else ""
    return [
        read_line(summary),
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
