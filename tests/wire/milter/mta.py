"""The MTA's side of the protocol, for tests: packets as Postfix 3.7 sends them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

OFFER = (6, 0x1FF, 0x1FFFFF)
"""What Postfix 3.7 offers: version, actions, steps."""


def packet(letter: bytes, data: bytes = b"") -> bytes:
    """A length, a letter, data."""
    return struct.pack("!I", 1 + len(data)) + letter + data


def texts(*values: str) -> bytes:
    """NUL-terminated."""
    return b"".join(value.encode() + b"\0" for value in values)


def offer(version: int = OFFER[0], actions: int = OFFER[1], steps: int = OFFER[2]) -> bytes:
    """The first packet."""
    return packet(b"O", struct.pack("!III", version, actions, steps))


def connect(name: str = "client.example.net", address: str = "192.0.2.7", port: int = 41234) -> bytes:
    """A client."""
    family = b"6" if ":" in address else b"4"
    return packet(b"C", texts(name) + family + struct.pack("!H", port) + texts(address))


LOCAL = connect("localhost", "127.0.0.1", 0)
"""How Postfix's cleanup introduces a message of sendmail(1)."""


def macros(about: str, **values: str) -> bytes:
    """Long names get their braces."""
    pairs = [(name if len(name) == 1 else f"{{{name}}}", value) for name, value in values.items()]
    return packet(b"D", about.encode() + texts(*(text for pair in pairs for text in pair)))


def mail(address: str = "alice@example.com", *arguments: str) -> bytes:
    """MAIL."""
    return packet(b"M", texts(f"<{address}>", *arguments))


def rcpt(address: str = "bob@example.net", *arguments: str) -> bytes:
    """RCPT."""
    return packet(b"R", texts(f"<{address}>", *arguments))


def header(name: str, value: str) -> bytes:
    """A header field."""
    return packet(b"L", texts(name, value))


def body(chunk: bytes) -> bytes:
    """A piece of the body."""
    return packet(b"B", chunk)


def end(chunk: bytes = b"", queue_id: str = "4Xy1") -> bytes:
    """The end of a message and its macro."""
    return macros("E", i=queue_id) + packet(b"E", chunk)


EOH = packet(b"N")
ABORT = packet(b"A")
QUIT = packet(b"Q")


def replies(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What a filter sent: letter, data."""
    start = 0
    while start < len(data):
        (length,) = struct.unpack_from("!I", data, start)
        assert start + 4 + length <= len(data), "a reply is cut off"
        yield data[start + 4 : start + 5], data[start + 5 : start + 4 + length]
        start += 4 + length
