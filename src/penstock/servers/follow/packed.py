"""A log file's bytes by offset, whether it is plain or packed (.gz, .bz2, .xz, .zst).

A packed file is read forwards; going back opens it anew. What cannot be unpacked raises OSError.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

import zstandard

_SKIP: Final = 1 << 18
_WINDOW: Final = 1 << 27
"""Largest window of .zst (bytes), so that a hostile file cannot ask for more memory."""


class Bytes(Protocol):
    """What a tail reads from."""

    fd: int

    def fetch(self, at: int, size: int) -> bytes:
        """Up to ``size`` bytes from offset ``at``; empty at the end. OSError when they cannot be read."""
        ...

    def close(self) -> None:
        """Give the descriptor back."""
        ...


def open_regular(path: Path) -> int:
    """A descriptor to read; OSError for anything that is no regular file, and no waiting on a FIFO."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise OSError("is a directory" if stat.S_ISDIR(mode) else "is not a regular file")


class Plain:
    """A file as it is."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def fetch(self, at: int, size: int) -> bytes:
        """See ``Bytes``."""
        return os.pread(self.fd, size, at)

    def close(self) -> None:
        """See ``Bytes``."""
        os.close(self.fd)


class Packed:
    """A file to be unpacked."""

    def __init__(self, fd: int, kind: str) -> None:
        self.fd = fd
        self._kind = kind
        self._stream: BinaryIO | None = None
        self._at = 0

    def fetch(self, at: int, size: int) -> bytes:
        """See ``Bytes``. What lies between this place and the last is skipped."""
        try:
            stream = self._wound_to(at)
            data = stream.read(size)
        except (EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            raise OSError(f"cannot be unpacked: {error}") from None
        self._at += len(data)
        return data

    def _wound_to(self, at: int) -> BinaryIO:
        stream = self._stream
        if stream is None or at < self._at:
            stream = self._stream = _unpacked(self._fresh(), self._kind)
            self._at = 0
        while self._at < at:
            skipped = len(stream.read(min(_SKIP, at - self._at)))
            if not skipped:
                break
            self._at += skipped
        return stream

    def _fresh(self) -> BinaryIO:
        os.lseek(self.fd, 0, os.SEEK_SET)
        return open(self.fd, "rb", closefd=False)

    def close(self) -> None:
        """See ``Bytes``."""
        self._stream = None
        os.close(self.fd)


def _unpacked(file: BinaryIO, kind: str) -> BinaryIO:
    """A stream of what is in a packed file."""
    if kind == "gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))
    if kind == "bz2":
        return cast("BinaryIO", bz2.open(file, "rb"))
    if kind == "xz":
        return cast("BinaryIO", lzma.open(file, "rb"))
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    return cast("BinaryIO", unpacker.stream_reader(file, read_across_frames=True))


def opened(fd: int, kind: str) -> Bytes:
    """The bytes behind a descriptor; ``kind`` is "" for a plain file, else its suffix."""
    return Packed(fd, kind) if kind else Plain(fd)
