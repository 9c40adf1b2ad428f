"""How far a log file is read, in words that survive a restart and a rotation.

A file is known by device and inode while it keeps its place, and by its head (CRC-32 of its first
bytes) when it was copied or packed. JSON, because it stands in the log of counts for years.
"""

from __future__ import annotations

import json
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
        match json.loads(packed):
            case {"since": since, "files": [*files]}:
                return cls(tuple(Mark(*_numbers(numbers, 6)) for numbers in files), *_numbers([since], 1))
        raise ValueError("not a position")


def _numbers(found: Any, count: int) -> list[int]:
    if isinstance(found, list) and len(found) == count and all(type(n) is int and n >= 0 for n in found):
        return found
    raise ValueError("not a position")
