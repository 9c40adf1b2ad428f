"""Figures of incidents for /metrics: labels are signals, states and quantiles, so there are few."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence

from penstock.app.node import Node
from penstock.core.quality import Tally as Quality
from penstock.core.quality import quantile

Values = Iterable[tuple[Sequence[str], float]]


def incidents(node: Node) -> Values:
    """By what they have come to: open, unjudged (closed without a verdict), or the verdict."""
    found = Tally({"open": 0, "unjudged": 0, "compromised": 0, "legitimate": 0})
    for incident in node.engine.casework.incidents.by_id.values():
        if not incident.into:
            found[str(incident.verdict or ("open" if incident.is_open else "unjudged"))] += 1
    return [((state,), n) for state, n in found.items()]


def signals(node: Node) -> Values:
    """Incidents of the last month in which each signal spoke, by verdict."""
    _, by_signal = node.engine.casework.quality(node.clock())
    return [
        ((name, verdict), n)
        for name, tally in by_signal.items()
        for verdict, n in (
            ("compromised", tally.compromised),
            ("legitimate", tally.legitimate),
            ("none", tally.unjudged),
        )
    ]


def factors(node: Node) -> Values:
    """What each signal's weight is multiplied by, where something was learned."""
    return [((name,), factor) for name, factor in node.engine.casework.learning.weights.items()]


def lessons(node: Node) -> Values:
    return [((), len(node.engine.casework.learning.lessons))]


def false_pauses(node: Node) -> Values:
    return [((), node.engine.casework.quality(node.clock())[0].false_pauses)]


def quantiles(values: Callable[[Quality], list[float]], *shares: float) -> Callable[[Node], Values]:
    """Quantiles over the last month; nothing while there is nothing to measure."""

    def read(node: Node) -> Values:
        measured = values(node.engine.casework.quality(node.clock())[0])
        found = ((share, quantile(measured, share)) for share in shares)
        return [((f"{share:g}",), value) for share, value in found if value is not None]

    return read
