"""Files that only Penstock may read: keys and secrets, refused when somebody else could."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from penstock.config.report import BadValue

MOST: Final = 64 * 1024
"""Bytes of such a file."""


def private_bytes(path: Path) -> bytes:
    """What stands in the file; raises BadValue.

    As OpenSSH does it: nobody but the owner, who is root or we ourselves, may read it; a group may read what
    root has given it.
    """
    try:
        with open(path, "rb", opener=_opener) as file:
            _check(path, os.fstat(file.fileno()))
            return file.read(MOST)
    except OSError as wrong:
        raise BadValue(f"{path}: cannot be read: {wrong.strerror or wrong}") from None


def _opener(name: str, flags: int) -> int:
    """A pipe that nobody writes to keeps nobody waiting."""
    return os.open(name, flags | os.O_NONBLOCK)


def _check(path: Path, found: os.stat_result) -> None:
    us = os.geteuid()
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST:
        raise BadValue(f"{path}: is not a file of at most {MOST >> 10} KiB")
    if us and found.st_uid not in (0, us):
        raise BadValue(f"{path}: belongs to user {found.st_uid}, neither to root nor to user {us}")
    if found.st_mode & (0o027 if found.st_uid == 0 != us else 0o077):
        mode = stat.S_IMODE(found.st_mode)
        raise BadValue(f"{path}: others may read or write it (mode {mode:04o}): chmod 600 {path}")
