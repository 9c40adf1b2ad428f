"""The demonstration on a terminal: one live table; into a file or pipe: a few plain lines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from penstock.core.words import count
from penstock.demo.clock import DAY

Figures = dict[str, Any]

NEXT = (
    ("penstock serve --state DIR", "run the service, no policy file needed"),
    ("penstock setup postfix", "see how Postfix is made to ask it"),
    ("penstock config show", "see the policy that was at work here"),
)


class View(Protocol):
    """Where the figures go."""

    def show(self, figures: Figures) -> None:
        """The figures of this moment."""
        ...

    def finish(self, figures: Figures) -> None:
        """The last figures."""
        ...


@contextlib.contextmanager
def screen(seconds: float) -> Iterator[View]:
    """The view that suits standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        yield Plain(console, seconds)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield LiveTable(live, seconds)
    tell_next(console)


class Plain:
    """Lines for a file: the start, each pause, the end."""

    def __init__(self, console: Console, seconds: float) -> None:
        self._console = console
        self._told: set[str] = set()
        self._say(
            f"A hosting platform's day in {seconds:g} s, through Penstock's policy socket and a mail log."
        )

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def show(self, figures: Figures) -> None:
        """Tell new pauses."""
        for row in figures["paused"]:
            if row["sender"] not in self._told:
                self._told.add(row["sender"])
                self._say(f"{_clock(row['at'])}  {row['sender']} ({row['who']}) paused: {row['why']}")

    def finish(self, figures: Figures) -> None:
        """Tell how it ended."""
        self.show(figures)
        for row in figures["paused"]:
            self._say(
                f"{row['sender']}: {count(row['recipients_before'], 'recipient')} got out before the pause, "
                f"{row['recipients_refused']:,} were stopped after it"
            )
        self._say(f"{_traffic(figures)}; {_speed(figures)}.")
        self._say(_honest(figures))
        for line in _remarks(figures):
            self._say(line)
        tell_next(self._console)


class LiveTable:
    """The live table."""

    def __init__(self, live: Live, seconds: float) -> None:
        self._live = live
        self._seconds = seconds

    def show(self, figures: Figures) -> None:
        """Draw it anew."""
        self._live.update(self._draw(figures), refresh=True)

    def finish(self, figures: Figures) -> None:
        """Leave the last state on the terminal."""
        self._live.update(self._draw(figures, *map(Text, _remarks(figures))), refresh=True)

    def _draw(self, figures: Figures, *below: RenderableType) -> RenderableType:
        blank = Text()
        return Group(
            Text(f"Penstock: a hosting platform's day in {self._seconds:g} s", style="bold"),
            _progress(figures),
            Text(_traffic(figures)),
            Text(_speed(figures)),
            blank,
            _stopped(figures),
            blank,
            Text(_large(figures)),
            Text(_honest(figures), style="bold red" if figures["honest_refused"] else "green"),
            *below,
        )


def _progress(figures: Figures) -> Table:
    done = figures["simulated_seconds"] / DAY
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    bar = ProgressBar(total=1, completed=done)
    at = "24:00" if done >= 1 else _clock(figures["simulated_now"])
    row.add_row(Text(at, style="bold"), bar, f"{done:4.0%}")
    return row


def _stopped(figures: Figures) -> Table:
    """Who was slowed and paused, when and why."""
    table = _table("Recipients of senders slowed and paused", "slowed", "paused", "got out", "stopped")
    paused = {row["sender"]: row for row in figures["paused"]}
    for row in figures["slowed"]:
        stop = paused.get(row["sender"])
        who = Text(row["sender"], style="bold")
        who.append(f"\n{row['who']}", style="not bold")
        who.append(f"\n{_why(stop or row)}", style="not bold dim")
        out = stop["recipients_before"] if stop else row["recipients_passed"]
        refused = stop["recipients_refused"] if stop else row["recipients_refused"]
        at = Text(_clock(stop["at"]), style="bold red") if stop else ""
        table.add_row(who, _clock(row["at"]), at, f"{out:,}", f"{refused:,}")
    if not figures["slowed"]:
        table.add_row(Text("nobody yet", style="dim"))
    return table


def _why(row: Figures) -> str:
    """The heaviest reasons: a terminal of 24 lines must do."""
    why = "; ".join(row["why"].split("; ")[:2])
    again = f"; paused {row['pauses']} times" if row.get("pauses", 1) > 1 else ""
    return f"{why}{again}"


def _large(figures: Figures) -> str:
    """Those whom a crude limit would hurt, in a sentence."""
    each = (
        f"{row['who']} {row['passed']:,}" + (f" ({row['refused']:,} refused)" if row["refused"] else "")
        for row in figures["large"]
    )
    return f"Honest with much mail: {' · '.join(each)}"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold underline", expand=True)
    table.add_column(first, ratio=1)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True, min_width=7)
    return table


def _traffic(figures: Figures) -> str:
    held = f", {figures['held']:,} of them held" if figures["held"] else ""
    return (
        f"{figures['senders']} senders; {figures['passed']:,} recipients passed, "
        f"{figures['refused']:,} deferred{held}"
    )


def _speed(figures: Figures) -> str:
    each = figures["cpu_us_per_decision"]
    cost = f", {each:.0f} µs of CPU each, log included" if each else ""
    return f"{figures['decisions']:,} decisions, {figures['decisions_per_second']:,} a second asked{cost}"


def _honest(figures: Figures) -> str:
    if not figures["honest_refused"]:
        return f"Honest senders hurt: none ({figures['honest_passed']:,} recipients passed, 0 refused)"
    names = [row["sender"] for row in figures["slowed"] if not row["hijacked"]]
    return (
        f"Honest senders hurt: {', '.join(names) or 'some'} ({count(figures['honest_refused'], 'recipient')} "
        f"refused at first, {count(figures['honest_paused'], 'sender')} paused); deferred mail is tried again"
    )


def _remarks(figures: Figures) -> Iterator[str]:
    if figures["interrupted"]:
        yield f"Interrupted at {_clock(figures['simulated_now'])} of the simulated day."
    lag = figures["lag"]
    if lag["too_slow"]:
        yield (
            f"This machine was too slow for that pace: mail was sent up to {lag['most'] / 60:.0f} simulated "
            f"minutes late (on average {lag['mean'] / 60:.0f}), so floods were slower than planned; "
            "try a larger --seconds."
        )
        if lag["unsent"]:
            yield f"Messages still waiting at the end: {lag['unsent']:,}."


def tell_next(console: Console) -> None:
    """Three commands to try next."""
    console.print("\nTry next:")
    for command, what in NEXT:
        console.print(f"  [bold]{command:<28}[/bold]{what}")


def _clock(at: str) -> str:
    """RFC 3339 → ``13:42``."""
    return at[11:16]
