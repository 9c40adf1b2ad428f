"""What the desk tells, as JSON values: times are RFC 3339 in UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from penstock.core import explain
from penstock.core.decision import Refusal
from penstock.core.ledger import Counter
from penstock.core.limits import OUTCOMES, Limit
from penstock.core.policy import Override
from penstock.core.replies import ReplyClass
from penstock.core.sender import Sender

WINDOWS: Final = {"minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400, "month": 30 * 86400}
DAY: Final = 86400
FLOW_COUNTERS: Final = tuple(Counter)[: Counter.SHADOWED + 1]


def standing_of(sender: Sender) -> dict[str, Any]:
    """A sender's standing, in fields and as a sentence. Times are RFC 3339."""
    standing = sender.standing
    return {
        "state": str(standing.state),
        "since": explain.when(standing.since) if standing.since else None,
        "by": standing.by,
        "why": standing.why,
        "until": explain.when(standing.until) if standing.until is not None else None,
        "then": str(standing.then) if standing.until is not None else None,
        "sentence": explain.standing_sentence(standing),
    }


def row_of(sender: Sender, at: int) -> dict[str, Any]:
    """One line of the list of senders."""
    ledger = sender.ledger
    return {
        "sender": sender.key,
        "state": str(sender.standing.state),
        "profile": sender.profile.name,
        "hour": ledger.total(Counter.RECIPIENTS, at, 3600),
        "day": ledger.total(Counter.RECIPIENTS, at, 86400),
        "refused_day": sum(
            ledger.total(counter, at, 86400) for counter in (Counter.REFUSED, Counter.STOPPED)
        ),
        "last_at": explain.when(ledger.last_at()) if ledger.last_at() else None,
    }


def busiest(row: Mapping[str, Any]) -> tuple[bool, int, int]:
    return row["state"] != "open", row["hour"], row["day"]


def details_of(sender: Sender, at: int) -> dict[str, Any]:
    """A sender's counts, limits and people."""
    entry = sender.entry
    return {
        "sender": sender.key,
        "parents": [parent.key for parent in sender.lineage()[1:]],
        "profile": sender.profile.name,
        "first_seen": explain.when(sender.first_seen),
        "standing": standing_of(sender),
        "customer": entry.customer if entry is not None else "",
        "contact": entry.contact if entry is not None else "",
        "counts": {
            counter.name.lower(): {
                name: sender.ledger.total(counter, at, seconds) for name, seconds in WINDOWS.items()
            }
            for counter in FLOW_COUNTERS
        },
        "week": week_of(sender, at),
        "limits": [limit_of(sender, limit, at) for limit in sender.limits],
        "override": override_of(sender.override) if sender.override is not None else None,
    }


def limit_of(sender: Sender, limit: Limit, at: int) -> dict[str, Any]:
    """A limit as it stands for the sender now: amounts in the limit's unit (bytes: KiB)."""
    return {
        "unit": str(limit.unit),
        "limit": str(limit),
        "mode": limit.mode,
        "allowed": limit.allowed(sender.ledger, at)
        if limit.unit in OUTCOMES
        else limit.scaled(sender.factor),
        "used": sender.ledger.total(limit.unit.counter, at, limit.window),
    }


def week_of(sender: Sender, at: int) -> list[dict[str, Any]]:
    """What became of the sender's mail on each of the last seven days (UTC), the newest last."""
    today = at - at % DAY
    return [_day_of(sender, begin) for begin in range(today - 6 * DAY, today + 1, DAY)]


def _day_of(sender: Sender, begin: int) -> dict[str, Any]:
    counts = {counter.name.lower(): sender.ledger.between(counter, begin, begin + DAY) for counter in Counter}
    classes = {str(found): counts.pop(found.name.lower()) for found in ReplyClass}
    return {
        "day": explain.when(begin)[:10],
        **counts,
        "classes": {name: n for name, n in classes.items() if n},
    }


def override_of(override: Override) -> dict[str, Any]:
    """An exception for one sender."""
    return {
        "profile": override.profile,
        "limits": [f"{limit.unit} {limit}" for limit in override.limits],
        "until": explain.when(override.until) if override.until is not None else None,
        "by": override.by,
        "why": override.why,
    }


def refusal_of(refusal: Refusal) -> dict[str, Any]:
    """A stretch of refusals, in fields and as a sentence."""
    return {
        "reference": refusal.reference,
        "sender": refusal.sender,
        "rule": refusal.rule,
        "action": refusal.verb,
        "shadow": refusal.shadow,
        "first_at": explain.when(refusal.first_at),
        "last_at": explain.when(refusal.last_at),
        "recipients": refusal.recipients,
        "figures": dict(refusal.figures),
        "sentence": explain.refusal_sentence(refusal),
    }


def refusal_from(row: Mapping[str, Any]) -> Refusal:
    """A stretch of refusals as the records keep it."""
    return Refusal(**{**row, "figures": json.loads(row["figures"])})
