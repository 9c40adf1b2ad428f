"""Where on earth mail comes from, and whether anybody can have got from one place to the other."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Final, NamedTuple

EARTH: Final = 6371.0
"""Mean radius, km."""

FASTEST: Final = 1000.0
"""km/h: an airliner's 900, and some wind."""

LEAST: Final = 500.0
"""km beyond both radii that are a journey: address databases err by less, in most cases."""


class Place(NamedTuple):
    """``country``: ISO 3166, two capitals; ``latitude``, ``longitude``: degrees; ``radius``: km within which
    it is true, more or less."""

    country: str
    latitude: float
    longitude: float
    radius: float


def distance(one: Place, other: Place) -> float:
    """km on the great circle (haversine)."""
    north, east = radians(other.latitude - one.latitude), radians(other.longitude - one.longitude)
    both = cos(radians(one.latitude)) * cos(radians(other.latitude))
    part = sin(north / 2) ** 2 + both * sin(east / 2) ** 2
    return 2 * EARTH * asin(min(1.0, sqrt(part)))


def is_impossible(one: Place, other: Place, seconds: float) -> bool:
    """Whether nobody travels that far in so many seconds. Within a country nothing is: there the databases
    name the seat of the provider."""
    if one.country == other.country:
        return False
    km = distance(one, other) - one.radius - other.radius
    return km > LEAST and km > FASTEST * seconds / 3600
