"""Reading the counts back at start: the newest whole snapshot, then the segments after it.

A million senders must be back in seconds, so nothing is unpacked that nobody has asked for: the
rows of a sender are kept as they stand in the segment and added to its ledger when it is
recalled. What cannot be read is cut, reported and survived: a torn tail is what a kill in the
middle of a write leaves; anything worse is named with the file and the place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from penstock.core.ledger import Counter, Ledger
from penstock.stores import countfile

MOST_PENDING: Final = 32 * countfile.ROW_BYTES
"""Bytes of rows after which they are added up: bounds what a busy sender costs at start."""

_NEGATIVE: Final = 1 << 31
_MESSAGES: Final = int(Counter.MESSAGES)
_MOST_COUNTERS: Final = 32


class Addable(Protocol):
    """Whatever takes the counts of one sender."""

    def add(self, counter: int, at: int, n: int) -> None:
        """One count."""
        ...


@dataclass
class Recovery:
    """What was found. ``last``: number of the newest segment or snapshot, 0 when none.

    ``senders``: key → first seen (4 bytes, little-endian) + packed ledger; ``pending``: key →
    rows of the segments that are still to be added to it. ``positions``: source of log lines → how far
    it is counted, in the source's own words.
    """

    senders: dict[str, bytes] = field(default_factory=dict)
    pending: dict[str, bytes] = field(default_factory=dict)
    positions: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    last: int = 0
    rows: int = 0

    def recall(self, key: str) -> tuple[int, bytes] | None:
        """(first seen, packed ledger) of a sender, handed over once."""
        packed = self.senders.pop(key, None)
        if packed is None:
            return None
        rows = self.pending.pop(key, b"")
        ledger = _added(packed[4:], rows) if rows else packed[4:]
        return int.from_bytes(packed[:4], "little"), ledger

    def put(self, key: str, first_seen: int, row: bytes) -> None:
        """One row of a segment."""
        pending = self.pending.get(key)
        if pending is None:
            self.pending[key] = row
            if key not in self.senders:
                self.senders[key] = first_seen.to_bytes(4, "little")
        elif len(pending) < MOST_PENDING:
            self.pending[key] = pending + row
        else:
            packed = self.senders[key]
            self.senders[key] = packed[:4] + _added(packed[4:], pending + row)
            del self.pending[key]


def recover(folder: Path) -> Recovery:
    """All counts in a folder; never fails for what a file contains."""
    found = Recovery()
    segments = countfile.segments(folder)
    base = _load_snapshot(folder, found, [number for number, _ in segments])
    for number, path in segments:
        found.last = max(found.last, number)
        if number > base:
            found.rows += read_segment(path, found.put, found.problems, found.positions)
    return found


def _load_snapshot(folder: Path, found: Recovery, segments: list[int]) -> int:
    """The newest complete snapshot. Without one, a damaged one is read as far as it goes, unless the
    segments that it was made of are still there."""
    best: tuple[int, dict[str, bytes]] = (0, {})
    for number, path in reversed(countfile.snapshots(folder)):
        found.last = max(found.last, number)
        senders, complete = read_snapshot(path)
        if complete:
            found.senders = senders
            return number
        found.problems.append(
            f"{path.name}: damaged or incomplete, {len(senders)} senders could be read from it"
        )
        if len(senders) > len(best[1]) and not any(segment <= number for segment in segments):
            best = number, senders
    found.senders = best[1]
    return best[0]


def read_snapshot(path: Path) -> tuple[dict[str, bytes], bool]:
    """Senders of a snapshot and whether it is complete."""
    senders: dict[str, bytes] = {}
    with contextlib.suppress(countfile.Senseless), path.open("rb") as file:
        for magic, payload, _ in countfile.blocks(file):
            if magic == countfile.END:
                return senders, True
            senders.update(countfile.senders(payload))
    return senders, False


def read_segment(
    path: Path, put: Callable[[str, int, bytes], None], problems: list[str], positions: dict[str, bytes]
) -> int:
    """Hand every row to ``put(key, first seen, row)``; returns how many there were.

    The latest position of each source goes into ``positions``. What does not prove itself is cut and
    named in ``problems``.
    """
    names: dict[int, tuple[str, int]] = {}
    count = end = 0
    with contextlib.suppress(countfile.Senseless), path.open("rb") as file:
        for magic, payload, offset in countfile.blocks(file):
            if magic == countfile.DEFINITIONS:
                for number, first_seen, key in countfile.definitions(payload):
                    names[number] = key, first_seen
            elif magic == countfile.ROWS:
                count += _hand_over(payload, names, put)
            elif magic == countfile.POSITIONS:
                moved, rows = countfile.positions(payload)
                count += _hand_over(rows, names, put)
                positions.update(moved)
            else:
                break
            end = offset
    size = path.stat().st_size
    if end < size:
        problems.append(f"{path.name}: {size - end} bytes at offset {end} are torn or corrupt and left out")
    return count


def _hand_over(
    payload: bytes, names: dict[int, tuple[str, int]], put: Callable[[str, int, bytes], None]
) -> int:
    count = 0
    for number, at in countfile.rows(payload):
        name = names.get(number)
        if name is not None:
            put(name[0], name[1], payload[at : at + countfile.ROW_BYTES])
            count += 1
    return count


def _added(packed: bytes, rows: bytes) -> bytes:
    ledger = Ledger(packed)
    add_rows(ledger, rows)
    return ledger.pack()


def add_rows(ledger: Addable, rows: bytes) -> None:
    """Add the counts of a sender's rows, in their order."""
    for second, what, n in countfile.counts(rows):
        if what & 255 < _MOST_COUNTERS:
            ledger.add(what & 255, second, n if n < _NEGATIVE else n - 2 * _NEGATIVE)
        if what > 255:
            ledger.add(_MESSAGES, second, what >> 8)
