"""The demonstration from an empty folder to the summary; leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from penstock.demo.cast import LOG, PAST, policy_file
from penstock.demo.clock import DAY, Clock, midnight
from penstock.demo.maillog import MailLog, write_past
from penstock.demo.node import loop_factory
from penstock.demo.plan import Plan, plan
from penstock.demo.story import Story
from penstock.demo.summary import summary
from penstock.demo.traffic import Broken, Traffic

START = 30.0
STOP = 15.0
SHOW = 0.25

Show = Callable[[dict[str, Any]], None]


class DemoError(Exception):
    """The demonstration cannot go on; the message says why."""


def run(seconds: float, seed: int, show: Show) -> dict[str, Any]:
    """A day in so many seconds; ``show`` gets the figures a few times a second; raises DemoError.

    The last figures come back, with ``interrupted`` when a signal ended it before its time.
    """
    with (
        tempfile.TemporaryDirectory(prefix="penstock-demo-", ignore_cleanup_errors=True) as folder,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        return runner.run(_run(Path(folder), plan(seed), seconds, show))


async def _run(folder: Path, day: Plan, seconds: float, show: Show) -> dict[str, Any]:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    (folder / "penstock.toml").write_text(policy_file(list(day.actors), str(folder)))
    clock = Clock(midnight(time.time()), DAY / seconds)
    log = MailLog(folder / LOG)
    write_past(folder / PAST, clock.begin, day.past, day.actors)
    async with _node(folder, clock) as process:
        try:
            return await _play(folder, day, clock, log, process, stop, show)
        except (Broken, OSError) as error:
            raise DemoError(f"the service of the demonstration failed: {error}\n{_log(folder)}") from None


async def _play(
    folder: Path,
    day: Plan,
    clock: Clock,
    log: MailLog,
    process: asyncio.subprocess.Process,
    stop: asyncio.Event,
    show: Show,
) -> dict[str, Any]:
    """Let the day pass while others watch; the last figures are taken from a service at rest."""
    story = Story(day)
    traffic = Traffic(day, clock, folder / "policy.sock", log, story)
    control = folder / "control.sock"
    before = _cpu(process.pid)

    def now() -> dict[str, Any]:
        return summary(day, story, traffic, clock, _cpu(process.pid) - before)

    tasks = [asyncio.ensure_future(work) for work in (traffic.run(), story.keep_explaining(control))]
    try:
        end = clock.started + DAY / clock.factor
        while not stop.is_set() and time.monotonic() < end:
            show(now())
            await _moment(stop, min(SHOW, end - time.monotonic()))
            for task in tasks:
                if task.done():
                    task.result()
        found = now() | {"interrupted": stop.is_set()}
    finally:
        for task in tasks:
            task.cancel()
        traffic.close()
    await story.explain(control, again=True)
    return found | {name: now()[name] for name in ("paused", "slowed", "honest_paused")}


async def _moment(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), max(0.0, seconds))


@contextlib.asynccontextmanager
async def _node(folder: Path, clock: Clock) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service in a process of its own, both clocks started; ended with the block."""
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    with (folder / "node.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock.demo.node", folder, str(clock.begin), str(clock.factor)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment,
        )
    try:
        await _ready(process, folder)
        clock.start(time.monotonic())
        assert process.stdin is not None
        process.stdin.write(f"{clock.started!r}\n".encode())
        yield process
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process, folder: Path) -> None:
    assert process.stdout is not None
    try:
        said = await asyncio.wait_for(process.stdout.readline(), START)
    except TimeoutError:
        said = b""
    if said != b"ready\n":
        raise DemoError(f"the service of the demonstration did not start:\n{_log(folder)}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """The end of its standard input is the service's sign to stop."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP)
    except TimeoutError:
        process.kill()
        await process.wait()


def _log(folder: Path) -> str:
    return (folder / "node.log").read_text(errors="replace")[-4000:]


def _cpu(pid: int) -> float:
    """Processor seconds that a process has used; 0 where /proc does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
