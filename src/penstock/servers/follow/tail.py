"""One log file, read in slices of whole lines.

A slice is small (``SLICE`` bytes, some two hundred lines), so that whoever shares the loop waits for a
millisecond at most. Lines end at ``\\n`` and nowhere else: attackers write everything else. An
unfinished last line waits in memory; one that is longer than ``LONGEST`` is cut.
"""

from __future__ import annotations

import os
import sys
from typing import Final, NamedTuple
from zlib import crc32

from penstock.servers.follow.packed import Bytes, Plain
from penstock.servers.follow.position import HEAD, Mark

SLICE: Final = 32 << 10
ALL: Final = sys.maxsize
LONGEST: Final = 64 << 10
"""Bytes of a line that are kept."""


class Slice(NamedTuple):
    """Lines, and whether they are only read again and were counted before. May be empty."""

    lines: list[str]
    silent: bool


class Truncated(Exception):
    """The file's contents are not those any more that were read: it begins anew."""


class Tail:
    """An open file. ``offset``: bytes up to which lines were handed over; ``silent``: bytes up to
    which they were counted by an earlier run (``ALL``: all of them). ``quiet``: reads in a row that
    found nothing. ``packed``: it must be unpacked, which is slow, and it never grows. ``cuts``: lines
    that were cut. ``shrunk``: its end went away while its head stayed."""

    def __init__(self, data: Bytes, start: bytes, offset: int, silent: int) -> None:
        """``start``: the first bytes, by which the file was recognised."""
        self._data = data
        self.packed = not isinstance(data, Plain)
        self.offset = offset
        self.silent = silent
        self.quiet = 0
        self.cuts = 0
        self.shrunk = False
        self.device = self.inode = self.size = self.mtime = 0
        self._held = b""
        self._passed = 0
        self._too_long = False
        self._start = start
        self._stat()

    @property
    def read_to(self) -> int:
        """Offset of the next byte to read."""
        return self.offset + len(self._held) + self._passed

    @property
    def has_contents(self) -> bool:
        """Whether anything is known by which to recognise it."""
        return bool(self._start)

    def was_filled(self) -> bool:
        """Whether there is something in it now, and nothing is known of it yet."""
        return not self._start and os.fstat(self._data.fd).st_size > 0

    def is_file(self, device: int, inode: int) -> bool:
        """Whether this is that file, as it is."""
        return not self.packed and (self.device, self.inode) == (device, inode)

    def counted_to(self) -> int:
        """Offset up to which lines are counted, in this run or an earlier one."""
        return max(self.offset, self.silent)

    def behind(self) -> int:
        """Bytes that are not yet read; of a packed file all of them until its end."""
        if self.packed:
            return 0 if self.quiet else self.size
        return max(0, self.size - self.read_to)

    def mark(self) -> Mark:
        """How far this file is counted."""
        start = self._start
        return Mark(self.device, self.inode, self.counted_to(), len(start), crc32(start), self.mtime)

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    # --- reading ----------------------------------------------------------------------------

    def read(self) -> Slice | None:
        """The next lines, None when there is nothing new; raises Truncated, OSError."""
        self._look()
        start = self.read_to
        data = self._data.fetch(start, self._room(start))
        if not data:
            self.quiet += 1
            return None
        self.quiet = 0
        if len(self._start) < min(HEAD, start + len(data)):
            self._start += data[len(self._start) - start : HEAD - start]
        lines = self._lines(start, data)
        if start < self.silent == start + len(data) and self.read_to > self.offset:
            lines += self._rest()
        return Slice(lines, start < self.silent)

    def _room(self, start: int) -> int:
        """Never past the place where lines begin to count."""
        return min(SLICE, self.silent - start) if start < self.silent else SLICE

    def _stat(self) -> None:
        found = os.fstat(self._data.fd)
        self.size = found.st_size
        self.mtime = max(self.mtime, found.st_mtime_ns)
        if not self.packed:
            self.device, self.inode = found.st_dev, found.st_ino

    def _look(self) -> None:
        """Notice growth, truncation, and other contents in the same file; raises Truncated."""
        before = self.mtime
        self._stat()
        if self.packed:
            return
        if not self._start and not self.size and self.mtime > before:
            self.mtime = before
            raise Truncated
        start = self._start
        changed = self.mtime > before or self.size != self.read_to or self.size < len(start)
        if changed and self._data.fetch(0, len(start)) != start:
            raise Truncated
        if self.size < self.read_to or self.size < self.silent < ALL:
            self._shrink()

    def _shrink(self) -> None:
        """The end is gone and the head still there, as after a power cut: go on at the end."""
        self.shrunk |= self.size < self.counted_to()
        self.offset = min(self.offset, self.size)
        if self.silent < ALL:
            self.silent = min(self.silent, self.size)
        self._held, self._passed, self._too_long = b"", 0, False

    def _lines(self, start: int, data: bytes) -> list[str]:
        end = data.rfind(b"\n") + 1
        if not end:
            self._hold(data)
            return []
        lines = self._finished(data[: end - 1])
        self.offset = start + end
        self._hold(data[end:])
        return lines

    def _finished(self, data: bytes) -> list[str]:
        """The lines in what was held and ``data``, which ends where a line does."""
        first, newline, others = data.partition(b"\n")
        self._hold(first)
        whole = self._held + newline + others
        self.cuts += self._too_long
        self._held, self._passed, self._too_long = b"", 0, False
        return whole.decode("utf-8", "backslashreplace").split("\n")

    def _hold(self, data: bytes) -> None:
        """Keep the part of a line as far as it may be kept.

        A writer that goes on at its old offset after a truncation leaves a hole: zeros before the line.
        """
        line = data if self._held else data.lstrip(b"\0")
        room = LONGEST - len(self._held)
        self._too_long |= len(line) > room
        self._held += line[:room]
        self._passed += len(data) - min(len(line), room)

    def _rest(self) -> list[str]:
        """The unfinished last line as it is."""
        self.offset = self.read_to
        return self._finished(b"")

    def finish(self) -> list[str]:
        """The last line of a file that nobody writes to any more, though it has no end."""
        return self._rest() if self.read_to > self.offset else []
