"""Exim's queue as ``exim -bp`` lists it: bytes → entries.

A message is a line (age, size, id, sender, ``*** frozen ***``), a line for each recipient and an empty
line. The age is rounded; the id holds the second of arrival, in base 62 (Exim specification, "Message
identification").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from penstock.wire.postqueue import HOLD, LONGEST_TEXT, RECIPIENTS_KEPT, Entry

EXIM_ID: Final = re.compile(
    r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})"
)
"""The longer form is that of Exim 4.97 and later."""

EXIM: Final = "exim"
"""The name of Exim's one instance; its configuration is the one that is built in."""

LONGEST_LINE: Final = 4096
_HEAD: Final = re.compile(
    rf" *[0-9]{{1,9}}[mhd] +([0-9.]{{0,9}}[KMG]?) +({EXIM_ID.pattern})"
    r"(?: <(.*)>)?(?: \([^()]*\))?( \*\*\* frozen \*\*\*)?",
    re.ASCII,
)
_WAITS: Final = " " * 10
_DONE: Final = "        D "
_UNITS: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def arrival_of(message_id: str) -> int:
    """The second in which the message of that id came in (since the epoch)."""
    second = 0
    for digit in message_id[:6]:
        second = second * 62 + _DIGITS.index(digit)
    return second


class EximListing:
    """Takes a listing in pieces. ``unreadable``: lines that belong to no message."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._line = bytearray()
        self._entry: Entry | None = None

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that these bytes complete."""
        first, *others = data.split(b"\n")
        self._grow(first)
        found: list[Entry] = []
        for piece in others:
            found += self._end()
            self._grow(piece)
        return found

    def close(self) -> list[Entry]:
        """The listing is over."""
        return [*self._end(), *self._complete()]

    def _grow(self, piece: bytes) -> None:
        """What a line has beyond its bound is passed over."""
        self._line += piece[: LONGEST_LINE - len(self._line)]

    def _end(self) -> Iterator[Entry]:
        line, self._line = self._line.decode("utf-8", "backslashreplace"), bytearray()
        if not line.strip():
            yield from self._complete()
        elif line.startswith((_WAITS, _DONE)):
            self._recipient(line)
        else:
            yield from self._complete()
            self._begin(line)

    def _begin(self, line: str) -> None:
        found = _HEAD.fullmatch(line)
        if found is None:
            self.unreadable += 1
            return
        size, message_id, sender, frozen = found.groups()
        queue, arrival = HOLD if frozen else "deferred", arrival_of(message_id)
        self._entry = Entry(queue, message_id, arrival, _bytes(size), sender or "", (), 0, "")

    def _recipient(self, line: str) -> None:
        entry = self._entry
        if entry is None:
            self.unreadable += 1
        elif not line.startswith(_DONE):
            kept = entry.recipients
            if len(kept) < RECIPIENTS_KEPT:
                kept = (*kept, line.strip()[:LONGEST_TEXT])
            self._entry = entry._replace(recipients=kept, recipient_count=entry.recipient_count + 1)

    def _complete(self) -> Iterator[Entry]:
        entry, self._entry = self._entry, None
        if entry is not None:
            yield entry


def _bytes(text: str) -> int:
    """``2.4K`` → 2457; Exim rounds."""
    number = text.rstrip("KMG")
    try:
        return int(float(number) * _UNITS.get(text[-1:], 1))
    except ValueError:
        return 0
