"""Rows into entries."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.policy import Entry
from penstock.directory.entries import NoColumns, moment, read_entry, text

NOON = 1706704200.0  # 2024-01-31 12:30 UTC


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (date(2024, 1, 31), 1706659200.0),
        (datetime(2024, 1, 31, 12, 30), NOON),
        (datetime(2024, 1, 31, 12, 30, tzinfo=UTC), NOON),
        (datetime(2024, 1, 31, 14, 30, tzinfo=timezone(timedelta(hours=2))), NOON),
        ("2024-01-31", 1706659200.0),
        ("20240131", 1706659200.0),
        ("2024-01-31 12:30:00", NOON),
        (b" 2024-01-31T12:30:00Z ", NOON),
        ("2024-01-31T14:30:00.0+02:00", NOON),
        (1706704200, NOON),
        (1706704200.0, NOON),
        (Decimal("1706704200"), NOON),
        ("1706704200", NOON),
        (datetime(1970, 1, 1), 0.0),
        (None, None),
        ("", None),
        (0, None),
        ("0", None),
        ("0000-00-00 00:00:00", None),
    ],
)
def test_moments(value: object, at: float | None) -> None:
    assert moment(value) == at


@pytest.mark.parametrize(
    "value",
    [
        "yesterday", "infinity", "2024-02-30", 20240131, 1706704200000, -5, float("nan"), float("inf"),
        Decimal("NaN"), 10**400, True, [], {}, b"\xff", "٢٠٢٤٠١٣١٠٠",
    ],
)  # fmt: skip
def test_no_moments(value: object) -> None:
    with pytest.raises((ValueError, OverflowError)):
        moment(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (" de ", "de"),
        (b"caf\xc3\xa9", "café"),
        (4711, "4711"),
        (4711.0, "4711"),
        (Decimal("4711.00"), "4711"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
)
def test_texts(value: object, written: str) -> None:
    assert text(value) == written


@pytest.mark.parametrize(
    "value",
    [True, 1.5, float("nan"), Decimal("NaN"), [], {}, "a\nb", "\0", "x" * 257, b"\xff", date(2024, 1, 1)],
)
def test_no_texts(value: object) -> None:
    with pytest.raises(ValueError):
        text(value)


def test_names_in_any_case_and_others_ignored() -> None:
    row = {"CUSTOMER": 1, "Created_At": "2024-01-31 12:30", "id": object()}
    assert read_entry(row) == (Entry("1", created_at=NOON), {})


def test_a_bad_value_is_named_and_the_rest_counts() -> None:
    entry, bad = read_entry({"customer": "1", "profile": [], "created": "soon"})
    assert entry == Entry("1")
    assert list(bad) == ["profile", "created"]


def test_rows_without_meaning() -> None:
    assert read_entry({}) == (Entry(), {})
    assert read_entry({"customer": None}) == (Entry(), {})
    with pytest.raises(NoColumns, match="count is one of customer"):
        read_entry({"count": 1})


words = st.text("0123456789-:TZ aé\0\n")
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words | st.binary() | st.decimals()
rows = st.dictionaries(
    st.sampled_from(["customer", "profile", "language", "contact", "created", "created_at", "x"]),
    scalars | st.dates() | st.datetimes() | st.lists(st.integers(), max_size=2),
)


@given(rows)
def test_nothing_that_a_driver_returns_is_fatal(row: dict[str, object]) -> None:
    try:
        entry, _ = read_entry(row)
    except NoColumns:
        return
    assert all(len(value) <= 256 for value in (entry.customer, entry.profile, entry.language, entry.contact))
