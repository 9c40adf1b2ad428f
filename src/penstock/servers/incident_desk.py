"""What an administrator can ask and say about incidents: the commands behind the control socket."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from penstock.core import explain, note
from penstock.core.incident import BadIncident, Incident, Suspect, Verdict, read_id
from penstock.core.learning import Learn, Lesson, Word
from penstock.core.quality import report
from penstock.engine import Engine
from penstock.servers.control import Arguments, Command, CommandError
from penstock.servers.desk import LONGEST_TERM, Archive

WAITS_FOR: Final = 30 * 86400.0
"""Seconds for which a closed incident is listed as waiting for a verdict."""

MONTH: Final = 30.5 * 86400


class IncidentDesk:
    """Commands about incidents, verdicts and what was learned."""

    def __init__(self, engine: Engine, archive: Archive, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._case = engine.casework
        self._archive = archive
        self._clock = clock

    def commands(self) -> dict[str, Command]:
        """Command name → handler."""
        return {
            "incidents": self.incidents,
            "incident": self.incident,
            "verdict": self.verdict,
            "learned": self.learned,
            "quality": self.quality,
        }

    async def incidents(self, asked: Arguments, who: str) -> dict[str, Any]:
        """Incidents, the newest first: those that wait for a verdict, or ``which`` = open or all; ``sender``:
        whose key contains that."""
        del who
        at, which = self._clock(), str(asked.get("which") or "waiting")
        match = str(asked.get("sender") or "").lower()
        known = self._case.incidents.by_id.values()
        found = [
            incident
            for incident in sorted(known, key=lambda incident: -incident.opened_at)
            if _is_asked_for(incident, which, at) and any(match in key.lower() for key in incident.suspects)
        ]
        return {"incidents": [row_of(incident) for incident in found], "known": len(known)}

    async def incident(self, asked: Arguments, who: str) -> dict[str, Any]:
        """All about one incident."""
        del who
        incident = self._find(asked)
        sender = self._engine.roster.get(incident.worst.sender, self._clock())
        lesson = self._case.learning.lessons.get(incident.id)
        return row_of(incident) | {
            "suspects": [suspect_of(suspect) for suspect in incident.suspects.values()],
            "lesson": lesson_of(lesson) if lesson is not None else None,
            "text": note.note(incident, sender.standing, lesson),
        }

    async def verdict(self, asked: Arguments, who: str) -> dict[str, Any]:
        """Judge an incident: verdict, learn, until (seconds since the epoch), note."""
        incident, at = self._find(asked), self._clock()
        word = _word(asked, who, at)
        try:
            incident, lesson, ticket = self._case.verdicts.give(incident.id, word, at)
        except BadIncident as error:
            raise CommandError(str(error)) from None
        sender = self._engine.roster.get(incident.worst.sender, at)
        return row_of(incident) | {
            "lesson": lesson_of(lesson),
            "standing": explain.standing_sentence(sender.standing),
            "durable": await self._archive.durably(max(ticket, sender.ticket)),
        }

    async def learned(self, asked: Arguments, who: str) -> dict[str, Any]:
        """What was learned from whom; ``forget``: take back what one incident taught."""
        at, learning = self._clock(), self._case.learning
        if asked.get("forget"):
            code = _code(asked.get("forget"))
            try:
                lesson, ticket = self._case.verdicts.forget(code, at, who)
            except BadIncident as error:
                raise CommandError(str(error)) from None
            return {"forgotten": lesson_of(lesson), "durable": await self._archive.durably(ticket)}
        lessons = sorted(learning.lessons.values(), key=lambda lesson: -lesson.at)
        return {"lessons": [lesson_of(lesson) for lesson in lessons], "factors": dict(learning.weights)}

    async def quality(self, asked: Arguments, who: str) -> dict[str, Any]:
        """How good we were in the last ``months``."""
        del who
        months = asked.get("months") or 3
        if not isinstance(months, int) or months < 1:
            raise CommandError(f"months: a number above zero, not {months!r}")
        found = list(self._case.incidents.by_id.values())
        return report(found, self._clock() - months * MONTH, self._case.learning.weights)

    def _find(self, asked: Arguments) -> Incident:
        code = _code(asked.get("id"))
        try:
            return self._case.incidents.get(code)
        except BadIncident as error:
            raise CommandError(str(error)) from None


def _is_asked_for(incident: Incident, which: str, at: float) -> bool:
    if which == "all":
        return True
    if incident.is_open or incident.into:
        return incident.is_open
    recent = incident.closed_at is not None and at - incident.closed_at < WAITS_FOR
    return which == "waiting" and incident.verdict is None and recent


def _code(typed: object) -> str:
    try:
        return read_id(str(typed or ""))
    except BadIncident as error:
        raise CommandError(str(error)) from None


def _word(asked: Arguments, who: str, at: float) -> Word:
    try:
        verdict, learn = Verdict(str(asked.get("verdict"))), Learn(str(asked.get("learn") or "sender"))
    except ValueError as error:
        raise CommandError(str(error)) from None
    until = asked.get("until")
    if until is not None:
        if (
            not isinstance(until, int | float)
            or not math.isfinite(until)
            or not at < until <= at + LONGEST_TERM
        ):
            raise CommandError("the end of what is learned must lie in the future")
        until = float(until)
    said = str(asked.get("note") or "").strip().encode("utf-8", "backslashreplace").decode()
    return Word(verdict, learn, who, said, until)


# --- values ---------------------------------------------------------------------------------


def _when(at: float | None) -> str | None:
    return explain.when(at) if at is not None else None


def row_of(incident: Incident) -> dict[str, Any]:
    """One line of the list of incidents. Times are RFC 3339."""
    worst = incident.worst
    return {
        "id": incident.id,
        "state": note.state(incident),
        "sender": worst.sender,
        "senders": len(incident.suspects),
        "campaign": incident.campaign,
        "opened_at": _when(incident.opened_at),
        "paused_at": _when(incident.paused_at),
        "closed_at": _when(incident.closed_at),
        "how": incident.how,
        "into": incident.into,
        "suspicion": round(worst.suspicion, 3),
        "signals": {name: round(weight, 3) for name, weight in _spoke(incident).items()},
        "leak": incident.leak,
        "stopped": incident.stopped,
        "verdict": str(incident.verdict) if incident.verdict is not None else None,
        "verdict_at": _when(incident.verdict_at) if incident.verdict is not None else None,
        "by": incident.by,
        "note": incident.note,
        "headline": note.headline(incident),
    }


def _spoke(incident: Incident) -> dict[str, float]:
    """Signal → weight; of a notice what it tells, which weighs nothing."""
    if incident.is_notice:
        return {finding.signal: finding.weight for finding in incident.worst.findings}
    return incident.spoke


def suspect_of(suspect: Suspect) -> dict[str, Any]:
    """One sender of an incident, with all that is kept of it."""
    times = ("began_at", "opened_at", "slowed_at", "paused_at", "released_at", "seen_at")
    return {
        "sender": suspect.sender,
        "customer": suspect.customer,
        "profile": suspect.profile,
        **{name: _when(getattr(suspect, name)) for name in times},
        "suspicion": suspect.suspicion,
        "prior": suspect.prior,
        "findings": [
            {"signal": f.signal, "weight": f.weight, "group": f.group, "text": f.text}
            for f in suspect.findings
        ],
        "counts": dict(suspect.counts),
        "leak": suspect.leak,
        "stopped": suspect.stopped,
    }


def lesson_of(lesson: Lesson) -> dict[str, Any]:
    """What a verdict has taught."""
    return {
        "incident": lesson.incident,
        "verdict": str(lesson.verdict),
        "learn": str(lesson.learn),
        "at": _when(lesson.at),
        "until": _when(lesson.until) if lesson.seen else None,
        "by": lesson.by,
        "note": lesson.note,
        "about": lesson.about,
        "profile": lesson.given,
        "senders": list(lesson.seen),
        "networks": dict(lesson.networks),
        "signals": list(lesson.signals),
        "steps": {name: round(step, 5) for name, step in lesson.steps.items()},
        "sentence": note.learned(lesson),
    }
