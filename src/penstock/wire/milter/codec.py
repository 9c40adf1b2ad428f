"""One connection of an MTA: bytes → commands in a legal order, and what was agreed upon.

How it works: packets are cut out of what came, whatever pieces it came in; each must be legal in the state
that the ones before it have led to (``_TABLE``). Macros are legal everywhere once the terms are settled.
Cost: one slice and one tuple a packet, and never more than one unfinished packet in memory. MTAs open a
connection for each SMTP session, so terms are worked out once for each kind of offer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final

from penstock.wire.milter import codes
from penstock.wire.milter.codes import NEWEST, OLDEST, REPLIED, Action, Stage, Step
from penstock.wire.milter.commands import DECODERS, Command, Offer, ProtocolError

LONGEST_PACKET: Final = 1 << 20
"""Bytes. An MTA cuts bodies at 64 KiB unless more was agreed upon; Postfix cuts a header field at
header_size_limit (100 KB)."""

MOST_OFFERS: Final = 64

# Where a connection is; plain numbers, because each packet looks its state up.
NEW: Final = 0
READY: Final = 1
CONNECTED: Final = 2
ENVELOPE: Final = 3
CONTENT: Final = 4
BODY: Final = 5
CLOSED: Final = 6
_NAMES: Final = ("new", "ready", "connected", "in an envelope", "in a header", "in a body", "closed")
_MESSAGE: Final = (ENVELOPE, CONTENT, BODY)
_SETTLED: Final = (READY, CONNECTED, *_MESSAGE)


def _to(state: int, *origins: int) -> Mapping[int, int]:
    return dict.fromkeys(origins, state)


def _stay(origins: Iterable[int]) -> Mapping[int, int]:
    return {state: state for state in origins}


_TABLE: Final[Mapping[bytes, Mapping[int, int]]] = {
    codes.NEGOTIATE: _to(READY, NEW),
    codes.CONNECT: _to(CONNECTED, READY),
    codes.HELO: _to(CONNECTED, CONNECTED, ENVELOPE),
    # MAIL again: the MTA itself refused the first one.
    codes.MAIL: _to(ENVELOPE, CONNECTED, ENVELOPE),
    codes.RCPT: _stay([ENVELOPE]),
    # RCPT after DATA: the MTA itself refused the latter.
    codes.DATA: _stay([ENVELOPE]),
    codes.UNKNOWN: _stay([CONNECTED, ENVELOPE]),
    codes.HEADER: _to(CONTENT, ENVELOPE, CONTENT),
    codes.END_OF_HEADERS: _to(BODY, ENVELOPE, CONTENT),
    codes.BODY: _to(BODY, *_MESSAGE),
    codes.END_OF_MESSAGE: _to(CONNECTED, *_MESSAGE),
    codes.MACROS: _stay(_SETTLED),
    codes.ABORT: {READY: READY, **_to(CONNECTED, CONNECTED, *_MESSAGE)},
    codes.QUIT: _to(CLOSED, NEW, *_SETTLED),
    codes.QUIT_NEW: _to(READY, *_SETTLED),
}
"""Letter → the states in which it is legal → the state that it leads to."""

_NOWHERE: Final[Mapping[int, int]] = {}

_LENGTH: Final = struct.Struct("!I")


class Wish:
    """What a filter would like: it may do ``actions``, is spared ``steps``, and wants to know ``macros``."""

    def __init__(self, actions: Action, steps: Step, macros: Mapping[Stage, str]) -> None:
        self.actions = actions
        self.steps = steps
        self.macros = macros
        self._terms: dict[Offer, Terms] = {}

    def terms(self, offer: Offer) -> Terms:
        """What comes of an offer; raises ProtocolError."""
        found = self._terms.get(offer)
        if found is None:
            if len(self._terms) >= MOST_OFFERS:
                self._terms.clear()
            found = self._terms[offer] = Terms(self, offer)
        return found


class Terms:
    """What was agreed upon: of the wishes what the MTA can do. ``answer``: the packet that tells it.

    ``replied``: letters of the commands that the MTA waits for a reply to.
    """

    def __init__(self, wish: Wish, offer: Offer) -> None:
        if offer.version < OLDEST:
            raise ProtocolError(f"version {offer.version} of the protocol, {OLDEST} is the oldest known here")
        self.actions = wish.actions & Action(offer.actions)
        steps = wish.steps & Step(offer.steps)
        self.replied = frozenset(letter for letter, silent in REPLIED.items() if not silent & steps)
        said = struct.pack("!III", min(offer.version, NEWEST), self.actions, steps)
        if Action.SET_MACROS in self.actions:
            for stage, names in wish.macros.items():
                said += struct.pack("!I", stage) + names.encode("ascii") + b"\0"
        self.answer = packet(codes.NEGOTIATE, said)


class MilterCodec:
    """``feed`` what was received."""

    __slots__ = ("_buffer", "_state")

    def __init__(self) -> None:
        self._state = NEW
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, Command]]:
        """The commands that ``data`` completes, each behind its letter; raises ProtocolError.

        The rest waits for more data. Macros that tell nothing, which come before most commands, are left out.
        After an error the connection is of no use.
        """
        if self._buffer:
            self._buffer += data
            if self._unfinished():
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        found: list[tuple[bytes, Command]] = []
        start, end, state = 0, len(data), self._state
        while end - start >= 5:
            (length,) = _LENGTH.unpack_from(data, start)
            if not 0 < length <= LONGEST_PACKET:
                raise ProtocolError(f"a packet of {length} bytes, 1 to {LONGEST_PACKET} are allowed")
            behind = start + 4 + length
            if end < behind:
                break
            letter = data[start + 4 : start + 5]
            leads_to = _TABLE.get(letter, _NOWHERE).get(state)
            if leads_to is None:
                raise _illegal(letter, state)
            state = leads_to
            if length != 2 or letter != codes.MACROS:
                found.append((letter, DECODERS[letter](data[start + 5 : behind])))
            start = behind
        self._state = state
        if start < end:
            self._buffer += data[start:]
        return found

    def _unfinished(self) -> bool:
        """Whether the packet that has begun still lacks a part: looked at before anything is copied."""
        if len(self._buffer) < 5:
            return True
        (length,) = _LENGTH.unpack_from(self._buffer)
        return bool(len(self._buffer) < 4 + length <= 4 + LONGEST_PACKET)


def _illegal(letter: bytes, state: int) -> ProtocolError:
    """Why a packet cannot come here."""
    if letter not in _TABLE:
        return ProtocolError(f"a packet with the unknown letter {letter!r}")
    return ProtocolError(f"a packet {letter!r} where the connection is {_NAMES[state]}")


def packet(letter: bytes, data: bytes = b"") -> bytes:
    """A packet as it goes over the wire."""
    return _LENGTH.pack(1 + len(data)) + letter + data
