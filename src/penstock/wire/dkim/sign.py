"""One message's header fields and body hash → ``DKIM-Signature`` fields, relaxed/relaxed.

All instances of the fields in ``SIGNED`` are signed (RFC 6376 §5.4.1), and those in ``OVERSIGNED`` once more
than there are, so that nobody can add another one on top. No ``l=``: what is added to a body breaks it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from penstock.wire.dkim.canonical import relaxed_field
from penstock.wire.dkim.keys import Key

OVERSIGNED: Final = (b"from", b"to", b"cc", b"subject", b"date", b"reply-to")
"""``From`` always, the others where there is one."""

SIGNED: Final = frozenset(
    {
        *OVERSIGNED,
        b"sender",
        b"message-id",
        b"in-reply-to",
        b"references",
        b"mime-version",
        b"content-type",
        b"content-transfer-encoding",
        b"content-id",
        b"content-description",
        b"resent-date",
        b"resent-from",
        b"resent-sender",
        b"resent-to",
        b"resent-cc",
        b"resent-message-id",
        b"list-id",
        b"list-help",
        b"list-unsubscribe",
        b"list-unsubscribe-post",
        b"list-subscribe",
        b"list-post",
        b"list-owner",
        b"list-archive",
        b"feedback-id",
        b"cfbl-address",
        b"cfbl-feedback-id",
        b"auto-submitted",
    }
)
MOST_KEPT: Final = 256 * 1024
"""Bytes of header fields of one message; one with more is not signed."""

_WIDTH: Final = 72


@dataclass(frozen=True)
class Signer:
    """A key under the name by which the DNS tells of it. ``lasts``: seconds until a signature expires, 0: it
    does not."""

    domain: str
    selector: str
    key: Key
    lasts: int = 0

    def covers(self, domain: str) -> bool:
        """Whether a signature by this key speaks for mail from that domain (small letters)."""
        return domain == self.domain or domain.endswith(f".{self.domain}")

    def value(self, fields: Fields, body_hash: bytes, at: int) -> bytes:
        """The value of ``DKIM-Signature``, folded by LF and a tab. ``at``: seconds since the epoch."""
        expires = f" x={at + self.lasts};" if self.lasts else ""
        names = fields.names()
        head = b"v=1; a=%s; c=relaxed/relaxed;\n\td=%s; s=%s; t=%d;%s\n\th=%s;\n\tbh=%s;\n\tb=" % (
            self.key.algorithm,
            self.domain.encode("ascii"),
            self.selector.encode("ascii"),
            at,
            expires.encode("ascii"),
            _folded(names),
            b64encode(body_hash),
        )
        data = b"".join(fields.in_order(names)) + relaxed_field(b"DKIM-Signature", head)
        signature = b64encode(self.key.sign(data))
        return head + b"\n\t".join(signature[i : i + _WIDTH] for i in range(0, len(signature), _WIDTH))


class Fields:
    """The fields of one message that a signature covers. ``full``: there were too many bytes of them."""

    __slots__ = ("_kept", "_size", "full")

    def __init__(self) -> None:
        self._kept: dict[bytes, list[bytes]] = {}
        self._size = 0
        self.full = False

    def add(self, name: bytes, value: bytes) -> None:
        """The next field, from the top; what no signature covers is passed by. ``name``: small letters."""
        if name not in SIGNED or self.full:
            return
        self._size += len(value) + len(name)
        if self._size > MOST_KEPT:
            self._kept.clear()
            self.full = True
            return
        self._kept.setdefault(name, []).append(relaxed_field(name, value) + b"\r\n")

    def count(self, name: bytes) -> int:
        """How many there are of that name."""
        return len(self._kept.get(name, ()))

    def names(self) -> list[bytes]:
        """``h=``: a name for each instance, and the oversigned ones' once more."""
        found = [name for name, lines in self._kept.items() for _ in lines]
        return found + [name for name in OVERSIGNED if name in self._kept or name == b"from"]

    def in_order(self, names: Sequence[bytes]) -> list[bytes]:
        """The lines that these names call for: of equal ones the lowest first (RFC 6376 §5.4.2)."""
        left = {name: list(lines) for name, lines in self._kept.items()}
        return [left[name].pop() for name in names if left.get(name)]


def _folded(names: Sequence[bytes]) -> bytes:
    """Names between colons, in lines that are not too long."""
    lines = [b""]
    for name in names:
        if len(lines[-1]) + len(name) >= _WIDTH:
            lines.append(b"")
        lines[-1] += name + b":"
    return b"\n\t".join(lines)[:-1]
