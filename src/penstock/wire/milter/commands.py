"""One packet from the MTA, taken apart. Texts are UTF-8, other bytes written as ``\\xNN``; none has a NUL."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from penstock.wire.milter import codes

MOST_ARGUMENTS: Final = 256
"""Strings in one packet; real ones have a dozen."""


class ProtocolError(Exception):
    """The peer does not speak the protocol; the message says what was wrong."""


class Offer(NamedTuple):
    """What the MTA can do: bits of ``codes.Action`` and ``codes.Step``."""

    version: int
    actions: int
    steps: int


class Connect(NamedTuple):
    """A client. ``family``: ``4``, ``6``, ``L`` (Unix socket), ``U`` (unknown: no address, no port)."""

    name: str
    family: str
    port: int
    address: str


class Helo(NamedTuple):
    """The client's own name."""

    name: str


class Mail(NamedTuple):
    """A message begins. ``arguments``: what stood behind the address, such as ``SIZE=1000``."""

    address: str
    arguments: tuple[str, ...]


class Rcpt(NamedTuple):
    """A recipient."""

    address: str
    arguments: tuple[str, ...]


class Data(NamedTuple):
    """The client wants to send the content."""


class Unknown(NamedTuple):
    """A command that the MTA does not know either."""

    line: str


class Header(NamedTuple):
    """A header field; a folded value has its line feeds. ``raw``: the value's bytes as they came."""

    name: str
    value: str
    raw: bytes = b""


class EndOfHeaders(NamedTuple):
    """All header fields were told."""


class Body(NamedTuple):
    """A piece of the body."""

    chunk: bytes


class EndOfMessage(NamedTuple):
    """The message is complete. ``chunk``: the last piece of the body."""

    chunk: bytes


class Macros(NamedTuple):
    """The MTA's values for the command ``about`` (its letter); names without their braces."""

    about: bytes
    values: Mapping[str, str]


class Abort(NamedTuple):
    """The message is over without an end; the client is still there."""


class Quit(NamedTuple):
    """The client is gone. ``new``: another one follows on this connection."""

    new: bool


Command = (
    Offer
    | Connect
    | Helo
    | Mail
    | Rcpt
    | Data
    | Unknown
    | Header
    | EndOfHeaders
    | Body
    | EndOfMessage
    | Macros
    | Abort
    | Quit
)

_OFFER: Final = struct.Struct("!III")
_DATA, _END_OF_HEADERS, _ABORT = Data(), EndOfHeaders(), Abort()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _strings(what: str, data: bytes, least: int) -> list[str]:
    """NUL-terminated strings up to the end of the data."""
    found = _text(data).split("\0", MOST_ARGUMENTS)
    if found.pop():
        raise ProtocolError(f"{what}: more than {MOST_ARGUMENTS} texts, or the last one has no end")
    if len(found) < least:
        raise ProtocolError(f"{what}: {len(found)} texts, at least {least} are needed")
    return found


def _offer(data: bytes) -> Offer:
    if len(data) < _OFFER.size:
        raise ProtocolError(f"an offer of {len(data)} bytes, {_OFFER.size} are needed")
    return Offer(*_OFFER.unpack_from(data))


def _connect(data: bytes) -> Connect:
    name, nul, rest = data.partition(b"\0")
    family = chr(rest[0]) if nul and rest else ""
    if family == "U":
        return Connect(_text(name), family, 0, "")
    if family not in ("4", "6", "L") or len(rest) < 3:
        raise ProtocolError(f"a connection of no known family: {rest[:40]!r}")
    address = _strings("connection", rest[3:], 1)[0]
    if family == "6" and address[:5].lower() == "ipv6:":  # Sendmail writes it so
        address = address[5:]
    return Connect(_text(name), family, int.from_bytes(rest[1:3], "big"), address)


def _mail(data: bytes) -> Mail:
    address, *arguments = _strings("MAIL", data, 1)
    return Mail(_bare(address), tuple(arguments))


def _rcpt(data: bytes) -> Rcpt:
    address, *arguments = _strings("RCPT", data, 1)
    return Rcpt(_bare(address), tuple(arguments))


def _bare(address: str) -> str:
    """Postfix leaves the brackets out where it only plays an SMTP session."""
    return address[1:-1] if address[:1] == "<" and address[-1:] == ">" else address


def _header(data: bytes) -> Header:
    name, _, value = _text(data).partition("\0")
    if value[-1:] != "\0" or not name:
        raise ProtocolError(f"a header field without name or end: {data[:40]!r}")
    return Header(name, value[:-1], data.partition(b"\0")[2][:-1])


def _macros(data: bytes) -> Macros:
    if not data:
        raise ProtocolError("macros for no command")
    texts = _strings("macros", data[1:], 0)
    if len(texts) % 2:
        raise ProtocolError("macros: a name without a value")
    one = iter(texts)
    return Macros(data[:1], {name.strip("{}"): value for name, value in zip(one, one, strict=True)})


def _nothing(command: Command) -> Callable[[bytes], Command]:
    """A command without data; what comes with it is no harm."""
    return lambda data: command


DECODERS: Final[Mapping[bytes, Callable[[bytes], Command]]] = {
    codes.NEGOTIATE: _offer,
    codes.CONNECT: _connect,
    codes.HELO: lambda data: Helo(_strings("HELO", data, 1)[0]),
    codes.MAIL: _mail,
    codes.RCPT: _rcpt,
    codes.DATA: _nothing(_DATA),
    codes.UNKNOWN: lambda data: Unknown(_strings("unknown command", data, 1)[0]),
    codes.HEADER: _header,
    codes.END_OF_HEADERS: _nothing(_END_OF_HEADERS),
    codes.BODY: Body,
    codes.END_OF_MESSAGE: EndOfMessage,
    codes.MACROS: _macros,
    codes.ABORT: _nothing(_ABORT),
    codes.QUIT: _nothing(Quit(False)),
    codes.QUIT_NEW: _nothing(Quit(True)),
}
"""How the data of each packet is read, by its letter."""
