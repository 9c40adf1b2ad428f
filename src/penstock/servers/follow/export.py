"""The journal's export format, parsed as it comes in (systemd.io/JOURNAL_EXPORT_FORMATS). Sans-I/O.

A field is ``NAME=text\\n``, or, for what is no plain text, ``NAME\\n``, its length (64 bits, little-endian),
its bytes and ``\\n``. An empty line ends an entry. Anybody on the machine may write fields of any
size: of those that we want ``LONGEST`` bytes are kept, the others pass by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

LONGEST: Final = 64 << 10
"""Bytes of a field that are kept."""

_LONGEST_LINE: Final = LONGEST + 64
_NEWLINE: Final = b"\n"
_WANTED: Final = (
    b"__CURSOR",
    b"__REALTIME_TIMESTAMP",
    b"_SOURCE_REALTIME_TIMESTAMP",
    b"_HOSTNAME",
    b"SYSLOG_IDENTIFIER",
    b"MESSAGE",
)


class Entry(NamedTuple):
    """One entry. ``at``: seconds since the epoch; ``program``: as in ``postfix/smtpd``; ``text``: what it
    said, on one line."""

    at: float
    host: str
    program: str
    text: str
    cursor: str


class ExportParser:
    """Feed bytes, get entries. ``cuts``: messages that were cut."""

    def __init__(self) -> None:
        self.cuts = 0
        self._buffer = bytearray()
        self._step: Callable[[], bool] = self._line
        self._cut = False
        self._name = b""
        self._size = 0
        self._left = 0
        self._value = bytearray()
        self._fields: dict[bytes, bytes] = {}
        self._found: list[Entry] = []

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that are complete now."""
        self._buffer += data
        while self._step():
            pass
        found, self._found = self._found, []
        return found

    def _line(self) -> bool:
        """Up to the next newline: a field of text, the name of another, or the end of the entry."""
        buffer = self._buffer
        end = buffer.find(_NEWLINE)
        if end < 0:
            self._cut |= len(buffer) > _LONGEST_LINE
            del buffer[_LONGEST_LINE:]
            return False
        line = bytes(buffer[: min(end, _LONGEST_LINE)])
        del buffer[: end + 1]
        name, equals, value = line.partition(b"=")
        if equals:
            self._put(name, value, self._cut or len(value) > LONGEST)
        elif not line:
            self._end()
        elif not self._cut:
            self._name, self._step = name, self._length
        self._cut = False
        return True

    def _length(self) -> bool:
        if len(self._buffer) < 8:
            return False
        self._size = self._left = int.from_bytes(self._buffer[:8], "little")
        del self._buffer[:8]
        self._value = bytearray()
        self._step = self._data
        return True

    def _data(self) -> bool:
        """The bytes of a field, and the newline behind them."""
        taken = min(self._left, len(self._buffer))
        self._value += self._buffer[: min(taken, LONGEST - len(self._value))]
        del self._buffer[:taken]
        self._left -= taken
        if not self._buffer:
            return False
        del self._buffer[:1]
        self._put(self._name, bytes(self._value), self._size > LONGEST)
        self._step = self._line
        return True

    def _put(self, name: bytes, value: bytes, cut: bool) -> None:
        if name in _WANTED and name not in self._fields:
            self._fields[name] = value[:LONGEST]
            self.cuts += cut and name == b"MESSAGE"

    def _end(self) -> None:
        fields, self._fields = self._fields, {}
        if b"__CURSOR" in fields:
            self._found.append(_entry(fields))


def _entry(fields: dict[bytes, bytes]) -> Entry:
    received = _number(fields.get(b"__REALTIME_TIMESTAMP", b""))
    return Entry(
        (_number(fields.get(b"_SOURCE_REALTIME_TIMESTAMP", b"")) or received) / 1e6,
        _text(fields, b"_HOSTNAME"),
        _text(fields, b"SYSLOG_IDENTIFIER"),
        _text(fields, b"MESSAGE"),
        _text(fields, b"__CURSOR"),
    )


def _number(digits: bytes) -> int:
    return int(digits) if digits.isdigit() and len(digits) < 20 else 0


def _text(fields: dict[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "backslashreplace").replace("\n", " ")


def is_after(cursor: str, other: str) -> bool:
    """Whether a cursor is later than another: by sequence number in one journal, else by time."""
    mine, others = _parts(cursor), _parts(other)
    if mine.get("s") == others.get("s") and "i" in mine and "i" in others:
        return _hex(mine["i"]) > _hex(others["i"])
    return _hex(mine.get("t", "")) > _hex(others.get("t", ""))


def boot_of(cursor: str) -> str:
    """The boot (hexadecimal) in which a cursor's entry was written, "" when it does not tell."""
    return _parts(cursor).get("b", "")


def _parts(cursor: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in cursor.split(";"))


def _hex(digits: str) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        return 0
