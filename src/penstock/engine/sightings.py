"""What one witness saw lately, by time. Bounded: a flood pushes out what is oldest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock.core.witness import base_of

MOST: Final = 5_000
LOOKS: Final = 500
"""Sightings looked at for one message."""

Test = Callable[["Sighting"], bool]


@dataclass(slots=True)
class Sighting:
    """A script at a time (seconds since the epoch). ``user``: a user id, "" where the witness knows none."""

    at: float
    path: str
    user: str = ""
    used: bool = False


class Sightings:
    """``before`` and ``after``: seconds from the sighting to the message at most, and the other way round
    (stamps are whole seconds). ``once``: each names one message."""

    def __init__(self, before: float, after: float, once: bool = True) -> None:
        self._before = before
        self._after = after
        self._once = once
        self._row: deque[Sighting] = deque(maxlen=MOST)

    def add(self, sighting: Sighting) -> None:
        """The newest."""
        if sighting.path:
            self._row.append(sighting)

    def take(self, at: float, base: str, fits: Test, is_own: Test) -> Sighting | None:
        """The sighting that belongs to a message of that time; None for none, or for more than one script.

        ``base``: the file name that the message itself claims, "" for none: what bears it comes first.
        Another name contradicts the claim, and is taken only from a script that ``is_own``."""
        near = [one for one in self._near(at) if fits(one)]
        if base:
            near = [one for one in near if base_of(one.path) == base] or list(filter(is_own, near))
        if not near or any(one.path != near[0].path for one in near):
            return None
        if self._once:
            near[0].used = True
        return near[0]

    def _near(self, at: float) -> list[Sighting]:
        """Those about that time, the oldest first."""
        found = []
        for looks, one in enumerate(reversed(self._row)):
            if looks >= LOOKS or at - one.at > 2 * self._before:
                break
            if not one.used and -self._after <= at - one.at <= self._before:
                found.append(one)
        return found[::-1]
