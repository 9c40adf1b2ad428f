"""The journal as journalctl gives it: each entry once, over kills of us and of journalctl."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from penstock.servers.follow import journal
from penstock.servers.follow.export import Entry
from penstock.servers.follow.follower import Follower
from penstock.servers.follow.journal import JournalSource
from penstock.stores.counts import CountLog
from penstock.stores.recovery import recover
from rig.journal import EARLIER_BOOT, Journal, missing
from servers.follow.support import SOURCE, Tally, counted_in

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")

Logs = list[Any]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_RETRY", 0.0)
    monkeypatch.setattr(journal, "_ASK_AGAIN", 0.0)


@pytest.fixture
def written(tmp_path: Path) -> Journal:
    (tmp_path / "journal").mkdir()
    return Journal(tmp_path / "journal")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


class Texts(Tally):
    """Counts the texts of entries."""

    def __init__(self, log: CountLog) -> None:
        super().__init__(log)
        self.entries: list[Entry] = []

    def feed(self, lines: Sequence[Any], silent: bool) -> None:
        self.entries += lines
        super().feed([line.text for line in lines], silent)


class Node:
    def __init__(self, state: Path, **source: Any) -> None:
        self.log = CountLog(state, recover(state))
        self.log.start(asyncio.get_running_loop())
        self.tally = Texts(self.log)
        self.source = JournalSource(SOURCE, **source)
        self.follower = Follower(self.source, self.tally, self.log, state, 1e9)

    async def until(self, probe: Callable[[], Any], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not probe():
            assert time.monotonic() < deadline, "not in time"
            await self.follower.turn()
        self.log.flush()

    async def read(self, count: int) -> None:
        """Until so many entries were counted by this node."""
        await self.until(lambda: self.follower.lines >= count)

    async def stop(self) -> None:
        await self.follower.stop()
        await self.log.close()

    async def kill(self) -> None:
        self.log._rows.clear()
        self.log._defined.clear()
        self.log._moved.clear()
        await self.log.close()
        await self.source.close()


def test_entries_as_they_are(written: Journal, state: Path) -> None:
    async def story() -> None:
        written.write("connect from mail.example.org", b"bin \xff\x00\nary", "x" * 70_000)
        node = Node(state, folder=written.folder, begin_at_start=True)
        await node.read(3)
        first, second, third = node.tally.entries
        assert (first.host, first.program, first.text) == (
            "mail",
            "postfix/smtpd",
            "connect from mail.example.org",
        )
        assert first.at == 1_700_000_000.001
        assert second.text == "bin \\xff\x00 ary"
        assert (len(third.text), node.source.cuts) == (65536, 1)
        assert not node.source.rereading
        await node.stop()

    run(story)


def test_the_first_start_begins_at_the_end(written: Journal, state: Path) -> None:
    async def story() -> None:
        written.write("long ago 1", "long ago 2")
        node = Node(state, folder=written.folder)
        await node.follower.turn()
        node.log.flush()
        await node.kill()
        written.write("while we were away")
        node = Node(state, folder=written.folder)
        await node.read(1)
        written.write("now")
        await node.read(2)
        await node.stop()
        assert counted_in(state) == Counter(["while we were away", "now"])

    run(story)


def test_an_empty_journal_is_read_from_its_first_entry(written: Journal, state: Path) -> None:
    async def story() -> None:
        node = Node(state, folder=written.folder)
        await node.follower.turn()
        node.log.flush()
        await node.kill()
        written.write("the very first")
        node = Node(state, folder=written.folder)
        await node.read(1)
        await node.stop()
        assert counted_in(state) == Counter(["the very first"])

    run(story)


def test_kills_and_a_join(written: Journal, state: Path) -> None:
    """The join of an earlier save is loaded, what was counted since is read again in silence."""

    async def story() -> None:
        written.write("begin 1", "begin 2")
        node = Node(state, folder=written.folder, begin_at_start=True)
        await node.read(2)
        await node.follower.save()
        written.write("begin 3", "end 1")
        await node.read(4)
        await node.kill()
        written.write("end 2", "end 3", "end 4")
        node = Node(state, folder=written.folder)
        await node.read(3)
        assert node.tally.silent == ["begin 3", "end 1", "pair 1"]
        await node.stop()
        lines = ["begin 1", "begin 2", "begin 3", "end 1", "end 2", "end 3", "end 4"]
        assert counted_in(state) == Counter([*lines, "pair 1", "pair 2", "pair 3", "orphan 4"])

    run(story)


def test_a_reboot_while_nobody_followed(written: Journal, state: Path) -> None:
    async def story() -> None:
        this_boot, written.boot = written.boot, EARLIER_BOOT
        written.write("one")
        node = Node(state, folder=written.folder, begin_at_start=True)
        await node.read(1)
        await node.stop()
        written.write("before the reboot")
        node = Node(state, folder=written.folder)
        await node.read(1)
        written.boot = this_boot
        written.write("first of this boot", "second")
        await node.read(3)
        written.write("third")
        await node.read(4)
        await node.stop()
        lines = ["one", "before the reboot", "first of this boot", "second", "third"]
        assert counted_in(state) == Counter(lines)

    run(story)


def test_journalctl_is_killed(written: Journal, state: Path, logs: Logs) -> None:
    async def story() -> None:
        written.write("one")
        node = Node(state, folder=written.folder, begin_at_start=True)
        await node.read(1)
        for turn in range(3):
            await node.until(lambda: node.source._process and node.source._following)
            process = node.source._process
            assert process is not None
            process.kill()
            await process.wait()
            written.write(f"after kill {turn}")
            await node.read(2 + turn)
        await node.stop()
        assert counted_in(state) == Counter(["one", *(f"after kill {turn}" for turn in range(3))])
        assert sum("cannot be followed" in entry["event"] for entry in logs) >= 1

    run(story)


def test_units_and_identifiers(written: Journal, state: Path) -> None:
    async def story() -> None:
        written.write("forged", program="postfix/smtpd", unit="user@1000.service")
        written.write("real", program="postfix/smtpd", unit="postfix.service")
        written.write("exim", program="exim", unit="exim4.service")
        node = Node(
            state, folder=written.folder, units=["postfix.service", "exim4.service"], begin_at_start=True
        )
        await node.read(2)
        await node.stop()
        assert counted_in(state) == Counter(["real", "exim"])

    run(story)


def test_no_journalctl(state: Path, logs: Logs) -> None:
    async def story() -> None:
        node = Node(state, program="/nonexistent/journalctl")
        for _ in range(3):
            await node.follower.turn()
        assert "cannot be run: No such file" in node.source.problem
        assert recover(state).positions == {}
        assert sum("cannot be followed" in entry["event"] for entry in logs) == 1
        await node.stop()

    run(story)


def test_a_position_that_journalctl_does_not_understand(written: Journal, state: Path) -> None:
    async def story() -> None:
        written.write("one")
        log = CountLog(state, recover(state))
        log.start(asyncio.get_running_loop())
        log.mark(SOURCE, b"garbage")
        await log.close()
        node = Node(state, folder=written.folder)
        await node.until(lambda: node.source.problem)
        assert "cursor" in node.source.problem
        await node.stop()

    run(story)
