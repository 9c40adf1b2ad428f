"""The service of the demonstration: ``python -m penstock.demo.node FOLDER BEGIN FACTOR``.

It is ``penstock.app.Service`` itself on the policy file in FOLDER, with an accelerated clock. It was
installed two months ago and reads the log of the days before. Then it says ``ready`` on standard
output, starts its clock at the monotonic time that it reads from standard input, and ends when that
is closed: it cannot outlive the demonstration.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from penstock.app import Service
from penstock.config import load
from penstock.demo.clock import DAY, Clock
from penstock.logs import set_up

INSTALLED = 60 * DAY
"""Seconds ago: a service that has just been installed does not know yet who writes to whom."""

LOOK = 0.01
"""Real seconds between two looks whether the past is read."""


def main() -> None:
    """Serve until standard input ends."""
    folder, begin, factor = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_up("console", "warning")
    clock = Clock(begin, factor)
    clock.ago = INSTALLED
    service = Service(load(folder / "penstock.toml", begin), clock)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(service, clock))


async def _serve(service: Service, clock: Clock) -> None:
    loop = asyncio.get_running_loop()
    await service.open()
    clock.ago = 0.0
    try:
        await _read_past(service)
        print("ready", flush=True)
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if line:
            clock.start(float(line))
            await loop.run_in_executor(None, sys.stdin.read)
    finally:
        await service.close()


async def _read_past(service: Service) -> None:
    """Until the log of the days before has been read to its end."""
    past = next(watched for watched in service.logs if watched.name == "past")
    while not past.feed.newest or past.follower.source.bytes_behind:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(LOOK)


def loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed, as in production."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


if __name__ == "__main__":
    main()
