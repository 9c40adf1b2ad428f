"""The ports of an engine that forgets everything at the end: what a replay runs on."""

from __future__ import annotations

from penstock.core.decision import Refusal
from penstock.core.events import Message
from penstock.core.incident import Incident, Suspect
from penstock.core.learning import Lesson
from penstock.core.policy import Override
from penstock.core.sender import Sender
from penstock.core.standing import Standing


class Memory:
    """Records, counts, index and memory in one. ``changes`` of standing are for whoever replays."""

    durable = 1 << 62
    installed_at = 0.0

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self.overrides: dict[str, Override] = {}
        self.refusals: dict[str, Refusal] = {}
        self.incidents: dict[str, Incident] = {}
        self.lessons: dict[str, Lesson] = {}
        self.changes: list[tuple[str, Standing, Standing]] = []

    def put_standing(self, sender: str, old: Standing, new: Standing) -> int:
        """A change of standing."""
        self.changes.append((sender, old, new))
        return 0

    def put_override(self, override: Override, at: float) -> int:
        """An exception."""
        return 0

    def drop_override(self, sender: str, at: float, by: str) -> int:
        """An exception has ended."""
        return 0

    def put_refusal(self, refusal: Refusal) -> int:
        """A stretch of refusals."""
        self.refusals[refusal.reference] = refusal
        return 0

    def put_incident(self, incident: Incident) -> int:
        """Incidents stay with the engine."""
        return 0

    def put_suspect(self, incident: str, suspect: Suspect) -> int:
        """One sender of an incident."""
        return 0

    def put_verdict(self, incident: Incident) -> int:
        """Nobody gives verdicts in a replay."""
        return 0

    def put_lesson(self, lesson: Lesson) -> int:
        """Nothing is learned."""
        return 0

    def drop_lesson(self, lesson: Lesson, at: float, by: str) -> int:
        """Nothing is learned."""
        return 0

    def append(self, sender: Sender, counter: int, at: int, n: int) -> None:
        """Counts stay in the ledgers."""

    def append_mail(self, sender: Sender, at: int, recipients: int, messages: int) -> None:
        """Counts stay in the ledgers."""

    def recall(self, key: str) -> tuple[int, bytes] | None:
        """Nobody is put to rest."""
        return None

    def rest(self, key: str, first_seen: int, packed: bytes) -> None:
        """Nobody is put to rest."""

    def sleeping(self) -> dict[str, bytes]:
        """Nobody."""
        return {}

    def remember(self, message: Message, sender: str) -> None:
        """No report comes in during a replay."""
