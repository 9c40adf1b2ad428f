"""Decisions in words. Command line, web, mail and logs tell the same sentences."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from penstock.core.decision import Refusal
from penstock.core.ledger import Counter
from penstock.core.limits import OUTCOMES, Unit
from penstock.core.policy import Policy
from penstock.core.sender import Excess, Sender, growth
from penstock.core.standing import Standing, State
from penstock.core.words import count

Figures = Mapping[str, str | int | float]

_VERBS = {
    "defer": "deferred",
    "reject": "rejected",
    "hold": "held",
    "discard": "discarded",
    "reroute": "rerouted",
    "mark": "marked",
    "pass": "passed",
}


def figures(
    sender: Sender, excess: Excess | None, policy: Policy, watching_since: float, at: float
) -> dict[str, str | int | float]:
    """What the rule saw, kept beside the refusal so that the sentence can be told again."""
    if excess is None:
        standing = sender.standing
        found: dict[str, str | int | float] = {
            "state": str(standing.state),
            "since": standing.since,
            "by": standing.by,
            "why": standing.why,
        }
        return found | ({"until": standing.until} if standing.until is not None else {})
    _, why = growth(sender, sender.profile, policy, watching_since, at)
    if sender.standing.state in (State.SLOWED, State.PROBATION):
        why = f"lowered because it is {sender.standing.state} since {when(sender.standing.since)}"
    found = {
        "unit": str(excess.limit.unit),
        "limit": str(excess.limit),
        "window": excess.limit.window,
        "allowed": excess.allowed,
        "used": excess.used,
        "profile": sender.profile.name,
    }
    if excess.limit.share:
        found["recipients"] = sender.ledger.total(Counter.RECIPIENTS, int(at), excess.limit.window)
    if sender.override is not None and excess.limit in sender.override.limits:
        found["override"] = 1
    return found | ({"because": why} if why else {})


def cause(refusal: Refusal) -> str:
    """Why, as half a sentence with its figures."""
    f = refusal.figures
    incident = f" (incident {f['incident']})" if "incident" in f else ""
    if "suspected" in f:
        return f"it looks as if somebody else were using it: {f['suspected']}{incident}"
    if "limit" not in f:
        until = f", until {when(float(f['until']))}" if "until" in f else ""
        return f"it is {f['state']} since {when(float(f['since']))} by {f['by']}{until}: {f['why']}{incident}"
    kind = "the exception for this sender" if f.get("override") else f"profile {f['profile']}"
    if f["unit"] in OUTCOMES:
        of = f" of {count(int(f['recipients']), 'recipient')}" if "recipients" in f else ""
        what = came_back(str(f["unit"]), int(f["used"]), int(f["window"]))
        return f"{what}; {kind} stops at {f['allowed']}{of} ({f['limit']})"
    because = f", {f['because']}" if "because" in f else ""
    used, allowed = (f"{n} KiB" if f["unit"] == "bytes" else f"{n}" for n in (f["used"], f["allowed"]))
    unit = "" if f["unit"] == "bytes" else f" {f['unit']}"
    what = _refused(int(f["used"])) if f["unit"] == Unit.REFUSED else f"it had sent {used}{unit}"
    return f"{what} within {window(int(f['window']))}; {kind} allows {allowed} ({f['limit']}{because})"


def came_back(unit: str, n: int, seconds: int) -> str:
    """``25 of its recipients came back as unknown-user within an hour``."""
    if unit == Unit.COMPLAINTS:
        return f"{count(n, 'complaint')} about its mail came in within {window(seconds)}"
    what = "came back" if unit == Unit.BOUNCED else f"came back as {unit}"
    return f"{n} of its recipients {what} within {window(seconds)}"


def pause_reason(excess: Excess) -> str:
    """Why a rule paused a sender, for its standing."""
    limit = excess.limit
    if limit.unit is Unit.REFUSED:
        return f"{_refused(excess.used)} within {window(limit.window)}"
    what = came_back(str(limit.unit), excess.used, limit.window)
    return f"{what}; the rule pauses at {excess.allowed} ({limit})"


def _refused(n: int) -> str:
    return f"{count(n, 'recipient was', 'recipients were')} refused"


def refusal_sentence(refusal: Refusal) -> str:
    """One stretch of refusals as a sentence for an operator."""
    verb = _VERBS.get(refusal.verb.partition(" ")[0], "refused")
    done = (
        f"would have been {verb}"
        if refusal.shadow
        else f"{'was' if refusal.recipients == 1 else 'were'} {verb}"
    )
    times = f"at {when(refusal.first_at)}"
    if refusal.last_at - refusal.first_at >= 1:
        times = f"between {when(refusal.first_at)} and {when(refusal.last_at)}"
    if refusal.verb == "pause":
        return f"{refusal.sender} would have been paused {times}: {cause(refusal)}."
    return f"{count(refusal.recipients, 'recipient')} of {refusal.sender} {done} {times}: {cause(refusal)}."


def standing_sentence(standing: Standing) -> str:
    """A standing as a person says it."""
    if standing.state is State.OPEN and not standing.why:
        return "open"
    until = f" until {when(standing.until)}, then {standing.then}" if standing.until is not None else ""
    return f"{standing.state}{until} (since {when(standing.since)} by {standing.by}: {standing.why})"


def window(seconds: int) -> str:
    """3600 → ``an hour``, 600 → ``10 minutes``."""
    for name, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0:
            n = seconds // size
            article = "an" if name == "hour" else "a"
            return f"{article} {name}" if n == 1 else f"{n} {name}s"
    return f"{seconds} seconds"


def when(at: float) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
