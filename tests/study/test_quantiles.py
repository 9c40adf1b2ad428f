"""Quantiles against a sorted list; what the data does not tell is not told."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.study.quantiles import ONE_IN, QUANTILES, Distribution

VALUES = st.lists(st.integers(1, 500), min_size=1, max_size=400)


@given(VALUES, st.sampled_from(QUANTILES))
def test_a_quantile_is_the_smallest_value_with_its_share_below(values: list[int], percent: str) -> None:
    found = Distribution(Counter(values)).quantile(percent)
    share = float(percent) / 100
    if len(values) * (1 - share) < 0.999:
        assert found is None
    elif found is not None:
        reaching = [
            v for v in sorted(set(values)) if sum(x <= v for x in values) >= share * len(values) - 1e-6
        ]
        assert found == reaching[0]


@given(VALUES, st.integers(1, 500))
def test_a_limit_touches_at_most_one_in_so_many(values: list[int], one_in: int) -> None:
    found = Distribution(Counter(values))
    limit = found.touching(one_in)
    if limit is None:
        assert len(values) < one_in
        return
    assert found.above(limit) == sum(value > limit for value in values) <= len(values) / one_in
    assert limit == min(values) or found.above(limit - 1) > len(values) // one_in


def test_no_figure_without_the_data() -> None:
    found = Distribution(Counter(range(1, 9_999)))
    assert found.touching(10_000) is None
    assert found.quantile("99.99") is None
    assert found.quantile("99.9") == 9_989
    assert [Distribution({}).touching(n) for n in ONE_IN] == [None, None, None]
    assert Distribution({}).curve() == []


@pytest.mark.parametrize("largest", [1, 7, 2_000, 10_000_000])
def test_the_curve_keeps_its_ends_and_stays_short(largest: int) -> None:
    curve = Distribution(Counter(dict.fromkeys(range(1, min(largest, 2000) + 1), 1) | {largest: 1})).curve()
    assert curve[0][1] == 1.0
    assert curve[-1][0] == largest
    assert len(curve) <= 170
    assert curve == sorted(curve, key=lambda point: (point[0], -point[1]))
