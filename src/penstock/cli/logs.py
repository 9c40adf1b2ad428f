"""What the commands that read past logs share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.study.sources import Progress


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
