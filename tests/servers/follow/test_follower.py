"""The join's state and the counts: together after a kill, a damaged file, a full disk, a faulty feed."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from penstock.servers.follow import state as states
from penstock.stores import counts
from penstock.stores.recovery import recover
from servers.follow.support import SOURCE, Log, Node, counted_in, expected

Logs = list[Any]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    (tmp_path / "log").mkdir()
    made = Log(tmp_path / "log" / "mail.log")
    yield made
    made.close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def said(logs: Logs, part: str) -> list[str]:
    return [str(entry.get("why", "")) for entry in logs if part in entry["event"]]


def test_lines_since_the_save_are_read_again_in_silence(log: Log, state: Path, logs: Logs) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("begin 1")
        await node.drain()
        await node.follower.save()
        log.write("begin 2", "end 1")
        await node.drain()
        log.write("begin 3", "never counted before")
        await node.turn()
        await node.kill()
        node = Node(state, log.path)
        log.write("end 2", "end 3")
        await node.drain()
        assert node.tally.silent == ["begin 2", "end 1", "pair 1"]
        assert counted_in(state) == expected(log.lines)
        assert said(logs, "under way") == []
        await node.stop()

    run(story)


def test_a_kill_before_the_first_save_keeps_the_join(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("begin 1")
        await node.drain()
        await node.kill()
        log.write("end 1")
        node = Node(state, log.path)
        await node.drain()
        assert counted_in(state) == expected(log.lines)
        await node.stop()

    run(story)


def test_a_kill_while_lines_are_read_again(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        await node.turn()
        log.write(*(f"begin {i} {'x' * 200}" for i in range(1000)))
        await node.drain()
        for turns in (1, 2, 3):
            await node.kill()
            log.write(f"kill {turns}")
            node = Node(state, log.path)
            await node.turn(turns)
            node.log.flush()
            assert node.source.rereading
            await node.follower.save()
        await node.stop()
        node = Node(state, log.path)
        log.write(*(f"end {i}" for i in range(1000)))
        await node.drain()
        await node.stop()
        assert counted_in(state) == expected(log.lines)

    run(story)


def test_it_is_saved_regularly_and_at_the_end(log: Log, state: Path) -> None:
    path = states.path_of(state, SOURCE)

    async def story() -> None:
        node = Node(state, log.path, save_every=60)
        log.write("begin 1")
        await node.drain()
        first = path.read_bytes()
        node.now += 59
        await node.drain()
        assert path.read_bytes() == first
        node.now += 1
        await node.drain()
        second = path.read_bytes()
        assert second != first
        log.write("begin 2")
        await node.drain()
        await node.stop()
        assert path.read_bytes() not in (first, second)
        assert [one.name for one in state.iterdir() if one.suffix == ".part"] == []

    run(story)


def test_a_damaged_state_costs_the_join_and_nothing_else(log: Log, state: Path, logs: Logs) -> None:
    path = states.path_of(state, SOURCE)

    async def story() -> None:
        node = Node(state, log.path)
        log.write("begin 1", "begin 2", "begin 3", "begin 4")
        await node.drain()
        await node.stop()
        whole = path.read_bytes()
        damages = [whole[:size] for size in range(0, len(whole), 7)]
        damages += [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(0, len(whole), 5)]
        for damaged in damages:
            path.write_bytes(damaged)
            with pytest.raises(states.Damaged):
                states.check(path)
        node = Node(state, log.path)
        log.write("end 1")
        await node.drain()
        await node.stop()
        assert len(said(logs, "under way")) == 1
        begins = [f"begin {i}" for i in range(1, 5)]
        assert counted_in(state) == Counter([*begins, "end 1", "orphan 1"])

    run(story)


def test_a_missing_state_is_said(log: Log, state: Path, logs: Logs) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("one")
        await node.drain()
        await node.stop()
        states.path_of(state, SOURCE).unlink()
        node = Node(state, log.path)
        await node.drain()
        await node.stop()
        assert said(logs, "under way") == ["there is none"]
        assert counted_in(state) == expected(["one"])

    run(story)


def test_a_state_ahead_of_the_counts_is_not_used(log: Log, state: Path, logs: Logs, tmp_path: Path) -> None:
    """The counts were restored from a backup and the state was not: nothing may stay uncounted."""

    async def story() -> None:
        node = Node(state, log.path)
        log.write("one", "begin 1")
        await node.drain()
        await node.stop()
        shutil.copytree(state, tmp_path / "backup")
        node = Node(state, log.path)
        log.write("two", "begin 2")
        await node.drain()
        await node.stop()
        ahead = states.path_of(state, SOURCE).read_bytes()
        shutil.rmtree(state)
        shutil.copytree(tmp_path / "backup", state)
        states.path_of(state, SOURCE).write_bytes(ahead)
        node = Node(state, log.path)
        await node.drain()
        await node.stop()
        assert said(logs, "under way") == ["it is ahead of the counts"]
        assert counted_in(state) == expected(log.lines)

    run(story)


def test_the_disk_of_the_counts_is_full(
    log: Log, state: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "RETRY", 1000)

    async def story() -> None:
        node = Node(state, log.path)
        log.write("begin 1")
        await node.drain()
        await node.follower.save()
        saved = states.path_of(state, SOURCE).read_bytes()
        real, full = os.pwrite, True

        def pwrite(fd: int, data: bytes, offset: int) -> int:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)
        log.write("end 1", "two")
        await node.drain()
        await node.follower.save()
        assert states.path_of(state, SOURCE).read_bytes() == saved
        await node.kill()
        full = False
        node = Node(state, log.path)
        full = True
        log.write("three")
        await node.drain()
        full = False
        await node.drain()
        await node.follower.save()
        assert counted_in(state) == expected(log.lines)
        await node.stop()

    run(story)


def test_a_feed_that_raises_is_shouted_about_and_lines_go_on(
    log: Log, state: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        real = node.tally.feed

        def feed(lines: Sequence[str], silent: bool) -> None:
            real(lines, silent)
            if "poison" in lines:
                raise RuntimeError("a bug")

        monkeypatch.setattr(node.tally, "feed", feed)
        for line in ("one", "poison", "two"):
            log.write(line)
            await node.drain()
        assert node.follower.faults == 1
        assert len(said(logs, "not understood")) == 1
        await node.stop()
        assert counted_in(state) == expected(log.lines)

    run(story)


def test_the_loop_goes_on_while_the_state_is_saved(
    log: Log, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        log.write("one")
        await node.drain()
        ticks: list[int] = []

        async def tick() -> None:
            while True:
                ticks.append(len(chunks))
                await asyncio.sleep(0)

        chunks: list[bytes] = []

        def pack() -> Iterator[bytes]:
            for i in range(50):
                chunks.append(b"%d" % i)
                yield chunks[-1]

        monkeypatch.setattr(node.tally, "pack", pack)
        ticker = asyncio.get_running_loop().create_task(tick())
        log.write("two")
        await node.turn()
        await node.follower.save()
        ticker.cancel()
        assert len(set(ticks)) >= 50
        assert list(states.chunks(states.path_of(state, SOURCE))) == chunks
        await node.stop()

    run(story)


def test_run_and_stop(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        await node.follower.start()
        log.write("one", "two")
        async with asyncio.timeout(20):
            while node.follower.lines < 2:
                await asyncio.sleep(0.005)
                assert not node.source.problem
        await node.stop()
        assert recover(state).positions.keys() == {SOURCE}
        assert counted_in(state) == expected(log.lines)
        assert len(asyncio.all_tasks()) == 1

    run(story)


def test_whoever_is_in_a_hurry_is_told_when_what_was_written_has_been_taken(log: Log, state: Path) -> None:
    async def story() -> None:
        node = Node(state, log.path)
        await node.follower.start()
        for number in range(3):
            looked = asyncio.Event()
            log.write(f"begin {number}", f"end {number}")
            node.follower.hurry(looked.set)
            await asyncio.wait_for(looked.wait(), 10)
            assert node.follower.lines == 2 * (number + 1)
        await node.stop()

    run(story)


def test_what_is_written_after_the_start_is_read_the_first_time_too(log: Log, state: Path) -> None:
    async def story() -> None:
        log.write("begin 1", "end 1")
        node = Node(state, log.path, begin_at_start=False)
        await node.follower.start()
        log.write("begin 2", "end 2")
        looked = asyncio.Event()
        node.follower.hurry(looked.set)
        await asyncio.wait_for(looked.wait(), 60)
        await node.stop()
        assert counted_in(state) == expected(["begin 2", "end 2"])

    run(story)
