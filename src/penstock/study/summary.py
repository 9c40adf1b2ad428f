"""What a replay tells, as one JSON value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core import explain
from penstock.core.decision import Refusal
from penstock.study.reading import Reading
from penstock.study.replay import Replay


def summary_of(reading: Reading, done: Replay, problems: Sequence[str], seconds: float) -> dict[str, Any]:
    """The documented form: times are RFC 3339 in UTC, ``seconds`` is what it took."""
    tally = done.tally
    return {
        "from": explain.when(tally.first_at) if tally.messages else None,
        "to": explain.when(tally.last_at) if tally.messages else None,
        "lines": reading.lines,
        "lines_understood": reading.understood,
        "lines_foreign": reading.foreign,
        "lines_unknown": dict(reading.unknown.most_common(20)),
        "messages": tally.messages,
        "recipients": tally.recipients,
        "recipients_refused": tally.refused,
        "recipients_delayed": tally.delayed,
        "senders": len(tally.senders),
        "seconds": round(seconds, 3),
        "incidents": [incident.as_json() for incident in done.incidents],
        "limited": [limited_json(refusal) for refusal in done.limited],
        "problems": list(problems),
    }


def limited_json(refusal: Refusal) -> dict[str, Any]:
    """A stretch of refusals in the documented form."""
    return {
        "sender": refusal.sender,
        "limit": refusal.rule.partition(":")[2],
        "from": explain.when(refusal.first_at),
        "to": explain.when(refusal.last_at),
        "recipients_refused": refusal.recipients,
        "shadow": refusal.shadow,
        "text": explain.refusal_sentence(refusal),
    }
