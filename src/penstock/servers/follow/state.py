"""What a join keeps in memory, saved to a file with the position that it belongs to.

Frames of length and CRC-32 (each over all frames before it), little-endian: the position, the chunks, an
empty frame at the end. The file appears whole, by a rename, or not at all.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote
from zlib import crc32

_MAGIC: Final = b"PSJ1"
_FRAME: Final = struct.Struct("<II")
_LONGEST: Final = 64 << 20


class Damaged(Exception):
    """The file is not what was saved; the message says what is wrong."""


def path_of(folder: Path, source: str) -> Path:
    """Where the state of a source's join is kept."""
    return folder / f"join-{quote(source, safe='')}.state"


async def save(
    path: Path, position: bytes, chunks: Iterator[bytes], durable: Callable[[], Awaitable[bool]]
) -> bool:
    """Write the state chunk by chunk, letting the loop go on between them; raises OSError.

    It comes into place only when ``durable()`` says that the counts up to ``position`` are: a state
    ahead of the counts would hide lines that nobody counted.
    """
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            proof = _write(file, _MAGIC + position, 0)
            for chunk in filter(None, chunks):
                proof = _write(file, chunk, proof)
                await asyncio.sleep(0)
            _write(file, b"", proof)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if not await durable():
            return False
        await asyncio.to_thread(_put_in_place, part, path)
        return True
    finally:
        part.unlink(missing_ok=True)


def _put_in_place(part: Path, path: Path) -> None:
    part.replace(path)
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(file: BinaryIO, data: bytes, proof: int) -> int:
    proof = crc32(data, proof)
    file.write(_FRAME.pack(len(data), proof) + data)
    return proof


def check(path: Path) -> bytes | None:
    """The position of a saved state that is whole; None when there is no file; raises Damaged."""
    try:
        frames = _frames(path)
        first = next(frames)
        for _ in frames:
            pass
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(str(error)) from None
    if not first.startswith(_MAGIC):
        raise Damaged("it was not saved by Penstock, or by another version")
    return first.removeprefix(_MAGIC)


def chunks(path: Path) -> Iterator[bytes]:
    """The chunks of a saved state; raises Damaged, OSError."""
    frames = _frames(path)
    next(frames)
    return frames


def _frames(path: Path) -> Iterator[bytes]:
    proof = 0
    with path.open("rb") as file:
        while True:
            head = file.read(_FRAME.size)
            length, expected = _FRAME.unpack(head) if len(head) == _FRAME.size else (_LONGEST + 1, 0)
            data = file.read(length) if length <= _LONGEST else b""
            proof = crc32(data, proof)
            if len(data) < length or proof != expected:
                raise Damaged("it is torn or corrupt")
            if not length:
                return
            yield data
