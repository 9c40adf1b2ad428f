"""From where each login wrote last, and the journeys that nobody can have made.

Only mail counts, not logins: a telephone left at home looks for mail while its owner is away.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple

from penstock.core.journey import Place, distance, is_impossible
from penstock.signals.view import STAYED, Travel

DAY: Final = 86400
"""Seconds after which a journey is over: the far side of the earth is 20 hours away."""

MOST_TRIPS: Final = 50_000
MOST_JUMPS: Final = 6
MOST_COUNTRIES: Final = 16
"""Of one login: more say no more."""


class Jump(NamedTuple):
    """One impossible journey."""

    km: float
    at: float
    seconds: float
    route: str


class Trip:
    """One login's travels. ``place``: where its last mail came from, None for unknown; ``at``: when that was
    looked up; ``foreign``: the network was not its own. ``countries``: when mail last came from each."""

    __slots__ = ("at", "countries", "foreign", "jumps", "place")

    def __init__(self) -> None:
        self.place: Place | None = None
        self.at = 0.0
        self.foreign = False
        self.countries: dict[str, float] = {}
        self.jumps: tuple[Jump, ...] = ()

    def go(self, place: Place, left_at: float, at: float, foreign: bool) -> None:
        """Mail comes from there now; from where it was before it came until ``left_at``."""
        before, self.place = self.place, place
        if before is not None and before != place and (foreign or self.foreign):
            seconds = at - max(self.at, left_at)
            if seconds >= 0 and is_impossible(before, place, seconds):
                jump = Jump(distance(before, place), at, seconds, f"{before.country} to {place.country}")
                self.jumps = (*self.jumps[1 - MOST_JUMPS :], jump)
        self.countries.pop(place.country, None)
        self.countries[place.country] = at  # the last one that was seen is the last
        if len(self.countries) > MOST_COUNTRIES:
            del self.countries[next(iter(self.countries))]


class Journeys:
    """The travels of one node's logins. ``places``: where an address is, None for unknown; None itself where
    nobody can tell: then nothing is kept."""

    def __init__(self) -> None:
        self.places: Callable[[str], Place | None] | None = None
        self._trips: dict[str, Trip] = {}

    def move(self, key: str, address: str, left_at: float, at: float, foreign: bool) -> None:
        """A message from an address that may be a new one. ``left_at``: when the login mailed before, 0 if
        that is not known."""
        if self.places is None:
            return
        place = self.places(address)
        trip = self._trips.pop(key, None)
        if trip is None:
            self._make_room(at)
            trip = Trip()
        self._trips[key] = trip  # the last one that moved is the last in the table
        if place is None:
            trip.place = None
        else:
            trip.go(place, left_at if left_at <= at else 0.0, at, foreign)
        trip.at, trip.foreign = max(at, trip.at), foreign

    def today(self, key: str, since: float, at: float) -> Travel:
        """A login's impossible journeys of the last 24 hours, none from before ``since``."""
        trip = self._trips.get(key)
        if trip is None or not trip.jumps:
            return STAYED
        since = max(since, at - DAY)
        jumps = [jump for jump in trip.jumps if jump.at > since]
        if not jumps:
            return STAYED
        countries = sum([1 for seen in trip.countries.values() if seen > since])
        farthest = max(jumps)
        return Travel(len(jumps), countries, farthest.km, farthest.seconds, farthest.route)

    def clear(self, key: str) -> None:
        """It was the owner."""
        self._trips.pop(key, None)

    def _make_room(self, at: float) -> None:
        """Forget travels that are over, a few at a time."""
        for key in list(islice(self._trips, 2)):
            if self._trips[key].at < at - DAY or len(self._trips) >= MOST_TRIPS:
                del self._trips[key]
