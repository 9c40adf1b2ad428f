"""MIME, bounded: bytes → parts, whatever was done to them on the way (RFC 2045-2047).

Theory: the tree is cut by its boundaries with ``bytes.find``, outermost first, so a part that lacks its
end boundary ends where its parent ends, and each level costs one pass over its bytes: O(depth · bytes),
with depth and number of parts bounded. The standard library's parser does the same line by line
and recurses as deep as a stranger wishes.
"""

from __future__ import annotations

import binascii
import codecs
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from penstock.wire.reports.model import BadReport

MOST_HEADERS: Final = 500
LONGEST_HEADER: Final = 8000
LONGEST_BOUNDARY: Final = 250

CODECS: Final = re.compile(
    r"(?:utf|iso|windows|cp|koi8|big5|gb|hz|euc|shift|sjis|s_jis|ms|johab|tis|mac|ascii|us-?ascii|latin|x-sjis)"
    r"[-_0-9a-z]{0,30}"
)
"""Charsets that may be asked for: others of Python's codecs are no charsets, and some are quadratic."""

HEADER_NAME: Final = re.compile(rb"[!-9;-~]{1,100}[ \t]*:")
BLANK: Final = re.compile(rb"\n[ \t]*\n")
FOLD: Final = re.compile(r"\n[ \t]+")
PARAMETER: Final = re.compile(r';\s*([A-Za-z0-9*_-]{1,40})\s*=\s*("[^"\n]*"?|[^\s;"]+)')
WORD: Final = re.compile(r"=\?([A-Za-z0-9_*-]{1,60})\?([BbQq])\?([^?\s]{0,500})\?=")
BETWEEN: Final = re.compile(r"\?=\s{1,5}=\?")
TAG: Final = re.compile(r"<([^<>]*)>")
BREAK: Final = re.compile(r"/?(?:p|br|div|tr|td|table|li|ul|h[1-6]|pre|body|head|title)\b", re.IGNORECASE)
HIDDEN: Final = re.compile(r"<(?:style|script|head)\b", re.IGNORECASE)
HIDDEN_END: Final = re.compile(r"</(?:style|script|head)\b", re.IGNORECASE)


@dataclass(slots=True)
class Headers:
    """Header fields in order; names in lower case, values unfolded."""

    fields: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> str:
        """The first field of that name, or nothing."""
        return next((value for key, value in self.fields if key == name), "")

    def last(self, name: str) -> str:
        """The last field of that name, or nothing."""
        return next((value for key, value in reversed(self.fields) if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every field of that name."""
        return [value for key, value in self.fields if key == name]


@dataclass(slots=True)
class Part:
    """A part that holds no parts: what it calls itself, and its bytes as they came."""

    headers: Headers
    kind: str
    parameters: dict[str, str]
    body: bytes
    depth: int
    within: str
    """The kind of the multipart around it."""

    def content(self) -> bytes:
        """The body without its transfer encoding."""
        return decoded(self.body, self.headers.get("content-transfer-encoding"))

    def text(self) -> str:
        """The body as text with ``\\n`` line ends; HTML without its tags."""
        found = characters(self.content(), self.parameters.get("charset", ""))
        return plain(found) if self.kind == "text/html" else found


@dataclass(slots=True)
class Budget:
    """What may still be opened."""

    parts: int
    depth: int


def read_headers(raw: bytes) -> tuple[Headers, int]:
    """(header fields, where the body begins) of a part with ``\\n`` line ends."""
    if raw[:1] == b"\n":
        return Headers(), 1
    match = BLANK.search(raw)
    end = match.start() if match else len(raw)
    if not HEADER_NAME.match(raw) and not raw.startswith(b"From "):
        return Headers(), 0
    return fields_of(raw[:end]), match.end() if match else end


def fields_of(block: bytes) -> Headers:
    """Header fields of a block; lines that are none are passed over."""
    headers: list[tuple[str, str]] = []
    for line in FOLD.sub(" ", characters(block, "")).split("\n"):
        name, colon, value = line[:LONGEST_HEADER].partition(":")
        name = name.rstrip()
        if colon and name and " " not in name and len(name) <= 100:
            headers.append((name.lower(), value.strip()))
            if len(headers) == MOST_HEADERS:
                break
    return Headers(headers)


def content_type(headers: Headers) -> tuple[str, dict[str, str]]:
    """(type/subtype, parameters), both tolerant: ``Text/Plain`` → ``text/plain``, "" when not told."""
    value = headers.get("content-type")
    kind = value.partition(";")[0].strip().lower().partition(" ")[0]
    parameters: dict[str, str] = {}
    for name, given in PARAMETER.findall(value[:2000]):
        parameters.setdefault(name.lower().rstrip("*0"), given.strip('"'))
    return kind, parameters


def leaves(raw: bytes, budget: Budget, depth: int = 0, within: str = "") -> Iterator[Part]:
    """The parts of an entity that hold no parts, in order; a message within is one of them.

    Raises:
        BadReport: it holds more parts, or deeper ones, than the budget has.
    """
    headers, at = read_headers(raw)
    kind, parameters = content_type(headers)
    if kind.startswith("multipart/"):
        pieces = split(raw[at:], parameters.get("boundary", ""), budget.parts)
        if pieces:
            yield from _opened(pieces, budget, depth + 1, kind)
            return
        kind = ""
    budget.parts -= 1
    yield Part(headers, kind, parameters, raw[at:], depth, within)


def _opened(pieces: list[bytes], budget: Budget, depth: int, kind: str) -> Iterator[Part]:
    if depth > budget.depth:
        raise BadReport(f"multipart/… within multipart/… {depth} deep: more than {budget.depth}")
    for piece in pieces:
        if budget.parts <= 0:
            raise BadReport(f"too many MIME parts (at depth {depth})")
        yield from leaves(piece, budget, depth, kind)


def split(body: bytes, boundary: str, most: int) -> list[bytes]:
    """The parts of a multipart body; [] when no boundary is found. More than ``most`` is an error."""
    marker = b"--" + boundary[:LONGEST_BOUNDARY].encode("latin-1", "replace")
    found = _cut(body, marker, most) if boundary else []
    if found:
        return found
    guess = re.search(rb"(?:^|\n)(--[^\s]{1,250})[ \t]*\n(?:Content-|MIME-)", body[:200_000], re.IGNORECASE)
    return _cut(body, guess[1], most) if guess else []


def _cut(body: bytes, marker: bytes, most: int) -> list[bytes]:
    """What lies between lines that are the marker, up to its end mark or the end."""
    pieces: list[bytes] = []
    began, at = -1, body.find(marker)
    while at >= 0:
        line_end = body.find(b"\n", at)
        line_end = len(body) if line_end < 0 else line_end
        rest = body[at + len(marker) : line_end].strip() if line_end - at < 1000 else b"?"
        if rest in (b"", b"--") and (at == 0 or body[at - 1 : at] == b"\n"):
            if began >= 0:
                pieces.append(body[began : max(at - 1, began)])
            if rest:
                return pieces
            if len(pieces) > most:
                raise BadReport(f"a multipart holds more than {most} parts")
            began = min(line_end + 1, len(body))
        at = body.find(marker, line_end)
    if began >= 0:
        pieces.append(body[began:])
    return pieces


def decoded(body: bytes, encoding: str) -> bytes:
    """The body without its transfer encoding; what can not be decoded stays as it is."""
    name = encoding.strip().lower()
    if name == "base64":
        return _from_base64(body)
    if name == "quoted-printable" or (not name and b"=\n" in body and b"=20\n" in body):
        return binascii.a2b_qp(body).replace(b"\r\n", b"\n")
    return body


def _from_base64(body: bytes) -> bytes:
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
    letters = letters[: len(letters) & ~3] if len(letters) % 4 == 1 else letters + b"=" * (-len(letters) % 4)
    try:
        return binascii.a2b_base64(letters).replace(b"\r\n", b"\n")
    except binascii.Error:
        return body


def characters(raw: bytes, charset: str) -> str:
    """Text of bytes: by the charset when it is one and fits, else UTF-8, else Latin-1. It can always be
    encoded again: UTF-7 knows how to write half a character."""
    name = charset.strip().strip("'\"").lower()
    found = None
    for attempt in (name, "utf-8"):
        if found is None and attempt and CODECS.fullmatch(attempt):
            found = _decoded_by(raw, attempt)
    text = raw.decode("latin-1") if found is None else found
    return text.replace("\r\n", "\n").replace("\x00", "")


def _decoded_by(raw: bytes, charset: str) -> str | None:
    try:
        text = codecs.decode(raw, charset)
        return text if charset == "utf-8" else text.encode("utf-8", "replace").decode("utf-8")
    except (LookupError, ValueError, TypeError):
        return None


def words_of(value: str) -> str:
    """A header value with its encoded words (RFC 2047) decoded."""
    return WORD.sub(_word, BETWEEN.sub("?==?", value)) if "=?" in value else value


def _word(match: re.Match[str]) -> str:
    raw = match[3].encode("latin-1", "replace")
    found = _from_base64(raw) if match[2] in "Bb" else binascii.a2b_qp(raw, header=True)
    return characters(found, match[1].partition("*")[0])


def plain(markup: str) -> str:
    """HTML as text: blocks are lines, tags are gone, an address in angle brackets stays."""
    return html.unescape(TAG.sub(_untag, _without_hidden(markup)))


def _untag(match: re.Match[str]) -> str:
    inner = match[1]
    if "@" in inner and "=" not in inner and " " not in inner:
        return match[0]
    return "\n" if BREAK.match(inner) else ""


def _without_hidden(markup: str) -> str:
    """Without style, script and head."""
    pieces, at = [], 0
    while match := HIDDEN.search(markup, at):
        pieces.append(markup[at : match.start()])
        end = HIDDEN_END.search(markup, match.end())
        if end is None:
            return "".join(pieces)
        at = end.start()
    pieces.append(markup[at:])
    return "".join(pieces)
