"""How good we are, from incidents and their verdicts: pure sums, a month and a signal at a time.

Delay: from the first novel recipient of the day before suspicion to the pause. Leak: novel recipients that
got through. Both are of what was judged compromised. Held: how long senders that were judged legitimate were
slowed or paused. What nobody has judged is in no figure but its own number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from penstock.core.incident import Incident, Suspect, Verdict


@dataclass(slots=True)
class Tally:
    """Figures of some incidents. Times are seconds. ``false_pauses``: senders judged legitimate that were
    paused; ``unjudged``: incidents without a verdict."""

    incidents: int = 0
    senders: int = 0
    open: int = 0
    compromised: int = 0
    legitimate: int = 0
    unjudged: int = 0
    paused: int = 0
    false_pauses: int = 0
    delays: list[float] = field(default_factory=list)
    leaks: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)

    def add(self, incident: Incident) -> None:
        """Count one more."""
        self.incidents += 1
        self.open += incident.is_open
        self.unjudged += incident.verdict is None
        self.compromised += incident.verdict is Verdict.COMPROMISED
        self.legitimate += incident.verdict is Verdict.LEGITIMATE
        for suspect in incident.suspects.values():
            self._add(suspect, incident)

    def _add(self, suspect: Suspect, incident: Incident) -> None:
        self.senders += 1
        self.paused += suspect.paused_at is not None
        if incident.verdict is Verdict.LEGITIMATE:
            self.false_pauses += suspect.paused_at is not None
            end = suspect.released_at or incident.closed_at
            if suspect.stopped_at is not None and end is not None and not incident.shadow:
                self.held.append(max(0.0, end - suspect.stopped_at))
        elif incident.verdict is Verdict.COMPROMISED:
            self.leaks.append(suspect.leak)
            if suspect.paused_at is not None:
                self.delays.append(max(0.0, suspect.paused_at - suspect.began_at))

    def figures(self) -> dict[str, int | float | None]:
        """All of it as JSON can say it; None where there is nothing to measure."""
        return {
            "incidents": self.incidents,
            "open": self.open,
            "senders": self.senders,
            "compromised": self.compromised,
            "legitimate": self.legitimate,
            "unjudged": self.unjudged,
            "paused": self.paused,
            "false_pauses": self.false_pauses,
            "delay_median": quantile(self.delays, 0.5),
            "leak_median": quantile(self.leaks, 0.5),
            "leak_p95": quantile(self.leaks, 0.95),
            "held_median": quantile(self.held, 0.5),
            "held_total": sum(self.held),
        }


def by_month(incidents: Iterable[Incident]) -> dict[str, Tally]:
    """``2026-11`` (UTC, when it was opened) → figures, oldest first."""
    found: dict[str, Tally] = {}
    for incident in _real(incidents):
        month = datetime.fromtimestamp(incident.opened_at, UTC).strftime("%Y-%m")
        found.setdefault(month, Tally()).add(incident)
    return dict(sorted(found.items()))


def by_signal(incidents: Iterable[Incident], names: Iterable[str]) -> dict[str, Tally]:
    """Signal → figures of the incidents in which it spoke."""
    found = {name: Tally() for name in names}
    for incident in _real(incidents):
        for name in incident.spoke:
            found.setdefault(name, Tally()).add(incident)
    return dict(sorted(found.items()))


def overall(incidents: Iterable[Incident]) -> Tally:
    """Figures of all of them."""
    tally = Tally()
    for incident in _real(incidents):
        tally.add(incident)
    return tally


def report(incidents: Sequence[Incident], since: float, factors: Mapping[str, float]) -> dict[str, object]:
    """What ``penstock quality`` says of the incidents opened from ``since`` on."""
    recent = [incident for incident in incidents if incident.opened_at >= since]
    signals = by_signal(recent, factors)
    return {
        "total": overall(recent).figures(),
        "months": {month: tally.figures() for month, tally in by_month(recent).items()},
        "signals": {
            name: tally.figures() | {"factor": factors.get(name, 1.0)} for name, tally in signals.items()
        },
    }


def _real(incidents: Iterable[Incident]) -> Iterable[Incident]:
    """Those that have not become a part of another."""
    return (incident for incident in incidents if not incident.into)


def quantile(values: Sequence[float], share: float) -> float | None:
    """The nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
