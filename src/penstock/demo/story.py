"""What became of the mail, as the platform saw it: only answers, and what their references explain.

Every refusal carries a reference. When a new one turns up, the tally of that moment is kept and
the service is asked to explain it, as an operator would with ``penstock explain``.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.demo.plan import Plan
from penstock.unixpath import reachable

POLL = 0.1
"""Real seconds between two looks for new references."""


@dataclass
class Sight:
    """The first time that a reference was seen: what had passed and been refused before.

    ``told`` is the service's explanation, empty until it has been asked.
    """

    reference: str
    passed: int
    refused: int
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        """What refused: ``limit:…``, ``evidence:…`` or ``standing:…``; empty while unexplained."""
        return str(self.told.get("rule", ""))


@dataclass
class Tally:
    """One sender's recipients so far."""

    passed: int = 0
    refused: int = 0
    held: int = 0
    messages: int = 0
    sights: dict[str, Sight] = field(default_factory=dict)

    def pauses(self) -> list[Sight]:
        """The sender's pauses, first one first."""
        return [sight for sight in self.sights.values() if sight.rule == "standing:paused"]

    def slowed(self) -> list[Sight]:
        """What made it wait without a pause: limits, and suspicion."""
        return [s for s in self.sights.values() if s.rule.startswith(("limit:", "evidence:"))]


class Story:
    """The tallies of all senders."""

    def __init__(self, plan: Plan) -> None:
        self.tallies = [Tally() for _ in plan.actors]
        self._unexplained: list[Sight] = []

    def accepted(self, actor: int, recipients: int) -> None:
        """A message was accepted for so many recipients."""
        tally = self.tallies[actor]
        tally.passed += recipients
        tally.messages += 1

    def refused(self, actor: int, answer: str, recipients: int) -> None:
        """The service refused so many recipients with this answer."""
        tally = self.tallies[actor]
        reference = answer.rpartition("(ref ")[2].removesuffix(")")
        if reference not in tally.sights:
            sight = tally.sights[reference] = Sight(reference, tally.passed, tally.refused)
            self._unexplained.append(sight)
        tally.refused += recipients
        tally.held += recipients if answer.startswith("HOLD") else 0

    async def explain(self, control: Path, again: bool = False) -> None:
        """Ask what is not explained yet; ``again``: all of it, for the latest counts."""
        if again:
            self._unexplained = [sight for tally in self.tallies for sight in tally.sights.values()]
        if not self._unexplained:
            return
        with reachable(control) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        try:
            while self._unexplained:
                sight = self._unexplained.pop()
                asked = {"command": "explain", "reference": sight.reference}
                writer.write(json.dumps(asked).encode() + b"\n")
                answer = json.loads(await reader.readline())
                sight.told = answer["result"] if answer["ok"] else {"rule": "unknown"}
        finally:
            writer.close()

    async def keep_explaining(self, control: Path) -> None:
        """Explain new references as they come, until cancelled."""
        while True:
            await self.explain(control)
            await asyncio.sleep(POLL)
