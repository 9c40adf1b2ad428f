"""Which journeys nobody can make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo import BERLIN, HANOI, LAGOS, SAO_PAULO
from penstock.core.journey import EARTH, FASTEST, LEAST, Place, distance, is_impossible

HOUR = 3600.0
places = st.builds(
    Place,
    st.sampled_from(["DE", "NG", "BR"]),
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.floats(0, 1000),
)


def test_distances_on_the_globe() -> None:
    assert distance(BERLIN, LAGOS) == pytest.approx(5200, abs=50)
    assert distance(SAO_PAULO, HANOI) == pytest.approx(17_000, abs=400)
    assert distance(Place("GB", 0, 179.5, 0), Place("FJ", 0, -179.5, 0)) == pytest.approx(111, abs=1)


@given(places, places)
def test_a_distance_goes_both_ways_and_at_most_to_the_far_side(one: Place, other: Place) -> None:
    assert 0 <= distance(one, other) <= 3.15 * EARTH
    assert distance(one, other) == pytest.approx(distance(other, one))


def test_an_airliner_takes_its_time() -> None:
    assert is_impossible(BERLIN, LAGOS, 5 * HOUR)
    assert not is_impossible(BERLIN, LAGOS, 6 * HOUR)


@given(places, places)
def test_within_a_day_everything_can_be_reached(one: Place, other: Place) -> None:
    assert not is_impossible(one, other, 24 * HOUR)


def test_what_the_radii_explain_is_no_journey() -> None:
    vague = BERLIN._replace(radius=1000.0)
    assert is_impossible(BERLIN, LAGOS, 4.5 * HOUR) and not is_impossible(vague, LAGOS, 4.5 * HOUR)


def test_neighbours_and_other_ends_of_one_country_are_no_journey() -> None:
    near = Place("NL", BERLIN.latitude, BERLIN.longitude - LEAST / 68, 0.0)
    assert distance(BERLIN, near) < LEAST + BERLIN.radius
    assert not is_impossible(BERLIN, near, 0.0)
    assert not is_impossible(Place("US", 40.7, -74.0, 10), Place("US", 37.8, -122.4, 10), 60.0)
    assert distance(Place("US", 40.7, -74.0, 10), Place("US", 37.8, -122.4, 10)) > FASTEST
