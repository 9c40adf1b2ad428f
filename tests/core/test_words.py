"""One is one, and thousands can be read."""

from __future__ import annotations

import pytest

from penstock.core.words import count


@pytest.mark.parametrize(
    ("n", "told"),
    [(0, "0 addresses do"), (1, "1 address does"), (2, "2 addresses do"), (12345, "12,345 addresses do")],
)
def test_a_number_of_things(n: int, told: str) -> None:
    assert count(n, "address does", "addresses do") == told


def test_most_have_an_s() -> None:
    assert [count(n, "line") for n in (1, 2)] == ["1 line", "2 lines"]
