"""The lessons of a node at work: what ``core.learning`` says, applied to each look of the detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from penstock.core.evidence import ALLEGED, Finding
from penstock.core.incident import BadIncident, Incident, Verdict
from penstock.core.learning import (
    BRIEFLY,
    LASTS,
    PATTERN,
    SETTLES,
    Learn,
    Lesson,
    Word,
    factors,
    fresh_steps,
    seen_of,
    soften,
    steps_of,
    whose,
)
from penstock.core.ledger import window_since
from penstock.core.sender import Sender
from penstock.engine.incidents import counts_of
from penstock.engine.networks import wide_of
from penstock.ports import Records, Remembered

DAY, WEEK = 86400, 7 * 86400
MOST_TAUGHT: Final = 20_000
"""Senders of lessons, and lessons about nobody; the oldest lessons give way."""

MOST_OF_ONE: Final = 8
"""Lessons about one sender or pattern that are looked at, the newest first."""

BY: Final = "penstock:room"
REFIT_EVERY: Final = 3600.0
SETTLE_EVERY: Final = 600.0


class Learning:
    """What verdicts have taught. ``weights``: factors of signals; ``networks``: (sender, wide network) whose
    own it is by somebody's word. Both are the same object for good, as the detector reads them."""

    def __init__(self, records: Records, remembered: Remembered, at: float) -> None:
        self.lessons: dict[str, Lesson] = {}
        self.weights: dict[str, float] = {}
        self.networks: set[tuple[str, str]] = set()
        self._records = records
        self._about: dict[str, list[Lesson]] = {}
        self._grown: set[str] = set()
        self._settled_at = self._fitted_at = at
        self.take_over(remembered, at)

    def take_over(self, remembered: Remembered, at: float) -> None:
        """What the records held."""
        for lesson in remembered.lessons.values():
            self.lessons.setdefault(lesson.incident, lesson)
        self._refit(at)

    # --- applying ---------------------------------------------------------------------------

    def adjust(self, sender: Sender, at: float, findings: list[Finding]) -> list[Finding]:
        """The findings about a sender after what was learned of it and of its like."""
        if not self._about:
            return findings
        for lesson, left in self._lessons_for(sender):
            if self._forgives(lesson, sender, at):
                findings = soften(findings, lesson, left)
                if left:
                    break
        return findings

    def _forgives(self, lesson: Lesson, sender: Sender, at: float) -> bool:
        """Whether what a sender does is like what was judged; while that settles it may grow, unless somebody
        has decided about the sender since: what was stopped is no part of it."""
        begin = max(lesson.at, sender.standing.since)
        now, lately = (_since(sender, begin, at, most) for most in (DAY, WEEK))
        if not lesson.forgives(sender.key, now, lately, at):
            return False
        grown = lesson.hear(sender.key, now)
        if at < lesson.at + SETTLES and sender.standing.since <= lesson.at:
            grown |= lesson.absorb(sender.key, counts_of(sender, at, DAY), at)
        if grown:
            self._grown.add(lesson.incident)
        return True

    def _lessons_for(self, sender: Sender) -> list[tuple[Lesson, float]]:
        """Lessons about a sender with what they leave of a weight, those about itself first."""
        found = [(lesson, 0.0) for lesson in self._about.get(sender.key, ())]
        customer = sender.entry.customer if sender.entry is not None else ""
        for pattern in (f"customer:{customer}", f"profile:{sender.profile.name}"):
            found += [(lesson, PATTERN) for lesson in self._about.get(pattern, ())]
        return found

    # --- learning ---------------------------------------------------------------------------

    def learn(self, incident: Incident, word: Word, at: float, senders: Mapping[str, Sender]) -> Lesson:
        """What a verdict about an incident teaches. ``senders``: those of the incident.

        Raises BadIncident when its senders have nothing in common that a pattern could name."""
        lesson = Lesson(
            incident.id, word.verdict, word.learn, at, word.by, at, word.note, who=whose(incident)
        )
        if word.learn is not Learn.NOTHING:
            others = (other for other in self.lessons.values() if other.incident != incident.id)
            lesson.steps = fresh_steps(steps_of(incident, word.verdict), lesson.who, others, at)
        if word.verdict is Verdict.LEGITIMATE:
            self._allow(lesson, incident, word.until, senders)
        else:
            self._disown(incident)
        return lesson

    def _disown(self, incident: Incident) -> None:
        """A stranger may have come from what somebody once took for the owner's network."""
        for lesson in self.lessons.values():
            if not lesson.networks.keys().isdisjoint(incident.suspects):
                lesson.networks = {k: v for k, v in lesson.networks.items() if k not in incident.suspects}
                self._records.put_lesson(lesson)

    def _allow(
        self, lesson: Lesson, incident: Incident, until: float | None, senders: Mapping[str, Sender]
    ) -> None:
        at, earlier = lesson.at, self.lessons.get(incident.id)
        lesson.until = at + BRIEFLY if lesson.learn is Learn.NOTHING else (until or at + LASTS)
        spoke = [f for s in incident.suspects.values() for f in s.findings if f.weight > 0]
        lesson.signals = tuple(sorted({finding.signal for finding in spoke}))
        lesson.groups = tuple(sorted(ALLEGED | {finding.group for finding in spoke if finding.group}))
        for key, suspect in incident.suspects.items():
            lesson.seen[key] = seen_of(suspect, counts_of(senders[key], at, DAY))
            network = _network_of(senders[key])
            if earlier is not None:
                lesson.absorb(key, earlier.seen.get(key, {}), at)
                network = earlier.networks.get(key, network)
            if network:
                lesson.networks[key] = network
        if lesson.learn is Learn.PATTERN:
            lesson.about = _pattern(incident)

    def keep(self, lesson: Lesson) -> int:
        """Put a lesson in force, in place of the incident's earlier one; returns the ticket of its record."""
        self.lessons[lesson.incident] = lesson
        ticket = self._records.put_lesson(lesson)
        self._refit(lesson.at)
        return ticket

    def forget(self, code: str, at: float, by: str) -> tuple[Lesson, int]:
        """Take back what an incident's verdict has taught; raises BadIncident."""
        lesson = self.lessons.pop(code, None)
        if lesson is None:
            raise BadIncident(f"nothing is learned from {code}")
        self._refit(at)
        return lesson, self._records.drop_lesson(lesson, at, by)

    # --- time passes ------------------------------------------------------------------------

    def sweep(self, at: float, senders: Mapping[str, Sender]) -> None:
        """Fade the factors, forget what has ended, see what the rest of what was judged comes to."""
        if at - self._settled_at >= SETTLE_EVERY:
            self._settled_at = at
            self._settle(at, senders)
        if at - self._fitted_at >= REFIT_EVERY:
            self._refit(at)

    def _settle(self, at: float, senders: Mapping[str, Sender]) -> None:
        for lesson in [each for each in self.lessons.values() if at < each.at + SETTLES]:
            for sender in [senders[key] for key in lesson.seen if key in senders]:
                self._forgives(lesson, sender, at)

    def save(self) -> None:
        """Record the lessons that have grown and are still in force."""
        for code in self._grown & self.lessons.keys():
            self._records.put_lesson(self.lessons[code])
        self._grown.clear()

    def _refit(self, at: float) -> None:
        """Work out what is in force now."""
        self._fitted_at = at
        for code in [code for code, lesson in self.lessons.items() if at >= lesson.ends_at]:
            del self.lessons[code]
        newest = sorted(self.lessons.values(), key=lambda lesson: -lesson.at)
        self._make_room(newest, at)
        self.weights.clear()
        self.weights.update(factors(newest, at))
        self._about.clear()
        self.networks.clear()
        for lesson in newest:
            if at < lesson.until:
                self.networks.update(lesson.networks.items())
            if at < lesson.allows_until:
                for key in [*lesson.seen, *([lesson.about] if lesson.about else [])]:
                    found = self._about.setdefault(key, [])
                    if len(found) < MOST_OF_ONE:
                        found.append(lesson)

    def _make_room(self, newest: list[Lesson], at: float) -> None:
        """Let the oldest go, out of the records too: nothing may bring them back."""
        taught = sum(max(1, len(lesson.seen)) for lesson in newest)
        while taught > MOST_TAUGHT and len(newest) > 1:
            lesson = newest.pop()
            taught -= max(1, len(lesson.seen))
            del self.lessons[lesson.incident]
            self._records.drop_lesson(lesson, at, BY)


def _network_of(sender: Sender) -> str:
    """The wide network, not its own, that it came from last; "" for none."""
    return wide_of(sender.watch.network) if sender.watch is not None else ""


def _pattern(incident: Incident) -> str:
    """What the senders of an incident have in common: a customer, else a profile."""
    for kind in ("customer", "profile"):
        found = {getattr(suspect, kind) for suspect in incident.suspects.values()}
        if len(found) == 1 and "" not in found:
            return f"{kind}:{found.pop()}"
    raise BadIncident("its senders have neither customer nor profile in common: learn from each by itself")


def _since(sender: Sender, begin: float, at: float, most: int) -> dict[str, int]:
    """What a sender has done since then, and within so many seconds."""
    window = min(most, window_since(begin, int(at)))
    return counts_of(sender, at, window) if window > 0 else {}
