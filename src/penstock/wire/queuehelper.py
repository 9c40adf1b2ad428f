"""What the service and its privileged queue helper say to each other: one question, one answer.

The question is a line of JSON: ``{"do": "hold", "instance": "/etc/postfix", "ids": ["4F5C64474F"]}``. The
answer is the output of the MTA's program in pieces (``LENGTH\\n`` and so many bytes), a ``0\\n``, and a
line of JSON: ``{"ok": true, "refused": false, "said": ""}``, in which ``said`` is what the program or the
helper complained about.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

COMMANDS: Final = frozenset({"list", "hold", "release", "bounce", "delete", "headers", "body", "limits"})
ON_MESSAGES: Final = COMMANDS - {"list", "limits"}
"""Commands that name messages."""

MOST_IDS: Final = 1000
LONGEST_QUESTION: Final = 64 * 1024
LONGEST_PIECE: Final = 64 * 1024
LONGEST_SAID: Final = 2000
_ID: Final = re.compile(r"[0-9A-Za-z-]{6,40}", re.ASCII)
_LENGTH: Final = re.compile(rb"(0|[1-9][0-9]{0,5})\n")


class BadQuestion(ValueError):
    """The question is not one of ours; the message says why."""


class BadAnswer(ValueError):
    """The other end is no queue helper; the message says why."""


class Question(NamedTuple):
    """``do`` something with messages of one instance (Postfix: its configuration folder)."""

    do: str
    instance: str
    ids: tuple[str, ...] = ()


class End(NamedTuple):
    """How it ended. ``ok``: the program ended well; ``refused``: the helper has run none."""

    ok: bool
    said: str
    refused: bool = False


def render_question(question: Question) -> bytes:
    """The line to send."""
    return json.dumps(question._asdict()).encode() + b"\n"


def parse_question(line: bytes) -> Question:
    """What is asked; raises BadQuestion. Nothing in it can look like an option of a program."""
    try:
        read = json.loads(line)
        do, instance, ids = read["do"], read["instance"], read["ids"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadQuestion("not a question") from None
    if not isinstance(do, str) or not isinstance(instance, str) or not isinstance(ids, list):
        raise BadQuestion("not a question")
    if do not in COMMANDS:
        raise BadQuestion("an unknown command")
    if bool(ids) != (do in ON_MESSAGES) or len(ids) > MOST_IDS:
        raise BadQuestion(f"{do}: {len(ids)} messages")
    if not all(isinstance(each, str) and _ID.fullmatch(each) and each[0] != "-" for each in ids):
        raise BadQuestion("an id that is none")
    return Question(do, instance, tuple(ids))


def render_piece(data: bytes) -> bytes:
    """So much of the output (at least one byte, at most ``LONGEST_PIECE``)."""
    return b"%d\n%s" % (len(data), data)


def render_end(end: End) -> bytes:
    """The end of an answer."""
    said = end.said if len(end.said) <= LONGEST_SAID else end.said[:LONGEST_SAID] + "…"
    return b"0\n" + json.dumps({"ok": end.ok, "refused": end.refused, "said": said}).encode() + b"\n"


class Answer:
    """Reads an answer. ``end``: None until it is complete."""

    def __init__(self) -> None:
        self.end: End | None = None
        self._buffer = bytearray()
        self._left = 0
        self._ending = False

    def feed(self, data: bytes) -> bytes:
        """The output in these bytes; raises BadAnswer."""
        self._buffer += data
        found = bytearray()
        while self._buffer and self.end is None:
            before = len(self._buffer)
            self._step(found)
            if len(self._buffer) == before:
                break
        return bytes(found)

    def _step(self, found: bytearray) -> None:
        if self._ending:
            self._take_end()
        elif self._left:
            piece = self._buffer[: self._left]
            found += piece
            self._left -= len(piece)
            del self._buffer[: len(piece)]
        else:
            self._take_length()

    def _take_length(self) -> None:
        length = _LENGTH.match(self._buffer)
        if length is not None:
            self._left = int(length[1])
            self._ending = self._left == 0
            del self._buffer[: length.end()]
        elif b"\n" in self._buffer or len(self._buffer) > 7:
            raise BadAnswer(f"no queue helper answers: {bytes(self._buffer[:80])!r}")

    def _take_end(self) -> None:
        line, newline, _ = bytes(self._buffer).partition(b"\n")
        if len(line) > 8 * LONGEST_SAID:
            raise BadAnswer("an endless end")
        if newline:
            self.end = _end(line)
            self._buffer.clear()


def _end(line: bytes) -> End:
    read: Any = None
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        pass
    if not isinstance(read, dict) or type(read.get("ok")) is not bool:
        raise BadAnswer(f"no queue helper answers: {line[:80]!r}")
    return End(read["ok"], str(read.get("said", ""))[: LONGEST_SAID + 1], read.get("refused") is True)
