"""From the tally to the findings: distributions, limits, and who is above them."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Final

from penstock.core.limits import Limit
from penstock.study.findings import MEASURES, Group, Spread, Threshold, Touched
from penstock.study.judge import is_regular, judge, usual_day
from penstock.study.quantiles import ONE_IN, QUANTILES, Distribution
from penstock.study.sender_day import Detail
from penstock.study.tally import Tally, Track, histogram
from penstock.study.windows import WINDOWS

Limits = Sequence[int | None]
"""The limit of each measure."""

GROUP_NAMES: Final = ("logins", "scripts", "addresses")
STRICTEST: Final = ONE_IN[0]
"""The limits by which senders are listed; those above the rarer ones are above these, too."""

MOST_TOUCHED: Final = 200
BUSIEST: Final = 10
"""Senders named even when they are above no limit: with little mail, it is they who make the limit."""

FAR_ABOVE: Final = 3
"""Times the limit from which somebody is no ordinary busy person."""

_DAY = len(WINDOWS) - 1


def groups_of(tally: Tally) -> tuple[Group, ...]:
    """The groups that have any sender."""
    found = (_group(name, tally) for name in GROUP_NAMES)
    return tuple(group for group in found if group is not None)


def _group(name: str, tally: Tally) -> Group | None:
    tracks = tally.group(name)
    if not tracks:
        return None
    spreads = tuple(_spread(i, tracks) for i in range(len(MEASURES)))
    limits = [spread.threshold(STRICTEST).limit for spread in spreads]
    details = _busiest_days(tally, name, limits)
    above = [track for track in tracks if _is_above(track, limits)]
    listed = {track.key: track for track in (*above, *_busiest(tracks))}
    touched = [
        _touched(track, spreads, limits, details[key]) for key, track in listed.items() if key in details
    ]
    touched.sort(key=lambda one: (-_severity(one.busiest, limits), one.sender))
    return Group(
        name=name,
        senders=len(tracks),
        sender_days=sum(len(track.dates()) for track in tracks),
        recipients=sum(track.recipients for track in tracks),
        spreads=spreads,
        touched=tuple(touched[:MOST_TOUCHED]),
        touched_senders=len(above),
    )


def _spread(measure: int, tracks: list[Track]) -> Spread:
    unit, window = MEASURES[measure]
    values = Distribution(histogram(tracks, measure))
    highest = Distribution(Counter(max(track.figures(measure)) for track in tracks))
    thresholds = []
    for one_in in ONE_IN:
        limit = values.touching(one_in)
        counts = (values.above(limit), highest.above(limit)) if limit is not None else (0, 0)
        thresholds.append(Threshold(one_in, limit, *counts))
    return Spread(
        unit=unit,
        window=window,
        quantiles={percent: values.quantile(percent) for percent in QUANTILES},
        most=values.most,
        thresholds=tuple(thresholds),
        curve=tuple(values.curve()),
    )


def _is_above(track: Track, limits: Limits) -> bool:
    return any(
        limit is not None and max(track.figures(measure)) > limit for measure, limit in enumerate(limits)
    )


def _busiest(tracks: list[Track]) -> list[Track]:
    return heapq.nlargest(BUSIEST, tracks, key=lambda track: max(track.figures(_DAY)))


def _busiest_days(tally: Tally, group: str, limits: Limits) -> dict[str, Detail]:
    """The day of each sender that is furthest above the limits."""
    found: dict[str, Detail] = {}
    for detail in tally.busiest(group):
        other = found.get(detail.sender)
        if other is None or _severity(detail, limits) > _severity(other, limits):
            found[detail.sender] = detail
    return found


def _severity(day: Detail, limits: Limits) -> float:
    """How many times above the limit on recipients; without limits: the day's recipients."""
    pairs = zip(day.peaks, limits, strict=False)
    return max((peak[0] / limit for peak, limit in pairs if limit), default=float(day.recipients))


def _touched(track: Track, spreads: Sequence[Spread], limits: Limits, busiest: Detail) -> Touched:
    exceeded, touched_days = [], array("I")
    for measure, limit in enumerate(limits):
        days = days_above(track, measure, limit) if limit is not None else array("I")
        if days and limit is not None:
            unit, window = MEASURES[measure]
            exceeded.append((Limit(unit, limit, window), len(days)))
            touched_days.extend(days)
    dates = array("I", sorted(set(touched_days)))
    usual, active = usual_day(track.figures(_DAY)), len(track.dates())
    far = _severity(busiest, limits) >= FAR_ABOVE
    guess, signs = judge(busiest, usual, active, is_regular(dates), far)
    return Touched(
        sender=track.key,
        active_days=active,
        touched_days=len(dates),
        exceeded=tuple(exceeded),
        rarest=_rarest(track, spreads),
        usual=usual,
        busiest=busiest,
        guess=guess,
        signs=signs,
    )


def _rarest(track: Track, spreads: Sequence[Spread]) -> int:
    """One in how many sender-days is like the sender's rarest; 0 when it is above no limit."""
    found = 0
    for measure, spread in enumerate(spreads):
        most = max(track.figures(measure))
        above = (one.one_in for one in spread.thresholds if one.limit is not None and most > one.limit)
        found = max(found, *above, 0)
    return found


def days_above(track: Track, measure: int, limit: int) -> array[int]:
    """The days on which a figure was above the limit, as ordinals, rising."""
    return array(
        "I",
        sorted(
            day for day, value in zip(track.dates(), track.figures(measure), strict=True) if value > limit
        ),
    )
