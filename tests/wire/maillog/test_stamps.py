"""Stamps of log lines: years, zones, summer time, fractions, and what is no stamp."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from penstock.wire.maillog.stamps import Clock, starting_year

BERLIN = ZoneInfo("Europe/Berlin")


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type]


def read(clock: Clock, *stamps: str) -> list[str]:
    """What the clock makes of them, in UTC."""
    found = [clock.classic(stamp) for stamp in stamps]
    return ["none" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %T") for at in found]


def test_a_classic_stamp_has_the_given_year_and_zone() -> None:
    assert Clock(2026, UTC).classic("Jan 27 06:36:56") == utc(2026, 1, 27, 6, 36, 56)
    assert Clock(2026, BERLIN).classic("Jan 27 06:36:56") == utc(2026, 1, 27, 5, 36, 56)
    assert Clock(2026, UTC).classic("Jan  2 06:36:56") == utc(2026, 1, 2, 6, 36, 56)


def test_a_day_need_not_be_padded() -> None:
    assert Clock(2026, UTC).classic("Aug 3 15:30:49") == utc(2026, 8, 3, 15, 30, 49)


def test_lines_of_one_hour_and_of_others() -> None:
    stamps = ("Jan 27 06:36:56", "Jan 27 06:36:56", "Jan 27 06:59:59", "Jan 27 07:00:00", "Jan 28 07:00:00")
    assert read(Clock(2026, UTC), *stamps) == [
        "2026-01-27 06:36:56",
        "2026-01-27 06:36:56",
        "2026-01-27 06:59:59",
        "2026-01-27 07:00:00",
        "2026-01-28 07:00:00",
    ]


def test_new_year_adds_one_and_late_lines_go_back() -> None:
    stamps = ("Dec 31 23:59:59", "Jan  1 00:00:00", "Dec 31 23:59:58", "Jan  1 00:00:01", "Feb  1 00:00:00")
    assert read(Clock(2025, UTC), *stamps) == [
        "2025-12-31 23:59:59",
        "2026-01-01 00:00:00",
        "2025-12-31 23:59:58",
        "2026-01-01 00:00:01",
        "2026-02-01 00:00:00",
    ]


def test_a_log_that_goes_on_through_two_new_years() -> None:
    clock = Clock(2024, UTC)
    months = ("Jan", "May", "Sep", "Dec", "Jan", "Jun", "Nov", "Feb")
    years = [day[:4] for day in read(clock, *(f"{month}  2 00:00:00" for month in months))]
    assert years == ["2024", "2024", "2024", "2024", "2025", "2025", "2025", "2026"]


def test_lines_out_of_order_within_a_year_stay_in_it() -> None:
    stamps = ("Mar  1 00:00:00", "Feb 28 23:59:59", "Aug  1 00:00:00", "Mar  1 00:00:00", "Jan 20 00:00:00")
    assert {day[:4] for day in read(Clock(2026, UTC), *stamps)} == {"2026"}


def test_december_of_the_same_year_follows_a_january_long_past() -> None:
    assert read(Clock(2026, UTC), "Jan 27 00:00:00", "Dec 27 00:00:00")[1].startswith("2026")


@pytest.mark.parametrize(
    ("stamp", "year"),
    [
        ("Jan 27 06:00:00", 2026),
        ("Jan 28 05:00:00", 2026),
        ("Jan 30 06:00:00", 2025),
        ("Dec 31 23:00:00", 2025),
    ],
)
def test_without_a_year_the_first_line_is_not_in_the_future(stamp: str, year: int) -> None:
    clock = Clock(None, UTC, now=utc(2026, 1, 27, 12))
    assert read(clock, stamp)[0].startswith(str(year))


def test_without_a_year_the_29th_of_february_finds_its_leap_year() -> None:
    assert read(Clock(None, UTC, now=utc(2027, 3, 1)), "Feb 29 10:00:00") == ["2024-02-29 10:00:00"]


def test_without_a_year_one_must_say_what_time_it_is() -> None:
    with pytest.raises(ValueError, match="what time"):
        Clock(None, UTC)


def test_the_starting_year_of_a_whole_log() -> None:
    now = utc(2026, 1, 27)
    assert starting_year(["Jan 20 00:00:00", "Dec 30 00:00:00", "Jan 15 00:00:00"], UTC, now) == 2025
    assert starting_year(["Dec 20 00:00:00", "Jan 15 00:00:00"], UTC, now) == 2025
    assert starting_year(["Jan 20 00:00:00"], UTC, now) == 2026
    assert starting_year(["Mar 20 00:00:00"], UTC, now) == 2025
    assert starting_year(["no stamp"], UTC, now) == 2026


def test_the_hour_that_comes_twice() -> None:
    stamps = ("Oct 25 01:59:59", "Oct 25 02:00:00", "Oct 25 02:59:59", "Oct 25 02:00:00", "Oct 25 02:30:00")
    assert read(Clock(2026, BERLIN), *stamps, "Oct 25 03:00:00") == [
        "2026-10-24 23:59:59",
        "2026-10-25 00:00:00",
        "2026-10-25 00:59:59",
        "2026-10-25 01:00:00",
        "2026-10-25 01:30:00",
        "2026-10-25 02:00:00",
    ]


def test_the_hour_that_does_not_come() -> None:
    stamps = ("Mar 29 01:59:59", "Mar 29 02:30:00", "Mar 29 03:00:00")
    assert read(Clock(2026, BERLIN), *stamps)[::2] == ["2026-03-29 00:59:59", "2026-03-29 01:00:00"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Jan",
        "Foo 27 06:36:56",
        "Jan 32 06:36:56",
        "Feb 29 06:36:56",
        "Jan 27 24:36:56",
        "Jan 27 06:60:56",
        "Jan 27 06:36:61",
        "Jan 27 06:36:5x",
        "Jan 27 06-36-56",
        "Jan 27 06:36:56 and more",
        "2026-01-27T06:3",
    ],
)
def test_what_is_no_stamp(text: str) -> None:
    assert Clock(2026, UTC).classic(text) is None


def test_a_wrong_stamp_does_not_spoil_the_next() -> None:
    clock = Clock(2026, UTC)
    assert clock.classic("Jan 27 06:36:56")
    assert clock.classic("Jan 27 06:99:56") is None
    assert clock.classic("Jan 27 25:00:00") is None
    assert clock.classic("Jan 27 06:36:57") == utc(2026, 1, 27, 6, 36, 57)


@pytest.mark.parametrize(
    ("text", "at", "length"),
    [
        ("2026-01-27T06:36:56.123456+01:00 mail", utc(2026, 1, 27, 5, 36, 56) + 0.123456, 32),
        ("2026-01-27T06:36:56.5Z mail", utc(2026, 1, 27, 6, 36, 56) + 0.5, 22),
        ("2026-01-27T06:36:56-05:30 mail", utc(2026, 1, 27, 12, 6, 56), 25),
        ("2026-01-27 06:36:56.042 +0100 [7] 1abc", utc(2026, 1, 27, 5, 36, 56) + 0.042, 29),
        ("2026-01-27 06:36:56 1abcde-000001-01 <=", utc(2026, 1, 27, 5, 36, 56), 19),
        ("2026-01-27 06:36:56", utc(2026, 1, 27, 5, 36, 56), 19),
    ],
)
def test_dated_stamps(text: str, at: float, length: int) -> None:
    clock = Clock(2020, BERLIN)
    for _ in range(2):  # the second time from what the clock kept
        found = clock.dated(text)
        assert found is not None
        assert found[0] == pytest.approx(at, abs=1e-6)
        assert found[1] == length


def test_dated_stamps_of_one_hour_in_several_zones() -> None:
    clock = Clock(2020, UTC)
    for hours in (1, 2, 1, -7):
        zone = timezone(timedelta(hours=hours))
        for second in (0, 59):
            moment = datetime(2026, 1, 27, 6, 36, second, 250_000, tzinfo=zone)
            assert clock.dated(moment.isoformat() + " mail") == (moment.timestamp(), 32)
            assert clock.precise(moment.isoformat() + " mail") == moment.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-27T06:36:56.123456+01:00",
        "2026-01-27T06:36:56.12345x+01:00 mail",
        "2026-01-27T06:36:99.123456+01:00 mail",
        "2026-01-27 06:36:56.123456 +0100 1abcde-000001-01 Completed",
        "2026-01-27T06:36:56+01:00 mail 123",
        "Jan 27 06:36:56 mail postfix/x[1]",
    ],
)
def test_what_is_no_precise_stamp(text: str) -> None:
    clock = Clock(2020, UTC)
    assert clock.precise(text) is None
    assert clock.precise("2026-01-27T06:36:56.123456+01:00 mail") is not None
    assert clock.precise(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-27",
        "2026-13-27T06:36:56Z",
        "2026-01-27T06:36:99Z",
        "2026-01-27T24:36:56Z",
        "2026-01-27T06:36:56+99:99 mail",
        "2026-01-27T06:36:56.+1:00",
        "0000-01-01T00:00:00Z",
        "2026-01-27T06:36:56junk",
    ],
)
def test_what_is_no_dated_stamp(text: str) -> None:
    clock = Clock(2020, UTC)
    assert clock.dated("2026-01-27T06:36:56.123456+00:00 mail") is not None
    assert clock.dated(text) is None


def test_stamps_of_php() -> None:
    clock = Clock(2020, BERLIN)
    assert clock.php("27-Jan-2026 06:36:56 UTC] mail()") == (utc(2026, 1, 27, 6, 36, 56), 24)
    assert clock.php("27-Jan-2026 06:36:56 Europe/Berlin] mail()") == (utc(2026, 1, 27, 5, 36, 56), 34)
    assert clock.php("27-Jan-2026 06:36:56] mail()") == (utc(2026, 1, 27, 5, 36, 56), 20)
    for text in ("", "27-Jan-2026", "32-Jan-2026 06:36:56 UTC]", "27-Foo-2026 06:36:56 UTC]"):
        assert clock.php(text) is None
