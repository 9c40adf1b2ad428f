"""Compaction changes files and nothing else, whenever it is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.ledger import Ledger
from penstock.stores import compact as compactor
from penstock.stores import countfile
from penstock.stores.compact import compact
from penstock.stores.recovery import recover
from stores.support import T0, M, Net, R, Row, Segment, nonzero, sums_in


@st.composite
def histories(draw: st.DrawFn) -> list[list[Row]]:
    """Three to five segments of charges, each refund in its segment or in a later one."""
    at = T0
    open_charges: list[Row] = []
    segments: list[list[Row]] = []
    for _ in range(draw(st.integers(3, 5))):
        rows: list[Row] = []
        for _ in range(draw(st.integers(0, 8))):
            at += draw(st.sampled_from([0, 1, 7, 100, 400, 8000]))
            refund: bool = draw(st.booleans())
            if open_charges and refund:
                key, counter, second, n = open_charges.pop(draw(st.integers(0, len(open_charges) - 1)))
                rows.append((key, counter, second, -draw(st.integers(0, n))))
            else:
                key, counter = f"login:{draw(st.integers(0, 3))}", draw(st.sampled_from([R, M]))
                row = (key, counter, at, draw(st.integers(1, 9)))
                open_charges.append(row)
                rows.append(row)
        segments.append(rows)
    return segments


@given(histories(), st.lists(st.booleans(), min_size=5, max_size=5))
@settings(max_examples=80, deadline=None)
def test_compaction_changes_no_sum(history: list[list[Row]], when: list[bool]) -> None:
    """However often, and after whichever segments: the sums of recovery stay what was logged."""
    real: Net = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, rows in enumerate(history, 1):
            Segment().write(rows).save(folder, number)
            for key, counter, _, n in rows:
                real[key, counter] = real.get((key, counter), 0) + n
            assert sums_in(folder) == nonzero(real)
            if when[number - 1]:
                compact(folder, number)
                assert len(countfile.segments(folder)) == 0
                assert sums_in(folder) == nonzero(real)


def prepared(folder: Path) -> Net:
    """A snapshot of segments 1 and 2, segments 3 and 4, and the one being written, 5."""
    for number in range(1, 6):
        rows = [(f"login:{i % (number + 3)}", R, T0 + number * 50 + i, 1 + i) for i in range(10)]
        Segment().write(rows).write([("login:0", R, T0 + number * 50, -1)]).save(folder, number)
        if number == 2:
            compact(folder, 2)
    return sums_in(folder)


class Killed(BaseException):
    """The compactor dies here."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, turn: int, after: bool) -> None:
    """Let the compactor die at the ``turn``-th call of this function, before or after it."""
    real: Callable[..., object] = getattr(owner, name)
    calls = iter(range(1000))

    def deadly(*arguments: object, **options: object) -> object:
        now = next(calls) == turn
        if now and not after:
            raise Killed
        result = real(*arguments, **options)
        if now and after:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, deadly)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "owner, name, turn",
    [
        (Path, "open", 0),
        (Path, "open", 1),
        (Path, "open", 2),
        (Path, "open", 3),
        (os, "fsync", 0),
        (os, "fsync", 1),
        (Path, "replace", 0),
        (Path, "unlink", 0),
        (Path, "unlink", 1),
        (Path, "unlink", 2),
    ],
)
def test_killed_between_any_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, turn: int, after: bool
) -> None:
    before = prepared(tmp_path)
    if after and name == "open":
        pytest.skip("the same state as before the next step")
    with monkeypatch.context() as patch:
        kill_at(patch, owner, name, turn, after)
        with pytest.raises(Killed):
            compact(tmp_path, 4)
    assert recover(tmp_path).problems == []
    assert sums_in(tmp_path) == before
    compact(tmp_path, 4)
    assert sums_in(tmp_path) == before
    assert [n for n, _ in countfile.segments(tmp_path)] == [5]
    assert [n for n, _ in countfile.snapshots(tmp_path)] == [4]


def test_a_new_snapshot_cut_anywhere_before_its_rename(tmp_path: Path) -> None:
    before = prepared(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path, copy)
    compact(copy, 4)
    data = countfile.snapshot_path(copy, 4).read_bytes()
    shutil.rmtree(copy)
    part = countfile.snapshot_path(tmp_path, 4).with_suffix(".part")
    for size in range(0, len(data), 7):
        part.write_bytes(data[:size])
        assert sums_in(tmp_path) == before


def test_compacting_twice_and_compacting_nothing(tmp_path: Path) -> None:
    before = prepared(tmp_path)
    compact(tmp_path, 4)
    compact(tmp_path, 4)
    assert sums_in(tmp_path) == before
    empty = tmp_path / "empty"
    empty.mkdir()
    compact(empty, 0)
    assert recover(empty).senders == {}


def test_a_damaged_newest_snapshot_does_not_cost_the_older_whole_one(tmp_path: Path) -> None:
    """Recovery falls back to the older one; the compaction at start must do the same."""
    before = prepared(tmp_path)
    keep = {
        path: path.read_bytes() for _, path in countfile.snapshots(tmp_path) + countfile.segments(tmp_path)
    }
    compact(tmp_path, 4)
    for path, data in keep.items():
        path.write_bytes(data)
    newest = countfile.snapshot_path(tmp_path, 4)
    newest.write_bytes(newest.read_bytes()[:40])
    assert sums_in(tmp_path) == before
    compact(tmp_path, 4)
    assert sums_in(tmp_path) == before


def test_a_sender_of_long_ago_is_forgotten_and_one_of_last_year_is_not(tmp_path: Path) -> None:
    day = 86400
    old = [("login:gone", R, T0 - 500 * day, 1), ("login:here", R, T0 - 300 * day, 1)]
    Segment(T0 - 600 * day).write(old).save(tmp_path, 1)
    compact(tmp_path, 1)
    Segment().write([("login:new", R, T0, 1)]).save(tmp_path, 2)
    compact(tmp_path, 2)
    found = recover(tmp_path)
    assert set(found.senders) == {"login:here", "login:new"}


def test_one_count_from_a_wrong_clock_does_not_erase_everybody_s(tmp_path: Path) -> None:
    """The clock said 2036 for a moment, before NTP: compaction takes its time from the rows."""
    rows = [(f"login:{i}", R, T0 + i, 3) for i in range(40)]
    rows += [("login:busy", R, T0 + 10 * i, 1) for i in range(30)]
    Segment().write(rows).save(tmp_path, 1)
    compact(tmp_path, 1)
    before = sums_in(tmp_path)
    Segment().write([("login:x", R, T0 + 13 * 365 * 86400, 1), ("login:busy", R, T0 + 400, 1)]).save(
        tmp_path, 2
    )
    compact(tmp_path, 2)
    found = recover(tmp_path)
    recalled = found.recall("login:busy")
    assert recalled is not None
    assert Ledger(recalled[1]).total(R, T0 + 400, 3600) == before["login:busy", R] + 1
    assert len([key for key in found.senders if key != "login:x"]) == 40


def test_the_command_line(tmp_path: Path) -> None:
    before = prepared(tmp_path)
    command = [sys.executable, "-m", "penstock.stores.compact", str(tmp_path), "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert sums_in(tmp_path) == before
    assert compactor.__doc__


def test_a_snapshot_of_many_blocks(tmp_path: Path) -> None:
    rows = [(f"login:{'x' * 100}{i}", R, T0, 1) for i in range(5000)]
    Segment().write(rows).save(tmp_path, 1)
    before = sums_in(tmp_path)
    compact(tmp_path, 1)
    with countfile.snapshot_path(tmp_path, 1).open("rb") as file:
        assert len(list(countfile.blocks(file))) > 2
    assert sums_in(tmp_path) == before
    assert len(before) == 5000
