"""Log files as lines: plain or packed (.gz, .bz2, .xz, .zst), whole folders, standard input.

What is packed is told by its first bytes, not by its name. A file is read in blocks, so memory is
bounded by the block, whatever the file's size or the length of its lines.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

import zstandard

from penstock.study.folder import Member, SourceError, logs_of

__all__ = ["Log", "Progress", "SourceError", "Sources", "open_sources"]

BLOCK: Final = 1 << 20
LONGEST_LINE: Final = 1 << 20
"""Bytes; the rest of a longer line is passed over."""

HEAD: Final = 1 << 16
_WINDOW: Final = 1 << 27
"""Largest window of .zst, in bytes: a hostile file cannot ask for more memory."""

STDIN: Final = "-"

_BAD_DATA: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)

Progress = Callable[[int, int], None]
"""Bytes read so far, and of all files together (0: not known)."""


class Log(NamedTuple):
    """The files of one log, oldest first: what rotation made of it and the live one."""

    members: list[Member]


@dataclass
class Sources:
    """All logs that were named. ``done`` and ``total`` are bytes on disk; ``warnings`` are sentences."""

    logs: list[Log]
    total: int
    progress: Progress = lambda done, total: None
    done: int = 0
    warnings: list[str] = field(default_factory=list)

    def batches(self, log: Log) -> Iterator[list[str]]:
        """The lines of a log without their ends, some thousands at a time."""
        for member in log.members:
            yield from self._read(member)

    def _read(self, member: Member) -> Iterator[list[str]]:
        with open_raw(member) as raw:
            before = self.done
            try:
                for block in whole_lines(unpacked(raw)):
                    if member.size:
                        self.done = before + raw.tell()
                    self.progress(self.done, self.total)
                    yield lines_of(block)
            except _BAD_DATA as wrong:
                self.warnings.append(f"{member.name}: read only in part: {wrong}")
            self.done = before + member.size


def open_sources(named: Sequence[str], progress: Progress = lambda done, total: None) -> Sources:
    """The logs behind files, folders and ``-``; raises SourceError."""
    warnings: list[str] = []
    logs = [Log(members) for members in logs_of(named, first_bytes, warnings)]
    if not logs:
        raise SourceError(f"no mail log in {', '.join(named)}")
    sizes = [member.size for log in logs for member in log.members]
    return Sources(logs, sum(sizes) if all(sizes) else 0, progress, warnings=warnings)


def open_raw(member: Member) -> BinaryIO:
    """The bytes on disk; raises SourceError."""
    if member.path is None:
        return cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", _Unclosed(sys.stdin.buffer))))
    try:
        return member.path.open("rb")
    except OSError as wrong:
        raise SourceError(f"{member.path}: {wrong.strerror or wrong}") from None


class _Unclosed(io.RawIOBase):
    """Standard input that stays open."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        data = cast("io.BufferedReader", self._inner).read1(len(view))
        view[: len(data)] = data
        return len(data)


def unpacked(raw: BinaryIO) -> BinaryIO:
    """The contents of a file that may be packed."""
    start = cast("io.BufferedReader", raw).peek(6)[:6]
    if start.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw, mode="rb"))
    if start.startswith(b"BZh"):
        return cast("BinaryIO", bz2.BZ2File(raw, "rb"))
    if start == b"\xfd7zXZ\x00":
        return cast("BinaryIO", lzma.LZMAFile(raw, "rb"))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        return cast("BinaryIO", unpacker.stream_reader(raw, read_across_frames=True, closefd=False))
    return raw


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The contents in blocks that end at a line's end; a line that is too long loses its rest.

    A failure to read comes after what could be read.
    """
    rest = b""
    skipping = False
    while block := _block(file):
        end = block.rfind(b"\n") + 1
        if skipping:
            begin = block.find(b"\n") + 1
            if not begin:
                continue
            block, end, skipping = block[begin:], end - begin, False
        if not end:
            rest += block
            if len(rest) > LONGEST_LINE:
                yield rest[:LONGEST_LINE]
                rest, skipping = b"", True
            continue
        yield rest + block[:end]
        rest = block[end:]
    if rest:
        yield rest


def _block(file: BinaryIO) -> bytes:
    """What is there, up to ``BLOCK``: a pipe need not fill it."""
    read = getattr(file, "read1", None)
    data = read(BLOCK) if read is not None else file.read(BLOCK)
    return cast("bytes", data)


def lines_of(block: bytes) -> list[str]:
    """Only ``\\n`` ends a line: whatever else looks like an end was written by somebody else."""
    if b"\r\n" in block:
        block = block.replace(b"\r\n", b"\n")
    lines = block.decode("utf-8", "backslashreplace").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def first_bytes(path: Path) -> bytes:
    """The beginning of a file's contents; b"" when it is empty or damaged; raises SourceError."""
    with open_raw(Member(path, str(path), 0)) as raw:
        try:
            return unpacked(raw).read(HEAD)
        except _BAD_DATA:
            return b""


def last_bytes(path: Path) -> bytes:
    """The end of a plain file; of a packed one nothing sensible."""
    with open_raw(Member(path, str(path), 0)) as raw:
        raw.seek(max(0, raw.seek(0, io.SEEK_END) - HEAD))
        return raw.read()
