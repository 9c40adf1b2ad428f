"""``python -m penstock.stores.compact FOLDER N``: fold segments up to N into a new snapshot.

Runs as a process of its own beside the service. The old snapshot is streamed through, so memory
is bounded by the senders that the segments touch. Positions of followed logs go: the segment in use
begins with them. The new snapshot becomes visible with one
rename, and only then what it holds is deleted: a kill at any moment loses nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

from penstock.core.ledger import Ledger
from penstock.stores import countfile
from penstock.stores.acquaintances import sync_folder
from penstock.stores.recovery import add_rows, read_segment

FEW: Final = 16
"""Entries that are not worth coarsening."""

_PR_SET_PDEATHSIG: Final = 1

FORGET: Final = 400 * 86400
"""Seconds since its last count after which a sender is forgotten altogether."""


def compact(folder: Path, upto: int) -> None:
    """Write ``snapshot-UPTO`` from the newest snapshot and the segments up to ``upto``."""
    old = [(number, path) for number, path in countfile.snapshots(folder) if number <= upto]
    segments = [(number, path) for number, path in countfile.segments(folder) if number <= upto]
    base, snapshot = _base(old, segments)
    changes: dict[str, Additions] = {}
    problems: list[str] = []
    for number, path in segments:
        if number > base:
            read_segment(path, lambda key, first, row: _gather(changes, key, first, row), problems, {})
    for problem in problems:
        print(problem, file=sys.stderr)
    damaged = {problem.partition(":")[0] for problem in problems}
    damaged |= {path.name for _, path in old if not countfile.is_whole(path)}
    target = countfile.snapshot_path(folder, upto)
    part = countfile.write_part(target, lambda writer: _merge(snapshot, changes, writer))
    if target.name in damaged:
        _put_aside(target)
    part.replace(target)
    sync_folder(folder)
    for _, path in [*segments, *old]:
        if path == target:
            continue
        if path.name in damaged:
            _put_aside(path)
        else:
            path.unlink(missing_ok=True)


class Additions:
    """Rows of one sender in their order: a refund may meet its charge only in the old snapshot."""

    __slots__ = ("first_seen", "rows")

    def __init__(self, first_seen: int) -> None:
        self.first_seen = first_seen
        self.rows = bytearray()

    def newest(self) -> int:
        """Second of the latest row."""
        return max(second for second, _, _ in countfile.counts(bytes(self.rows)))

    def apply(self, packed: bytes, now: int) -> bytes:
        """The packed ledger with the rows added."""
        ledger = Ledger(packed)
        add_rows(ledger, bytes(self.rows))
        if len(ledger) > FEW:
            ledger.coarsen(now)
        return ledger.pack()


def _gather(changes: dict[str, Additions], key: str, first_seen: int, row: bytes) -> None:
    found = changes.get(key)
    if found is None:
        found = changes[key] = Additions(first_seen)
    found.rows += row


def _put_aside(path: Path) -> None:
    """Keep what is damaged for whoever wants to look at it."""
    path.rename(path.with_name(path.name + ".damaged"))


Numbered = list[tuple[int, Path]]


def _base(old: Numbered, segments: Numbered) -> tuple[int, Path | None]:
    """The snapshot to build on: the newest whole one; a damaged one only if its segments are gone."""
    for number, path in reversed(old):
        if countfile.is_whole(path):
            return number, path
    if old and not any(number <= old[-1][0] for number, _ in segments):
        return old[-1]
    return 0, None


def _merge(old: Path | None, changes: dict[str, Additions], writer: countfile.SnapshotWriter) -> None:
    newest = _time_of(changes)
    if old is not None:
        with contextlib.suppress(countfile.Senseless), old.open("rb") as file:
            for _, payload, _ in countfile.blocks(file):
                for key, packed in countfile.senders(payload):
                    _carry_over(key, packed, changes, newest, writer)
    for key, additions in changes.items():
        writer.add(additions.first_seen, key, additions.apply(b"", newest))


def _time_of(changes: dict[str, Additions]) -> int:
    """When the segments were written: the median, so that no wrong clock ages everybody's counts."""
    latest = sorted(additions.newest() for additions in changes.values())
    return latest[(len(latest) - 1) // 2] if latest else 0


def _carry_over(
    key: str,
    packed: bytes,
    changes: dict[str, Additions],
    newest: int,
    writer: countfile.SnapshotWriter,
) -> None:
    """An old sender: as it was, or with its changes, or not at all when it is long gone."""
    first_seen = int.from_bytes(packed[:4], "little")
    changed = changes.pop(key, None)
    if changed is not None:
        writer.add(first_seen, key, changed.apply(packed[4:], newest))
    elif max(first_seen, Ledger(packed[4:][-8:]).last_at()) > newest - FORGET:
        writer.add(first_seen, key, packed[4:])


def main() -> None:
    """Command line of the compactor."""
    if len(sys.argv) > 3:
        _die_with(int(sys.argv[3]))
    os.nice(10)
    compact(Path(sys.argv[1]), int(sys.argv[2]))


def _die_with(parent: int) -> None:
    """Left alone by a kill -9, it would take segments away while the next service reads them."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the service that asked for this is gone")


if __name__ == "__main__":
    main()
