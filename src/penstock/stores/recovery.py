"""Reading the counts back at start: the newest whole snapshot, then the segments after it.

What cannot be read is cut, reported and survived: a torn tail is what a kill in the middle of
a write leaves; anything worse is named with the file and the place, and kept beside the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from penstock.core.ledger import Counter, Ledger
from penstock.stores import countfile

_NEGATIVE = 1 << 31
_MESSAGES = int(Counter.MESSAGES)

Recalled = dict[str, bytes]
"""Key → first seen (4 bytes, little-endian) + packed ledger."""


@dataclass
class Recovery:
    """What was found. ``last``: number of the newest segment or snapshot, 0 when none."""

    senders: Recalled = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    last: int = 0
    rows: int = 0


def recover(folder: Path) -> Recovery:
    """All counts in a folder; never fails for what a file contains."""
    found = Recovery()
    base = _load_snapshot(folder, found)
    touched: dict[str, tuple[bytes, Ledger]] = {}
    for number, path in countfile.segments(folder):
        found.last = max(found.last, number)
        if number > base:
            found.rows += replay(path, _Ledgers(found.senders, touched).open, found.problems)
    for key, (first_seen, ledger) in touched.items():
        found.senders[key] = first_seen + ledger.pack()
    return found


class _Ledgers:
    """Ledgers of the senders that a segment touches, unpacked once."""

    def __init__(self, packed: Recalled, touched: dict[str, tuple[bytes, Ledger]]) -> None:
        self._packed = packed
        self._touched = touched

    def open(self, key: str, first_seen: int) -> Ledger:
        found = self._touched.get(key)
        if found is None:
            packed = self._packed.get(key)
            if packed is None:
                packed = first_seen.to_bytes(4, "little")
            found = self._touched[key] = (packed[:4], Ledger(packed[4:]))
        return found[1]


def _load_snapshot(folder: Path, found: Recovery) -> int:
    """The newest complete snapshot; a damaged one is read as far as it goes if none is whole."""
    best: tuple[int, Recalled] = (0, {})
    for number, path in reversed(countfile.snapshots(folder)):
        found.last = max(found.last, number)
        senders, complete = read_snapshot(path)
        if complete:
            found.senders = senders
            return number
        found.problems.append(
            f"{path.name}: damaged or incomplete, {len(senders)} senders could be read from it"
        )
        if len(senders) > len(best[1]):
            best = number, senders
    found.senders = best[1]
    return best[0]


def read_snapshot(path: Path) -> tuple[Recalled, bool]:
    """Senders of a snapshot and whether it is complete."""
    senders: Recalled = {}
    with path.open("rb") as file:
        for magic, payload, _ in countfile.blocks(file):
            if magic == countfile.END:
                return senders, True
            senders.update(countfile.senders(payload))
    return senders, False


class Addable(Protocol):
    """Whatever takes the rows of one sender."""

    def add(self, counter: int, at: int, n: int) -> None:
        """One row."""
        ...


def replay(path: Path, ledger: Callable[[str, int], Addable], problems: list[str]) -> int:
    """Add a segment's rows to ledgers; returns how many. Cuts what does not prove itself."""
    ledgers: dict[int, Addable] = {}
    count = end = 0
    with path.open("rb") as file:
        for magic, payload, offset in countfile.blocks(file):
            end = offset
            if magic == countfile.DEFINITIONS:
                for number, first_seen, key in countfile.definitions(payload):
                    ledgers[number] = ledger(key, first_seen)
            else:
                count += _apply(payload, ledgers)
    size = path.stat().st_size
    if end < size:
        problems.append(f"{path.name}: {size - end} bytes at offset {end} are torn or corrupt and left out")
    return count


def _apply(payload: bytes, ledgers: dict[int, Addable]) -> int:
    flat = countfile.rows(payload)
    count = 0
    for i in range(0, len(flat), countfile.ROW_INTS):
        ledger = ledgers.get(flat[i])
        if ledger is not None:
            second, what, n = flat[i + 1 : i + 4]
            ledger.add(what & 255, second, n if n < _NEGATIVE else n - 2 * _NEGATIVE)
            if what > 255:
                ledger.add(_MESSAGES, second, what >> 8)
            count += 1
    return count
