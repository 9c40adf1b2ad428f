"""A directory that waits for its answer: for replays, where no decision is in a hurry."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.core.policy import Entry
from penstock.directory.cache import Asker, LookupFailed, SourceDown
from penstock.directory.static import Static


class Blocking:
    """Each sender is asked for once. ``problems``: what went wrong, each sentence once."""

    def __init__(self, static: Static, askers: Sequence[Asker]) -> None:
        self.problems: dict[str, str] = {}
        self._static = static
        self._askers = askers
        self._known: dict[str, Entry | None] = {}

    def get(self, key: str) -> Entry | None:
        """The entry of a sender."""
        found = self._static.get(key)
        if found is None and self._askers:
            if key not in self._known:
                self._known[key] = self._ask(key)
            found = self._known[key]
        return found

    def _ask(self, key: str) -> Entry | None:
        for asker in self._askers:
            if not asker.wants(key):
                continue
            try:
                found = asker.ask(key)
            except (LookupFailed, SourceDown) as error:
                self.problems.setdefault(asker.name, f"directory.{asker.name}: {error}")
                continue
            if found is not None:
                return found
        return None

    def close(self) -> None:
        """Hang up everywhere."""
        for asker in self._askers:
            asker.close()
