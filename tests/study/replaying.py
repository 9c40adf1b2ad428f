"""Replays of events made by hand, for the tests of what would have happened."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

from penstock.core.events import Event
from penstock.core.journey import Place
from penstock.core.policy import Action, Entry, PauseRule, Policy, Verb
from penstock.core.replies import ReplyClass, Rule
from penstock.study.reading import Reading
from penstock.study.replay import Replay
from penstock.study.summary import summary_of
from study.support import mail, outcomes
from support import FakeDirectory, limits, policy

ALICE, BOB, CUSTOMER = "login:alice@example.com", "login:bob@example.com", "customer:1"
RULES = (Rule("unknown", ReplyClass.UNKNOWN_USER, ("unknown",)),)
HOUR = 3600
GONE = {"over_limit": Action(Verb.REJECT), "paused": Action(Verb.REJECT)}
"""Nothing is tried again."""

HOLD = {"over_limit": Action(Verb.HOLD), "paused": Action(Verb.HOLD)}


def ruled(*texts: str, **more: object) -> Policy:
    """Everybody has these limits."""
    return replace(policy(*texts, **more), replies=RULES)


def pause(*texts: str, lasts: int | None = HOUR) -> tuple[PauseRule, ...]:
    return tuple(PauseRule(limit, lasts) for limit in limits(*texts))


def people(n: int, start: int = 0) -> list[str]:
    return [f"r{i}@example.net" for i in range(start, start + n)]


def message(
    at: float, n: int = 1, fate: str = "delivered", sender: str = ALICE, start: int = 0
) -> list[Event]:
    """A message and what became of each recipient."""
    accepted = mail(at, sender, n)
    return [accepted, *outcomes(accepted, people(n, start), fate)]


def in_order(*parts: Iterable[Event]) -> list[Event]:
    return sorted((event for part in parts for event in part), key=lambda event: event.at)


class Done:
    """A replay of these events, with its summary and its decisions. ``places``: where addresses are."""

    def __init__(
        self,
        rules: Policy,
        *parts: Iterable[Event],
        entries: dict[str, Entry] | None = None,
        places: Mapping[str, Place] | None = None,
    ) -> None:
        written = io.StringIO()
        self.replay = Replay(rules, FakeDirectory(entries), written)
        self.replay.journeys.adopt(places.get if places is not None else None)
        self.replay.feed(in_order(*parts))
        self.replay.finish()
        self.text = written.getvalue()
        self.decisions = [json.loads(line) for line in self.text.splitlines()]
        self.found: dict[str, Any] = summary_of(_NO_LINES, self.replay, (), 0.0)

    @property
    def limited(self) -> list[tuple[str, str, int]]:
        """(sender, limit, recipients) of each stretch."""
        return [(one["sender"], one["limit"], one["recipients_refused"]) for one in self.found["limited"]]

    @property
    def incidents(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.found["incidents"]
        return found

    @property
    def flow(self) -> tuple[int, int]:
        """Recipients that never passed, and that passed later."""
        return self.replay.tally.refused, self.replay.tally.delayed


_NO_LINES: Any = Reading(None, UTC, None, 0.0)  # type: ignore[arg-type]
