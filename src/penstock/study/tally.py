"""What each sender sent, day by day: taken from events, in memory bounded by senders and active days.

A sender-day is a day of the local calendar in which a sender had at least one message accepted. Of each, six
figures stay: most recipients and most messages in any minute, hour and day that ended in it. The rest (to
which domains, from how many addresses, what bounced) is kept for the open day of each sender and, once it
is over, only for the busiest senders.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from penstock.core.events import NOBODY, Accepted, Bounced, Deferred, Delivered, Event, Message
from penstock.core.names import BadSender, Naming, ip_key, login_key, parse_sender
from penstock.study.outside import is_outside
from penstock.study.reading import LATEST
from penstock.study.sender_day import MOST_DISTINCT, Detail, Today, Top, detail_of
from penstock.study.windows import DAY, MOST, WINDOWS, Timeline

GROUPS: Final = {"login": "logins", "uid": "scripts", "script": "scripts", "ip": "addresses"}
"""Kind of sender → the group that it is studied in."""

STRIDE: Final = 1 + 2 * len(WINDOWS)
"""Figures kept of a sender-day: its date as an ordinal, recipients by window, messages by window."""

MOST_SPELLINGS: Final = 50_000
MOST_UNDER_WAY: Final = 20_000
"""Messages without login of which it is remembered that they were counted."""

GRACE: Final = 3600.0
"""Seconds after midnight in which late lines of the day before may still come."""

_CHARGED_LATER: Final = (NOBODY, "ip")

_MOST_COUNT: Final = 1 << 30


class Track:
    """One sender. ``days``: ``STRIDE`` figures for each active day."""

    __slots__ = ("days", "key", "messages", "recipients", "timeline", "today")

    def __init__(self, key: str) -> None:
        self.key = key
        self.days = array("I")
        self.recipients = self.messages = 0
        self.timeline = Timeline()
        self.today: Today | None = None

    def figures(self, measure: int) -> array[int]:
        """One figure of every active day: 0–2 recipients, 3–5 messages by window."""
        return self.days[1 + measure :: STRIDE]

    def dates(self) -> array[int]:
        """The active days as ordinals."""
        return self.days[::STRIDE]


class Tally:
    """All senders by key. ``zone``: where days begin at midnight."""

    def __init__(self, naming: Naming, zone: tzinfo) -> None:
        self.tracks: dict[str, Track] = {}
        self.tops: dict[tuple[str, int], Top] = {}
        self.volume: dict[tuple[int, int], int] = {}
        """(day as an ordinal, hour) → recipients."""
        self.messages = 0
        self.recipients = 0
        self.accepted = 0
        """Messages that the MTA took. Those that are in no sender's count came from outside, or were notices
        and forwards."""
        self.misdated = 0
        """Messages of a time that cannot be meant."""
        self._naming = naming
        self._zone = zone
        self._spelled: dict[tuple[str, str], Track] = {}
        self._open: dict[str, Track] = {}
        self._gone: dict[int, Message] = {}
        self._from = self._to = 0.0
        self._day, self._hour, self._midnight = 0, 0, 0.0
        self._sweep_at = 0.0
        self._handlers: dict[type, Callable[[Any], None]] = {
            Accepted: self._accepted,
            Delivered: self._delivered,
            Deferred: self._deferred,
            Bounced: self._bounced,
        }

    def feed(self, event: Event) -> None:
        """Count one event; others than those of mail say nothing here."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    # --- mail ---------------------------------------------------------------------------------

    def _accepted(self, event: Accepted) -> None:
        self.accepted += 1
        if event.message.kind not in _CHARGED_LATER:
            self._charge(event.message)

    def _charge(self, message: Message) -> None:
        at = message.at
        if not self._from <= at < self._to:
            if not 0 < at < LATEST:
                self.misdated += 1
                return
            self._turn_hour(at)
        n = min(message.recipients, _MOST_COUNT)
        hour = self._day, self._hour
        self.volume[hour] = self.volume.get(hour, 0) + n
        self.messages += 1
        self.recipients += n
        track = self._spelled.get((message.kind, message.name)) or self._track(message)
        today = track.today
        if today is None or today.day < self._day:
            today = self._new_day(track)
        self._count(track, today, message, n)

    def _count(self, track: Track, today: Today, message: Message, n: int) -> None:
        track.recipients += n
        track.messages += 1
        today.recipients += n
        today.messages += 1
        if len(today.clients) < MOST_DISTINCT:
            today.clients.add(message.client_address)
        if len(today.envelopes) < MOST_DISTINCT:
            today.envelopes.add(message.envelope_from)
        track.timeline.add(int(message.at), n)
        if len(track.timeline) > MOST:
            track.timeline.score(today.peaks)
            track.timeline.condense()

    def _left(self, message: Message, relay: str) -> None:
        """Mail of a client without login counts when it leaves to another host: most of it does not,
        because it came from outside for somebody here."""
        if id(message) in self._gone or not is_outside(relay):
            return
        if len(self._gone) >= MOST_UNDER_WAY:
            del self._gone[next(iter(self._gone))]
        self._gone[id(message)] = message
        self._charge(message)

    def _delivered(self, event: Delivered) -> None:
        today = self._ended(event)
        if today is not None:
            today.delivered += 1

    def _bounced(self, event: Bounced) -> None:
        today = self._ended(event)
        if today is not None:
            today.bounced += 1

    def _ended(self, event: Delivered | Bounced) -> Today | None:
        """A recipient's last outcome tells its domain, and that there was one where the log had no number."""
        message = event.message
        if message.kind == "ip":
            self._left(message, event.relay)
        track = self._open_track(message)
        today = track.today if track is not None else None
        if track is None or today is None:
            return None
        today.answered(event.recipient)
        if not message.recipients:
            hour = self._day, self._hour
            self.volume[hour] = self.volume.get(hour, 0) + 1
            self.recipients += 1
            track.recipients += 1
            today.recipients += 1
            track.timeline.add(int(message.at), 1, 0)
        return today

    def _deferred(self, event: Deferred) -> None:
        if event.message.kind == "ip":
            self._left(event.message, event.relay)
        track = self._open_track(event.message)
        if event.first and track is not None and track.today is not None:
            track.today.deferred += 1

    def _open_track(self, message: Message) -> Track | None:
        """The sender, if the message belongs to its open day."""
        track = self._spelled.get((message.kind, message.name))
        today = track.today if track is not None else None
        return track if today is not None and message.at >= today.begin else None

    # --- senders ------------------------------------------------------------------------------

    def _track(self, message: Message) -> Track:
        key = key_of(message.kind, message.name, self._naming)
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = Track(key)
        if len(self._spelled) >= MOST_SPELLINGS + 4 * len(self.tracks):
            self._spelled.clear()
        self._spelled[message.kind, message.name] = track
        return track

    # --- days ---------------------------------------------------------------------------------

    def _turn_hour(self, at: float) -> None:
        """Find out which hour of which local day it is."""
        local = datetime.fromtimestamp(at, self._zone)
        hour = local.replace(minute=0, second=0, microsecond=0)
        self._from = hour.timestamp()
        self._to = self._from + 3600
        self._day, self._hour = local.toordinal(), local.hour
        self._midnight = hour.replace(hour=0, fold=0).timestamp()
        if at >= self._sweep_at:
            self._sweep(at)

    def _new_day(self, track: Track) -> Today:
        if track.today is not None:
            self._close(track)
        track.timeline.forget(int(self._midnight) - DAY)
        track.today = Today(self._day, self._midnight)
        self._open[track.key] = track
        return track.today

    def _sweep(self, at: float) -> None:
        """Close the days that are over, and forget what no window reaches any more."""
        for track in list(self._open.values()):
            if track.today is not None and track.today.day < self._day:
                self._close(track)
            track.timeline.forget(int(at) - DAY)
            if track.today is None and not len(track.timeline):
                del self._open[track.key]
        tomorrow = datetime.fromtimestamp(self._midnight, self._zone) + timedelta(days=1)
        self._sweep_at = tomorrow.timestamp() + GRACE

    def _close(self, track: Track) -> None:
        today = track.today
        assert today is not None
        track.timeline.score(today.peaks)
        figures = [peak.recipients for peak in today.peaks] + [peak.most_messages for peak in today.peaks]
        track.days.append(today.day)
        track.days.extend(min(figure, (1 << 32) - 1) for figure in figures)
        group = GROUPS.get(track.key.partition(":")[0], "scripts")
        detail: Detail | None = None
        for measure, value in enumerate(figures):
            top = self.tops.get((group, measure)) or self.tops.setdefault((group, measure), Top())
            if top.wants(track.key, value):
                detail = detail or detail_of(track.key, today)
                top.put(value, detail)
        track.today = None

    def finish(self) -> None:
        """The logs have ended: so have all days."""
        for track in self._open.values():
            if track.today is not None:
                self._close(track)
        self._open.clear()

    # --- results ------------------------------------------------------------------------------

    def group(self, name: str) -> list[Track]:
        """The senders of a group that were active."""
        return [track for track in self.tracks.values() if track.days and _group(track.key) == name]

    def busiest(self, group: str) -> Iterator[Detail]:
        """All days that are known in full, some of them more than once."""
        for measure in range(STRIDE - 1):
            top = self.tops.get((group, measure))
            if top is not None:
                yield from (detail for _, detail in top.held.values())


def _group(key: str) -> str:
    return GROUPS.get(key.partition(":")[0], "scripts")


def key_of(kind: str, name: str, naming: Naming) -> str:
    """The canonical key of a sender as the log has it."""
    if kind == "login":
        return login_key(name, naming)
    if kind == "ip":
        return ip_key(name)
    try:
        path = parse_sender(f"script:{name}")
    except BadSender:
        path = "script:unknown"
    return kind + path.removeprefix("script")


def histogram(tracks: Iterable[Track], measure: int) -> Counter[int]:
    """How many sender-days had which value of a figure."""
    found: Counter[int] = Counter()
    for track in tracks:
        found.update(track.figures(measure))
    return found
