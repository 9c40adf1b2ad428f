"""``python runner.py STATE LOG``: follow a log until killed or told to stop; run by the kill tests."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from penstock.servers.follow.files import FileSource
from penstock.servers.follow.follower import Follower
from penstock.stores import counts
from penstock.stores.counts import CountLog
from penstock.stores.recovery import recover
from servers.follow.support import SOURCE, Tally

counts.SEGMENT_BYTES = 300_000  # type: ignore[misc]  # so that segments turn over and are compacted


async def main(state: Path, path: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    log = CountLog(state, recover(state))
    log.start(asyncio.get_running_loop())
    follower = Follower(
        FileSource(SOURCE, path, begin_at_start=True), Tally(log), log, state, save_every=0.05
    )
    await follower.start()
    while log.position(SOURCE) is None:
        log.flush()
        await asyncio.sleep(0.005)
    print("following", flush=True)
    await stop.wait()
    await follower.stop()
    await log.close()


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
