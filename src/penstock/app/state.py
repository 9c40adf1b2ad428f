"""The state folder: made, locked against a second service, and said when it cannot be used."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

LOCK: Final = "lock"


class InUse(Exception):
    """Another service keeps its state in this folder."""


class StateFolder:
    """Holds the lock as long as it lives. A folder that cannot be written degrades, loudly."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._fd = -1
        try:
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            self.problem = f"the state folder {path} cannot be written: {error.strerror}"
            log.error("no durable state: a restart would forget pauses and counts", why=self.problem)
            return
        self._lock()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise InUse(
                f"{self.path} is in use by process {owner}: another penstock serves from it"
            ) from None
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Release the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
