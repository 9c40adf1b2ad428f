"""What the engine needs from outside, as protocols; stores and directory fulfil them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from penstock.core.decision import Refusal
from penstock.core.events import Message
from penstock.core.incident import Incident, Suspect
from penstock.core.learning import Lesson
from penstock.core.policy import Entry, Override
from penstock.core.sender import Sender
from penstock.core.standing import Standing


class Counts(Protocol):
    """The durable log of counts; appending never blocks and never fails the caller."""

    def append(self, sender: Sender, counter: int, at: int, n: int) -> None:
        """Log that ``n`` was added to the sender's counter at second ``at``."""
        ...

    def append_mail(self, sender: Sender, at: int, recipients: int, messages: int) -> None:
        """Log recipients and messages together: what is logged most."""
        ...

    def recall(self, key: str) -> tuple[int, bytes] | None:
        """Hand over (first seen, packed ledger) of a sender known from earlier, once."""
        ...

    def rest(self, key: str, first_seen: int, packed: bytes) -> None:
        """Keep a quiet sender's packed ledger until it is recalled."""
        ...

    def sleeping(self) -> Mapping[str, bytes]:
        """Senders that can be recalled."""
        ...


class Records(Protocol):
    """Durable facts: standings with their history, overrides, refusals, incidents, lessons.

    Each ``put`` returns a ticket; what it wrote is durable once ``durable`` has reached it.
    """

    durable: int

    def put_standing(self, sender: str, old: Standing, new: Standing) -> int:
        """Write a change of standing."""
        ...

    def put_override(self, override: Override, at: float) -> int:
        """Write an exception for one sender; it replaces the sender's earlier one."""
        ...

    def drop_override(self, sender: str, at: float, by: str) -> int:
        """Take an exception back."""
        ...

    def put_refusal(self, refusal: Refusal) -> int:
        """Write a stretch of refusals, or what has changed in it."""
        ...

    def put_incident(self, incident: Incident) -> int:
        """Write an incident without its senders, or what has changed in it."""
        ...

    def put_suspect(self, incident: str, suspect: Suspect) -> int:
        """Write one sender of an incident."""
        ...

    def put_verdict(self, incident: Incident) -> int:
        """Write an incident that has been judged, and a line of history for each of its senders."""
        ...

    def put_lesson(self, lesson: Lesson) -> int:
        """Write what a verdict has taught; it replaces the earlier one of that incident."""
        ...

    def drop_lesson(self, lesson: Lesson, at: float, by: str) -> int:
        """Take a lesson back."""
        ...


class Sent(Protocol):
    """Which sender a message was charged to, by its Message-ID and queue id, for reports that come later."""

    def remember(self, message: Message, sender: str) -> None:
        """Keep it for some days; never blocks, and the same message again is no matter."""
        ...


class Directory(Protocol):
    """Who a sender is. ``get`` answers from memory at once and looks up behind the caller's back."""

    def get(self, key: str) -> Entry | None:
        """The entry as far as it is known now."""
        ...


class Remembered(Protocol):
    """What the records held at start."""

    @property
    def standings(self) -> Mapping[str, Standing]:
        """Sender → its latest standing."""
        ...

    @property
    def overrides(self) -> Mapping[str, Override]:
        """Sender → its exception."""
        ...

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """ID → incident with its senders."""
        ...

    @property
    def lessons(self) -> Mapping[str, Lesson]:
        """Incident's ID → what its verdict has taught."""
        ...

    @property
    def installed_at(self) -> float:
        """When this installation began to watch."""
        ...
