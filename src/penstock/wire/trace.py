"""An opaque reference in mail that we let pass, so that a report about it resolves to its sender.

Theory: the header field holds the sender's key and the minute, encrypted and authenticated by
AES-SIV (RFC 5297), which is deterministic: the same sender in the same minute gets the same token, so nothing
needs to be stored and a cache hit costs a dictionary lookup. A receiver learns only that two messages of a
minute came from the same sender. Cost: 16 + 4 + len(sender) bytes, a third more in base64.
Victims: whoever copies a token into other mail blames that token's sender: it must be removed from mail
that comes in from clients (ours is written above what they wrote, and the first one counts).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

HEADER: Final = "X-Penstock-Ref"
PURPOSE: Final = b"penstock reference 1"
MINUTE: Final = 60
LONGEST_TOKEN: Final = 2000
MOST_CACHED: Final = 10_000

FIELD: Final = re.compile(
    rf"^{re.escape(HEADER)}[ \t]*:[ \t]*(?:\r?\n[ \t]+)?([A-Za-z0-9_-]{{27,{LONGEST_TOKEN}}})",
    re.IGNORECASE | re.MULTILINE,
)


class Tracer:
    """Makes and reads references under one secret key (any bytes, at least 16)."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError(f"the key has {len(key)} bytes, at least 16 are needed")
        self._cipher = AESSIV(hashlib.sha512(PURPOSE + key).digest())
        self._cache: dict[str, str] = {}
        self._minute = -1

    def token(self, sender_key: str, at: float) -> str:
        """The reference of a sender (``login:alice@example.com``) in the minute of ``at`` (seconds)."""
        minute = int(at // MINUTE) & 0xFFFF_FFFF
        if minute != self._minute or len(self._cache) >= MOST_CACHED:
            self._cache.clear()
            self._minute = minute
        found = self._cache.get(sender_key)
        if found is None:
            found = self._cache[sender_key] = self._made(sender_key, minute)
        return found

    def _made(self, sender_key: str, minute: int) -> str:
        said = minute.to_bytes(4, "big") + sender_key.encode("utf-8", "surrogateescape")
        return base64.urlsafe_b64encode(self._cipher.encrypt(said, [PURPOSE])).rstrip(b"=").decode("ascii")

    def read(self, token: str) -> tuple[str, float] | None:
        """(sender key, beginning of the minute) of a reference of ours; None for anything else."""
        if not 27 <= len(token) <= LONGEST_TOKEN:
            return None
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            said = self._cipher.decrypt(sealed, [PURPOSE])
        except (binascii.Error, ValueError, InvalidTag):
            return None
        return said[4:].decode("utf-8", "surrogateescape"), float(int.from_bytes(said[:4], "big") * MINUTE)


def find_reference(headers: str) -> str:
    """The token of the first reference field in raw header text, "" when there is none."""
    match = FIELD.search(headers)
    return match[1] if match else ""
