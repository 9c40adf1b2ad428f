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
    """One login's travels. ``address``: hash of the one that its last mail came from; ``place``: where that
    is, None for unknown; ``at``: when that mail came; ``foreign``: the network was not its own.
    ``countries``: when mail last came from each."""

    __slots__ = ("address", "at", "countries", "foreign", "jumps", "place")

    def __init__(self) -> None:
        self.address = 0
        self.place: Place | None = None
        self.at = 0.0
        self.foreign = False
        self.countries: dict[str, float] = {}
        self.jumps: tuple[Jump, ...] = ()

    def go(self, place: Place | None, at: float, foreign: bool) -> None:
        """Mail comes from there now."""
        before, self.place = self.place, place
        if place is None:
            return
        self.countries.pop(place.country, None)  # the last one that was seen is the last
        if len(self.countries) >= MOST_COUNTRIES:
            del self.countries[next(iter(self.countries))]
        seconds = at - self.at
        if before is None or seconds < 0 or not (foreign or self.foreign):
            return
        if is_impossible(before, place, seconds):
            jump = Jump(distance(before, place), at, seconds, f"{before.country} to {place.country}")
            self.jumps = (*self.jumps[1 - MOST_JUMPS :], jump)

    def stay(self, at: float, foreign: bool) -> None:
        """It is there at that time."""
        self.at, self.foreign = at, foreign
        if self.place is not None:
            self.countries[self.place.country] = at


class Journeys:
    """The travels of one node's logins. ``places``: where an address is, None for unknown; None itself where
    nobody can tell: then nothing is kept."""

    def __init__(self) -> None:
        self.places: Callable[[str], Place | None] | None = None
        self._trips: dict[str, Trip] = {}

    def adopt(self, places: Callable[[str], Place | None] | None) -> None:
        """Take over a newer file; or that there is none, and forget what another one has told."""
        self.places = places
        if places is None:
            self._trips.clear()

    def move(self, key: str, address: str, at: float, foreign: bool) -> None:
        """A sender's message comes from that address: a login's place is looked up when that is another one
        than before."""
        if self.places is None or not address or not key.startswith("login:"):
            return
        trip = self._trips.pop(key, None)
        if trip is None:
            self._make_room(at)
            trip = Trip()
        self._trips[key] = trip  # the last one that mailed is the last in the table
        found = hash(address)
        if found != trip.address:
            trip.address = found
            trip.go(self.places(address), at, foreign)
        trip.stay(at, foreign)

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
