"""The figures of a demonstration at one moment: what the screen shows and ``--json`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.core.explain import when
from penstock.demo.cast import LARGE, Actor
from penstock.demo.clock import DAY, Clock
from penstock.demo.plan import Plan
from penstock.demo.story import Sight, Story, Tally
from penstock.demo.traffic import Traffic

TOLERABLE = 0.25
"""Real seconds that questions may be late before the demonstration says so."""

Pair = tuple[Actor, Tally]


def summary(plan: Plan, story: Story, traffic: Traffic, clock: Clock, cpu: float) -> dict[str, Any]:
    """All figures now. ``cpu``: seconds of processor time that the service has used for it."""
    seconds, decisions = clock.real, traffic.answers
    pairs = list(zip(plan.actors, story.tallies, strict=True))
    honest = [(actor, tally) for actor, tally in pairs if not actor.hijacked]
    return {
        "seconds": round(seconds, 2),
        "simulated_seconds": round(min(clock.elapsed, DAY)),
        "simulated_now": when(clock()),
        "decisions": decisions,
        "decisions_per_second": round(decisions / seconds) if seconds else 0,
        "cpu_us_per_decision": round(cpu / decisions * 1e6, 1) if decisions else None,
        "senders": sum(1 for _, tally in pairs if tally.passed or tally.refused),
        "messages": sum(tally.messages for _, tally in pairs),
        "passed": sum(tally.passed for _, tally in pairs),
        "refused": sum(tally.refused for _, tally in pairs),
        "held": sum(tally.held for _, tally in pairs),
        "paused": sorted(_paused(pairs), key=lambda row: str(row["at"])),
        "slowed": sorted(_slowed(pairs), key=lambda row: str(row["at"])),
        "honest_passed": sum(tally.passed for _, tally in honest),
        "honest_refused": sum(tally.refused for _, tally in honest),
        "honest_paused": sum(1 for _, tally in honest if tally.pauses()),
        "large": [_large(actor, tally) for actor, tally in pairs if actor in LARGE],
        "lag": _lag(traffic, clock),
    }


def _paused(pairs: list[Pair]) -> Iterator[dict[str, Any]]:
    """``recipients_before``: got out before the first pause; ``recipients_slowed``: refused
    before it, by limits or for suspicion; ``recipients_refused``: stopped after it;
    ``recipients_after``: got out later, on probation."""
    for actor, tally in pairs:
        pauses = tally.pauses()
        if not pauses:
            continue
        first = pauses[0]
        yield _row(actor, first) | {
            "at": when(float(first.told["figures"]["since"])),
            "why": str(first.told["figures"]["why"]),
            "recipients_before": first.passed,
            "recipients_slowed": first.refused,
            "recipients_refused": tally.refused - first.refused,
            "recipients_after": tally.passed - first.passed,
            "pauses": len({sight.told["figures"]["since"] for sight in pauses}),
        }


def _slowed(pairs: list[Pair]) -> Iterator[dict[str, Any]]:
    """Senders that met a limit or a suspicion; ``why`` is the cause of the first refusal."""
    for actor, tally in pairs:
        met = tally.slowed()
        if met:
            refused = sum(int(sight.told["recipients"]) for sight in met)
            yield _row(actor, met[0]) | {
                "at": met[0].told["first_at"],
                "why": met[0].told["sentence"].partition(": ")[2],
                "rules": [sight.rule for sight in met],
                "recipients_passed": tally.passed,
                "recipients_refused": refused,
            }


def _row(actor: Actor, sight: Sight) -> dict[str, Any]:
    return {
        "sender": actor.key,
        "who": actor.title,
        "hijacked": actor.hijacked,
        "reference": sight.reference,
    }


def _large(actor: Actor, tally: Tally) -> dict[str, Any]:
    return {
        "sender": actor.key,
        "who": actor.title,
        "passed": tally.passed,
        "refused": tally.refused,
    }


def _lag(traffic: Traffic, clock: Clock) -> dict[str, Any]:
    """Lateness in simulated seconds; ``unsent`` messages should have begun and have not."""
    tolerable = TOLERABLE * clock.factor
    return {
        "most": round(traffic.lag),
        "mean": round(traffic.late / traffic.started) if traffic.started else 0,
        "unsent": traffic.unsent,
        "too_slow": traffic.lag > tolerable,
    }
