"""What a verdict teaches: a lesson, narrow and wide. Pure: time is an argument.

Narrow. After "legitimate" a sender has an allowance: *a day like that one is the owner's*. While a day is
like it, the signals that spoke then, those of their groups, and those of what its likeness is measured by
(it may have been stopped before they spoke) say nothing against the sender. A day is like it as long as

    what flows        is up to twice what was seen, and chance (or LEAST_FLOW: of few little can be said),
    foreign networks  carried up to twice as many new recipients (LEAST_FOREIGN … MOST_FOREIGN),
    what comes back   (dead addresses, refusals, complaints) is the share seen, and chance.

The share that was seen is a sample, and so is today's: with x of n today and y of m then, r = y / m, x may
reach

    r n + CHANCE sqrt(r n u) + a few u,    u = 1 + n / m, up to MOST_UNSURE

where DOUBT recipients with the usual share are added to m unless y is already more than chance makes of that.
A list that was stopped before it bounced may thus bounce, as long as little is known of it; a provider that
failed may fail again; and a bought list shows within its first dozen outcomes what it is. A week is measured
like a day: chance has an end. A day that was forgiven and had hardly any dead ones says better than the one
that was judged what the share is; a bad one never does.

What was turned away counts as seen, and so does the fullest day within SETTLES of the verdict: the rest of
the newsletter belongs to it. A day beyond that is judged as if nothing had been allowed. So a hijacker of
such an account, who comes from elsewhere or brings a bought list, meets the full evidence; other signals that
had not spoken speak as ever. Only the time since the verdict counts: what was judged is not held against
anybody again.

Wide. A signal's factor f multiplies its weight. It is fitted by stochastic gradient on the log loss of the
posterior p = 1 / (1 + exp(-suspicion)) that the incident had: with y = 1 for compromised, else 0,

    step of ln f = RATE * (y - p) * weight / (all weights that spoke)

so a verdict that was expected moves little, a false pause most. A step fades within FADES to nothing; f stays
within LEAST_FACTOR … MOST_FACTOR. One customer moves one factor once a month: no single verdict and no
single customer can blind a signal, and good behaviour teaches nothing, only an administrator's word does.

Cost: a lesson is some 500 bytes a sender; a sender without one costs three look-ups when it is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Final

from penstock.core.evidence import Finding
from penstock.core.incident import Incident, Suspect, Verdict
from penstock.core.ledger import Counter

DAY: Final = 86400.0
LASTS: Final = 180 * DAY
"""Seconds for which a lesson about a sender holds if nobody says otherwise."""

BRIEFLY: Final = DAY
"""Seconds for which what was judged is not held against a sender of whom nothing was to be learned, or that
has another profile instead."""

SETTLES: Final = 2 * DAY
SAME: Final = 2.0
"""So many times what was seen is still the same kind of thing."""

DOUBT: Final = 25
"""So many recipients with the usual share are added to those seen, where chance may explain what came back:
of a few, two dead ones say little."""

CHANCE: Final = 3.0
"""Standard deviations: a list is looked at again and again, and no look may find bad luck."""

MOST_UNSURE: Final = 4.0
"""So many times its own chance is what the doubt about the share adds, at most: of many that came back it is
known what their share is, and that it was not known before excuses no list of one in five."""

HEARD, CLEAN = 2, 0.05
"""A forgiven day with so many times as many outcomes as those seen, and no greater share of dead addresses,
tells better what the share is."""

MEASURED: Final = frozenset(
    {"bounces", "known-dead", "refusals", "complaints", "traps", "scores", "envelope"}
)
"""Signals of what must not be more than chance explains: what was stopped early had not shown it yet."""

LEAST_FLOW: Final = 30
LEAST_FOREIGN, MOST_FOREIGN = 3, 20
"""New recipients. The network that was judged is the sender's own: this is about another one."""

PATTERN: Final = 0.5
"""How much of a signal's weight a lesson about others takes away."""

MOST_DAYS: Final = 20
"""Days of others that a sender's is held against: an incident may have a thousand senders."""

RATE: Final = 0.03
FADES: Final = 180 * DAY
ONCE_IN: Final = 30 * DAY
LEAST_FACTOR, MOST_FACTOR = 0.5, 1.25
MOST_WHO: Final = 50

_FLOW: Final = (Counter.RECIPIENTS, Counter.NOVEL, Counter.STRANGERS, Counter.FREEMAIL)
_TOLD: Final = (Counter.PROVEN, Counter.NEWLY_DEAD)
_REFUSED: Final = (Counter.REPUTATION, Counter.CONTENT, Counter.THROTTLED)
_BAD: Final = (
    ((Counter.NEWLY_DEAD,), _TOLD, 0.03, 2.0),
    ((Counter.DEAD,), _TOLD, 0.02, 1.0),
    (_REFUSED, (Counter.DELIVERED, *_REFUSED), 0.02, 1.0),
    ((Counter.COMPLAINTS,), (Counter.DELIVERED,), 0.001, 0.0),
    ((Counter.TRAPS,), _TOLD, 0.0, 0.0),
    ((Counter.SPAM_SCORED,), (Counter.MESSAGES,), 0.01, 1.0),
)
"""(what is bad, of what, the share that is nothing special, how many are: where none are, as many as were
seen may come again, and early)."""

Counts = Mapping[str, int]
"""A counter's name in small letters → how many."""


class Learn(StrEnum):
    """How far a verdict reaches."""

    SENDER = "sender"
    PATTERN = "pattern"
    PROFILE = "profile"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says of an incident. ``until``: seconds since the epoch, None: as long as is usual."""

    verdict: Verdict
    learn: Learn
    by: str
    note: str = ""
    until: float | None = None


@dataclass(slots=True)
class Lesson:
    """What one verdict has taught; its name is the incident's.

    ``learn``: how far it reaches; ``about``: for a pattern, whom (``customer:4711``, ``profile:personal``);
    ``until``: when its allowance ends, or the profile that it gave; ``signals``, ``groups``: what spoke;
    ``seen``: sender → what the day of the incident was like; ``networks``: sender → where it came from, its
    own while the lesson holds; ``who``: whose incident it was; ``steps``: signal → step of ln f; ``given``:
    the profile that its senders were given.
    """

    incident: str
    verdict: Verdict
    learn: Learn
    at: float
    by: str
    until: float
    note: str = ""
    about: str = ""
    given: str = ""
    signals: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    seen: dict[str, dict[str, int]] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    who: tuple[str, ...] = ()
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def ends_at(self) -> float:
        """When nothing of it is left."""
        return max(self.until, self.at + FADES) if self.steps else self.until

    @property
    def allows_until(self) -> float:
        """When its allowance ends."""
        return min(self.until, self.at + BRIEFLY) if self.learn is Learn.PROFILE else self.until

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is of the kind that was judged, or of what a day's likeness is measured by."""
        if finding.weight <= 0:
            return False
        return finding.signal in self.signals or finding.group in self.groups or finding.signal in MEASURED

    def forgives(self, sender: str, now: Counts, lately: Counts, at: float) -> bool:
        """Whether what a sender has done since is like what was judged legitimate: within a day (``now``),
        and what came back within a week (``lately``)."""
        if at >= self.allows_until:
            return False
        seen = self.seen.get(sender)
        if seen is None:
            return any(
                is_like(each, now, 1.0, False) and comes_back_like(each, lately)
                for each in islice(self.seen.values(), MOST_DAYS)
            )
        return is_like(seen, now, SAME, at < self.at + SETTLES) and comes_back_like(seen, lately)

    def hear(self, sender: str, now: Counts) -> bool:
        """What came back to a forgiven day (``now``), if that tells the share of dead addresses much better
        than what was seen; whether it does."""
        seen, told = self.seen.get(sender), _sum(now, _TOLD)
        if seen is None or told < max(DOUBT, HEARD * _sum(seen, _TOLD)):
            return False
        if _n(now, Counter.NEWLY_DEAD) > CLEAN * told:
            return False
        seen.update({counter.name.lower(): _n(now, counter) for counter in _TOLD})
        return True

    def absorb(self, sender: str, now: Counts, at: float) -> bool:
        """While it settles, a day (``now``) with more of the same is what was seen; whether it has grown."""
        seen = self.seen.get(sender)
        if seen is None or at >= self.at + SETTLES:
            return False
        grown = {name: n for name, n in now.items() if n > seen.get(name, 0) and name in _FLOW_NAMES}
        seen.update(grown)
        return bool(grown)


_FLOW_NAMES: Final = frozenset(counter.name.lower() for counter in _FLOW)


def is_like(seen: Counts, now: Counts, times: float, settling: bool) -> bool:
    """Whether a day (``now``) is up to ``times`` another one. ``settling``: it may be longer."""
    if not settling and any(_n(now, c) > max(_most(times * _n(seen, c)), LEAST_FLOW) for c in _FLOW):
        return False
    foreign = min(times * _n(seen, Counter.FOREIGN_NOVEL), MOST_FOREIGN)
    if _n(now, Counter.FOREIGN_NOVEL) > max(foreign, LEAST_FOREIGN):
        return False
    if _n(now, Counter.ENVELOPES) > times * _n(seen, Counter.ENVELOPES) + 1:
        return False
    return comes_back_like(seen, now)


def comes_back_like(seen: Counts, now: Counts) -> bool:
    """Whether no more comes back (``now``, of any time) than the share seen and chance make."""
    return all(_bearable(seen, now, *bad) for bad in _BAD)


def _bearable(
    seen: Counts, now: Counts, bad: tuple[Counter, ...], of: tuple[Counter, ...], usual: float, some: float
) -> bool:
    """Whether so much coming back is of the share seen: both days are samples, of few the share is unsure."""
    found, among, n = _sum(seen, bad), _sum(seen, of), _sum(now, of)
    doubt = DOUBT if found <= max(1.0, _most(usual * among)) else 0
    among = max(1, among + doubt)
    share, unsure = min(1.0, (found + usual * doubt) / among), min(1 + n / among, MOST_UNSURE)
    came = _sum(now, bad)
    return came <= _most(share * n, unsure) + some * unsure or (not some and came <= found)


def _most(expected: float, unsure: float = 1.0) -> float:
    """What a Poisson count with that mean comes to by chance. ``unsure``: how much greater its variance is,
    because the mean was guessed."""
    return expected + CHANCE * math.sqrt(expected * unsure)


def _sum(counts: Counts, which: Iterable[Counter]) -> int:
    return sum(_n(counts, counter) for counter in which)


def _n(counts: Counts, counter: Counter) -> int:
    return counts.get(counter.name.lower(), 0)


def seen_of(suspect: Suspect, counts: Counts) -> dict[str, int]:
    """What the day of an incident was like for one of its senders: the most that was counted, and what was
    turned away as if it had passed. ``counts``: of the last day."""
    seen = {
        name: max(counts.get(name, 0), suspect.counts.get(name, 0)) for name in {*counts, *suspect.counts}
    }
    for counter in (*_FLOW, Counter.FOREIGN_NOVEL):
        name = counter.name.lower()
        if seen.get(name):
            seen[name] += suspect.stopped
    return seen


def soften(findings: list[Finding], lesson: Lesson, left: float) -> list[Finding]:
    """The findings with so much ``left`` of the weight of those that the lesson covers."""
    why = f" (allowed: {lesson.incident})"
    return [
        replace(f, weight=f.weight * left, text=f.text + why) if lesson.covers(f) else f for f in findings
    ]


# --- the factors of signals -----------------------------------------------------------------


def steps_of(incident: Incident, verdict: Verdict) -> dict[str, float]:
    """By how much a verdict moves the logarithm of each signal's factor."""
    worst = incident.worst
    spoke = worst.spoke
    total = sum(spoke.values())
    p = 1 / (1 + math.exp(-max(-30.0, min(30.0, worst.suspicion))))
    error = (1.0 if verdict is Verdict.COMPROMISED else 0.0) - p
    return {name: RATE * error * weight / total for name, weight in spoke.items()}


def whose(incident: Incident) -> tuple[str, ...]:
    """Whose word it is: the customers, or the senders where none is known."""
    found = {f"customer:{s.customer}" if s.customer else s.sender for s in incident.suspects.values()}
    return tuple(sorted(found)[:MOST_WHO])


def fresh_steps(
    steps: Mapping[str, float], who: Iterable[str], lessons: Iterable[Lesson], at: float
) -> dict[str, float]:
    """Those steps that nobody among ``who`` has made within the month."""
    people = set(who)
    recent = [x for x in lessons if abs(at - x.at) < ONCE_IN and not people.isdisjoint(x.who)]
    made = {name for lesson in recent for name in lesson.steps}
    return {name: step for name, step in steps.items() if name not in made}


def factors(lessons: Iterable[Lesson], at: float) -> dict[str, float]:
    """Signal → factor of its weight now; signals about which nothing was learned are left out."""
    sums: dict[str, float] = {}
    for lesson in lessons:
        left = 1 - (at - lesson.at) / FADES
        if 0 < left <= 1:
            for name, step in lesson.steps.items():
                sums[name] = sums.get(name, 0.0) + step * left
    least, most = math.log(LEAST_FACTOR), math.log(MOST_FACTOR)
    return {name: math.exp(max(least, min(most, total))) for name, total in sums.items()}
