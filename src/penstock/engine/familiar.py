"""Who knows whom, and what is whose: a sender's recipients, client networks and envelope senders."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from itertools import islice
from typing import Final

from penstock.core.acquaintance import Acquaintance, kind_of
from penstock.core.evidence import Usual
from penstock.core.freemail import FREEMAIL
from penstock.core.habit import QUARTER, Habit, habit_of
from penstock.core.ledger import Counter
from penstock.core.sender import Sender, Watch
from penstock.engine.book import Book
from penstock.engine.fingerprints import Fingerprints
from penstock.engine.journeys import Journeys
from penstock.engine.networks import Networks, networks_of, wide_of
from penstock.engine.roster import Roster

DAY: Final = 86400
SUSPECT: Final = 7 * DAY
"""Seconds after a suspicion in which nothing is learned of a sender's networks and names."""

BORNE_OUT: Final = 0.05
"""Of the new recipients of a suspect's week: more than one, and so many dead ones, are no honest list's."""

REGULAR: Final = 30
"""Days within which the use of a network shows that it is the sender's own: many write once a week."""

YOUNG: Final = 7 * DAY
"""Seconds of an installation in which networks are their senders' own when they are first seen."""

COLD: Final = 14.0
"""Days in which an installation learns who writes to whom, and a new customer brings its
correspondents."""

PAUSE: Final = 3600
"""Seconds after which a message begins a new run."""

BEATS: Final = 4
"""Steady messages are counted by so many: that costs a fourth."""

MOST_PACES: Final = 20_000
"""Logins whose pace is remembered, those that wrote to somebody new last."""

COLD_FACTOR: Final = 6.0
NEW_FACTOR: Final = 2.0

REACHED: Final = kind_of("reached")
"""Kinds of pairs: who has got mail through to whom (without a sender: anybody here)."""
DIED: Final = kind_of("died")
"""Whose mail an address has bounced."""
_ASKED: Final = kind_of("asked")
_ENVELOPE: Final = kind_of("envelope")
_ENVELOPE_DAY: Final = kind_of("envelope day")
_ENVELOPE_TODAY: Final = kind_of("new envelope day")
_NETWORK: Final = kind_of("network")
_NETWORK_DAY: Final = kind_of("network day")
_NETWORK_TODAY: Final = kind_of("new network day")
_NETWORK_KNOWN_DAY: Final = kind_of("network day with known recipients")
_HAS_NETWORK: Final = kind_of("has a network")
_DAYS: Final = kind_of("days") | 1
_ALL: Final = (1 << 64) - 1


def _on(day: int) -> int:
    """The number of a day (since the epoch)."""
    return day * _DAYS & _ALL


class Familiar:
    """What is usual for the senders of one node. ``suspects``: keys of senders of whom nothing is learned.
    ``suspected``: tells from when to when (seconds) a sender was last under suspicion, None for one that
    never was, or wrongly; ``granted``: (sender, wide network) whose own it is by somebody's word."""

    def __init__(
        self, roster: Roster, book: Book, acquaintance: Acquaintance, suspects: Container[str]
    ) -> None:
        self.networks = Networks()
        self.journeys = Journeys()
        self._paces: dict[str, tuple[int, int, int]] = {}
        self._quarter = 0
        self._begun: set[str] = set()
        self.texts = Fingerprints(acquaintance, roster, book)
        self._known = acquaintance
        self._roster = roster
        self._book = book
        self._suspects = suspects
        self.suspected: Callable[[str], tuple[float, float] | None] = lambda key: None
        self.granted: Container[tuple[str, str]] = ()

    def number_of(self, sender: Sender) -> int:
        """The sender's part in a pair."""
        if not sender.number:
            sender.number = self._known.number(f"sender {sender.key}") or 1
        return sender.number

    def ask(self, sender: Sender, address: str, number: int, second: int) -> bool:
        """Count a recipient that is new to it; whether this is the first time it writes there. ``number``: of
        the address."""
        if self._known.meet(_ASKED ^ self.number_of(sender) ^ number):
            return False
        self._count_novel(sender, address, number, second)
        return True

    def meet(self, sender: Sender, address: str, envelope_from: str, at: float) -> str:
        """A message of it, not counted yet: from where, and under which name? The client's network if it is
        not its own, else ""."""
        domain = envelope_from.rpartition("@")[2].lower()
        if domain:
            self._sign(sender, domain, int(at))
        if not address or sender.kind != "login":
            return ""
        found = self._come_from(sender, address, at)
        self.journeys.move(sender.key, address, at, bool(found))
        return found

    def _sign(self, sender: Sender, name: str, second: int) -> None:
        """The domain of an envelope sender is usual from the day after its first use on, if that was without
        suspicion."""
        known, day = self._known, second // DAY
        pair = self.number_of(sender) ^ known.number(name)
        learns = self._learns(sender, second)
        if known.knows(_ENVELOPE ^ pair) or (learns and self._used_before(_ENVELOPE_DAY ^ pair, day, 1)):
            known.meet(_ENVELOPE ^ pair)
        elif not known.meet(_ENVELOPE_TODAY ^ pair ^ _on(day)):
            self._book.count(sender, int(Counter.ENVELOPES), second, 1)
        if learns:
            known.meet(_ENVELOPE_DAY ^ pair ^ _on(day))

    def _learns(self, sender: Sender, at: float) -> bool:
        """Nothing that was used in the week of a suspicion becomes usual by use."""
        watch = sender.watch
        return sender.key not in self._suspects and (watch is None or at - watch.suspected_at > SUSPECT)

    def _used_before(self, pair: int, day: int, most: int, least: int = 1) -> bool:
        """Whether it was used on ``least`` of the ``most`` days before."""
        knows = self._known.knows
        used = (ago for ago in range(1, most + 1) if knows(pair ^ _on(day - ago)))
        return next(islice(used, least - 1, None), 0) > 0

    def _come_from(self, sender: Sender, address: str, at: float) -> str:
        """The client's network if it is not the sender's own, else ""."""
        wide, narrow = networks_of(address)
        if not wide:
            return ""
        known = self._known
        itself = self.number_of(sender)
        pair, home, day = itself ^ known.number(wide), itself ^ _HAS_NETWORK, int(at) // DAY
        own = _NETWORK ^ pair
        if known.knows(own):
            known.meet(own)
            return ""
        if (sender.key, wide) in self.granted:
            return ""  # and learns nothing from it: the word may be taken back
        young = at - self._watching_since < YOUNG
        learns = self._learns(sender, at)
        used = learns and (young or self._used_before(_NETWORK_DAY ^ pair, day, REGULAR, 3))
        if not known.meet(home) or used:
            known.meet(own)
            return ""
        self.watch(sender, int(at)).network = narrow
        if not known.meet(_NETWORK_TODAY ^ pair ^ _on(day)):
            self._book.count(sender, int(Counter.NETWORKS), int(at), 1)
        if learns:
            known.meet(_NETWORK_DAY ^ pair ^ _on(day))
        return narrow

    def _born(self, sender: Sender) -> float:
        return max(float(sender.first_seen), self._watching_since)

    @property
    def _watching_since(self) -> float:
        """Since when this node learns who writes to whom."""
        return max(self._roster.watching_since, self._known.since)

    def from_abroad(self, sender: Sender, narrow: str, second: int, novel: bool) -> None:
        """A recipient of mail from a network that is not the sender's own, or not yet."""
        self.networks.used(narrow, sender.key, second, novel)
        self._book.count(sender, int(Counter.FOREIGN), second, 1)
        if novel:
            self._book.count(sender, int(Counter.FOREIGN_NOVEL), second, 1)
            return
        if not self._learns(sender, second):
            return
        known, day = self._known, second // DAY
        pair = self.number_of(sender) ^ known.number(wide_of(narrow))
        if self._used_before(_NETWORK_KNOWN_DAY ^ pair, day, REGULAR):
            known.meet(_NETWORK ^ pair)
        known.meet(_NETWORK_KNOWN_DAY ^ pair ^ _on(day))

    def _count_novel(self, sender: Sender, address: str, number: int, second: int) -> None:
        known, count = self._known, self._book.count
        count(sender, int(Counter.NOVEL), second, 1)
        if not known.knows(REACHED ^ number):
            count(sender, int(Counter.STRANGERS), second, 1)
        if known.knows(DIED ^ number) and not known.knows(DIED ^ self.number_of(sender) ^ number):
            count(sender, int(Counter.DEAD), second, 1)
        if address in self._roster.policy.detection.traps:
            count(sender, int(Counter.TRAPS), second, 1)
            sender.novel_left = 0  # a look at once, whatever else is usual
        if address.rpartition("@")[2] in FREEMAIL:
            count(sender, int(Counter.FREEMAIL), second, 1)

    def pace(self, sender: Sender, second: int) -> None:
        """A message of it to somebody new: as long after the one before as that was after its own? What a
        slowed sender's queue brings again comes in its own time, and is not asked about."""
        if sender.kind != "login":
            return
        at, before, beats = self._paces.pop(sender.key, (0, 0, 0))
        gap = second - at
        off = gap - before
        if not 0 <= gap <= PAUSE:
            gap, beats = -PAUSE, 0  # a new run: the next gap is its first
        elif -1 <= off <= 1 or gap >= 10 * abs(off):
            beats += 1
            if beats == BEATS:
                beats = 0
                self._book.count(sender, int(Counter.STEADY), second, BEATS)
        if len(self._paces) >= MOST_PACES:
            del self._paces[next(iter(self._paces))]
        self._paces[sender.key] = (second, gap, beats)  # the last one that wrote is the last in the table

    def begins(self, sender: Sender, second: int) -> bool:
        """It writes to somebody new: for the first time in this quarter of a day? The same whoever was put to
        rest meanwhile; client addresses are too many to be remembered for that."""
        quarter = second // QUARTER
        if quarter != self._quarter:
            self._quarter = quarter
            self._begun.clear()
        if sender.key in self._begun or sender.kind == "ip":
            return False
        self._begun.add(sender.key)
        return True

    def watch(self, sender: Sender, second: int) -> Watch:
        """What is remembered of it. Its habit is that of the quarter of a day, whenever it is looked at."""
        watch, quarter = sender.watch, second - second % QUARTER
        if watch is None:
            watch = self._begin_watch(sender, quarter)
        elif quarter > watch.habit.at:
            watch.habit = self._habit(sender, quarter, watch.doubted_since, watch.suspected_at)
        return watch

    def _begin_watch(self, sender: Sender, quarter: int) -> Watch:
        """A new one, or one that a restart or a long sleep has taken."""
        found = self.suspected(sender.key)
        doubted, suspected = found if found is not None else (float("inf"), float("-inf"))
        habit = self._habit(sender, quarter, doubted, suspected)
        sender.watch = watch = Watch(habit, suspected_at=suspected, doubted_since=doubted)
        return watch

    def _habit(self, sender: Sender, quarter: int, doubted_since: float, suspected_at: float) -> Habit:
        """Nothing becomes usual from a suspicion on, if what comes back bears it out."""
        since = float("inf")
        if quarter - suspected_at <= SUSPECT:
            told = (Counter.NEWLY_DEAD, Counter.PROVEN)
            dead, proven = (sender.ledger.between(one, quarter - SUSPECT, quarter) for one in told)
            if dead > 1 and dead > BORNE_OUT * (dead + proven):
                since = doubted_since
        return habit_of(sender.ledger, sender.first_seen, quarter, since)

    def suspect(self, sender: Sender, at: float) -> None:
        """What is seen of it speaks for slowing it down."""
        watch = self.watch(sender, int(at))
        if at - watch.suspected_at > SUSPECT:
            watch.doubted_since = at
        watch.suspected_at = at

    def seen(self, sender: Sender, at: float) -> float:
        """How much is known of whom the sender writes to: a stranger may be one who writes seldom."""
        here, itself = (
            min(1.0, (at - since) / DAY / COLD) for since in (self._watching_since, self._born(sender))
        )
        return here * (0.75 + 0.25 * itself) if sender.kind == "login" else here

    def usual(self, sender: Sender, at: float) -> Usual:
        """The profile's floors; higher while nobody knows yet whom the sender writes to."""
        usual = sender.profile.usual
        days = (at - self._watching_since) / DAY
        age = (at - self._born(sender)) / DAY
        cold, new = (max(0.0, 1 - time / COLD) for time in (days, age))
        factor = 1 + (COLD_FACTOR - 1) * cold
        if sender.kind == "login":
            factor = max(factor, 1 + (NEW_FACTOR - 1) * new)
        return usual if factor <= 1 else replace(usual, novel=int(usual.novel * factor))

    def settle(self, sender: Sender) -> None:
        """Where it came from last is not held against it, nor what it wrote."""
        self.texts.clear(sender)
        self.journeys.clear(sender.key)
        watch = sender.watch
        if watch is None:
            return
        watch.suspected_at = float("-inf")
        if watch.network:
            self.networks.clear(watch.network)
            sender.origin_until = 0.0

    def taint(self, sender: Sender, at: float) -> None:
        """It is paused: where it came from last, and what it sent, are an incident's."""
        self.texts.taint(sender, at)
        if sender.watch is not None and sender.watch.network:
            self.networks.taint(sender.watch.network, at)

    def campaign(self, sender: Sender, text: str, at: float) -> str:
        """What it shares with other senders today: the network, else the text; "" for nothing."""
        watch = sender.watch
        shared = self.networks.today(watch.network, int(at)) if watch is not None else None
        if watch is not None and shared is not None and len(shared.accounts) > 1:
            return f"net:{watch.network}"
        return text


def is_at_home(sender: Sender, at: float) -> bool:
    """Whether it has been here for a while, and wrote from its own network last."""
    return sender.kind == "login" and not sender.foreign and at - sender.first_seen >= COLD * DAY
