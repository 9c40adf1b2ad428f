"""A log with its rotations, a feed that counts each line, and a node that can be killed."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import lzma
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

import zstandard

from penstock.core.ledger import KEEP, Ledger
from penstock.core.ledger import Counter as Count
from penstock.core.policy import Profile
from penstock.core.sender import Sender
from penstock.servers.follow.files import FileSource
from penstock.servers.follow.follower import Follower
from penstock.stores.counts import CountLog
from penstock.stores.recovery import recover

T0: Final = 1_700_000_000
SOURCE: Final = "mail"
PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


class Tally:
    """Counts each line once for itself, and each pair ``begin N`` … ``end N`` once as ``pair N``.

    A pair whose beginning is not known counts as ``orphan N``: that is what a lost join looks like.
    """

    def __init__(self, log: CountLog) -> None:
        self.newest = 0.0
        self.silent: list[str] = []
        self.loaded = False
        self._log = log
        self._open: set[str] = set()

    def feed(self, lines: Sequence[str], silent: bool) -> None:
        for line in lines:
            word, number, *_ = [*line.split(" "), ""]
            self._count(line, silent)
            if word == "begin":
                self._open.add(number)
            if word == "end":
                self._count(f"{'pair' if number in self._open else 'orphan'} {number}", silent)
                self._open.discard(number)

    def _count(self, what: str, silent: bool) -> None:
        if silent:
            self.silent.append(what)
        else:
            one = Sender(key_of(what), Profile("plain"), T0, Ledger())
            self._log.append(one, int(Count.RECIPIENTS), T0, 1)

    def pack(self) -> Iterator[bytes]:
        waiting = sorted(self._open)
        for i in range(0, len(waiting), 3):
            yield json.dumps(waiting[i : i + 3]).encode()

    def load(self, chunks: Iterator[bytes]) -> None:
        for chunk in chunks:
            self._open.update(json.loads(chunk))
        self.loaded = True


def counted_in(folder: Path) -> Counter[str]:
    """What a state folder has counted."""
    found = recover(folder)
    tally: Counter[str] = Counter()
    for key in list(found.senders):
        recalled = found.recall(key)
        assert recalled is not None
        tally[key] = Ledger(recalled[1]).total(int(Count.RECIPIENTS), T0 + KEEP // 2, KEEP)
    return +tally


def key_of(line: str) -> str:
    """The sender's key that a line is counted for."""
    return line if len(line) < 300 else f"{len(line)} {crc32(line.encode())}"


def expected(lines: Sequence[str]) -> Counter[str]:
    """What lines should come to."""
    tally = Counter(map(key_of, lines))
    begun: set[str] = set()
    for line in lines:
        word, number, *_ = [*line.split(" "), ""]
        if word == "begin":
            begun.add(number)
        if word == "end":
            tally[f"{'pair' if number in begun else 'orphan'} {number}"] += 1
            begun.discard(number)
    return tally


class Node:
    """A log of counts with one follower, turned by hand."""

    def __init__(
        self, state: Path, path: Path, begin_at_start: bool = True, linger: int = 600, save_every: float = 1e9
    ) -> None:
        self.log = CountLog(state, recover(state))
        self.log._compact = lambda: None  # type: ignore[method-assign]  # a process each time
        self.log.start(asyncio.get_running_loop())
        self.tally = Tally(self.log)
        self.source = FileSource(SOURCE, path, begin_at_start, linger)
        self.now = float(T0)
        self.follower = Follower(
            self.source, self.tally, self.log, state, save_every, self._clock, self._clock
        )

    def _clock(self) -> float:
        return self.now

    async def turn(self, times: int = 1) -> None:
        for _ in range(times):
            await self.follower.turn()

    async def drain(self) -> None:
        """Until there is nothing new, also in what a last look finds."""
        idle = 0
        while idle < 3:
            idle = 0 if await self.follower.turn() else idle + 1
        self.log.flush()

    async def stop(self) -> None:
        """A clean end."""
        await self.follower.stop()
        await self.log.close()

    async def kill(self) -> None:
        """What was not flushed is gone, as after a kill -9."""
        self.log._rows.clear()
        self.log._defined.clear()
        self.log._moved.clear()
        await self.log.close()
        await self.source.close()


class Log:
    """A log file, its writer, and logrotate."""

    def __init__(self, path: Path, dated: bool = False) -> None:
        self.path = path
        self.lines: list[str] = []
        self._dated = dated
        self._turns = 0
        self._fd = -1
        self._at = 0
        self.open()

    def open(self) -> None:
        """The writer opens its file anew."""
        self.close()
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def write(self, *lines: str) -> None:
        """Whole lines."""
        for line in lines:
            self.begin(line)
            self.end(line)

    def begin(self, line: str) -> None:
        """The first half of a line."""
        self.raw(line.encode()[: len(line) // 2])

    def end(self, line: str) -> None:
        """The rest of it."""
        self.raw(line.encode()[len(line) // 2 :] + b"\n")
        self.lines.append(line)

    def raw(self, data: bytes) -> None:
        """Some bytes, at a time of their own: the kernel's clock stands still for milliseconds."""
        assert os.write(self._fd, data) == len(data)
        self._at = max(self._at + 1, time.time_ns())
        os.utime(self._fd, ns=(self._at, self._at))

    def rotated(self) -> list[Path]:
        """Rotated files, oldest first."""
        found = [path for path in self.path.parent.iterdir() if path != self.path]
        return sorted(found, key=lambda path: path.name.split(".")[2].rjust(9), reverse=not self._dated)

    def _make_room(self) -> Path:
        self._turns += 1
        if self._dated:
            return self.path.with_name(f"{self.path.name}.2026{self._turns:04}")
        for path in self.rotated():
            stem, live, number, *kind = path.name.split(".")
            path.rename(path.with_name(".".join([stem, live, str(int(number) + 1), *kind])))
        return self.path.with_name(self.path.name + ".1")

    def rename(self) -> None:
        """Rotate by renaming; the writer goes on in the old file until it opens the new one."""
        self.path.rename(self._make_room())

    def copytruncate(self) -> None:
        self._make_room().write_bytes(self.path.read_bytes())
        os.truncate(self.path, 0)

    def pack(self, path: Path, kind: str) -> None:
        """Compress a rotated file as gzip and its like do."""
        stat = path.stat()
        packed = path.with_name(f"{path.name}.{kind}")
        packed.write_bytes(PACKERS[kind](path.read_bytes()))
        os.utime(packed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        path.unlink()
