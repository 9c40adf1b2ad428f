"""The time stamps of log lines as seconds since the epoch.

Classic syslog (RFC 3164 §4.1.2, ``Jan 27 06:36:56``) tells neither year nor zone: the zone is given, the year
is carried along from line to line. RFC 3339 stamps bring their own zone. Neighbouring lines share
their second, hour or day: what was worked out for one is kept for the next, so most cost one comparison.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}
DAY = 86_400.0
LATE = 7 * DAY
"""How far back into the old year an out-of-order line after New Year may lie."""

_SECONDS = {f":{second:02}": float(second) for second in range(61)}
_CLASSIC = re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d)(:\d\d)")
_DATED = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)(?:[.,](\d{1,20}))?"
    r"(?:(Z)| ?([+-])(\d\d):?(\d\d)(?=[ \]]|$))?"
)
_PHP = re.compile(r"(\d\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d):(\d\d)(:\d\d)(?: ([A-Za-z][\w/+-]*))?")


def starting_year(stamps: Iterable[str], zone: tzinfo, now: float) -> int:
    """The year of the first of these classic stamps, such that the last is not in the future of ``now``.
    For whoever can read a log twice; a reader that follows a log needs no such look ahead."""
    clock, last = Clock(2000, zone), None
    for stamp in stamps:
        last = clock.classic(stamp) or last
    today = datetime.fromtimestamp(now + DAY, zone)
    if last is None:
        return today.year
    newest = datetime.fromtimestamp(last, zone)
    this_year = newest.replace(year=2000) <= today.replace(year=2000)
    return 2000 + today.year - newest.year - (0 if this_year else 1)


class Clock:
    """Stamps to seconds since the epoch. Lines come roughly in order.

    ``year``: of the first classic stamp; None: the latest that does not put it later than a day after ``now``
    (seconds since the epoch). ``zone``: of stamps that do not name theirs.
    """

    def __init__(self, year: int | None, zone: tzinfo, now: float = math.inf) -> None:
        if year is None and now == math.inf:
            raise ValueError("without a year the clock must be told what time it is now")
        self.zone = zone
        self._year = year
        self._now = now
        self._last: datetime | None = None  # the last classic stamp's minute, without zone
        self._newest = -math.inf
        self._minute = ""
        self._base: float | None = None
        self._dated_minute = ""
        self._dated_base = 0.0

    def classic(self, stamp: str) -> float | None:
        """``Jan 27 06:36:56``; None when it is no stamp."""
        seconds = _SECONDS.get(stamp[12:15])
        if seconds is None or len(stamp) != 15:
            return self._unpadded(stamp)
        if stamp[:12] != self._minute:
            self._base = self._new_minute(stamp)
            self._minute = stamp[:12]
        return None if self._base is None else self._base + seconds

    def _unpadded(self, stamp: str) -> float | None:
        found = _CLASSIC.fullmatch(stamp)
        if found is None or len(stamp) == 15:
            return None
        month, day, hour, minute, second = found.groups()
        return self.classic(f"{month} {day:>2} {hour}:{minute}{second}")

    def _new_minute(self, stamp: str) -> float | None:
        found = _CLASSIC.fullmatch(stamp)
        month = MONTHS.get(stamp[:3])
        moment = found and month and self._placed(month, int(found[2]), int(found[3]), int(found[4]))
        if not moment:
            return None
        self._last = moment
        at = moment.replace(tzinfo=self.zone).timestamp()
        again = moment.replace(tzinfo=self.zone, fold=1).timestamp()
        if again > at and self._newest - at > 1800:  # summer time has ended: the hour's second pass
            at = again
        self._newest = at
        return at

    def _placed(self, month: int, day: int, hour: int, minute: int) -> datetime | None:
        """The stamp with its year: that of the line before, or its neighbour around New Year."""
        if self._last is None:
            return self._first(month, day, hour, minute)
        last, year = self._last, self._last.year
        if last.month >= 10 and month <= 3:
            year += 1
        moment = _moment(year, month, day, hour, minute)
        if month == 12 and last.month == 1:
            late = _moment(year - 1, month, day, hour, minute)
            if late is not None and (last - late).total_seconds() <= LATE:
                return late
        return moment

    def _first(self, month: int, day: int, hour: int, minute: int) -> datetime | None:
        if self._year is not None:
            return _moment(self._year, month, day, hour, minute)
        latest = datetime.fromtimestamp(self._now + DAY, self.zone).replace(tzinfo=None)
        for year in range(latest.year, latest.year - 9, -1):  # the 29th of February may be 8 years ago
            moment = _moment(year, month, day, hour, minute)
            if moment is not None and moment <= latest:
                return moment
        return None

    def dated(self, text: str) -> tuple[float, int] | None:
        """A stamp that begins with ``2026-01-27T06:36:56`` (or a space for the ``T``), with or without a
        fraction and a zone (``Z``, ``+01:00``, `` +0100``): seconds since the epoch and where it ends."""
        found = _DATED.match(text)
        if found is None:
            return None
        day, minute, second, fraction, utc, sign, hours, minutes = found.groups()
        seconds = _SECONDS.get(second)
        key = text[:16] + (utc or "") + (f"{sign}{hours}{minutes}" if sign else "")
        if key != self._dated_minute:
            try:
                zone = _zone(utc, sign, hours, minutes) or self.zone
                self._dated_base = datetime.fromisoformat(f"{day}T{minute}").replace(tzinfo=zone).timestamp()
            except (ValueError, OverflowError):
                return None
            self._dated_minute = key
        if seconds is None:
            return None
        return self._dated_base + seconds + (float("0." + fraction) if fraction else 0.0), found.end()

    def php(self, text: str) -> tuple[float, int] | None:
        """A stamp that begins with ``27-Jan-2026 06:36:56``, with or without a zone: seconds since the epoch
        and where it ends. A zone other than UTC is the server's own name for ``zone``."""
        found = _PHP.match(text)
        if found is None:
            return None
        day, month, year, hour, minute, second, zone = found.groups()
        seconds = _SECONDS.get(second)
        moment = _moment(int(year), MONTHS.get(month, 0), int(day), int(hour), int(minute))
        if seconds is None or moment is None:
            return None
        where = UTC if zone in ("UTC", "GMT", "Z") else self.zone
        return moment.replace(tzinfo=where).timestamp() + seconds, found.end()


def _moment(year: int, month: int, day: int, hour: int, minute: int) -> datetime | None:
    """None when the calendar has no such time (the 29th of February of most years)."""
    try:
        return datetime(year, month, day, hour, minute)
    except ValueError:
        return None


def _zone(utc: str | None, sign: str | None, hours: str, minutes: str) -> tzinfo | None:
    if utc:
        return UTC
    if not sign:
        return None
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)
