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

_SECONDS = {
    f"{minute:02}:{second:02}": minute * 60.0 + second for minute in range(60) for second in range(61)
}
"""What follows the hour in a stamp, in seconds; a leap second counts as the next minute's first."""
_TO_HOUR, _REST = slice(10), slice(10, None)  # made once: that costs as much as to cut
_HOUR, _CLOCK, _MICROSECOND, _ZONE = slice(14), slice(14, 19), slice(20, 26), slice(26, 33)
_CLASSIC = re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d:\d\d)")
_DATED = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d:\d\d)(?:[.,](\d{1,20}))?"
    r"(Z| ?[+-]\d\d:?\d\d)?(?![^ \]])"
)
_PHP = re.compile(r"(\d\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d):(\d\d:\d\d)(?: ([A-Za-z][\w/+-]*))?")


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
        self._last: datetime | None = None  # the hour of the last classic stamp, without zone
        self._newest = -math.inf
        self._second: datetime | None = None  # the hour of the end of summer time that has come twice
        self._hour = ""
        self._base = 0.0
        self._dated_hour = ""
        self._dated_zone = ""
        self._dated_base = 0.0

    def classic(self, stamp: str) -> float | None:
        """``Jan 27 06:36:56``; None when it is no stamp."""
        seconds = _SECONDS.get(stamp[_REST])
        if stamp[_TO_HOUR] == self._hour:
            return None if seconds is None else self._base + seconds
        return self._new_hour(stamp)

    def _new_hour(self, stamp: str) -> float | None:
        found = _CLASSIC.fullmatch(stamp)
        seconds = _SECONDS.get(found[4]) if found else None
        if found is None or seconds is None:
            return None
        hour = self._placed(MONTHS.get(found[1], 0), int(found[2]), int(found[3]))
        if hour is None:
            return None
        self._last = hour
        base = hour.replace(tzinfo=self.zone).timestamp()
        again = hour.replace(tzinfo=self.zone, fold=1).timestamp()
        if base == again:
            self._hour, self._base = stamp[:10], base
        elif again > base and (hour == self._second or self._newest - (base + seconds) > 1800):
            base, self._second = again, hour
        self._newest = base + seconds
        return self._newest

    def _placed(self, month: int, day: int, hour: int) -> datetime | None:
        """The stamp with its year: that of the line before, or its neighbour around New Year."""
        if self._last is None:
            return self._first(month, day, hour)
        last, year = self._last, self._last.year
        if last.month >= 10 and month <= 3:
            year += 1
        moment = _moment(year, month, day, hour)
        if month == 12 and last.month == 1:
            late = _moment(year - 1, month, day, hour)
            if late is not None and (last - late).total_seconds() <= LATE:
                return late
        return moment

    def _first(self, month: int, day: int, hour: int) -> datetime | None:
        if self._year is not None:
            return _moment(self._year, month, day, hour)
        latest = datetime.fromtimestamp(self._now + DAY, self.zone).replace(tzinfo=None)
        for year in range(latest.year, latest.year - 9, -1):  # the 29th of February may be 8 years ago
            moment = _moment(year, month, day, hour)
            if moment is not None and moment <= latest:
                return moment
        return None

    def precise(self, line: str) -> float | None:
        """A line that begins with ``2026-01-27T06:36:56.123456+01:00 ``, which rsyslog writes; None when
        it does not."""
        if line[_HOUR] == self._dated_hour and line[_ZONE] == self._dated_zone:
            try:
                return self._dated_base + _SECONDS[line[_CLOCK]] + int(line[_MICROSECOND]) / 1e6
            except (KeyError, ValueError):
                return None
        found = self.dated(line) if line[10:11] == "T" else None
        return found[0] if found and found[1] == 32 and line[32:33] == " " else None

    def dated(self, text: str) -> tuple[float, int] | None:
        """A stamp that begins with ``2026-01-27T06:36:56`` (or a space for the ``T``), with or without a
        fraction and a zone (``Z``, ``+01:00``, `` +0100``): seconds since the epoch and where it ends."""
        found = _DATED.match(text)
        seconds = _SECONDS.get(found[3]) if found else None
        if found is None or seconds is None:
            return None
        try:
            hour = datetime.fromisoformat(f"{found[1]}T{found[2]}")
            base = hour.replace(tzinfo=_zone(found[5]) or self.zone).timestamp()
        except (ValueError, OverflowError):
            return None
        if found[5] and len(found[5]) == 6 and found.end() == 32:
            self._dated_hour, self._dated_zone, self._dated_base = text[:14], found[5] + " ", base
        return base + seconds + (float("0." + found[4]) if found[4] else 0.0), found.end()

    def php(self, text: str) -> tuple[float, int] | None:
        """A stamp that begins with ``27-Jan-2026 06:36:56``, with or without a zone: seconds since the epoch
        and where it ends. A zone other than UTC is the server's own name for ``zone``."""
        found = _PHP.match(text)
        if found is None:
            return None
        day, month, year, hour, rest, zone = found.groups()
        seconds = _SECONDS.get(rest)
        moment = _moment(int(year), MONTHS.get(month, 0), int(day), int(hour))
        if seconds is None or moment is None:
            return None
        where = UTC if zone in ("UTC", "GMT", "Z") else self.zone
        return moment.replace(tzinfo=where).timestamp() + seconds, found.end()


def _moment(year: int, month: int, day: int, hour: int) -> datetime | None:
    """None when the calendar has no such time (the 29th of February of most years)."""
    try:
        return datetime(year, month, day, hour)
    except ValueError:
        return None


def _zone(text: str | None) -> tzinfo | None:
    """``Z``, ``+01:00`` or `` +0100``."""
    if not text or text == "Z":
        return UTC if text else None
    digits = text.strip().replace(":", "")
    offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return timezone(-offset if digits[0] == "-" else offset)
