"""Which files belong to a log, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.servers.follow.archive import candidates
from penstock.servers.follow.position import Mark, Position


@pytest.mark.parametrize(
    ("live", "names"),
    [
        ("mail.log", ["mail.log.10.gz", "mail.log.2.xz", "mail.log.1", "mail.log"]),
        ("mail.log", ["mail.log-20251231.gz", "mail.log-20260127", "mail.log-20260127-17", "mail.log"]),
        ("mail.log", ["mail-20251231.log.zst", "mail-20260127.log", "mail.log"]),
        ("mail.log", ["mail.1.log", "mail.log"]),
        ("mainlog", ["mainlog.02", "mainlog.01", "mainlog"]),
        ("maillog", ["maillog.1.bz2", "maillog.0.bz2", "maillog"]),
        ("a+b [1].log", ["a+b [1].log.1", "a+b [1].log"]),
    ],
)
def test_oldest_first(tmp_path: Path, live: str, names: list[str]) -> None:
    strangers = ["mail.log.1.gz.tmp", "mail.logx", "xmail.log", "mail.log.", "mail.err", "rejectlog.1"]
    for name in sorted([*names, *strangers]):
        (tmp_path / name).touch()
    assert [one.path.name for one in candidates(tmp_path / live)] == names


def test_two_ways_of_naming_are_ordered_by_time(tmp_path: Path) -> None:
    for at, name in enumerate(["mail.log.1", "mail.log-20260127", "mail.log-20260101", "mail.log"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    names = ["mail.log.1", "mail.log-20260127", "mail.log-20260101", "mail.log"]
    assert [one.path.name for one in candidates(tmp_path / "mail.log")] == names


def test_a_file_that_is_being_packed_counts_as_it_was(tmp_path: Path) -> None:
    for name in ("mail.log", "mail.log.1", "mail.log.1.gz"):
        (tmp_path / name).touch()
    assert [one.path.name for one in candidates(tmp_path / "mail.log")] == ["mail.log.1", "mail.log"]


def test_a_position_survives_packing() -> None:
    position = Position((Mark(1, 2, 3, 4, 5, 6), Mark(0, 0, 1 << 40, 0, 0, 7)), 8)
    assert Position.unpack(position.pack()) == position


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"since":1}',
        b'{"since":1,"files":[[1]]}',
        b'{"since":"1","files":[]}',
        b'{"since":1,"files":[[1,2,3,4,5,-6]]}',
        b'{"since":1,"files":{}}',
        b'{"since":true,"files":[]}',
    ],
)
def test_what_is_no_position(packed: bytes) -> None:
    with pytest.raises(ValueError):
        Position.unpack(packed)
