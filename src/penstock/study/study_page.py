"""The report of a study as one HTML file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, tzinfo
from typing import Final

from penstock import __version__
from penstock.core.limits import Unit
from penstock.core.words import count
from penstock.study.findings import UNITS, WINDOW_NAMES, Group, Spread, Study, Threshold, Touched
from penstock.study.html import (
    Column,
    Curve,
    Figure,
    Html,
    Mark,
    Section,
    bars,
    cell,
    curves,
    figures,
    heat,
    join,
    key,
    name,
    note,
    page,
    pre,
    prose,
    side_by_side,
    table,
    tag,
)
from penstock.study.judge import counted
from penstock.study.quantiles import ONE_IN, QUANTILES
from penstock.study.sender_day import Detail
from penstock.study.windows import WINDOWS

MOST_ROWS: Final = 50
MOST_BARS: Final = 100
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ABOUT: Final = {
    "logins": "Clients that logged in.",
    "scripts": "Local users and their scripts.",
    "addresses": "Clients without a login whose mail left to other hosts; forwarded mail is among it.",
}
_TOO_FEW: Final = "–"


def study_page(study: Study, zone: tzinfo) -> str:
    """The whole document; times are told in ``zone``."""
    period = study.period
    begin, end = (datetime.fromtimestamp(at, zone) for at in (period.begin, period.end))
    lead = (
        f"What each sender really sent, from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} "
        f"({period.zone}), and whom a limit would have touched."
    )
    sections = [*(_group(group, zone) for group in study.groups), _volume(study), _policy(study)]
    made_by = f"Made by penstock study {__version__}. This file stands alone and loads nothing."
    title = f"{begin:%-d %B %Y} – {end:%-d %B %Y}"
    return page("Penstock · study of limits", title, lead, _top(study), sections, made_by)


def _top(study: Study) -> Html:
    period = study.period
    found = [
        Figure(
            "Messages", f"{period.messages:,}", f"{period.accepted - period.messages:,} more are nobody's"
        ),
        Figure("Recipients", f"{period.recipients:,}"),
        *(
            Figure(f"Active {group.name}", f"{group.senders:,}", f"{group.sender_days:,} sender-days")
            for group in study.groups
        ),
        Figure("Lines", f"{period.lines:,}", f"{period.unknown_lines:,} not understood"),
    ]
    return join((figures(found), *(note(warning, warning=True) for warning in study.warnings)))


# --- a group ----------------------------------------------------------------------------------


def _group(group: Group, zone: tzinfo) -> Section:
    parts = [
        prose(f"{_ABOUT[group.name]} {_sentence(group)}"),
        key("recipients", "messages"),
        side_by_side(*(_curves(group, window) for window in WINDOWS)),
        note(
            "Share of active sender-days whose busiest window reached so many. A window is any minute, hour "
            "or day that ended on that day. Marked: the limit on recipients that only so few exceed."
        ),
        _limits(group),
        _quantiles(group),
        _touched(group, zone),
    ]
    return Section(group.name.capitalize(), join(parts))


def _sentence(group: Group) -> str:
    hour = group.spread(Unit.RECIPIENTS, WINDOWS[1])
    usual = hour.quantiles["50"]
    if usual is None:
        return "There is too little mail to tell what is usual."
    said = f"On half of their days they reach at most {usual:,} recipients in their busiest hour"
    given = [found for found in hour.thresholds if found.limit is not None]
    if not given:
        return f"{said}."
    rarest = given[-1]
    return f"{said}; at most 1 in {rarest.one_in:,} days goes beyond {rarest.limit:,}."


def _curves(group: Group, window: int) -> Html:
    drawn = [Curve(str(unit), group.spread(unit, window).curve) for unit in UNITS]
    spread = group.spread(Unit.RECIPIENTS, window)
    marks = [
        Mark(found.limit, 1 / found.one_in, f"1 in {found.one_in:,}: {found.limit:,}")
        for found in spread.thresholds
        if found.limit is not None
    ]
    called = WINDOW_NAMES[window]
    summary = f"Most in any {called}: {spread.most:,} recipients. " + "; ".join(mark.label for mark in marks)
    return curves(f"Busiest {called}", summary, drawn, marks, f"recipients or messages in a {called}")


def _limits(group: Group) -> Html:
    columns = [Column("Limit per", number=False), *(Column(f"touches 1 in {n:,}") for n in ONE_IN)]
    rows = [
        [f"{WINDOW_NAMES[spread.window]}, {spread.unit}", *map(_threshold, spread.thresholds)]
        for spread in group.spreads
    ]
    body = table("The smallest limit that touches at most so many sender-days, and whom", columns, rows)
    return join(
        (body, note(f"{_TOO_FEW} stands where there are fewer sender-days than that: it would be a guess."))
    )


def _threshold(found: Threshold) -> Html:
    if found.limit is None:
        return cell(_TOO_FEW)
    return cell(f"{found.limit:,}", f"{count(found.days, 'day')}, {count(found.senders, 'sender')}")


def _quantiles(group: Group) -> Html:
    columns = [Column("Busiest", number=False), *(Column(f"p{percent}") for percent in QUANTILES)]
    rows = [_quantile_row(spread) for spread in group.spreads]
    caption = f"Quantiles over {group.sender_days:,} active sender-days"
    return table(caption, [*columns, Column("most")], rows)


def _quantile_row(spread: Spread) -> list[object]:
    values = [_TOO_FEW if value is None else f"{value:,}" for value in spread.quantiles.values()]
    return [f"{WINDOW_NAMES[spread.window]}, {spread.unit}", *values, f"{spread.most:,}"]


# --- who --------------------------------------------------------------------------------------


def _touched(group: Group, zone: tzinfo) -> Html:
    shown = group.touched[:MOST_ROWS]
    above = f"{count(group.touched_senders, 'sender')} above a limit that touches 1 in 100 sender-days"
    caption = f"{above}; the {len(shown)} most unusual or busiest" if group.touched_senders else "The busiest"
    columns = [Column("Sender and its busiest day", number=False), Column("Days")]
    columns += [Column(f"In {window}") for window in ("a minute", "an hour", "a day")]
    columns += [Column("Each"), Column("Bounced"), Column("Clients")]
    columns += [Column("To", number=False)]
    heading = tag("h3", "Who, and what they were doing")
    words = note(
        "Most recipients in a window, the messages in it and when it ended. Each: recipients per message. "
        "Bounced: of those whose outcome that day is known; late: deferred at first. To: the domains of most "
        "recipients. A guess is only that: it rests on these figures."
    )
    return join((heading, table(caption, columns, [_who(one, zone) for one in shown]), words))


def _who(one: Touched, zone: tzinfo) -> list[object]:
    day = one.busiest
    rare = [f"1 in {one.rarest:,}"] if one.rarest else []
    below = " · ".join([f"{date.fromordinal(day.day):%a %-d %b}", *rare, *one.signs])
    windows = [_window(*peak, zone) for peak in day.peaks]
    known = day.delivered + day.bounced
    return [
        cell(name(one.sender), below, one.guess, good=one.guess == "list or software"),
        cell(f"{one.touched_days:,}", f"of {one.active_days:,} active"),
        *windows,
        f"{day.recipients / day.messages:.1f}",
        cell(
            _share(day.bounced, known), f"{_share(day.deferred, day.recipients)} late" if day.deferred else ""
        ),
        counted(day.clients),
        _domains(day),
    ]


def _domains(day: Detail) -> Html:
    if not day.domains:
        return cell("not known")
    counts = ((name(domain), " ", tag("span", f"{n:,}", class_="soft")) for domain, n in day.domains)
    lines = join(map(join, counts), "<br>")
    more = day.domain_count - len(day.domains)
    return cell(lines, f"and {more:,} more domains" if more > 0 else "")


def _window(recipients: int, messages: int, at: int, zone: tzinfo) -> Html:
    until = datetime.fromtimestamp(at, zone)
    return cell(f"{recipients:,}", f"{messages:,} msg · {until:%H:%M}")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else _TOO_FEW


# --- volume and policy ------------------------------------------------------------------------


def _volume(study: Study) -> Section:
    days: dict[int, int] = {}
    for (day, _), recipients in study.volume.items():
        days[day] = days.get(day, 0) + recipients
    parts = [
        _calendar(days),
        heat("By weekday and hour", _busiest_hour(study), _week(study, days), "recipients"),
    ]
    words = note(f"Recipients of all senders, in the time of {study.period.zone}; hours on average.")
    return Section("Total volume", join((side_by_side(*parts), words)))


def _calendar(days: dict[int, int]) -> Html:
    first, last = min(days), max(days)
    step = 1 if last - first < MOST_BARS else 7
    if step == 7:
        first -= date.fromordinal(first).weekday()
    sums = [
        (f"{date.fromordinal(day):%-d %b}", sum(days.get(day + i, 0) for i in range(step)))
        for day in range(first, last + 1, step)
    ][-5 * MOST_BARS :]
    most = max(sums, key=lambda pair: pair[1])
    summary = f"Most: {most[1]:,} recipients in the {'day' if step == 1 else 'week'} of {most[0]}."
    return bars("By day" if step == 1 else "By week", summary, sums, max(1, -(-len(sums) // 5)))


def _week(study: Study, days: dict[int, int]) -> list[tuple[str, list[float]]]:
    """The mean of each hour over the weekdays that the period holds."""
    sums = [[0] * 24 for _ in _WEEKDAYS]
    for (day, hour), recipients in study.volume.items():
        sums[date.fromordinal(day).weekday()][hour] += recipients
    held = [0] * 7
    for day in range(min(days), min(max(days), min(days) + 36600) + 1):
        held[date.fromordinal(day).weekday()] += 1
    return [
        (weekday, [recipients / max(1, held[i]) for recipients in sums[i]])
        for i, weekday in enumerate(_WEEKDAYS)
    ]


def _busiest_hour(study: Study) -> str:
    (day, hour), recipients = max(study.volume.items(), key=lambda item: item[1])
    return f"The busiest hour of all was {date.fromordinal(day)} {hour:02}:00 with {recipients:,} recipients."


def _policy(study: Study) -> Section:
    return Section("Proposed policy", join(_policy_parts(study)))


def _policy_parts(study: Study) -> Iterator[Html]:
    yield prose(
        "Ready to use, and in shadow mode: it records what it would have refused and refuses nothing. "
        "Read the reasons, take out whom you do not know, then check it and try it on past mail."
    )
    yield pre(study.policy, "Proposed policy file")
