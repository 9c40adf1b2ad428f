"""The log of counts over disks that work, fail, and work again."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from penstock.core.ledger import Ledger
from penstock.core.sender import Sender
from penstock.stores import countfile, counts
from penstock.stores.counts import CountLog
from penstock.stores.recovery import recover
from stores.support import T0, K, M, R, sender, sums_in

ALICE, BOB = "login:alice@example.com", "login:bob@example.com"
Logs = list[Any]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as captured:
        yield captured


def levels(logs: Logs) -> list[str]:
    return [entry["log_level"] for entry in logs]


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def opened(folder: Path) -> CountLog:
    """A log that goes on where the folder's last one ended."""
    log = CountLog(folder, recover(folder))
    log.start(asyncio.get_running_loop())
    return log


async def until(probe: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.003)


class Disk:
    """os.pwrite with faults."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.most: int | None = None
        self.tries = 0
        self._real = os.pwrite
        monkeypatch.setattr(os, "pwrite", self.pwrite)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self.tries += 1
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._real(fd, data if self.most is None else data[: self.most], offset)


def test_what_is_appended_is_on_disk_within_the_window(tmp_path: Path) -> None:
    async def story() -> None:
        log = opened(tmp_path)
        alice = sender(ALICE)
        log.append_mail(alice, T0, 3, 1)
        log.append(alice, K, T0, 12)
        log.append(alice, R, T0, -1)
        began = time.monotonic()
        await until(lambda: sums_in(tmp_path))
        assert time.monotonic() - began < 1
        assert sums_in(tmp_path) == {(ALICE, R): 2, (ALICE, M): 1, (ALICE, K): 12}
        await log.close()

    run(story)


def test_runs_follow_each_other(tmp_path: Path) -> None:
    async def story() -> None:
        for turn in range(4):
            log = opened(tmp_path)
            recalled = log.recall(ALICE)
            assert (recalled is None) == (turn == 0)
            alice = Sender(
                ALICE,
                sender(ALICE).profile,
                recalled[0] if recalled else T0,
                Ledger(recalled[1] if recalled else b""),
            )
            log.append_mail(alice, T0 + turn, 2, 1)
            log.append_mail(sender(BOB), T0 + turn, 5, 1)
            await log.close()
            found = recover(tmp_path)
            assert found.problems == []
            first = found.recall(ALICE)
            assert first is not None
            assert first[0] == T0
            assert sums_in(tmp_path)[ALICE, R] == 2 * (turn + 1)
            assert sums_in(tmp_path)[BOB, R] == 5 * (turn + 1)

    run(story)


def test_segments_turn_over_and_are_compacted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "SEGMENT_BYTES", 2000)

    async def story() -> None:
        log = opened(tmp_path)
        people = [sender(f"login:{i}") for i in range(30)]
        for turn in range(20):
            for one in people:
                log.append_mail(one, T0 + turn, 1, 1)
            log.flush()
        await until(lambda: countfile.snapshots(tmp_path))
        await until(lambda: log._compactor is None)
        await log.close()
        assert countfile.snapshots(tmp_path)
        assert sums_in(tmp_path) == {(f"login:{i}", c): 20 for i in range(30) for c in (R, M)}

    run(story)


def test_a_full_disk_is_shouted_about_once_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setattr(counts, "RETRY", 0.01)

    async def story() -> None:
        disk = Disk(monkeypatch)
        log = opened(tmp_path)
        alice, bob = sender(ALICE), sender(BOB)
        log.append_mail(alice, T0, 1, 1)
        log.flush()
        disk.full = True
        for i in range(20):
            log.append_mail(alice, T0 + i, 1, 1)
            log.append_mail(bob, T0 + i, 1, 1)
            log.flush()
        await until(lambda: disk.tries > 30)
        assert log.failing_since > 0
        assert levels(logs) == ["error"]
        disk.full = False
        await until(lambda: not log.failing_since)
        assert levels(logs) == ["error", "warning"]
        log.append_mail(bob, T0 + 30, 1, 1)
        await log.close()
        assert recover(tmp_path).problems == []
        assert sums_in(tmp_path) == {(ALICE, R): 21, (ALICE, M): 21, (BOB, R): 21, (BOB, M): 21}
        assert log.dropped_rows == 0

    run(story)


def test_a_disk_that_takes_a_part_of_each_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setattr(counts, "RETRY", 0.01)

    async def story() -> None:
        disk = Disk(monkeypatch)
        log = opened(tmp_path)
        alice = sender(ALICE)
        log.append_mail(alice, T0, 1, 1)
        log.flush()
        for most in (0, 1, 11, 12, 13, 40):
            disk.most = most
            log.append_mail(alice, T0 + 1, 1, 1)
            log.append_mail(sender(f"login:{most}"), T0 + 1, 1, 1)
            log.flush()
            found = recover(tmp_path)
            assert found.problems == [], most
            assert sums_in(tmp_path)[ALICE, R] == 1
        disk.most = None
        await until(lambda: not log.failing_since)
        await log.close()
        assert recover(tmp_path).problems == []
        net = sums_in(tmp_path)
        assert net[ALICE, R] == 7
        assert all(net[f"login:{most}", R] == 1 for most in (0, 1, 11, 12, 13, 40))
        assert levels(logs).count("error") == 1

    run(story)


def test_a_disk_that_never_works_again_costs_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setattr(counts, "MOST_WAITING", 400)

    async def story() -> None:
        disk = Disk(monkeypatch)
        log = opened(tmp_path)
        disk.full = True
        alice = sender(ALICE)
        for i in range(1000):
            log.append_mail(alice, T0 + i, 1, 1)
            if i % 10 == 0:
                log.flush()
        log.flush()
        assert len(log._rows) <= 400
        assert log.dropped_rows == 900
        assert levels(logs) == ["error"]
        disk.full = False
        await log.close()
        assert sums_in(tmp_path) == {(ALICE, R): 100, (ALICE, M): 100}

    run(story)


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "later run"])
def test_a_folder_that_cannot_be_written_at_the_start_and_can_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs, fresh: bool
) -> None:
    monkeypatch.setattr(counts, "RETRY", 0.01)

    async def story() -> None:
        if not fresh:
            log = opened(tmp_path)
            log.append_mail(sender(ALICE), T0, 1, 1)
            await log.close()
        real = os.open
        broken = True

        def failing(path: Any, flags: int, *mode: int) -> int:
            if broken and str(path).endswith(".log"):
                raise OSError(errno.EROFS, "Read-only file system")
            return real(path, flags, *mode)

        monkeypatch.setattr(os, "open", failing)
        log = opened(tmp_path)
        alice, bob, carol = sender(ALICE), sender(BOB), sender("login:carol")
        for one in (alice, bob, alice):
            log.append_mail(one, T0 + 1, 2, 1)
        log.flush()
        log.append_mail(bob, T0 + 2, 2, 1)
        broken = False
        await until(lambda: not log.failing_since)
        for one in (carol, alice):
            log.append_mail(one, T0 + 3, 7, 1)
        await log.close()
        extra = 0 if fresh else 1
        net = sums_in(tmp_path)
        assert (net.get((ALICE, R)), net.get((BOB, R)), net.get(("login:carol", R))) == (11 + extra, 4, 7)
        assert levels(logs).count("error") == 1

    run(story)


def test_a_segment_that_cannot_turn_over_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """No new file can be made (inodes, rights), the old one still takes rows."""
    monkeypatch.setattr(counts, "SEGMENT_BYTES", 100)

    async def story() -> None:
        log = opened(tmp_path)
        compactions: list[int] = []
        monkeypatch.setattr(log, "_compact", lambda: compactions.append(1))
        real = os.open

        def failing(path: Any, flags: int, *mode: int) -> int:
            if str(path).endswith(".log"):
                raise OSError(errno.EACCES, "Permission denied")
            return real(path, flags, *mode)

        monkeypatch.setattr(os, "open", failing)
        alice = sender(ALICE)
        for i in range(50):
            log.append_mail(alice, T0 + i, 1, 1)
            log.flush()
        await log.close()
        assert sums_in(tmp_path)[ALICE, R] == 50
        assert levels(logs).count("error") == 1
        assert len(compactions) < 5, "a new compaction process for each flush"

    run(story)


@pytest.mark.parametrize("n", [1 << 31, 1 << 32, 10**18])
def test_a_monstrous_count_does_not_stop_the_log(tmp_path: Path, n: int) -> None:
    """`recipient_count=1000000000000000000` from some local peer at DATA."""

    async def story() -> None:
        log = opened(tmp_path)
        log.append_mail(sender("login:monster"), T0, n, 1)
        log.append(sender("login:monster"), K, T0, n)
        log.append_mail(sender(ALICE), T0, 1, 1)
        try:
            log.flush()
        except Exception as error:
            pytest.fail(f"the rows can never be written: {error!r}")
        log.append_mail(sender(BOB), T0, 1, 1)
        log.flush()
        await log.close()
        net = sums_in(tmp_path)
        assert (net[ALICE, R], net[BOB, R]) == (1, 1)
        assert net.get(("login:monster", R), 1) > 0

    run(story)


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from stores.support import T0, sender
from penstock.stores.counts import CountLog
from penstock.stores.recovery import recover

async def main():
    folder = Path(sys.argv[1])
    log = CountLog(folder, recover(folder))
    log.start(asyncio.get_running_loop())
    people = [sender(f"login:{{i}}") for i in range(5)]
    n = 0
    while True:
        for one in people:
            log.append_mail(one, T0, 1, 1)
        n += 1
        print(n, flush=True)
        await asyncio.sleep(0.002)

asyncio.run(main())
"""


def test_kill_9_loses_no_more_than_the_window(tmp_path: Path) -> None:
    async def story() -> None:
        code = CHILD.format(tests=str(Path(__file__).parents[1]))
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        seen = 0
        stamps: list[float] = []
        while seen < 150:
            seen = int(await child.stdout.readline())
            stamps.append(time.monotonic())
        child.kill()
        killed = time.monotonic()
        rest = await child.stdout.read()
        await child.wait()
        printed = int((rest.split() or [str(seen).encode()])[-1])
        found = recover(tmp_path)
        assert all("torn" in problem for problem in found.problems)
        net = sums_in(tmp_path)
        assert {net[f"login:{i}", R] for i in range(5)} == {net["login:0", R]}
        sure = sum(1 for stamp in stamps if stamp < killed - 0.05)
        assert sure <= net["login:0", R] <= printed + 1

    run(story)


def test_nothing_is_left_running_after_close(tmp_path: Path) -> None:
    async def story() -> None:
        log = opened(tmp_path)
        log.append_mail(sender(ALICE), T0, 1, 1)
        await log.close()
        await log.close()
        assert len(asyncio.all_tasks()) == 1

    run(story)
