"""The numbers and letters of the milter protocol (Sendmail's mfdef.h, Postfix's MILTER_README).

A packet is a length (32 bits, network order, of what follows), one letter, and the letter's data. What
is sent on without waiting for a reply is agreed upon at the start (``Step.NR_…``).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

OLDEST: Final = 2
NEWEST: Final = 6

NEGOTIATE: Final = b"O"
CONNECT: Final = b"C"
HELO: Final = b"H"
MAIL: Final = b"M"
RCPT: Final = b"R"
DATA: Final = b"T"
UNKNOWN: Final = b"U"
HEADER: Final = b"L"
END_OF_HEADERS: Final = b"N"
BODY: Final = b"B"
END_OF_MESSAGE: Final = b"E"
MACROS: Final = b"D"
ABORT: Final = b"A"
QUIT: Final = b"Q"
QUIT_NEW: Final = b"K"
"""The session is over, and another one follows on the same connection."""

CONTINUE: Final = b"c"
ACCEPT: Final = b"a"
DISCARD: Final = b"d"
REPLY: Final = b"y"
QUARANTINE: Final = b"q"
INSERT_HEADER: Final = b"i"
CHANGE_HEADER: Final = b"m"


class Action(IntFlag):
    """What a filter may do to a message (SMFIF_…)."""

    ADD_HEADERS = 0x1
    CHANGE_BODY = 0x2
    ADD_RCPT = 0x4
    DELETE_RCPT = 0x8
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20
    CHANGE_FROM = 0x40
    ADD_RCPT_ARGS = 0x80
    SET_MACROS = 0x100


class Step(IntFlag):
    """What the MTA need not send (NO_…), what gets no reply (NR_…), and what else it can (SMFIP_…)."""

    NO_CONNECT = 0x1
    NO_HELO = 0x2
    NO_MAIL = 0x4
    NO_RCPT = 0x8
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_OF_HEADERS = 0x40
    NR_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400
    REJECTED_RCPT = 0x800
    NR_CONNECT = 0x1000
    NR_HELO = 0x2000
    NR_MAIL = 0x4000
    NR_RCPT = 0x8000
    NR_DATA = 0x10000
    NR_UNKNOWN = 0x20000
    NR_END_OF_HEADERS = 0x40000
    NR_BODY = 0x80000
    LEADING_SPACE = 0x100000
    BODY_256K = 0x10000000
    BODY_1M = 0x20000000


class Stage(IntEnum):
    """Where a list of macros belongs to (SMFIM_…)."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END_OF_MESSAGE = 5
    END_OF_HEADERS = 6


REPLIED: Final = {
    CONNECT: Step.NR_CONNECT,
    HELO: Step.NR_HELO,
    MAIL: Step.NR_MAIL,
    RCPT: Step.NR_RCPT,
    DATA: Step.NR_DATA,
    UNKNOWN: Step.NR_UNKNOWN,
    HEADER: Step.NR_HEADER,
    END_OF_HEADERS: Step.NR_END_OF_HEADERS,
    BODY: Step.NR_BODY,
    END_OF_MESSAGE: Step(0),
}
"""Commands that get a reply, each with the step by which it gets none. The end of a message always does."""
