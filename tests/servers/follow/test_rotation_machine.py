"""Rotation, compression, truncation, kill and restart at any moment: each line is counted once."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from structlog.testing import capture_logs

from servers.follow.support import PACKERS, Log, Node, counted_in, expected


class Rotations(RuleBasedStateMachine):
    """A writer, logrotate, and a node that is killed now and then.

    The writer never writes to a file that logrotate has truncated or packed half a line ago: no real one
    could expect that line to survive. Nor is a file truncated of which nothing was ever read: nobody
    could recognise its copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.node: Node | None = None
        self.half = ""
        self.unsaid = 0
        self.moved = False
        self.known = False
        self.around = ExitStack()
        self.around.enter_context(capture_logs())
        patch = self.around.enter_context(pytest.MonkeyPatch.context())
        for name in ("fsync", "fdatasync"):  # a kill takes nothing from the page cache
            patch.setattr(os, name, lambda fd: None)

    @initialize(dated=st.booleans(), linger=st.sampled_from([1, 5, 1000]))
    def begin(self, dated: bool, linger: int) -> None:
        for name in ("log", "state"):
            (self.folder / name).mkdir()
        self.log = Log(self.folder / "log" / "mail.log", dated)
        self.state = self.folder / "state"
        self.linger = linger
        self.start()

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(story)

    # --- the writer -------------------------------------------------------------------------

    def line(self) -> str:
        self.unsaid += 1
        return f"{self.unsaid:05} line"  # as a stamp does, it tells one from the other

    @precondition(lambda self: not self.half)
    @rule(count=st.integers(1, 5), long=st.booleans())
    def write(self, count: int, long: bool) -> None:
        for _ in range(count):
            self.log.write(self.line() + " long" * 200 * long)

    @precondition(lambda self: not self.half)
    @rule(number=st.integers(0, 5), word=st.sampled_from(["begin", "end"]))
    def write_pair(self, number: int, word: str) -> None:
        self.log.write(f"{word} {number} {self.line()}")

    @precondition(lambda self: not self.half)
    @rule()
    def write_much(self) -> None:
        self.log.write(*(self.line() + " much" * 50 for _ in range(300)))

    @precondition(lambda self: not self.half)
    @rule()
    def half_a_line(self) -> None:
        self.half = self.line()
        self.log.begin(self.half)

    @precondition(lambda self: self.half)
    @rule()
    def other_half(self) -> None:
        self.log.end(self.half)
        self.half = ""

    # --- logrotate --------------------------------------------------------------------------

    @precondition(lambda self: not self.moved)
    @rule()
    def rename(self) -> None:
        self.log.rename()
        self.moved = True

    @precondition(lambda self: self.moved and not self.half)
    @rule()
    def reopen(self) -> None:
        self.log.open()
        self.moved = False

    @precondition(lambda self: not self.moved and not self.half)
    @rule()
    def copytruncate(self) -> None:
        if self.node is not None:
            self.run(self.node.turn(3))
        if self.log.path.stat().st_size and (self.node is not None or self.known):
            self.log.copytruncate()

    @precondition(lambda self: not self.moved)
    @rule(kind=st.sampled_from(sorted(PACKERS)), which=st.integers(0, 3))
    def pack(self, kind: str, which: int) -> None:
        plain = [path for path in self.log.rotated() if path.name.rsplit(".", 1)[1] not in PACKERS]
        if which < len(plain):
            self.log.pack(plain[which], kind)

    # --- the node ---------------------------------------------------------------------------

    def start(self) -> None:
        async def story() -> None:
            self.node = Node(self.state, self.log.path, linger=self.linger)
            await self.node.turn()
            self.node.log.flush()

        self.run(story())

    @precondition(lambda self: self.node is None)
    @rule()
    def restart(self) -> None:
        self.start()

    @precondition(lambda self: self.node is not None)
    @rule(times=st.integers(1, 4))
    def turn(self, times: int) -> None:
        assert self.node is not None
        self.run(self.node.turn(times))

    @precondition(lambda self: self.node is not None)
    @rule()
    def flush(self) -> None:
        assert self.node is not None
        self.node.log.flush()

    @precondition(lambda self: self.node is not None)
    @rule()
    def save(self) -> None:
        assert self.node is not None
        self.run(self.node.follower.save())

    @precondition(lambda self: self.node is not None)
    @rule()
    def kill(self) -> None:
        assert self.node is not None
        self.run(self.node.kill())
        self.node = None

    @precondition(lambda self: self.node is not None)
    @rule()
    def stop(self) -> None:
        assert self.node is not None
        self.run(self.node.stop())
        self.node = None

    @precondition(lambda self: self.node is not None)
    @rule()
    def catch_up(self) -> None:
        assert self.node is not None
        self.run(self.node.drain())
        self.known |= bool(self.log.lines)
        self.compare()

    def compare(self) -> None:
        found, wanted = counted_in(self.state), expected(self.log.lines)
        assert (found - wanted, wanted - found) == ({}, {}), "(too often, too seldom)"

    def teardown(self) -> None:
        try:
            if hasattr(self, "log"):
                self.finish()
        finally:
            self.around.close()
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.folder)

    def finish(self) -> None:
        try:
            if self.half:
                self.other_half()
            if self.node is None:
                self.start()
            assert self.node is not None
            self.run(self.node.drain())
        finally:
            self.log.close()
            if self.node is not None:
                self.run(self.node.stop())
        self.compare()


TestRotations = Rotations.TestCase
TestRotations.settings = settings(
    max_examples=60,
    derandomize=True,
    stateful_step_count=30,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
