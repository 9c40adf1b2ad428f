"""Evidence: from findings to suspicion, and the thresholds at which something is done.

Theory. A finding's weight is the log-likelihood ratio (natural logarithm) of what was counted: how much
likelier it is when the sender is in a stranger's hands than when it is not. Suspicion is the prior log-odds
of a day on which a sender is compromised plus the weights. Findings look at windows of the ledger, so
they fade by themselves, and all of it can be computed again from the counts. Signals that see the same
fact from two sides (many recipients, many new ones) form a group: the strongest counts in full, the
next by half, and so on, or one fact would convict by being told three times.

Wald's sequential test (1945) gives the threshold: with a share ``alpha`` of honest sender-days that may be
paused and a share ``beta`` of compromises that may slip, act when the weights reach ln((1 - beta) / alpha).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

GROUP_DISCOUNT: Final = 0.5
GROUP_MOST: Final = 8.5
"""Nats: no group of signals pauses a sender alone, whatever its size."""

ALLEGED: Final = frozenset({"flow", "network", "fan-out"})
"""Groups that see what is sent, how and where from, not what became of it."""

ALLEGED_MOST: Final = 10.8
"""Nats of these groups together: alone they do not pause."""

SLOW_PART: Final = 0.36


@dataclass(frozen=True, slots=True)
class Finding:
    """What one signal says now. ``weight``: nats; ``group``: what it shares with other signals; ``text``:
    half a sentence with its figures."""

    signal: str
    weight: float
    text: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Usual:
    """Floors of a class of senders, a day: what is nothing special even for one without a past."""

    novel: int = 4
    recipients: int = 30
    envelopes: int = 1


@dataclass(frozen=True)
class Detection:
    """How much is risked. ``false_pauses``: honest senders paused in 10,000 sender-days; ``missed``: the
    share of compromises that may slip; ``compromised``: sender-days with a compromise in 10,000.

    ``canaries``: novel recipients that a slowed sender may have under way at once; ``mode`` as of a limit;
    ``silent``: names of signals that do not count; ``traps``: addresses (small letters) of nobody; ``geo``:
    path of the file that tells where client addresses are, "" for none.
    """

    mode: str = "off"
    false_pauses: float = 0.1
    missed: float = 0.01
    compromised: float = 1.0
    canaries: int = 5
    lasts: int | None = None
    silent: tuple[str, ...] = ()
    traps: frozenset[str] = frozenset()
    geo: str = ""

    @property
    def prior(self) -> float:
        """Log-odds of a compromise on a day about which nothing is known."""
        p = self.compromised / 10_000
        return math.log(p / (1 - p))

    @property
    def pause_at(self) -> float:
        """Suspicion at which a sender is paused."""
        return self.prior + math.log((1 - self.missed) / (self.false_pauses / 10_000))

    @property
    def slow_at(self) -> float:
        """Suspicion at which only canaries pass: a good third of the way to a pause."""
        return self.prior + SLOW_PART * (self.pause_at - self.prior)


ORDINARY: Final = Usual()
NO_DETECTION: Final = Detection()


def suspicion(prior: float, findings: Iterable[Finding]) -> float:
    """Prior and weights together; within a group each next one counts by half of the one before."""
    groups: dict[str, list[float]] = {}
    total = prior
    for finding in findings:
        if finding.group:
            groups.setdefault(finding.group, []).append(finding.weight)
        else:
            total += finding.weight
    alleged = 0.0
    for name, weights in groups.items():
        ordered = sorted(weights, key=abs, reverse=True)
        found = min(GROUP_MOST, sum(weight * GROUP_DISCOUNT**i for i, weight in enumerate(ordered)))
        if name in ALLEGED:
            alleged += found
        else:
            total += found
    return total + min(alleged, ALLEGED_MOST)
