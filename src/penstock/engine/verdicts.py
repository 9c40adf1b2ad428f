"""An administrator's verdict: said of an incident, acted upon, learned from, taken back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

from penstock.core.incident import BadIncident, Incident, Suspect, Verdict
from penstock.core.learning import Learn, Lesson, Word
from penstock.core.policy import Override
from penstock.core.sender import Sender
from penstock.core.standing import State, change
from penstock.engine.detector import Detector
from penstock.engine.incidents import Incidents
from penstock.engine.learning import Learning
from penstock.engine.roster import Roster
from penstock.ports import Records

BULK: Final = ("newsletter", "professional")
"""Profiles for whoever writes to many at once, the fittest first."""

_HELD: Final = (State.PAUSED, State.PROBATION, State.SLOWED)


class Verdicts:
    """Gives verdicts and takes back what they taught. ``on_verdict`` hears of each incident judged."""

    def __init__(
        self,
        roster: Roster,
        detector: Detector,
        incidents: Incidents,
        learning: Learning,
        records: Records,
    ) -> None:
        self._roster = roster
        self._detector = detector
        self._incidents = incidents
        self._learning = learning
        self._records = records
        self.on_verdict: Callable[[Incident], None] = lambda incident: None

    def give(self, code: str, word: Word, at: float) -> tuple[Incident, Lesson, int]:
        """Judge an incident, now or again; (incident, what is learned, ticket). Raises BadIncident."""
        incident = self._incidents.get(code)
        if incident.into:
            raise BadIncident(f"{code} has become a part of {incident.into}: judge that one")
        senders = {key: self._roster.get(key, at) for key in incident.suspects}
        gives = word.learn is Learn.PROFILE and word.verdict is Verdict.LEGITIMATE
        profile = self._bulk_profile(senders.values(), at) if gives else ""
        lesson = self._learning.learn(incident, word, at, senders)
        lesson.given = profile
        self._withdraw(code, incident.suspects, at, word.by)
        let_go_at = _let_go_at(incident)
        incident.judge(word.verdict, at, word.by, word.note)
        for key, suspect in incident.suspects.items():
            if self._incidents.of(key) is incident:
                self._act(incident, suspect, senders[key], let_go_at)
            if lesson.given:
                self._give_profile(key, lesson)
        ticket = max(self._records.put_verdict(incident), self._learning.keep(lesson))
        self._incidents.changed(incident)
        self.on_verdict(incident)
        return incident, lesson, ticket

    def forget(self, code: str, at: float, by: str) -> tuple[Lesson, int]:
        """Take back what a verdict has taught; the verdict stays. Raises BadIncident."""
        lesson = self._learning.lessons.get(code)
        if lesson is not None:
            self._withdraw(code, lesson.seen, at, by)
        return self._learning.forget(code, at, by)

    def _act(self, incident: Incident, suspect: Suspect, sender: Sender, let_go_at: float) -> None:
        at, by, standing = incident.verdict_at, incident.by, sender.standing
        note = f": {incident.note}" if incident.note else ""
        why = f"incident {incident.id} was judged {incident.verdict}{note}"
        if incident.verdict is Verdict.LEGITIMATE:
            suspect.released_at = at if suspect.released_at is None else suspect.released_at
            self._detector.pardon(sender, at)
            if standing.state in _HELD and standing.since >= suspect.opened_at:
                self._roster.set_standing(sender, change(standing, State.OPEN, at, by, why))
        elif standing.since <= let_go_at and not incident.shadow and standing.state is not State.LOCKED:
            suspect.paused_at, suspect.released_at = suspect.paused_at or at, None
            self._roster.set_standing(sender, change(standing, State.PAUSED, at, by, why))

    def _bulk_profile(self, senders: Iterable[Sender], at: float) -> str:
        """What they are given, unless one of them has an exception that somebody made by hand."""
        found = next((name for name in BULK if name in self._roster.policy.profiles), "")
        if not found:
            raise BadIncident(f"the policy has no profile {' or '.join(BULK)}")
        for sender in senders:
            self._roster.replan(sender, at)
            old = sender.override
            if old is not None and not _was_given(old):
                why = f", {old.why}" if old.why else ""
                raise BadIncident(
                    f"{sender.key} has an exception (by {old.by}{why}), which a profile would replace: "
                    "change that one, or judge it with --learn sender"
                )
        return found

    def _give_profile(self, key: str, lesson: Lesson) -> None:
        why = _given_for(lesson.incident)
        self._roster.set_override(Override(key, lesson.given, (), lesson.until, lesson.by, why), lesson.at)

    def _withdraw(self, code: str, senders: Iterable[str], at: float, by: str) -> None:
        """Take back the profiles that were given for an incident."""
        for key in senders:
            override = self._roster.overrides.get(key)
            if override is not None and override.why == _given_for(code):
                self._roster.drop_override(key, at, by)


def _let_go_at(incident: Incident) -> float:
    """Until when a sender's standing must be from for "compromised" to pause it: from any time while it is
    open; from before "legitimate" has let it go, if that was wrong; else nobody is paused."""
    if incident.is_open:
        return math.inf
    undone = incident.verdict is Verdict.LEGITIMATE and incident.how == "verdict"
    return incident.verdict_at if undone else -math.inf


def _given_for(code: str) -> str:
    return f"incident {code} was judged {Verdict.LEGITIMATE}"


def _was_given(override: Override) -> bool:
    """Whether it is a verdict's."""
    code = override.why.removeprefix("incident ").partition(" ")[0]
    return override.why == _given_for(code)
