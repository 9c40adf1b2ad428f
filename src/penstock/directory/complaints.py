"""Warnings that keys chosen by strangers can cause: each key once, and only so many a minute."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final

import structlog

MOST_A_MINUTE: Final = 20
MOST_REMEMBERED: Final = 10_000

_log = structlog.get_logger()


class Complaints:
    """Says what was wrong with a key. May be called from any thread."""

    def __init__(self, source: str, clock: Callable[[], float]) -> None:
        self.withheld = 0
        self._source = source
        self._clock = clock
        self._lock = Lock()
        self._said: set[tuple[str, str]] = set()
        self._minute = float("-inf")
        self._count = 0

    def __call__(self, event: str, key: str, what: object) -> None:
        """Log it unless it has been said of this key, or too much has been said this minute."""
        with self._lock:
            withheld = self._may_say(event, key)
        if withheld is not None:
            more = {"withheld": withheld} if withheld else {}
            _log.warning(event, source=self._source, key=key, what=what, **more)

    def _may_say(self, event: str, key: str) -> int | None:
        """How many were withheld before this one; None when this one is to be."""
        if (event, key) in self._said:
            return None
        if self._clock() >= self._minute + 60:
            self._minute, self._count = self._clock(), 0
        self._count += 1
        if self._count > MOST_A_MINUTE:
            self.withheld += 1
            return None
        if len(self._said) >= MOST_REMEMBERED:
            self._said.clear()
        self._said.add((event, key))
        withheld, self.withheld = self.withheld, 0
        return withheld
