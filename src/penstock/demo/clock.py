"""Accelerated time, the same in both processes of the demonstration."""

from __future__ import annotations

import math
import time

DAY = 86400.0


class Clock:
    """Simulated seconds since the epoch: ``begin`` stands still until ``start``, then time flies.

    ``ago``: seconds by which it is still before ``begin``. It rests on the system's monotonic clock,
    which all processes of a machine share.
    """

    def __init__(self, begin: float, factor: float) -> None:
        self.begin = begin
        self.factor = factor
        self.ago = 0.0
        self.started = math.inf

    def start(self, monotonic: float) -> None:
        """Let time run from this moment of the monotonic clock on."""
        self.started = monotonic

    @property
    def real(self) -> float:
        """Real seconds since the start."""
        return max(0.0, time.monotonic() - self.started)

    @property
    def elapsed(self) -> float:
        """Simulated seconds since the start."""
        return self.real * self.factor

    def __call__(self) -> float:
        return self.begin - self.ago + self.elapsed


def midnight(at: float) -> float:
    """The beginning of the day (UTC) that holds ``at``."""
    return at // DAY * DAY
