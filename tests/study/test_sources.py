"""Logs as lines: packing, rotation, folders, pipes, damage."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import threading
from pathlib import Path

import pytest
import zstandard

from penstock.study.folder import split_name
from penstock.study.sources import LONGEST_LINE, SourceError, Sources, lines_of, open_sources, whole_lines

TEXT = b"".join(b"Jan  5 00:00:%02d mx postfix/qmgr[1]: %d: removed\n" % (i % 60, i) for i in range(5_000))
LINES = TEXT.decode().split("\n")[:-1]
PACKED = {
    "": TEXT,
    ".gz": gzip.compress(TEXT),
    ".bz2": bz2.compress(TEXT),
    ".xz": lzma.compress(TEXT),
    ".zst": zstandard.ZstdCompressor().compress(TEXT),
}


def lines(sources: Sources) -> list[str]:
    return [line for log in sources.logs for batch in sources.batches(log) for line in batch]


def stamped(day: int) -> str:
    return f"Jan {day:>2} 10:00:00 mx postfix/qmgr[1]: {day:X}: removed"


@pytest.mark.parametrize("suffix", PACKED)
def test_packed_files_read_alike_whatever_they_are_called(tmp_path: Path, suffix: str) -> None:
    named, unnamed = tmp_path / f"mail.log{suffix}", tmp_path / "other"
    named.write_bytes(PACKED[suffix])
    unnamed.write_bytes(PACKED[suffix])
    assert lines(open_sources([str(named)])) == LINES
    assert lines(open_sources([str(unnamed)])) == LINES


def test_parts_packed_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    for suffix in (".gz", ".xz", ".bz2", ".zst"):
        file = tmp_path / f"mail.log{suffix}"
        file.write_bytes(PACKED[suffix] * 2)
        assert lines(open_sources([str(file)])) == LINES * 2


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_a_torn_file_gives_what_is_there_and_a_warning(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"mail.log{suffix}"
    text = os.urandom(300_000).hex().encode() + b"\n"
    packed = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(
        suffix, zstandard.ZstdCompressor().compress
    )(TEXT + text)
    file.write_bytes(packed[: len(packed) // 2])
    sources = open_sources([str(file)])
    read = lines(sources)[:100]
    assert read == LINES[: len(read)]
    if suffix != ".zst":  # which cannot tell a torn end from a good one
        assert "read only in part" in sources.warnings[0]


def test_rotated_files_are_read_oldest_first_in_whatever_order_they_are_named(tmp_path: Path) -> None:
    days = {"mail.log": 9, "mail.log.1": 8, "mail.log.2.gz": 7, "mail.log.10.gz": 6}
    for name, day in days.items():
        text = f"{stamped(day)}\n".encode()
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    expected = [stamped(day) for day in (6, 7, 8, 9)]
    assert lines(open_sources([str(tmp_path / name) for name in days])) == expected
    assert lines(open_sources([str(tmp_path)])) == expected
    assert lines(open_sources([str(tmp_path), str(tmp_path / "mail.log.1")])) == expected


def test_dated_rotation(tmp_path: Path) -> None:
    for name, day in (("maillog", 9), ("maillog-20260108", 7), ("maillog-20260107.xz", 6)):
        text = f"{stamped(day)}\n".encode()
        (tmp_path / name).write_bytes(lzma.compress(text) if name.endswith(".xz") else text)
    assert lines(open_sources([str(tmp_path)])) == [stamped(day) for day in (6, 7, 9)]


@pytest.mark.parametrize(
    ("name", "log", "rotation"),
    [
        ("mail.log", "mail.log", ""),
        ("mail.log.12.gz", "mail.log", "12"),
        ("mail-20260127.log", "mail.log", "20260127"),
        ("maillog-20260127", "maillog", "20260127"),
        ("mainlog.1", "mainlog", "1"),
        ("mail.log.old", "mail.log", "old"),
        ("mx1.log", "mx1.log", ""),
    ],
)
def test_names(name: str, log: str, rotation: str) -> None:
    assert split_name(name) == (log, rotation)


def test_a_folder_gives_each_line_once(tmp_path: Path) -> None:
    text = f"{stamped(5)}\n"
    for name in ("mail.log", "mail.info", "mail.warn", "syslog", "mail.log.1", "mail.log.1.gz"):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    (tmp_path / "kern.log").write_text("Jan  5 10:00:00 mx kernel: hello\n")
    (tmp_path / "deep").mkdir()
    sources = open_sources([str(tmp_path)])
    assert lines(sources) == [stamped(5), stamped(5)]
    assert "mail.log.1.gz: passed over" in sources.warnings[0]


def test_what_cannot_be_read_is_told_before_anything_is(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.log: No such file"):
        open_sources([str(tmp_path / "absent.log")])
    with pytest.raises(SourceError, match="no mail log in"):
        open_sources([str(tmp_path)])


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(PACKED[".gz"],))
    writer.start()
    sources = open_sources([str(pipe)])
    assert lines(sources) == LINES
    assert sources.total == 0
    writer.join()


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    file = tmp_path / "mail.log.gz"
    file.write_bytes(PACKED[".gz"])
    sources = open_sources([str(file)], lambda done, total: told.append((done, total)))
    lines(sources)
    assert told[-1] == (sources.done, sources.total) == (len(PACKED[".gz"]), len(PACKED[".gz"]))


def test_only_a_newline_ends_a_line_and_every_byte_can_be_told() -> None:
    assert lines_of(b"a\x0bb\x0cc\x85\xe2\x80\xa8d\r\ne\xff\n") == ["a\x0bb\x0cc\\x85\u2028d", "e\\xff"]


def test_a_line_without_end_costs_no_memory() -> None:
    file = io.BytesIO(b"x" * (5 * LONGEST_LINE) + b"\nnext\nlast")
    blocks = list(whole_lines(file))
    assert b"".join(blocks).endswith(b"next\nlast")
    assert max(map(len, blocks)) <= 2 * LONGEST_LINE
