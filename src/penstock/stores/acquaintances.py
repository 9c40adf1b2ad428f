"""Who has met whom, kept over restarts: one file that is written anew every few minutes.

How it works: every ``EVERY`` seconds, if anybody has met, and at a stop, a thread copies the filters to a
file beside, block by block while decisions go on, and puts it in place with one rename: what is there is
always whole. A kill -9 or a power cut loses at most the last minutes: who met in them counts as new once
more, which alone stops nobody. The secret that the pairs were hashed with stands in the same file (mode
0600): without it the filters say nothing, and with a damaged one both are lost together.

What it costs: 16 MiB on disk, written at most once in ``EVERY`` seconds, and nothing while nobody new is
met. The loop waits for no more than the copy of one block, some 10 µs.

A file that is damaged or not ours is put aside, said, and all begins anew; nobody is known then, so
``Acquaintance.since`` tells those who judge by it.

``acquaintance.bin``, in the machine's byte order: magic, version, order of bytes (1 little, 2 big), bytes of
each filter, pairs in the young one, when saved, since when it learns (seconds since the epoch), secret (32
bytes); young filter, old filter; CRC-32 of all before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from zlib import crc32

import structlog

from penstock.core.acquaintance import BYTES, Acquaintance
from penstock.stores.damage import put_aside

log = structlog.get_logger()

EVERY: Final = 300.0
NAME: Final = "acquaintance.bin"
_MAGIC: Final = b"PSAQ"
_VERSION: Final = 2
_ORDER: Final = 1 if sys.byteorder == "little" else 2
_HEAD: Final = struct.Struct("=4sHHQQdd32s")
_PROOF: Final = struct.Struct("=I")
_KEY_BYTES: Final = 32
_BLOCK: Final = 1 << 17


class Damaged(Exception):
    """The file is not what was saved; the message says what is wrong."""


class AcquaintanceFile:
    """The acquaintance of one node and its file. ``clock``: seconds since the epoch.

    ``saved_at``: when the file was last written, 0.0 when there is none; ``problem``: why it cannot be, ""
    when it can.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, "acquaintance")
        self._chore: asyncio.Task[None] | None = None
        self.saved_at = 0.0
        self.problem = ""
        self.acquaintance = self._load()
        self._saved = self._state()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to save."""
        self._chore = loop.create_task(self._save_now_and_then())

    async def save(self) -> None:
        """Write the file, if anybody has met since it was written; decisions go on meanwhile."""
        if self._state() != self._saved:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._save)
        elif not self.saved_at:
            self.acquaintance.since = self._clock()  # detection is off: nothing has been learned yet

    async def close(self) -> None:
        """Write what is new, and end."""
        if self._chore is not None:
            self._chore.cancel()
            await asyncio.gather(self._chore, return_exceptions=True)
        await self.save()
        self._pool.shutdown()

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.save()

    def _state(self) -> tuple[int, int]:
        """Differs when anybody has met."""
        return self.acquaintance.turns, self.acquaintance.met

    def _load(self) -> Acquaintance:
        """What was saved, else nobody known."""
        try:
            found, self.saved_at = read(self._path)
        except FileNotFoundError:
            pass
        except (Damaged, OSError) as error:
            self._put_aside(str(error))
        else:
            return found
        anew = Acquaintance(secrets.token_bytes(_KEY_BYTES))
        anew.since = self._clock()
        return anew

    def _put_aside(self, why: str) -> None:
        kept = ""
        with contextlib.suppress(OSError):
            kept = str(put_aside(self._path, self._clock()))
        log.error(
            "who has met whom is forgotten: the file cannot be read, and all recipients are new again",
            file=str(self._path),
            why=why,
            kept_as=kept,
        )

    # --- in the thread ----------------------------------------------------------------------

    def _save(self) -> None:
        """A full disk costs what was learned, never the mail."""
        state, now = self._state(), self._clock()
        try:
            write(self._path, self.acquaintance, now)
        except OSError as error:
            if not self.problem:
                log.error("who has met whom is not saved", file=str(self._path), why=str(error))
            self.problem = f"who has met whom is not saved: {error}"
            return
        if self.problem:
            log.info("who has met whom is saved again")
        self.problem, self._saved, self.saved_at = "", state, now


def write(path: Path, known: Acquaintance, now: float) -> None:
    """Replace the file in one step, while others meet; raises OSError, and then leaves the old one."""
    part = path.with_suffix(".part")
    try:
        with open(part, "wb", buffering=0, opener=_private) as file:
            _write(file.fileno(), known, now)
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write(fd: int, known: Acquaintance, now: float) -> None:
    """Blocks are copied before they are proved: their bits change meanwhile."""
    young, old, met = known.pack()
    head = _HEAD.pack(_MAGIC, _VERSION, _ORDER, len(young), met, now, known.since, known.key)
    proof = crc32(head)
    _put(fd, head)
    for part in (young, old):
        for at in range(0, len(part), _BLOCK):
            block = bytes(part[at : at + _BLOCK])
            proof = crc32(block, proof)
            _put(fd, block)
    _put(fd, _PROOF.pack(proof))


def _put(fd: int, data: bytes) -> None:
    """All of it: a write may take a part when the disk is nearly full."""
    while data:
        data = data[os.write(fd, data) :]


def sync_folder(folder: Path) -> None:
    """What was renamed in it survives a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read(path: Path) -> tuple[Acquaintance, float]:
    """What was saved, and when; raises FileNotFoundError, OSError, Damaged."""
    with path.open("rb") as file:
        raw = file.read(_HEAD.size + BYTES + _PROOF.size + 1)
    if len(raw) != _HEAD.size + BYTES + _PROOF.size:
        raise Damaged(f"it has {len(raw)} bytes or more, not {_HEAD.size + BYTES + _PROOF.size}")
    magic, version, order, size, met, saved_at, since, key = _HEAD.unpack_from(raw)
    if (magic, version, order, size) != (_MAGIC, _VERSION, _ORDER, BYTES // 2):
        raise Damaged("it was not saved by Penstock, or by another version or on another kind of machine")
    whole = memoryview(raw)
    if crc32(whole[: -_PROOF.size]) != _PROOF.unpack(whole[-_PROOF.size :])[0]:
        raise Damaged("its check sum is wrong")
    found = Acquaintance(key)
    middle = _HEAD.size + size
    found.load(whole[_HEAD.size : middle], whole[middle : -_PROOF.size], met)
    found.since = since
    return found, saved_at
