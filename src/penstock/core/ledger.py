"""A sender's counts over time: the one set of figures that limits, baselines and sentences read.

Theory. A ledger is one timeline of (time slot, counter, count) entries. The newest two minutes
are kept in slots of 5 s; as entries age they are merged into coarser slots (1 min, 15 min, 6 h)
and dropped after 32 days, so a window is always summed at about a sixtieth of its length or
finer. A coarse entry carries the *end* of its slot: a window never counts less than what
really happened in it ("at most 200 in any hour" holds), and is at most one slot slower to forget.

Cost. One entry is 8 bytes in one array: a sender who mails a few times a day stays below
500 bytes, a machine that never stops below 4 KiB for each thing that is counted. Adding to the newest slot
is O(1); summing reads the window's entries. Counts add, so ledgers of several nodes merge by addition.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import IntEnum

SLOT = 5
"""Seconds in the finest slot."""

AGES = ((120, 1), (2 * 3600, 12), (2 * 86400, 180), (32 * 86400, 4320))
"""(age in seconds up to which, slot width in units of SLOT), finest first."""

KEEP = AGES[-1][0]
"""Seconds after which a count is forgotten: no window may be longer."""

AHEAD = AGES[-1][1]
"""Slots: what lies further in the future was counted by a wrong clock, and is not looked at."""

_COUNT_BITS = 29
_COUNTER_BITS = 6
_COUNTER = (1 << _COUNTER_BITS) - 1
_MOST = (1 << _COUNT_BITS) - 1
_SLOT_SHIFT = _COUNT_BITS + _COUNTER_BITS
_LAST_SLOT = (1 << (64 - _SLOT_SHIFT)) - 1
LAST_SECOND = _LAST_SLOT * SLOT
"""In the year 2055."""


class Counter(IntEnum):
    """What is counted. The numbers are part of the format on disk."""

    RECIPIENTS = 0
    MESSAGES = 1
    KIB = 2
    REFUSED = 3
    """Recipients refused by a limit."""
    STOPPED = 4
    """Recipients refused because the sender was paused or locked."""
    SHADOWED = 5
    """Recipients that a limit in shadow mode would have refused."""
    DELIVERED = 6
    """Recipients whose mail another host or a mailbox here has taken."""
    DEFERRED = 7
    """Recipients that had to wait, each once."""
    BOUNCED = 8
    """Recipients that will never get it."""
    UNKNOWN_USER = 9
    """This and the next twelve: refusals by other hosts, by their class (see core/replies)."""
    INACTIVE_MAILBOX = 10
    MAILBOX_FULL = 11
    NO_SUCH_DOMAIN = 12
    NETWORK = 13
    THROTTLED = 14
    REPUTATION = 15
    CONTENT = 16
    POLICY = 17
    AUTHENTICATION = 18
    TOO_BIG = 19
    TEMPORARY = 20
    OTHER = 21
    COMPLAINTS = 22
    LOGINS = 23
    """In steps of six hours."""
    LOGIN_FAILURES = 24
    NOVEL = 25
    """Recipients to whom this sender has never got mail through."""
    STRANGERS = 26
    """Of these: to whom nobody here has."""
    DEAD = 27
    """Recipients that had bounced for somebody here."""
    NETWORKS = 28
    """Client networks new to this sender."""
    FREEMAIL = 29
    """Of the novel recipients: at large free providers."""
    ENVELOPES = 30
    """Envelope senders new to this sender."""
    NEWLY_DEAD = 31
    """Unknown users whom nobody here has got mail through to before, each address once."""
    PROVEN = 32
    """Novel recipients that got it: each address once."""
    FOREIGN = 33
    """Recipients of mail from client networks that are not known to be the sender's own."""
    FOREIGN_NOVEL = 34
    """Of these: the novel ones."""
    TRAPS = 35
    """Recipients that are spam traps of the operator."""
    SPAM_SCORED = 36
    """Messages that the operator's own spam filter scored high."""
    STEADY = 37
    """Messages to novel recipients whose gap to the one before is like the gap before that, by fours."""


MOST_ENTRIES = 480 * len(Counter)
"""What all ages together have slots for: no ledger grows beyond it."""

_ALL = (1 << len(Counter)) - 1
_RECIPIENTS = int(Counter.RECIPIENTS)
_MESSAGES = int(Counter.MESSAGES)


class Ledger:
    """Counts of one sender, newest last. The slot that is filling up is kept outside the array."""

    __slots__ = ("_coarsen_at", "_entries", "_kinds", "_messages", "_recipients", "_slot")

    def __init__(self, packed: bytes = b"") -> None:
        self._entries = array("Q", packed)
        self._coarsen_at = _next_coarsening(len(self._entries))
        self._kinds = _ALL if packed else 0
        self._slot = 0
        self._recipients = 0
        self._messages = 0

    def __len__(self) -> int:
        self._turn(self._slot)
        return len(self._entries)

    def mail(self, at: int, recipients: int, messages: int) -> None:
        """Count recipients and messages at second ``at``: ``add`` for what is added most."""
        slot = at // SLOT
        if slot > self._slot:
            self._turn(slot)
        elif slot < self._slot:
            self.add(_RECIPIENTS, at, recipients)
            self.add(_MESSAGES, at, messages)
            return
        self._recipients += recipients
        self._messages += messages

    def _turn(self, slot: int) -> None:
        """Begin a slot: what filled up in the last one goes to the array."""
        at = self._slot * SLOT
        recipients, messages = self._recipients, self._messages
        self._recipients = self._messages = 0
        if recipients:
            self.add(_RECIPIENTS, at, recipients)
        if messages:
            self.add(_MESSAGES, at, messages)
        self._slot = slot

    def add(self, counter: int, at: int, n: int) -> None:
        """Count ``n`` (negative: give back) at second ``at``. Late additions find their slot."""
        slot = at // SLOT
        if n < 0:
            self._give_back(counter, slot, -n)
            return
        entries = self._entries
        self._kinds |= 1 << counter
        key = slot << _COUNTER_BITS | counter
        i = len(entries) - 1
        if i >= 0 and entries[i] >> _SLOT_SHIFT > slot:
            i = bisect_left(entries, slot + 1 << _SLOT_SHIFT) - 1
        while i >= 0:
            entry = entries[i]
            found = entry >> _COUNT_BITS
            if found == key:
                n += entry & _MOST
                entries[i] = key << _COUNT_BITS | (n if n < _MOST else _MOST)
                return
            if found >> _COUNTER_BITS < slot:
                break
            i -= 1
        if n > 0 and 0 <= slot <= _LAST_SLOT:
            entries.insert(i + 1, key << _COUNT_BITS | (n if n < _MOST else _MOST))
            if len(entries) > self._coarsen_at:
                self.coarsen(at)

    def _give_back(self, counter: int, slot: int, n: int) -> None:
        """Take ``n`` from where it was counted: its slot, or the coarser ones that it was merged into."""
        self._turn(self._slot)
        entries = self._entries
        for _, width in AGES:
            key = (slot - slot % width + width - 1) << _COUNTER_BITS | counter
            i = bisect_left(entries, key >> _COUNTER_BITS << _SLOT_SHIFT)
            while i < len(entries) and entries[i] >> _SLOT_SHIFT == key >> _COUNTER_BITS:
                if entries[i] >> _COUNT_BITS == key:
                    taken = min(n, entries[i] & _MOST)
                    entries[i] -= taken
                    n -= taken
                i += 1
            if not n:
                return

    def total(self, counter: int, at: int, window: int) -> int:
        """Sum of ``counter`` over the ``window`` seconds that end at ``at``."""
        oldest = (at - window) // SLOT
        newest = at // SLOT + AHEAD
        total = self._filling(counter) if oldest <= self._slot <= newest else 0
        if not self._kinds >> counter & 1:
            return total
        for entry in reversed(self._entries):
            slot = entry >> _SLOT_SHIFT
            if slot < oldest:
                break
            if entry >> _COUNT_BITS & _COUNTER == counter and slot <= newest:
                total += entry & _MOST
        return total

    def between(self, counter: int, begin: int, end: int) -> int:
        """Sum of ``counter`` from second ``begin`` up to second ``end``, as exact as its slots are."""
        self._turn(self._slot)
        oldest, newest = begin // SLOT, end // SLOT
        return sum(
            entry & _MOST
            for entry in self._entries
            if oldest <= entry >> _SLOT_SHIFT < newest and entry >> _COUNT_BITS & _COUNTER == counter
        )

    def sums(self, at: int, windows: Sequence[int]) -> list[list[int]]:
        """For each window (seconds, rising) the sum of every counter, in one pass."""
        self._turn(self._slot)
        entries, sums = self._entries, [0] * len(Counter)
        found = []
        end = bisect_left(entries, at // SLOT + AHEAD + 1 << _SLOT_SHIFT)
        for window in windows:
            begin = bisect_left(entries, (at - window) // SLOT << _SLOT_SHIFT, 0, end)
            for entry in entries[begin:end]:
                sums[entry >> _COUNT_BITS & _COUNTER] += entry & _MOST
            end = begin
            found.append(sums.copy())
        return found

    def busiest(self, counter: int, at: int, window: int, width: int) -> int:
        """The largest sum of ``counter`` over any ``width`` seconds of the ``window`` that ends at ``at``.

        Each entry is read at the end of the slot that its age asks for, merged into it already or not."""
        self._turn(self._slot)
        entries, now = self._entries, at // SLOT
        begin = bisect_left(entries, (at - window) // SLOT << _SLOT_SHIFT)
        end = bisect_left(entries, now + AHEAD + 1 << _SLOT_SHIFT, begin)
        found = sorted(
            (_end(entry >> _SLOT_SHIFT, now), entry & _MOST)
            for entry in entries[begin:end]
            if entry >> _COUNT_BITS & _COUNTER == counter
        )
        most = total = first = 0
        for slot, count in found:
            total += count
            while found[first][0] <= slot - width // SLOT:
                total -= found[first][1]
                first += 1
            most = max(most, total)
        return most

    def spans(self, counter: int, at: int, window: int, width: int) -> int:
        """In how many spans of ``width`` seconds, back from ``at`` over ``window``, anything was counted.

        Entries are read as in ``busiest``."""
        self._turn(self._slot)
        entries, now, each = self._entries, at // SLOT, width // SLOT
        first = now - window // SLOT + 1
        begin = bisect_left(entries, first - AHEAD << _SLOT_SHIFT)
        end = bisect_left(entries, now + 1 << _SLOT_SHIFT, begin)
        ends = {
            _end(entry >> _SLOT_SHIFT, now)
            for entry in entries[begin:end]
            if entry >> _COUNT_BITS & _COUNTER == counter
        }
        return len({(now - slot) // each for slot in ends if slot >= first})

    def times(self, counter: int, at: int, window: int) -> list[tuple[int, int]]:
        """(second, count) of what was counted in the ``window`` that ends at ``at``, oldest first.

        Entries are read as in ``busiest``."""
        self._turn(self._slot)
        entries, now = self._entries, at // SLOT
        begin = bisect_left(entries, (at - window) // SLOT << _SLOT_SHIFT)
        end = bisect_left(entries, now + AHEAD + 1 << _SLOT_SHIFT, begin)
        found: dict[int, int] = {}
        for entry in entries[begin:end]:
            if entry >> _COUNT_BITS & _COUNTER == counter and entry & _MOST:
                slot = _end(entry >> _SLOT_SHIFT, now)
                found[slot] = found.get(slot, 0) + (entry & _MOST)
        return [(slot * SLOT, count) for slot, count in found.items() if slot >= 0]

    def daily(self, counters: Sequence[int], at: int, days: int) -> list[list[int]]:
        """For each counter the sums of the days (24 hours each) that ended 0, 1, … days before ``at``.

        Each entry is read at the end of the slot that its age asks for, merged into it already or not."""
        self._turn(self._slot)
        found = {counter: [0] * days for counter in counters}
        now, day = at // SLOT, 86400 // SLOT
        for entry in self._entries:
            sums = found.get(entry >> _COUNT_BITS & _COUNTER)
            if sums is not None:
                age = (now - _end(entry >> _SLOT_SHIFT, now)) // day
                if 0 <= age < days:
                    sums[age] += entry & _MOST
        return [found[counter] for counter in counters]

    def _filling(self, counter: int) -> int:
        if counter == _RECIPIENTS:
            return self._recipients
        return self._messages if counter == _MESSAGES else 0

    def room_at(self, counter: int, at: int, window: int, most: int) -> int:
        """The first second at which the window holds at most ``most``, if nothing is added."""
        self._turn(self._slot)
        total = self.total(counter, at, window)
        oldest, newest = (at - window) // SLOT, at // SLOT + AHEAD
        for entry in self._entries:
            slot = entry >> _SLOT_SHIFT
            if total <= most:
                break
            if oldest <= slot <= newest and entry >> _COUNT_BITS & _COUNTER == counter:
                total -= entry & _MOST
                at = (slot + 1) * SLOT + window
        return at

    def active_days(self, counter: int, at: int) -> int:
        """Number of days among the last 30 in which the counter moved."""
        self._turn(self._slot)
        oldest = (at - 30 * 86400) // SLOT
        day = 86400 // SLOT
        slots = (
            e >> _SLOT_SHIFT for e in self._entries if e >> _COUNT_BITS & _COUNTER == counter and e & _MOST
        )
        return len({slot // day for slot in slots if slot >= oldest})

    def coarsen(self, at: int) -> None:
        """Merge entries into the slots of their age and drop the forgotten ones."""
        self._coarsen_at = MOST_ENTRIES + 256
        self._turn(self._slot)
        merged: dict[int, int] = {}
        newest = at // SLOT
        for entry in self._entries:
            end = _end(entry >> _SLOT_SHIFT, newest)
            if end >= 0 and entry & _MOST:
                key = end << _COUNTER_BITS | entry >> _COUNT_BITS & _COUNTER
                merged[key] = min(merged.get(key, 0) + (entry & _MOST), _MOST)
        packed = [key << _COUNT_BITS | count for key, count in sorted(merged.items())]
        self._entries = array("Q", packed[-MOST_ENTRIES:])
        self._coarsen_at = _next_coarsening(len(self._entries))

    def merge(self, other: Ledger) -> None:
        """Add the counts of another node's ledger of the same sender."""
        for at, counter, n in other.counts():
            self.add(counter, at, n)

    def counts(self) -> Iterator[tuple[int, int, int]]:
        """(second, counter, count) of each entry, oldest first."""
        self._turn(self._slot)
        for entry in self._entries:
            yield (entry >> _SLOT_SHIFT) * SLOT, entry >> _COUNT_BITS & _COUNTER, entry & _MOST

    def last_at(self) -> int:
        """Second of the newest slot with a count; 0 when there is none."""
        if self._recipients or self._messages:
            return self._slot * SLOT
        return (self._entries[-1] >> _SLOT_SHIFT) * SLOT if self._entries else 0

    def pack(self) -> bytes:
        """The entries as bytes, for ``Ledger(packed)``."""
        self._turn(self._slot)
        return self._entries.tobytes()


def _next_coarsening(entries: int) -> int:
    """Length at which to coarsen again: rare for a quiet sender, bounded for a flood."""
    return min(32 + 2 * entries, MOST_ENTRIES + 128)


def whole(window: int, at: int) -> int:
    """The window (seconds up to ``at``), so much longer that it begins with a slot as wide as any that counts
    of that age are merged into: the same ones are in it before and after that."""
    for limit, width in AGES:
        longer = window + (at - window) % (width * SLOT)
        if longer + width * SLOT <= limit:
            break
    return longer


def window_since(begin: float, at: int) -> int:
    """Seconds of the longest window that ends at ``at`` and holds nothing from before ``begin``, although
    old slots are merged; 0 or less while there is none."""
    slot, now = int(begin) // SLOT, at // SLOT + AHEAD
    end = _end(slot, now)
    return at - ((end if end >= 0 else slot - slot % AHEAD + AHEAD - 1) + 1) * SLOT


def _end(slot: int, now: int) -> int:
    """The slot as which one is read at slot ``now``: the last of the finest span whose age allows for it; -1
    when it is forgotten. A span that is merged has the same end as its parts, at any time."""
    for limit, width in AGES:
        end = slot - slot % width + width - 1
        if (now - end) * SLOT <= limit:
            return end
    return -1
