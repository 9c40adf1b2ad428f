"""Reads one message as it comes in: what it takes for its fingerprint, and its score.

Cost: the first ``MOST_BYTES`` of the body stay in memory until the message ends, and nothing after it. All
the work is done at the end, once, and is linear. What a sender hides behind that many bytes is not seen.
"""

from __future__ import annotations

from typing import Final

from penstock.core.fingerprint import Fingerprint, Printer, hosts_of, visible, words_of
from penstock.wire.content.mime import MOST_HEADER, text_of
from penstock.wire.content.scores import score_of

MOST_BYTES: Final = 65_536


class ContentReader:
    """One message. ``score_header``: the field (small letters) that the operator's own spam filter writes, ""
    for none; ``score_limit``: what counts as high.

    ``score``: the highest that was told, as a part of ``score_limit``; 0.0 when none was.
    """

    __slots__ = ("_body", "_encoding", "_kind", "_limit", "_printer", "_room", "_score_header", "score")

    def __init__(self, printer: Printer | None, score_header: str = "", score_limit: float = 1.0) -> None:
        self.score = 0.0
        self._printer = printer
        self._score_header = score_header
        self._limit = score_limit
        self._body = bytearray()
        self._room = MOST_BYTES if printer is not None else 0
        self._kind = ""
        self._encoding = ""

    def header(self, name: str, value: str) -> None:
        """A header field. Of several scores the highest counts: a sender may have written one himself."""
        field = name.lower()
        if field == "content-type":
            self._kind = self._kind or value[:MOST_HEADER]
        elif field == "content-transfer-encoding":
            self._encoding = self._encoding or value[:MOST_HEADER]
        elif field == self._score_header and field:
            self.score = max(self.score, (score_of(value) or 0.0) / self._limit)

    def feed(self, chunk: bytes) -> None:
        """A piece of the body."""
        if self._room > 0:
            self._body += chunk[: self._room]
            self._room -= len(chunk)

    def finish(self) -> Fingerprint | None:
        """The message is complete: its fingerprint, None where there is nothing to tell it by. What was read
        is forgotten."""
        body, self._body = bytes(self._body), bytearray()
        if self._printer is None or not body:
            return None
        text, html = text_of(self._kind, self._encoding, body)
        found = self._printer.take(words_of(visible(text) if html else text), hosts_of(text))
        return found if found.text or found.hosts else None
