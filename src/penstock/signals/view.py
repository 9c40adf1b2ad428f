"""What signals see of a sender: sums of its ledger, its habit, its class, and what goes on elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from penstock.core.evidence import Usual
from penstock.core.habit import Habit
from penstock.core.ledger import Counter, Ledger

HOUR: Final = 3600
DAY: Final = 86400
WINDOWS: Final = (300, HOUR, DAY, 7 * DAY)
BURST: Final = 9
BURST_HOUR: Final = 60
BUSY_DAY: Final = 30
"""New recipients of a day up to which its hours are not counted."""

RECENT: Final = 2 * DAY
"""Seconds for which a burst is remembered: a day later its end is all that a window of a day still sees."""


Times = Sequence[tuple[int, int]]


class Alike(NamedTuple):
    """What a sender's latest text and links have in common with those of unrelated senders. ``texts``,
    ``links``: how many sent the same text, or links to the same domain, to strangers, it included;
    ``recipients``: these strangers; ``tainted``: somebody was paused who sent it; ``name``: the campaign."""

    texts: float = 0.0
    links: float = 0.0
    recipients: int = 0
    tainted: bool = False
    name: str = ""


ALONE: Final = Alike()


class Travel(NamedTuple):
    """Journeys of today that nobody can have made: ``jumps``; the farthest is ``km`` in ``seconds``,
    ``route``: from which country to which; ``countries`` that its mail came from today."""

    jumps: int = 0
    countries: int = 0
    km: float = 0.0
    seconds: float = 0.0
    route: str = ""


STAYED: Final = Travel()

_BAD: Final = (
    Counter.NEWLY_DEAD,
    Counter.DEAD,
    Counter.TRAPS,
    Counter.COMPLAINTS,
    Counter.SPAM_SCORED,
    Counter.REPUTATION,
    Counter.CONTENT,
    Counter.THROTTLED,
    Counter.STOPPED,
    Counter.FOREIGN_NOVEL,
)
A_JOURNEY: Final = 20
"""New recipients from foreign networks that a week of travelling explains."""

LEAST_HOUR: Final = 2
OF_A_DAY: Final = 0.4
"""New recipients of an hour that are nothing special, as a part of a usual day."""

AT_ONCE: Final = 4
"""New recipients beyond one for each message from which on they are written to several at once."""


def calm_for(usual: Usual, hour: list[int], day: list[int], week: list[int]) -> int:
    """How many more new recipients leave no signal much to say, as long as nothing bad comes back; negative
    when one has to look."""
    names, much = day[Counter.ENVELOPES], day[Counter.RECIPIENTS] > usual.recipients
    if (names and much) or names > usual.envelopes or any(week[counter] for counter in _BAD):
        return -1
    if at_once(hour) >= AT_ONCE:
        return -1
    most = max(LEAST_HOUR, int(OF_A_DAY * usual.novel))
    return min(most - hour[Counter.NOVEL], usual.novel - day[Counter.NOVEL])


def at_once(counts: list[int]) -> int:
    """New recipients beyond one for each message."""
    return counts[Counter.NOVEL] - max(1, counts[Counter.MESSAGES])


def busiest_hour(ledger: Ledger, week: list[int], at: int, window: int) -> int:
    """New recipients of the busiest hour of the ``window``, of the week while these are no burst."""
    novel = week[Counter.NOVEL]
    return ledger.busiest(Counter.NOVEL, at, window, HOUR) if novel >= BURST_HOUR else novel


def at_one_go(ledger: Ledger, week: list[int], at: int, window: int) -> int:
    """New recipients of the week (``window``) from foreign networks that one letter to many explains: as many
    as on the busiest 24 hours, and, if it was no burst, at most twice as many as in the busiest hour (of more
    than two days ago, six hours)."""
    novel = week[Counter.FOREIGN_NOVEL]
    if novel <= A_JOURNEY:
        return novel
    hour, day = (ledger.busiest(Counter.FOREIGN_NOVEL, at, window, width) for width in (HOUR, DAY))
    return day if hour >= BURST_HOUR else min(2 * hour, day)


def hours_of_day(ledger: Ledger, day: list[int], at: int) -> int:
    """Hours of the last 24 in which anybody new was written to; 0 when these were few (BUSY_DAY)."""
    return ledger.spans(Counter.NOVEL, at, DAY, HOUR) if day[Counter.NOVEL] > BUSY_DAY else 0


def times_of_day(ledger: Ledger, day: list[int], usual: Usual, at: int, window: int) -> Times:
    """When it wrote to the new recipients of the day (``window``), if these are more than usual."""
    return ledger.times(Counter.NOVEL, at, window) if day[Counter.NOVEL] > usual.novel else ()


@dataclass(slots=True)
class View:
    """``now`` (five minutes), ``hour``, ``day``, ``week``: sums by counter. ``seen``: how well the sender
    is known, from 0 to 1.
    ``busiest``: new recipients of the busiest hour of two days; ``at_one_go``: of the week, from foreign
    networks, as many as one letter to many explains; ``hours`` of the day in which it wrote to new ones;
    ``times``: (second, new recipients) of the day, if these are more than usual.
    ``shared``: accounts to which the sender's newest client network is foreign today, ``shared_known`` and
    ``shared_novel``: their recipients, known and new to them. ``tainted``: the network was seen in an
    incident. ``refused_elsewhere``: the share of all other senders' recipients that was refused for
    reputation, content or rate within the hour. ``alike``: what its latest text shares with others'.
    ``script``: its path, "" for other senders. ``travel``: its impossible journeys, where a geo file tells
    them."""

    at: int
    kind: str
    usual: Usual
    habit: Habit
    now: list[int]
    hour: list[int]
    day: list[int]
    week: list[int]
    busiest: int = 0
    at_one_go: int = 0
    hours: int = 0
    times: Times = ()
    seen: float = 1.0
    shared: int = 0
    shared_known: int = 0
    shared_novel: int = 0
    tainted: bool = False
    refused_elsewhere: float = 0.0
    alike: Alike = ALONE
    script: str = ""
    travel: Travel = STAYED

    def today(self, counter: Counter) -> int:
        """Of the last 24 hours."""
        return self.day[counter]

    @property
    def is_script(self) -> bool:
        """A web site or a local user: nobody has logged in."""
        return self.kind in ("uid", "script")

    @property
    def is_burst(self) -> bool:
        """New recipients in quick succession, of late asked for at least: a flood's pace, or a newsletter's.
        Of hours ago only those that passed count: who is turned away comes again and again."""
        return (
            self.now[Counter.NOVEL] + self.now[Counter.STOPPED] >= BURST
            or self.hour[Counter.NOVEL] + self.hour[Counter.STOPPED] >= BURST_HOUR
            or self.busiest >= BURST_HOUR
        )

    @property
    def usual_novel(self) -> float:
        """New recipients of a day that are nothing special for this sender."""
        return max(self.usual.novel, self.habit.novel * 1.5)
