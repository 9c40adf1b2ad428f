"""What a parser of one program's lines answers, and how it lists the lines that it knowingly ignores."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Literal, NamedTuple

from penstock.wire.maillog.facts import Fact


class Ignored(Enum):
    """The one value of ``IGNORED``."""

    IGNORED = "ignored"


IGNORED: Final = Ignored.IGNORED
"""A line that the parser knows and that says nothing about senders or outcomes."""

Found = Fact | Literal[Ignored.IGNORED] | None
"""A fact, ``IGNORED``, or None for a line that the parser does not know."""

Parse = Callable[[float, str, str], Found]
"""``parse(at, scope, text)``: seconds since the epoch; ``host/instance``; what follows ``program[pid]: ``.
It never raises, whatever the text is."""


class Kind(NamedTuple):
    """A kind of line that is ignored: it begins with ``prefix`` (after ``QID: `` when ``queued``)."""

    program: str
    prefix: str
    why: str
    queued: bool = False
