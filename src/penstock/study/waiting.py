"""Mail that did not pass at once: with whom it lies, and when it is tried again.

What was deferred lies with whoever sent it. A mail server tries again after 300 s, then whenever the message
is twice as old, at most 4000 s apart (Postfix: ``minimal_backoff_time``, ``maximal_backoff_time``); it gives
up after five days (``maximal_queue_lifetime``). Mail programs, scripts and people are taken to try as
often, for a day. What was held lies in the queue here and goes out as soon as the sender may send it.

Cost: one entry for each message that waits; ``MOST_WAITING`` bounds them for each sender.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from penstock.core.decision import Decision
from penstock.core.events import Bounced, Deferred, Delivered, Message
from penstock.core.policy import Verb
from penstock.core.sender import Sender

Outcome = Delivered | Deferred | Bounced

RETRY: Final = 300.0
MOST_RETRY: Final = 4000.0
DAY: Final = 86400.0
SERVER_GIVES_UP: Final = 5 * DAY
CHECK_EVERY: Final = 10.0
"""Seconds between two looks at what is held of one sender."""

MOST_WAITING: Final = 2000
"""Messages of one sender that wait; what comes on top never passes."""

MOST_NAMES: Final = 100_000
STOPPED: Final = float("inf")


class Fate(dict[str, float]):
    """What a policy did to a message's recipients: ``STOPPED``, or by how many seconds it delayed them. Who
    is not in it has passed at once.

    ``late``: None when the log had named all recipients before they were asked about. Else it leads from
    names to what was asked: a name, or ``#n`` for the n-th recipient, which is named only later.
    """

    __slots__ = ("late",)

    def __init__(self, refused: list[str], names: dict[str, None], asked: int) -> None:
        super().__init__(dict.fromkeys(refused, STOPPED))
        self.late = {name: name for name in names} if asked > len(names) else None

    def delay(self, recipient: str) -> float:
        """Seconds; ``STOPPED`` while it has not passed."""
        return self.get(self.asked_as(recipient), 0.0)

    def asked_as(self, recipient: str) -> str:
        """The name under which the policy was asked about a recipient."""
        if self.late is None:
            return recipient
        found = self.late.get(recipient)
        if found is None and len(self.late) < MOST_NAMES:
            found = self.late[recipient] = f"#{len(self.late)}"
        return found or recipient


@dataclass(slots=True, eq=False)
class Waiting:
    """A message that did not pass at once. ``stopped``: how many of its recipients did not, ``recipients``:
    who still waits, ``outcomes``: what has not happened yet. ``decision``: the first answer, ``last``: the
    latest. ``not_before``: what is held is not tried earlier. Times are seconds since the epoch."""

    message: Message
    sender: Sender
    at: float
    stopped: int
    recipients: list[str]
    decision: Decision
    last: Decision
    not_before: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """It lies in the queue here."""
        return self.decision.verb is Verb.HOLD

    @property
    def given_up_at(self) -> float:
        """When whoever sent it stops trying; what is held does not age."""
        if self.held:
            return STOPPED
        return self.at + (SERVER_GIVES_UP if self.message.kind == "ip" else DAY)

    def next_try(self, now: float, sensible_from: float) -> float:
        """The first try after ``now`` that is not before ``sensible_from``."""
        while True:
            now += min(max(now - self.at, RETRY), MOST_RETRY)
            if now >= sensible_from:
                return now


Due = Waiting | Outcome | str
"""A deferred message is tried again; an outcome comes later than it did; what is held of the sender with this
key is looked at."""


class Waits:
    """All that waits, and when something is due."""

    def __init__(self) -> None:
        self.held: dict[str, deque[Waiting]] = {}
        """By sender, oldest first."""
        self.next_at = STOPPED
        """When the next thing is due."""
        self._by_message: dict[Message, Waiting] = {}
        self._of_sender: dict[str, int] = {}
        self._due: list[tuple[float, int, Due]] = []
        self._checks: set[str] = set()
        self._number = 0

    def of(self, message: Message) -> Waiting | None:
        """The message's entry while any of its recipients wait."""
        return self._by_message.get(message)

    def all(self) -> list[Waiting]:
        """In the order in which they were stopped."""
        return list(self._by_message.values())

    def take(self, waiting: Waiting) -> bool:
        """Let a message wait; False when too many of that sender do."""
        key = waiting.sender.key
        count = self._of_sender.get(key, 0)
        if count >= MOST_WAITING:
            return False
        self._of_sender[key] = count + 1
        self._by_message[waiting.message] = waiting
        if not waiting.held:
            self.later(waiting.at + RETRY, waiting)
        else:
            self.held.setdefault(key, deque()).append(waiting)
            self.check(key, waiting.at + CHECK_EVERY)
        return True

    def check(self, key: str, at: float) -> None:
        """Look at what is held of a sender at that time, if nothing is due for it before."""
        if key not in self._checks:
            self._checks.add(key)
            self.later(at, key)

    def end(self, waiting: Waiting) -> None:
        """It waits no more."""
        key = waiting.sender.key
        del self._by_message[waiting.message]
        self._of_sender[key] -= 1
        if not self._of_sender[key]:
            del self._of_sender[key]

    def later(self, at: float, what: Due) -> None:
        """Something is due at that time."""
        self._number += 1
        heapq.heappush(self._due, (at, self._number, what))
        self.next_at = self._due[0][0]

    def pop(self) -> tuple[float, Due]:
        """The next thing that is due, and when."""
        at, _, what = heapq.heappop(self._due)
        self.next_at = self._due[0][0] if self._due else STOPPED
        if isinstance(what, str):
            self._checks.discard(what)
        return at, what
