"""What is written: each kind of fact becomes rows, whoever writes them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Final

import sqlalchemy as sa

from penstock.core.decision import Refusal
from penstock.core.incident import Incident, Suspect
from penstock.core.learning import Lesson
from penstock.core.policy import Override
from penstock.core.standing import Standing
from penstock.stores.cases import (
    INCIDENTS,
    LESSONS,
    SUSPECTS,
    incident_row,
    lesson_row,
    suspect_row,
)
from penstock.stores.schema import (
    HISTORY,
    OVERRIDES,
    REFUSALS,
    STANDINGS,
    Key,
    Row,
    override_row,
    standing_row,
)

MOST_RECIPIENTS: Final = 1 << 62


class Putting(ABC):
    """The port of the records, on top of ``_put``. Of facts with the same key only the newest is written."""

    def __init__(self) -> None:
        self._lines = 0

    @abstractmethod
    def _put(self, key: Key, table: sa.Table, row: Row | None) -> int:
        """Write a row (None: delete that key's); returns its ticket."""

    def put_standing(self, sender: str, old: Standing, new: Standing) -> int:
        """Write a change of standing and its line of history."""
        self._put(("standings", sender), STANDINGS, standing_row(sender, new))
        return self._log(
            sender, "standing", str(old.state), str(new.state), new.since, new.by, new.why, new.until
        )

    def put_override(self, override: Override, at: float) -> int:
        """Write an exception for one sender and its line of history."""
        self._put(("overrides", override.sender), OVERRIDES, override_row(override))
        after = ", ".join([*([override.profile] if override.profile else []), *map(str, override.limits)])
        return self._log(override.sender, "limit", "", after, at, override.by, override.why, override.until)

    def drop_override(self, sender: str, at: float, by: str) -> int:
        """Delete an exception; its history stays."""
        self._put(("overrides", sender), OVERRIDES, None)
        return self._log(sender, "limit", "", "the profile's", at, by, "exception taken back", None)

    def put_refusal(self, refusal: Refusal) -> int:
        """Write a stretch of refusals as it is now."""
        names = ("reference", "sender", "rule", "verb", "shadow", "first_at", "last_at", "recipients")
        row = {name: getattr(refusal, name) for name in names}
        row["recipients"] = min(refusal.recipients, MOST_RECIPIENTS)
        row["figures"] = json.dumps(dict(refusal.figures))
        return self._put(("refusals", refusal.reference), REFUSALS, row)

    def put_incident(self, incident: Incident) -> int:
        """Write an incident without its senders."""
        return self._put(("incidents", incident.id), INCIDENTS, incident_row(incident))

    def put_suspect(self, incident: str, suspect: Suspect) -> int:
        """Write one sender of an incident."""
        return self._put(
            ("suspects", f"{incident} {suspect.sender}"), SUSPECTS, suspect_row(incident, suspect)
        )

    def put_lesson(self, lesson: Lesson) -> int:
        """Write what a verdict has taught."""
        return self._put(("lessons", lesson.incident), LESSONS, lesson_row(lesson))

    def drop_lesson(self, lesson: Lesson, at: float, by: str) -> int:
        """Delete a lesson; its senders' history tells of it."""
        for sender in lesson.seen:
            self._log(sender, "lesson", lesson.incident, "", at, by, "what was learned is taken back", None)
        return self._put(("lessons", lesson.incident), LESSONS, None)

    def put_verdict(self, incident: Incident) -> int:
        """Write an incident that has been judged, and a line of history for each of its senders."""
        ticket = self.put_incident(incident)
        for sender in incident.suspects:
            why = incident.note or f"incident {incident.id}"
            at, by = incident.verdict_at, incident.by
            ticket = self._log(sender, "verdict", incident.id, str(incident.verdict), at, by, why, None)
        return ticket

    def _log(
        self,
        sender: str,
        what: str,
        before: str,
        after: str,
        at: float,
        by: str,
        why: str,
        until: float | None,
    ) -> int:
        row = {
            "at": at,
            "sender": sender,
            "what": what,
            "before": before,
            "after": after,
            "by": by,
            "why": why,
            "until": until,
        }
        self._lines += 1
        return self._put(("history", f"{self._lines}"), HISTORY, row)
