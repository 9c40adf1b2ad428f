"""The format of counts on disk, read and written in blocks that prove themselves.

Two kinds of file, both a sequence of blocks: magic (4 bytes), payload length, CRC-32 of magic, length
and payload (little-endian uint32 each), payload. A block that does not prove itself ends what can
be read: everything before it counts.

``counts-NNNNNNNN.log`` (segments): definition blocks give a sender its number in this segment
(number, first seen, key); row blocks hold (number, second, what, n) as uint32: ``n`` (modulo
2**32) is added to the counter in the low 8 bits of ``what``, the rest of ``what`` to the messages.
Position blocks tell how far followed logs were read (length of all, then for each: lengths of name
and position, both), and hold the rows that came of it: one proof over both, so that after a kill
either both are there or neither is. A segment begins with the positions that hold so far.
``snapshot-NNNNNNNN.bin``: senders with their packed ledgers, holding all segments up to N.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final
from zlib import crc32

DEFINITIONS: Final = b"PSD1"
ROWS: Final = b"PSR1"
POSITIONS: Final = b"PSP1"
SENDERS: Final = b"PSS1"
END: Final = b"PSE1"

ROW_INTS: Final = 4
ROW_BYTES: Final = 12
"""Of a row without the sender's number."""

LONGEST_PAYLOAD: Final = 64 << 20

_HEAD: Final = struct.Struct("<4sII")
_ROW: Final = struct.Struct("<4I")
_COUNT: Final = struct.Struct("<3I")
_DEFINITION: Final = struct.Struct("<IIH")
_SENDER: Final = struct.Struct("<IHH")
_LENGTH: Final = struct.Struct("<I")
_POSITION: Final = struct.Struct("<HI")
_KINDS: Final = (DEFINITIONS, ROWS, POSITIONS, SENDERS, END)
_SNAPSHOT_BLOCK: Final = 1 << 18
_LARGEST: Final = (1 << 31) - 1
_SWAP: Final = sys.byteorder == "big"


class Senseless(ValueError):
    """A block that proves itself and yet cannot have been written by us."""


def block(magic: bytes, payload: bytes) -> bytes:
    """One block, ready to append."""
    return _HEAD.pack(magic, len(payload), _proof(magic, payload)) + payload


def _proof(magic: bytes, payload: bytes) -> int:
    return crc32(payload, crc32(magic + len(payload).to_bytes(4, "little")))


def blocks(file: BinaryIO) -> Iterator[tuple[bytes, bytes, int]]:
    """(magic, payload, offset after the block) of each sound block from the start of a file."""
    offset = 0
    while True:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return
        magic, length, proof = _HEAD.unpack(head)
        if length > LONGEST_PAYLOAD or magic not in _KINDS:
            return
        payload = file.read(length)
        if len(payload) < length or _proof(magic, payload) != proof:
            return
        offset += _HEAD.size + length
        yield magic, payload, offset


def pack_definition(number: int, first_seen: int, key: str) -> bytes:
    """One sender's number in a segment."""
    name = key.encode("utf-8", "backslashreplace")
    return _DEFINITION.pack(number, first_seen, len(name)) + name


def definitions(payload: bytes) -> list[tuple[int, int, str]]:
    """(number, first seen, key) of each sender defined in a block; raises Senseless."""
    found, at, end = [], 0, len(payload)
    try:
        while at < end:
            number, first_seen, length = _DEFINITION.unpack_from(payload, at)
            start = at + _DEFINITION.size
            at = start + length
            found.append((number, first_seen, payload[start:at].decode()))
    except (struct.error, UnicodeDecodeError) as error:
        raise Senseless(str(error)) from None
    if at != end:
        raise Senseless("a definition longer than its block")
    return found


def pack_rows(rows: Sequence[int]) -> bytes:
    """Rows as flat integers (number, second, what, n modulo 2**32) in wire order."""
    try:
        packed = array("I", rows)
    except OverflowError:
        packed = array("I", (min(value, _LARGEST) for value in rows))
    if _SWAP:
        packed.byteswap()
    return packed.tobytes()


def rows(payload: bytes) -> Iterator[tuple[int, int]]:
    """(sender's number, offset of the rest of the row) of each row in a block; raises Senseless."""
    if len(payload) % _ROW.size:
        raise Senseless("half a row")
    found = array("I")
    found.frombytes(payload)
    if _SWAP:
        found.byteswap()
    return zip(found[::ROW_INTS], range(4, len(payload), _ROW.size), strict=True)


def counts(rows: bytes) -> Iterator[tuple[int, int, int]]:
    """(second, what, n modulo 2**32) of a sender's rows, each without the sender's number."""
    return _COUNT.iter_unpack(rows)


def pack_positions(positions: Mapping[str, bytes]) -> bytes:
    """Positions by source, as they stand before the rows of their block."""
    packed = b"".join(_pack_position(source.encode(), place) for source, place in positions.items())
    return _LENGTH.pack(len(packed)) + packed


def _pack_position(name: bytes, place: bytes) -> bytes:
    return _POSITION.pack(len(name), len(place)) + name + place


def positions(payload: bytes) -> tuple[dict[str, bytes], bytes]:
    """(position by source, rows) of a block; raises Senseless."""
    found: dict[str, bytes] = {}
    at = _LENGTH.size
    try:
        end = at + _LENGTH.unpack_from(payload)[0]
        while at < end:
            name, place = _POSITION.unpack_from(payload, at)
            start = at + _POSITION.size
            middle = start + name
            at = middle + place
            found[payload[start:middle].decode()] = payload[middle:at]
    except (struct.error, UnicodeDecodeError) as error:
        raise Senseless(str(error)) from None
    if at != end or end > len(payload):
        raise Senseless("a position longer than its block")
    return found, payload[end:]


def pack_sender(first_seen: int, key: str, ledger: bytes) -> bytes:
    """One sender in a snapshot."""
    name = key.encode("utf-8", "backslashreplace")
    return _SENDER.pack(first_seen, len(name), len(ledger)) + name + ledger


def senders(payload: bytes) -> list[tuple[str, bytes]]:
    """(key, first seen as 4 bytes + packed ledger) of each sender of a snapshot; raises Senseless."""
    unpack, head = _SENDER.unpack_from, _SENDER.size
    found, at, end = [], 0, len(payload)
    try:
        while at < end:
            _, name, ledger = unpack(payload, at)
            start = at + head
            middle = start + name
            first_seen = payload[at : at + 4]
            at = middle + ledger
            if ledger % 8:
                raise Senseless("half an entry in a ledger")
            found.append((payload[start:middle].decode(), first_seen + payload[middle:at]))
    except (struct.error, UnicodeDecodeError) as error:
        raise Senseless(str(error)) from None
    if at != end:
        raise Senseless("a sender longer than its block")
    return found


class SnapshotWriter:
    """Writes senders in blocks of about 256 KiB; ``close`` adds the end mark."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, first_seen: int, key: str, ledger: bytes) -> None:
        """One more sender."""
        part = pack_sender(first_seen, key, ledger)
        self._parts.append(part)
        self._size += len(part)
        if self._size >= _SNAPSHOT_BLOCK:
            self._flush()

    def close(self) -> None:
        """The last block and the mark that the snapshot is complete."""
        self._flush()
        self._file.write(block(END, b""))

    def _flush(self) -> None:
        if self._parts:
            self._file.write(block(SENDERS, b"".join(self._parts)))
            self._parts, self._size = [], 0


def write_part(target: Path, fill: Callable[[SnapshotWriter], None]) -> Path:
    """A snapshot beside its place, synced; the caller renames it."""
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        writer = SnapshotWriter(file)
        fill(writer)
        writer.close()
        file.flush()
        os.fsync(file.fileno())
    return part


def is_whole(path: Path) -> bool:
    """Whether a snapshot can be read up to its end mark."""
    with path.open("rb") as file:
        return any(magic == END for magic, _, _ in blocks(file))


def numbered(folder: Path, prefix: str, suffix: str) -> list[tuple[int, Path]]:
    """(number, path) of the segments or snapshots in a folder, lowest first."""
    found = []
    for path in folder.glob(f"{prefix}-*{suffix}"):
        digits = path.name.removeprefix(f"{prefix}-").removesuffix(suffix)
        if digits.isascii() and digits.isdigit():
            found.append((int(digits), path))
    return sorted(found)


def segments(folder: Path) -> list[tuple[int, Path]]:
    """Segments of the log, oldest first."""
    return numbered(folder, "counts", ".log")


def snapshots(folder: Path) -> list[tuple[int, Path]]:
    """Snapshots, oldest first."""
    return numbered(folder, "snapshot", ".bin")


def segment_path(folder: Path, number: int) -> Path:
    """Path of a segment."""
    return folder / f"counts-{number:08}.log"


def snapshot_path(folder: Path, number: int) -> Path:
    """Path of the snapshot that holds all segments up to ``number``."""
    return folder / f"snapshot-{number:08}.bin"
