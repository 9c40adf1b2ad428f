"""Files through rotations, kills and mishaps: each line is counted once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from penstock.servers.follow.tail import LONGEST, SLICE
from penstock.stores.recovery import recover
from servers.follow.support import PACKERS, SOURCE, Log, Node, counted_in, expected

Logs = list[Any]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    folder = tmp_path / "log"
    folder.mkdir()
    made = Log(folder / "mail.log")
    yield made
    made.close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def said(logs: Logs, part: str) -> int:
    return sum(part in entry["event"] for entry in logs)


def test_only_whole_lines_and_each_once(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("one", "two")
        log.begin("three")
        await node.drain()
        assert counted_in(state) == expected(["one", "two"])
        log.end("three")
        log.write("")
        await node.drain()
        assert counted_in(state) == expected(["one", "two", "three", ""])
        await node.stop()

    run(story)


def test_the_first_start_begins_at_the_end_after_the_last_whole_line(log: Log, state: Path) -> None:
    async def story() -> None:
        log.write("long ago")
        log.begin("just now")
        node = Node(state, log.path, begin_at_start=False)
        await node.drain()
        assert counted_in(state) == expected([])
        await node.kill()
        log.end("just now")
        log.write("after the kill")
        node = Node(state, log.path, begin_at_start=False)
        await node.drain()
        assert counted_in(state) == expected(["just now", "after the kill"])
        await node.stop()

    run(story)


def test_attackers_cannot_break_lines(log: Log, state: Path) -> None:
    hostile = ["a\x85b", "a\u2028b\u2029c", "a\rb", "a\x0b\x0c\x1c\x1d\x1eb", "\x1a", "a\r"]

    async def story() -> None:
        node = Node(state, log.path)
        log.write(*hostile)
        log.raw(b"bad \xff\xfe\xe2\x82 utf8 \xc3\nnext\n")
        await node.drain()
        assert counted_in(state) == expected([*hostile, r"bad \xff\xfe\xe2\x82 utf8 \xc3", "next"])
        await node.stop()

    run(story)


def test_a_line_without_end_is_cut_and_counted_and_costs_bounded_memory(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        for _ in range(40):
            log.raw(b"x" * SLICE)
            await node.turn(2)
            assert sum(len(tail._held) for tail in node.source._tails) <= LONGEST
        assert node.source.cuts == 0
        log.raw(b"y\nnext\n")
        await node.drain()
        assert node.source.cuts == 1
        assert counted_in(state) == expected(["x" * LONGEST, "next"])
        await node.stop()

    run(story)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_lines_about_the_longest_length(log: Log, state: Path, extra: int) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("a", "x" * (LONGEST + extra), "b")
        await node.drain()
        assert counted_in(state) == expected(["a", "x" * (LONGEST + min(extra, 0)), "b"])
        assert node.source.cuts == (extra > 0)
        await node.stop()

    run(story)


def test_a_writer_that_keeps_its_offset_leaves_a_hole_and_loses_no_line(log: Log, state: Path) -> None:
    async def story() -> None:
        with log.path.open("wb", buffering=0) as writer:
            node = Node(state, log.path)
            writer.write(b"one\n" * 1 + b"two\n")
            writer.seek(3 * SLICE)
            await node.drain()
            os.truncate(log.path, 0)
            writer.write(b"three\nfour\n")
            await node.drain()
        assert counted_in(state) == expected(["one", "two", "three", "four"])
        assert node.source.cuts == 0
        await node.stop()

    run(story)


def test_the_old_file_is_read_while_its_writer_has_not_noticed(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path, linger=20)
        log.write("one")
        await node.drain()
        log.rename()
        log.write("into the old one")
        await node.drain()
        straggler = os.open(log.rotated()[0], os.O_WRONLY | os.O_APPEND)
        log.open()
        log.write("into the new one")
        await node.drain()
        os.write(straggler, b"late\n")
        await node.drain()
        assert len(node.source._tails) == 2
        await node.kill()
        os.write(straggler, b"later, unended")
        os.close(straggler)
        node = Node(state, log.path, linger=20)
        await node.drain()
        await node.turn(25)
        assert len(node.source._tails) == 1
        await node.stop()
        late = ["late", "later, unended"]
        assert counted_in(state) == expected(log.lines + late)

    run(story)


@pytest.mark.parametrize("kind", ["", *PACKERS])
@pytest.mark.parametrize("dated", [False, True])
def test_rotations_while_nobody_followed(log: Log, state: Path, kind: str, dated: bool) -> None:
    async def story() -> None:
        log._dated = dated
        log.write("before we came")
        log.rename()
        log.open()
        node = Node(state, log.path)
        log.write("one", "begin 7", "x" * 2000)
        await node.drain()
        await node.stop()
        for turn in range(3):
            log.write(f"turn {turn}", f"end {turn}")
            log.rename()
            log.open()
        log.write("end 7", "last")
        for path in log.rotated():
            if kind:
                log.pack(path, kind)
        node = Node(state, log.path)
        await node.drain()
        assert node.source.bytes_behind == 0
        await node.stop()
        assert counted_in(state) == expected(log.lines[1:])

    run(story)


def test_two_rotations_between_two_looks(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("one")
        await node.drain()
        for turn in range(3):
            log.write(f"rest {turn}")
            log.rename()
            log.pack(log.rotated()[-1], "gz")
            log.open()
        log.write("new")
        await node.drain()
        assert counted_in(state) == expected(log.lines)
        await node.stop()

    run(story)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("refill", [0, 3, 400])
def test_copytruncate_and_the_rest_is_read_from_the_copy(
    log: Log, state: Path, running: bool, refill: int, logs: Logs
) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write(*(f"first {i}" for i in range(100)))
        await node.drain()
        if not running:
            await node.kill()
        log.write("unread 1", "unread 2")
        log.copytruncate()
        log.write(*(f"second {i}" for i in range(refill)))
        if not running:
            node = Node(state, log.path)
        await node.drain()
        assert counted_in(state) == expected(log.lines)
        assert said(logs, "truncated") == running
        await node.stop()

    run(story)


@pytest.mark.parametrize("copied", [0, 5, 3000, 1 << 20])
def test_a_restart_while_copytruncate_copies(log: Log, state: Path, copied: int) -> None:
    """For a moment the same lines stand in two files."""

    async def story() -> None:
        node = Node(state, log.path)
        log.write("the day before")
        await node.drain()
        await node.kill()
        log.copytruncate()
        log.write(*(f"line {i}" for i in range(1000)))
        log._make_room().write_bytes(log.path.read_bytes()[:copied])
        node = Node(state, log.path)
        await node.drain()
        log.rotated()[-1].write_bytes(log.path.read_bytes())
        await node.drain()
        log.write("into what is lost between copy and truncation")
        await node.drain()
        os.truncate(log.path, 0)
        log.write("new")
        await node.drain()
        assert counted_in(state) == expected(log.lines)
        await node.stop()

    run(story)


def test_a_new_log_that_has_begun_like_the_old_one_is_no_copy(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        await node.drain()
        await node.kill()
        log.write("2026-01-27T10:00:00 old")
        log.rename()
        log.open()
        log.begin("2026-01-27T11:00:00 new")
        node = Node(state, log.path)
        await node.drain()
        log.end("2026-01-27T11:00:00 new")
        await node.drain()
        assert counted_in(state) == expected(log.lines)
        await node.stop()

    run(story)


def test_what_was_truncated_without_a_copy_is_lost_and_said(log: Log, state: Path, logs: Logs) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("one", "two", "three")
        await node.drain()
        log.raw(b"never read\n")
        os.truncate(log.path, 0)
        log.write("four")
        await node.drain()
        assert counted_in(state) == expected(log.lines)
        assert node.source.truncations == 1
        assert said(logs, "truncated") == 1
        await node.stop()

    run(story)


@pytest.mark.parametrize("running", [True, False])
def test_a_power_cut_took_the_end_of_the_log(log: Log, state: Path, running: bool, logs: Logs) -> None:
    """The counts survived it, the log's last lines did not: nothing is counted again."""

    async def story() -> None:
        node = Node(state, log.path)
        log.write("one", "x" * 1500)
        kept = log.path.stat().st_size
        log.write("lost for ever")
        await node.drain()
        if not running:
            await node.stop()
        os.truncate(log.path, kept)
        if not running:
            node = Node(state, log.path)
        await node.drain()
        log.write("four")
        await node.drain()
        assert counted_in(state) == expected(log.lines)
        assert said(logs, "lost its end") == 1
        await node.stop()

    run(story)


@pytest.mark.parametrize("running", [True, False])
def test_deleted_and_made_anew(log: Log, state: Path, running: bool) -> None:
    async def story() -> None:
        log.write("old")
        log.rename()
        log.open()
        node = Node(state, log.path)
        log.write("one")
        await node.drain()
        if not running:
            await node.kill()
        log.path.unlink()
        log.open()
        log.write("two")
        if not running:
            node = Node(state, log.path)
        await node.drain()
        assert counted_in(state) == expected(["one", "two"])
        await node.stop()

    run(story)


def test_a_missing_file_is_waited_for_and_said_once(log: Log, state: Path, logs: Logs) -> None:
    async def story() -> None:
        log.path.unlink()
        node = Node(state, log.path, begin_at_start=False)
        for _ in range(3):
            await node.drain()
        assert "no such file" in node.source.problem
        assert said(logs, "cannot be followed") == 1
        await node.kill()
        log.open()
        log.write("the first line that there ever was")
        node = Node(state, log.path, begin_at_start=False)
        await node.drain()
        assert node.source.problem == ""
        assert counted_in(state) == expected(log.lines)
        await node.stop()

    run(story)


def test_a_folder_or_a_pipe_instead_of_a_file(log: Log, state: Path, logs: Logs) -> None:
    async def story() -> None:
        log.path.unlink()
        log.path.mkdir()
        node = Node(state, log.path)
        await node.drain()
        assert "is a directory" in node.source.problem
        log.path.rmdir()
        os.mkfifo(log.path)
        await node.drain()
        assert "not a regular file" in node.source.problem
        assert recover(state).positions == {}
        log.path.unlink()
        log.open()
        log.write("at last")
        await node.drain()
        assert counted_in(state) == expected(["at last"])
        assert said(logs, "cannot be followed") == 2
        await node.stop()

    run(story)


def test_a_file_that_may_not_be_read(log: Log, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        log.write("one")
        forbidden = True
        real = os.open

        def refusing(path: Any, *rest: Any, **more: Any) -> int:
            if forbidden and Path(path) == log.path:
                raise PermissionError(13, "Permission denied")
            return real(path, *rest, **more)

        monkeypatch.setattr(os, "open", refusing)
        node = Node(state, log.path)
        await node.drain()
        assert "Permission denied" in node.source.problem
        forbidden = False
        await node.drain()
        assert node.source.problem == ""
        forbidden = True
        log.rename()
        forbidden = False
        log.open()
        forbidden = True
        log.write("two")
        await node.drain()
        assert "Permission denied" in node.source.problem
        forbidden = False
        await node.drain()
        assert node.source.problem == ""
        assert counted_in(state) == expected(log.lines)
        await node.stop()

    run(story)


def test_a_rotated_file_that_cannot_be_unpacked(log: Log, state: Path, logs: Logs) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("one")
        await node.drain()
        await node.kill()
        for turn in range(2):
            log.write(*(f"turn {turn} line {i} {os.urandom(20).hex()}" for i in range(3000)))
            log.rename()
            log.open()
        log.write("last")
        damaged = log.rotated()[1]
        log.pack(damaged, "gz")
        packed = damaged.with_name(damaged.name + ".gz")
        packed.write_bytes(packed.read_bytes()[:60_000])
        node = Node(state, log.path)
        await node.drain()
        found = counted_in(state)
        missing = expected(log.lines) - found
        assert not found - expected(log.lines)
        assert missing
        assert all(line.startswith("turn 1") for line in missing)
        assert said(logs, "cannot be followed") == 1
        await node.stop()

    run(story)


def test_everything_is_gone(log: Log, state: Path, logs: Logs) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("one")
        await node.drain()
        await node.stop()
        log.path.unlink()
        node = Node(state, log.path)
        await node.drain()
        assert said(logs, "is gone") == 1
        log.open()
        log.write("two")
        await node.drain()
        assert counted_in(state) == expected(log.lines)
        await node.stop()

    run(story)


def test_how_far_behind(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write(*(f"{i:099}" for i in range(1000)))
        await node.turn()
        assert node.source.bytes_behind == 100_000 - SLICE
        node.tally.newest = node.follower._clock() - 30
        assert node.follower.lag_seconds == 30
        await node.drain()
        assert node.source.bytes_behind == 0
        assert node.follower.lag_seconds == 0
        assert node.follower.lines == 1000
        await node.stop()

    run(story)


def test_the_position_of_another_log_is_not_touched(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        node.log.mark("other", b"kept")
        log.write("one")
        await node.drain()
        await node.stop()
        assert recover(state).positions.keys() == {SOURCE, "other"}
        assert recover(state).positions["other"] == b"kept"

    run(story)
