"""The report of a replay as one HTML file."""

from __future__ import annotations

from typing import Any, Final

from penstock import __version__
from penstock.study.html import (
    Column,
    Figure,
    Html,
    Section,
    cell,
    figures,
    join,
    name,
    note,
    page,
    prose,
    table,
    tag,
)
from penstock.study.incident import why

MOST_ROWS: Final = 200

_CANNOT: Final = (
    "A replay cannot know what people would have done. What is deferred is taken to be tried again as a mail "
    "server does, for a day. Bounces of mail that would not have passed are left out. Times are UTC."
)


def replay_page(summary: dict[str, Any], policy: str) -> str:
    """The whole document, from the summary that ``--json`` prints. ``policy``: which one was tried."""
    title = f"{_day(summary['from'])} – {_day(summary['to'])}"
    lead = f"What the policy {policy} would have done to the mail of this time."
    sections = [_paused(summary), *_suspected(summary), _limited(summary), _shadow(summary)]
    made_by = f"Made by penstock replay {__version__}. This file stands alone and loads nothing."
    return page("Penstock · replay of a policy", title, lead, _top(summary), sections, made_by)


def _day(moment: str | None) -> str:
    return (moment or "?")[:10]


def _time(moment: str) -> str:
    """``2026-01-05T00:00:00Z`` as people read it."""
    return moment[:16].replace("T", " ")


def _since(moment: str, until: str) -> Html:
    """A day that stays on one line, the time below it, and until when."""
    day = tag("span", _day(moment), style="white-space:nowrap")
    return cell(day, f"{moment[11:16]}, {until}")


def _top(summary: dict[str, Any]) -> Html:
    refused, recipients = summary["recipients_refused"], summary["recipients"]
    unknown = sum(summary["lines_unknown"].values())
    stopped = {one["sender"] for one in summary["incidents"] if one["paused_at"]}
    delayed = summary["recipients_delayed"]
    found = [
        Figure("Messages", f"{summary['messages']:,}", f"of {summary['senders']:,} senders"),
        Figure("Recipients", f"{recipients:,}", f"{delayed:,} of them later" if delayed else ""),
        Figure("Would not have passed", f"{refused:,}", f"{refused / max(recipients, 1):.2%} of recipients"),
        Figure("Would have been paused", f"{len(stopped):,}", "sender" if len(stopped) == 1 else "senders"),
        Figure("Lines", f"{summary['lines']:,}", f"{unknown:,} not understood"),
    ]
    warnings = (note(problem, warning=True) for problem in summary["problems"])
    return join((figures(found), note(_CANNOT), *warnings))


def _paused(summary: dict[str, Any]) -> Section:
    rows = [one for one in summary["incidents"] if one["paused_at"]]
    if not rows:
        return Section("Paused", prose("Nobody would have been paused."))
    columns = [
        Column("Sender", number=False),
        Column("Paused", number=False),
        Column("Out"),
        Column("Stopped"),
    ]
    body = table(_caption("In the order of time", len(rows)), columns, map(_pause, rows[:MOST_ROWS]))
    words = (
        "Out: recipients that got mail until the pause, from the first on that was new to the sender in the "
        "day before suspicion. Stopped: recipients asked for during the pause."
    )
    return Section("Paused", join((body, note(words))))


def _pause(one: dict[str, Any]) -> list[object]:
    until = f"until {_time(one['released_at'])}" if one["released_at"] else "to the end of the log"
    return [
        cell(name(one["sender"]), why(one)),
        _since(one["paused_at"], until),
        f"{one['recipients_before_pause']:,}",
        f"{one['recipients_after_pause']:,}",
    ]


def _suspected(summary: dict[str, Any]) -> list[Section]:
    """Who came under suspicion, and was not paused in the end."""
    rows = [one for one in summary["incidents"] if not one["paused_at"]]
    if not rows:
        return []
    rows.sort(key=lambda one: -float(one["suspicion"]))
    columns = [Column("Sender", number=False), Column("Since", number=False)]
    body = table(_caption("Most suspicious first", len(rows)), columns, map(_suspect, rows[:MOST_ROWS]))
    words = "Some of their mail may have been delayed; see the decisions that --decisions writes."
    return [Section("Under suspicion, not paused", join((body, note(words))))]


def _suspect(one: dict[str, Any]) -> list[object]:
    return [cell(name(one["sender"]), why(one)), _since(one["opened_at"], "UTC")]


def _limited(summary: dict[str, Any]) -> Section:
    rows = [one for one in summary["limited"] if not one["shadow"]]
    return Section("Refused by a limit", _stretches(rows, "Nobody would have been refused by a limit."))


def _shadow(summary: dict[str, Any]) -> Section:
    rows = [one for one in summary["limited"] if one["shadow"]]
    return Section("In shadow mode", _stretches(rows, "No rule in shadow mode would have refused anything."))


def _stretches(rows: list[dict[str, Any]], none: str) -> Html:
    if not rows:
        return prose(none)
    columns = [
        Column("Sender", number=False),
        Column("Limit", number=False),
        Column("From", number=False),
        Column("Recipients"),
    ]
    worst = sorted(rows, key=lambda one: -int(one["recipients_refused"]))
    return table(_caption("Worst first", len(rows)), columns, map(_stretch, worst[:MOST_ROWS]))


def _stretch(one: dict[str, Any]) -> list[object]:
    return [
        name(one["sender"]),
        one["limit"],
        _since(one["from"], f"to {_time(one['to'])}"),
        f"{one['recipients_refused']:,}",
    ]


def _caption(text: str, rows: int) -> str:
    return text if rows <= MOST_ROWS else f"{text}; the first {MOST_ROWS} of {rows:,}"
