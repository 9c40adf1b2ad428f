"""How far a log file is read, in words that survive a restart and a rotation.

A file is known by device and inode while it keeps its place, and by its head (CRC-32 of its first
bytes) when it was copied or packed. JSON, because it stands in the log of counts for years.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

HEAD: Final = 1024
"""Bytes at the start of a file that tell it from others, as far as they were read."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one file is read: ``offset`` bytes (unpacked), always after a whole line.

    ``head`` is the length that ``crc`` was taken of; 0 says that nothing is known of the contents.
    ``mtime`` (ns) is the newest that was seen. ``inode`` 0: a packed file, only its head is known.
    """

    device: int
    inode: int
    offset: int
    head: int
    crc: int
    mtime: int

    def is_head_of(self, start: bytes) -> bool:
        """Whether a file that begins so is this one, as far as its head tells."""
        return len(start) >= self.head and crc32(start[: self.head]) == self.crc


@dataclass(frozen=True, slots=True)
class Position:
    """Files of one log that are being read, oldest first. ``since`` (ns): when following began."""

    files: tuple[Mark, ...]
    since: int

    def pack(self) -> bytes:
        """As stored."""
        files = [[m.device, m.inode, m.offset, m.head, m.crc, m.mtime] for m in self.files]
        return json.dumps({"since": self.since, "files": files}, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Position:
        """Raises ValueError for what ``pack`` cannot have made."""
        found = json.loads(packed)
        if not isinstance(found, dict) or not isinstance(found.get("files"), list):
            raise ValueError("not a position")
        return cls(tuple(_mark(numbers) for numbers in found["files"]), *_whole([found.get("since")], 1))


def _mark(numbers: Any) -> Mark:
    return Mark(*_whole(numbers, 6))


def _whole(numbers: Iterable[Any], count: int) -> list[int]:
    found = [n for n in numbers if type(n) is int and n >= 0] if isinstance(numbers, list) else []
    if len(found) != count:
        raise ValueError("not a position")
    return found
