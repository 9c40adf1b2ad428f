"""Several logs as one stream of events, in time order, each year found out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.core.events import Accepted
from penstock.study.reading import Reading
from penstock.study.sources import open_sources
from penstock.wire.maillog.join import Join
from study.support import DAY, MONDAY, Platform

NOW = MONDAY + 30 * DAY


def accepted(*paths: Path, year: int | None = None, now: float = NOW) -> list[Accepted]:
    reading = Reading(open_sources([str(path) for path in paths]), UTC, year, now)
    return [event for event in reading.events(Join()) if isinstance(event, Accepted)]


def platform(host: str, *times: float) -> Platform:
    found = Platform(host=host)
    for at in times:
        found.message(at, f"a@{host}.example", ["b@example.org"])
    return found


@pytest.mark.parametrize("dated", [False, True])
def test_the_logs_of_several_hosts_are_merged_by_time(tmp_path: Path, dated: bool) -> None:
    first = platform("mx1", *(MONDAY + 100 * i for i in range(0, 40, 2))).write(tmp_path / "mx1.log", dated)
    second = platform("mx2", *(MONDAY + 100 * i for i in range(1, 40, 2))).write(tmp_path / "mx2.log", dated)
    late = platform("mx3", MONDAY + DAY).write(tmp_path / "mx3.log", dated)
    times = [event.message.at for event in accepted(late, second, first)]
    assert times == [MONDAY + 100 * i for i in range(40)] + [MONDAY + DAY]


def test_the_year_is_found_across_new_year(tmp_path: Path) -> None:
    old = datetime(2025, 3, 1, tzinfo=UTC).timestamp()
    new_year = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    platform("mx", old, old + 60 * DAY).write(tmp_path / "mail.log.2")
    platform("mx", new_year - 60, new_year + 60).write(tmp_path / "mail.log.1")
    platform("mx", new_year + 9 * DAY, new_year + 80 * DAY).write(tmp_path / "mail.log")
    times = [event.message.at for event in accepted(tmp_path, now=new_year + 81 * DAY)]
    expected = [old, old + 60 * DAY, new_year - 60, new_year + 60, new_year + 9 * DAY, new_year + 80 * DAY]
    assert times == expected


def test_a_given_year_is_that_of_the_first_line(tmp_path: Path) -> None:
    log = platform("mx", MONDAY - 10 * DAY, MONDAY).write(tmp_path / "mail.log")
    years = [datetime.fromtimestamp(event.message.at, UTC).year for event in accepted(log, year=2019)]
    assert years == [2019, 2020]


def test_what_was_read_is_counted(tmp_path: Path) -> None:
    log = platform("mx", MONDAY).write(tmp_path / "mail.log")
    with log.open("a") as file:
        file.write(
            "Jan  5 00:01:00 mx sshd[1]: hello\nnonsense\nJan  5 00:01:00 mx postfix/qmgr[1]: never seen\n"
        )
    reading = Reading(open_sources([str(log)]), UTC, None, NOW)
    list(reading.events(Join()))
    assert (reading.lines, reading.understood, reading.foreign) == (8, 5, 1)
    assert sum(reading.unknown.values()) == 2
    assert (reading.first_at, reading.last_at) == (MONDAY, MONDAY + 1)
