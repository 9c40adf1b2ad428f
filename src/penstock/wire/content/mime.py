"""The text of a message body: as much of MIME (RFC 2045, 2046) as that takes.

Of the parts those count that a reader sees: the first HTML, else the first plain text; attachments do not.
Nothing here raises, whatever the bytes are; parts, depth and lengths are bounded, so the work is linear.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MOST_PARTS: Final = 32
DEEPEST: Final = 4
MOST_HEADER: Final = 4096

_BOUNDARY: Final = re.compile(
    r"\bboundary\s{0,9}=\s{0,9}(?:\"([^\"\n]{1,200})\"|([^\s;\"]{1,200}))", re.IGNORECASE
)
_CHARSET: Final = re.compile(r"\bcharset\s{0,9}=\s{0,9}\"?([\w-]{2,20})", re.IGNORECASE | re.ASCII)
_KNOWN: Final = re.compile(
    r"utf-?8|us-ascii|iso-8859-\d{1,2}|windows-125\d|cp125\d|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis"
    r"|euc-jp|euc-kr|iso-2022-jp"
)
_FIELD: Final = re.compile(
    r"^(content-[a-z-]{4,19}):[ \t]{0,9}(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE | re.ASCII
)
_FIELDS: Final = ("type", "transfer-encoding", "disposition")
_NOT_BASE64: Final = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


class Content(NamedTuple):
    """One part. ``kind``, ``encoding``, ``disposition``: its header fields' values."""

    kind: str
    encoding: str
    disposition: str
    data: bytes


def text_of(kind: str, encoding: str, body: bytes) -> tuple[str, bool]:
    """(text, whether it is HTML) of a body with these values of Content-Type and
    Content-Transfer-Encoding; it may be cut off."""
    plain = ""
    whole = Content(kind[:MOST_HEADER], encoding[:MOST_HEADER], "", body.replace(b"\r\n", b"\n"))
    for part in _leaves(whole, DEEPEST):
        type_ = part.kind.lstrip()[:10].lower()
        if type_.startswith("text/html"):
            text = _decoded(part)
            if text.strip():
                return text, True
        elif not plain and (not type_ or type_.startswith("text/plain")):
            plain = _decoded(part)
    return plain, False


def _leaves(part: Content, deepest: int) -> Iterator[Content]:
    """The parts that are no attachments, in their order."""
    if not part.kind.lstrip()[:10].lower().startswith("multipart/"):
        if not part.disposition.lstrip()[:10].lower().startswith("attachment"):
            yield part
        return
    found = _BOUNDARY.search(part.kind)
    if found is None or not deepest:
        return
    mark = b"--" + (found[1] or found[2]).encode("utf-8", "replace")
    for piece in part.data.split(mark, MOST_PARTS)[1:]:
        if piece.startswith(b"--"):
            return
        yield from _leaves(_part(piece), deepest - 1)


def _part(piece: bytes) -> Content:
    """A part with its own header, behind its boundary."""
    _, _, piece = piece.partition(b"\n")
    head, _, data = (b"", b"", piece[1:]) if piece[:1] == b"\n" else piece.partition(b"\n\n")
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(head[:MOST_HEADER].decode("latin-1")):
        fields.setdefault(name.lower(), value)
    kind, encoding, disposition = (fields.get(f"content-{name}", "") for name in _FIELDS)
    return Content(kind, encoding, disposition, data)


def _decoded(part: Content) -> str:
    """The text of a part, in whatever way it was packed."""
    data, encoding = part.data, part.encoding.strip().lower()
    if encoding.startswith("base64"):
        data = data.translate(None, _NOT_BASE64)
        data = binascii.a2b_base64(data[: len(data) & ~3])
    elif encoding.startswith("quoted-printable"):
        data = binascii.a2b_qp(data)
    named = _CHARSET.search(part.kind)
    charset = named[1].lower() if named else "utf-8"
    try:
        return data.decode(charset if _KNOWN.fullmatch(charset) else "utf-8", "replace")
    except LookupError:
        return data.decode("utf-8", "replace")
