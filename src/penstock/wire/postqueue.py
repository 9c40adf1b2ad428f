"""Postfix's queue as ``postqueue -j`` lists it: bytes → entries, one JSON object a line (postqueue(1)).

Senders and recipients are strangers' words. A line that is too long (a message with thousands of
recipients) is read as far as its recipients, the rest of it is passed over; what is no entry is counted and
passed over. While the queue changes, Postfix may list a message twice or leave one out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

QUEUES: Final = frozenset({"hold", "active", "deferred", "incoming", "maildrop", "corrupt"})
HOLD: Final = "hold"
BUSY: Final = frozenset({"maildrop", "corrupt"})
"""Queues from which nothing can be held: not taken in yet, or broken."""

_52: Final = "0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z"
QUEUE_ID: Final = re.compile(rf"[0-9A-F]{{6,21}}|[{_52}]{{10,12}}z[{_52[:-1]}y]{{1,13}}", re.ASCII)
"""Short ids are hexadecimal, long ones digits and consonants with a ``z`` before the inode's number."""

LONGEST_LINE: Final = 64 * 1024
RECIPIENTS_KEPT: Final = 5
LONGEST_TEXT: Final = 400
LATEST: Final = 1 << 40
_RECIPIENTS: Final = b', "recipients":'


class Entry(NamedTuple):
    """One message in a queue.

    ``queue``: ``hold`` when it is held (with Exim: frozen). ``arrival``: seconds since the epoch; ``size``:
    bytes, about. ``recipients``: the first few of those still to be reached, at least ``recipient_count``
    in all. ``reason``: why the first of them waits.
    """

    queue: str
    queue_id: str
    arrival: int
    size: int
    sender: str
    recipients: tuple[str, ...]
    recipient_count: int
    reason: str

    @property
    def held(self) -> bool:
        """It is not delivered until somebody releases it."""
        return self.queue == HOLD


class PostqueueListing:
    """Takes a listing in pieces. ``unreadable``: lines that were no entry."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._line = bytearray()
        self._passing_over = False

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that these bytes complete."""
        first, *others = data.split(b"\n")
        found = list(self._grow(first))
        for piece in others:
            found += self._end()
            found += self._grow(piece)
        return found

    def close(self) -> list[Entry]:
        """The listing is over: what a last line without an end holds."""
        return list(self._end())

    def _grow(self, piece: bytes) -> Iterator[Entry]:
        if self._passing_over:
            return
        self._line += piece[: LONGEST_LINE + 1]
        if len(self._line) > LONGEST_LINE:
            self._passing_over = True
            yield from self._read(self._head())

    def _end(self) -> Iterator[Entry]:
        line, self._line = bytes(self._line), bytearray()
        if not self._passing_over and line.strip():
            yield from self._read(line)
        self._passing_over = False

    def _head(self) -> bytes:
        """The line up to its recipients. Quotes in strings are escaped, so no address can look like the
        key.
        """
        head, key, rest = bytes(self._line).partition(_RECIPIENTS)
        last = rest.rfind(b"}, {")
        return head + key + rest[: last + 1] + b"]}" if key and last > 0 else head + b"}"

    def _read(self, line: bytes) -> Iterator[Entry]:
        try:
            found = _entry(json.loads(line.decode("utf-8", "backslashreplace")))
        except (ValueError, RecursionError):
            found = None
        if found is None:
            self.unreadable += 1
        else:
            yield found


def _entry(read: Any) -> Entry | None:
    """The entry in a parsed line; None for anything else."""
    if not isinstance(read, dict):
        return None
    queue, queue_id, sender = (read.get(name) for name in ("queue_name", "queue_id", "sender"))
    arrival, size = read.get("arrival_time"), read.get("message_size")
    if queue not in QUEUES or not isinstance(queue_id, str) or not QUEUE_ID.fullmatch(queue_id):
        return None
    if not isinstance(sender, str) or type(arrival) is not int or type(size) is not int:
        return None
    if not 0 <= arrival < LATEST or not 0 <= size < LATEST:
        return None
    people = read.get("recipients")
    people = people if isinstance(people, list) else []
    named = (each.get("address") for each in people[:RECIPIENTS_KEPT] if isinstance(each, dict))
    addresses = tuple(_text(name)[:LONGEST_TEXT] for name in named if isinstance(name, str))
    return Entry(queue, queue_id, arrival, size, _text(sender), addresses, len(people), _reason(people))


def _text(text: str) -> str:
    """Without lone surrogates, which JSON can say and no file takes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _reason(people: list[Any]) -> str:
    reason = people[0].get("delay_reason") if people and isinstance(people[0], dict) else ""
    return _text(reason)[:LONGEST_TEXT] if isinstance(reason, str) else ""
