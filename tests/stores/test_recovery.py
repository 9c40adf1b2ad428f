"""Whatever a crash or a disk leaves: all whole blocks before it count, and it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.core.ledger import Ledger
from penstock.stores import countfile
from penstock.stores.recovery import read_snapshot, recover
from stores.support import T0, K, M, R, Segment, nonzero, sums, sums_in


def small() -> Segment:
    """Four flushes of three senders, refunds among them."""
    segment = Segment()
    segment.write([("login:a", R, T0, 5), ("login:a", M, T0, 1), ("login:b", R, T0, 7)])
    segment.write([("login:a", R, T0 + 3, 2), ("ip:192.0.2.7", K, T0 + 4, 90)])
    segment.write([("login:a", R, T0, -5), ("login:a", M, T0, -1)])
    return segment.write([("login:ü@example.com", R, T0 + 9, 1), ("login:b", R, T0 + 9, 1)])


def snapshot(folder: Path, number: int, senders: int, first: int = 0) -> Path:
    """A snapshot of so many senders with one recipient each, three blocks of them."""
    path = countfile.snapshot_path(folder, number)
    ledger = Ledger()
    ledger.mail(T0, 1, 1)
    parts = [countfile.pack_sender(T0, f"login:s{first + i}", ledger.pack()) for i in range(senders)]
    third = senders // 3
    groups = [parts[:third], parts[third : 2 * third], parts[2 * third :]]
    data = b"".join(countfile.block(countfile.SENDERS, b"".join(group)) for group in groups)
    path.write_bytes(data + countfile.block(countfile.END, b""))
    return path


def test_a_whole_segment(tmp_path: Path) -> None:
    segment = small()
    segment.save(tmp_path, 3)
    found = recover(tmp_path)
    assert found.problems == []
    assert (found.last, found.rows) == (3, 9)
    assert found.recall("login:a") is not None
    assert found.recall("login:a") is None
    segment.save(tmp_path, 3)
    assert sums_in(tmp_path) == nonzero(segment.nets[-1])


def test_an_empty_and_a_missing_folder(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        found = recover(folder)
        assert (found.last, found.senders, found.problems) == (0, {}, [])


def test_cut_at_every_byte(tmp_path: Path) -> None:
    segment = small()
    for size in range(len(segment.data)):
        segment.save(tmp_path, 1, size)
        found = recover(tmp_path)
        whole = size in segment.ends
        assert bool(found.problems) is not whole, size
        assert all("counts-00000001.log" in problem for problem in found.problems)
        assert sums(found) == nonzero(segment.at(size)), size


def test_every_bit_flipped(tmp_path: Path) -> None:
    """Everything before the flipped block counts, nothing is invented, and it is said."""
    segment = small()
    path = segment.save(tmp_path, 1)
    for i in range(len(segment.data)):
        for bit in range(8):
            data = bytearray(segment.data)
            data[i] ^= 1 << bit
            path.write_bytes(data)
            found = recover(tmp_path)
            problems = found.problems
            got = sums(found)
            assert got in (nonzero(segment.at(i)), nonzero(segment.nets[-1])), (i, bit)
            assert problems or got == nonzero(segment.nets[-1]), (i, bit)


@pytest.mark.parametrize(
    "junk", [b"\0" * 5, b"\0" * 4096, b"PSR1", b"x" * 100, b"PSR1\xff\xff\xff\x7f\0\0\0\0"]
)
def test_junk_after_the_last_block(tmp_path: Path, junk: bytes) -> None:
    segment = small()
    path = segment.save(tmp_path, 1)
    path.write_bytes(segment.data + junk)
    found = recover(tmp_path)
    assert len(found.problems) == 1
    assert f"offset {len(segment.data)}" in found.problems[0]
    assert sums(found) == nonzero(segment.nets[-1])


def test_a_torn_segment_does_not_hide_the_next(tmp_path: Path) -> None:
    segment = small()
    segment.save(tmp_path, 1, len(segment.data) - 3)
    Segment().write([("login:z", R, T0, 4)]).save(tmp_path, 2)
    found = recover(tmp_path)
    assert len(found.problems) == 1
    assert sums(found)["login:z", R] == 4


BROKEN = {
    "half a definition": countfile.block(countfile.DEFINITIONS, b"\x01\0\0"),
    "a definition longer than its block": countfile.block(
        countfile.DEFINITIONS, b"\0" * 8 + b"\xff\xff" + b"a"
    ),
    "a key that is no text": countfile.block(countfile.DEFINITIONS, b"\0" * 8 + b"\x02\0\xff\xfe"),
    "half a row": countfile.block(countfile.ROWS, b"\0" * 7),
    "a counter that nobody knows": countfile.block(
        countfile.DEFINITIONS, countfile.pack_definition(0, T0, "login:a")
    )
    + countfile.block(countfile.ROWS, countfile.pack_rows([0, T0, 200, 5])),
    "an end mark with a payload": countfile.block(countfile.END, b"abc"),
    "half a sender": countfile.block(countfile.SENDERS, b"\x01\0\0"),
    "a sender longer than its block": countfile.block(countfile.SENDERS, b"\0" * 4 + b"\x05\0\xff\xffa"),
    "a sender's key that is no text": countfile.block(countfile.SENDERS, b"\0" * 4 + b"\x02\0\0\0\xff\xfe"),
    "a ledger of seven bytes": countfile.block(
        countfile.SENDERS, countfile.pack_sender(T0, "login:a", b"\1" * 7)
    ),
}


@pytest.mark.parametrize("where", ["segment", "snapshot"])
@pytest.mark.parametrize("block", BROKEN.values(), ids=BROKEN)
def test_blocks_that_prove_themselves_and_make_no_sense(tmp_path: Path, block: bytes, where: str) -> None:
    """A fault of ours or a neighbour's: never fatal."""
    if where == "segment":
        countfile.segment_path(tmp_path, 1).write_bytes(small().data + block)
    else:
        countfile.snapshot_path(tmp_path, 1).write_bytes(block + countfile.block(countfile.END, b""))
    found = recover(tmp_path)
    net = sums(found)
    if where == "segment":
        assert net.get(("login:b", R)) == 8


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    small().save(tmp_path, 2)
    for name in ("counts-x.log", "counts-.log", "counts-²³.log", "snapshot-00000009.part", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    found = recover(tmp_path)
    assert (found.last, found.problems) == (2, [])


# --- snapshots ---------------------------------------------------------------------------------


def test_a_snapshot_and_the_segments_after_it(tmp_path: Path) -> None:
    snapshot(tmp_path, 2, 9)
    Segment().write([("login:old", R, T0, 9)]).save(tmp_path, 2)  # held by the snapshot already
    Segment().write([("login:s1", R, T0 + 20, 4), ("login:s2", R, T0, -1)]).save(tmp_path, 3)
    net = sums_in(tmp_path)
    assert net["login:s1", R] == 5
    assert net["login:s0", R] == 1
    assert ("login:s2", R) not in net
    assert ("login:old", R) not in net


def test_a_snapshot_cut_at_every_byte_gives_what_is_whole(tmp_path: Path) -> None:
    path = snapshot(tmp_path, 1, 6)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        found = recover(tmp_path)
        assert len(found.problems) == 1
        assert "snapshot-00000001.bin" in found.problems[0]
        assert len(found.senders) in (0, 2, 4, 6)
        assert f"{len(found.senders)} senders" in found.problems[0]
    path.write_bytes(data)
    assert read_snapshot(path)[1]


def test_a_damaged_snapshot_falls_back_to_an_older_whole_one_and_its_segments(tmp_path: Path) -> None:
    snapshot(tmp_path, 1, 9)
    newer = snapshot(tmp_path, 2, 12)
    newer.write_bytes(newer.read_bytes()[:-5])
    Segment().write([("login:s1", R, T0 + 20, 4)]).save(tmp_path, 2)
    found = recover(tmp_path)
    assert len(found.problems) == 1
    assert len(found.senders) == 9
    assert sums(found)["login:s1", R] == 5


def test_a_damaged_first_snapshot_whose_segments_are_still_there_loses_nothing(tmp_path: Path) -> None:
    """The compactor was killed before it deleted them, and the disk damaged what it wrote."""
    rows = [(f"login:s{i}", R, T0, 1) for i in range(9)]
    Segment().write(rows).save(tmp_path, 1)
    path = snapshot(tmp_path, 1, 9)
    path.write_bytes(path.read_bytes()[:200])
    assert len(sums_in(tmp_path)) == 9
