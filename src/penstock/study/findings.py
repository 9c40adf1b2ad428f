"""What a study found, as plain frozen values: the terminal, JSON, the report and the proposal read these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from penstock.core.limits import Limit, Unit
from penstock.study.sender_day import Detail
from penstock.study.windows import WINDOWS

Guess = Literal["hijacked?", "list or software", ""]

UNITS: Final = (Unit.RECIPIENTS, Unit.MESSAGES)
MEASURES: Final = tuple((unit, window) for unit in UNITS for window in WINDOWS)
"""(unit, window in seconds) of each figure of a sender-day, in the order of ``Track.figures``."""

WINDOW_NAMES: Final = {60: "minute", 3600: "hour", 86400: "day"}


@dataclass(frozen=True)
class Threshold:
    """The smallest limit that at most one in ``one_in`` sender-days exceeds. ``limit`` None: too few days
    to tell. ``days`` and ``senders``: how many of them really exceed it."""

    one_in: int
    limit: int | None
    days: int = 0
    senders: int = 0


@dataclass(frozen=True)
class Spread:
    """How one figure is distributed over active sender-days. ``quantiles``: percent → value, None when there
    are too few sender-days. ``curve``: (value, share of sender-days that reach it)."""

    unit: Unit
    window: int
    quantiles: Mapping[str, int | None]
    most: int
    thresholds: tuple[Threshold, ...]
    curve: tuple[tuple[int, float], ...]

    def threshold(self, one_in: int) -> Threshold:
        """The limit for one in so many."""
        return next(found for found in self.thresholds if found.one_in == one_in)


@dataclass(frozen=True)
class Touched:
    """A sender above at least one of the limits that touch 1 in 100 sender-days, and its busiest day.

    ``exceeded``: those limits, and on how many days. ``rarest``: the largest N of the 1-in-N limits that it
    exceeds. ``usual``: recipients of its median day. ``signs``: what speaks for the guess, in words.
    """

    sender: str
    active_days: int
    touched_days: int
    exceeded: tuple[tuple[Limit, int], ...]
    rarest: int
    usual: int
    busiest: Detail
    guess: Guess
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Senders of one sort. ``touched``: worst first, as many of the ``touched_senders`` as a report can hold,
    and the busiest ones in any case."""

    name: str
    senders: int
    sender_days: int
    recipients: int
    spreads: tuple[Spread, ...]
    touched: tuple[Touched, ...]
    touched_senders: int

    def spread(self, unit: Unit, window: int) -> Spread:
        """The distribution of one figure."""
        return next(found for found in self.spreads if (found.unit, found.window) == (unit, window))


@dataclass(frozen=True)
class Period:
    """What was read. Times are seconds since the epoch; ``zone`` is the name of the calendar's time zone."""

    begin: float
    end: float
    zone: str
    lines: int
    understood: int
    foreign: int
    unknown: tuple[tuple[str, int], ...]
    accepted: int
    messages: int
    recipients: int

    @property
    def unknown_lines(self) -> int:
        """Lines that nobody understood."""
        return self.lines - self.understood - self.foreign


@dataclass(frozen=True)
class Study:
    """All of it. ``volume``: (day as an ordinal, hour) → recipients. ``policy``: the proposed policy file."""

    period: Period
    groups: tuple[Group, ...]
    volume: Mapping[tuple[int, int], int]
    policy: str
    warnings: tuple[str, ...] = ()
