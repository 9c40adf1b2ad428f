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
)

MOST_ROWS: Final = 200

_CANNOT: Final = (
    "A replay cannot know what people would have done: a client that is told to wait tries again, here it "
    "does not. Bounces of mail that would not have passed are left out."
)


def replay_page(summary: dict[str, Any], policy: str) -> str:
    """The whole document, from the summary that ``--json`` prints. ``policy``: which one was tried."""
    title = f"{_day(summary['from'])} – {_day(summary['to'])}"
    lead = f"What the policy {policy} would have done to the mail of this time."
    sections = [_incidents(summary), _limited(summary), _shadow(summary)]
    made_by = f"Made by penstock replay {__version__}. This file stands alone and loads nothing."
    return page("Penstock · replay of a policy", title, lead, _top(summary), sections, made_by)


def _day(moment: str | None) -> str:
    return (moment or "?")[:10]


def _top(summary: dict[str, Any]) -> Html:
    refused, recipients = summary["recipients_refused"], summary["recipients"]
    unknown = sum(summary["lines_unknown"].values())
    found = [
        Figure("Messages", f"{summary['messages']:,}", f"of {summary['senders']:,} senders"),
        Figure("Recipients", f"{recipients:,}"),
        Figure("Would not have passed", f"{refused:,}", f"{refused / max(recipients, 1):.2%} of recipients"),
        Figure(
            "Would have been paused", f"{len({one['sender'] for one in summary['incidents']}):,}", "senders"
        ),
        Figure("Lines", f"{summary['lines']:,}", f"{unknown:,} not understood"),
    ]
    warnings = (note(problem, warning=True) for problem in summary["problems"])
    return join((figures(found), note(_CANNOT), *warnings))


def _incidents(summary: dict[str, Any]) -> Section:
    rows = summary["incidents"]
    if not rows:
        return Section("Paused", prose("Nobody would have been paused."))
    columns = [
        Column("Sender", number=False),
        Column("Paused", number=False),
        Column("Got out before"),
        Column("Stopped"),
    ]
    body = table(
        _caption("Senders that the policy pauses", len(rows)), columns, map(_incident, rows[:MOST_ROWS])
    )
    words = "Got out before: recipients within the day before the pause. Times are UTC."
    return Section("Paused", join((body, note(words))))


def _incident(one: dict[str, Any]) -> list[object]:
    why = "; ".join(reason["text"] for reason in one["reasons"])
    until = f"until {one['released_at']}" if one["released_at"] else "to the end"
    return [
        cell(name(one["sender"]), why),
        cell(one["paused_at"], until),
        f"{one['recipients_before_pause']:,}",
        f"{one['recipients_after_pause']:,}",
    ]


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
        cell(one["from"], f"to {one['to']}"),
        f"{one['recipients_refused']:,}",
    ]


def _caption(text: str, rows: int) -> str:
    return text if rows <= MOST_ROWS else f"{text}; the first {MOST_ROWS} of {rows:,}"
