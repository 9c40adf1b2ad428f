"""One message of a professional customer while it comes in: its tag, what DKIM signs, what is changed of it.

Sans-I/O. What is kept of a message is bounded, whatever it holds: the fields that are signed, a few others
cut short, the hash of the body.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from penstock.core.tags import LONGEST
from penstock.wire.dkim.canonical import BodyHash
from penstock.wire.dkim.sign import Fields, Signer
from penstock.wire.milter import replies
from penstock.wire.milter.codec import Wish
from penstock.wire.milter.codes import Action, Step
from penstock.wire.milter.commands import Header
from penstock.wire.milter.envelope import MACROS

POOL: Final = b"X-Penstock-Pool"
"""Added and taken out again: in between Postfix's ``milter_header_checks`` sees it and sets the transport."""

BULK_FROM: Final = 20
"""Recipients from which a message is bulk mail; below, its header fields tell."""

MOST_TAGS: Final = 100
"""Tag fields of a message; one with more is refused: an MTA looks through all fields for each that goes."""

_KEPT: Final = 4096
"""Bytes of a field that is looked at."""

_LOOKED_AT: Final = frozenset(
    {b"from", b"list-id", b"list-unsubscribe", b"list-unsubscribe-post", b"precedence"}
    | {b"feedback-id", b"cfbl-address"}
)
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_ANGLED: Final = re.compile(rb"<([^<>]*)>")
_DOMAIN: Final = re.compile(rb"@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))\.?\s*\Z")
_URI: Final = re.compile(rb"<\s*(?:https?|mailto):[^<>]+>", re.IGNORECASE)
_HTTPS: Final = re.compile(rb"<\s*https:[^<>]+>", re.IGNORECASE)

WISH_SMARTHOST: Final = Wish(
    Action.ADD_HEADERS | Action.CHANGE_HEADERS | Action.QUARANTINE | Action.SET_MACROS,
    Step.NO_UNKNOWN
    | Step.NO_DATA
    | Step.NO_HELO
    | Step.NO_END_OF_HEADERS
    | Step.NR_CONNECT
    | Step.NR_HELO
    | Step.NR_MAIL
    | Step.NR_RCPT
    | Step.NR_DATA
    | Step.NR_UNKNOWN
    | Step.NR_HEADER
    | Step.NR_END_OF_HEADERS
    | Step.NR_BODY,
    MACROS,
)
"""All of the message, and one reply, at its end."""


class Orders(NamedTuple):
    """What is done to the mail of a customer. ``signers``: its keys; the others are values of fields, "" for
    none; ``pool``: whose transport it takes."""

    signers: tuple[Signer, ...] = ()
    feedback_id: str = ""
    cfbl_address: str = ""
    pool: str = ""

    @property
    def complaints_domain(self) -> str:
        """Of ``cfbl_address``: believed only where a signature is by it (RFC 9477 §3.1)."""
        return self.cfbl_address.partition(";")[0].rpartition("@")[2].strip().lower()


class Piece:
    """A message. ``values``: the tags that it carries, by the field's name in small letters."""

    def __init__(self, tags: Collection[str]) -> None:
        self._tags = tags
        self._strips: dict[bytes, int] = {}
        self._judged = 0
        self._fields = Fields()
        self._seen: dict[bytes, list[bytes]] = {}
        self._body: BodyHash | None = None
        self.values: dict[str, list[bytes]] = {}

    # --- while it comes in ------------------------------------------------------------------

    def header(self, header: Header) -> None:
        """The next field."""
        name = header.name.strip().lower()
        if name in self._tags:
            self._tag(name, header.raw)
            return
        key = name.encode("utf-8", "backslashreplace")
        self._fields.add(key, header.raw)
        if key in _LOOKED_AT:
            seen = self._seen.setdefault(key, [])
            if len(seen) < 2:
                seen.append(header.raw[:_KEPT])

    def _tag(self, name: str, raw: bytes) -> None:
        key = name.encode()
        self._strips[key] = self._strips.get(key, 0) + 1
        self._judged += 1
        if self._judged <= MOST_TAGS:
            self.values.setdefault(name, []).append(raw[: LONGEST + 1])

    def signed_by(self, orders: Orders) -> tuple[Signer, ...]:
        """The keys that speak for the domain of its author, and of who takes complaints; none when it names
        not exactly one author."""
        author, complaints = self.author_domain(), orders.complaints_domain
        if not author or self._fields.full:
            return ()
        return tuple(one for one in orders.signers if one.covers(author) or one.covers(complaints))

    def hash_body(self) -> None:
        """The body is to be signed: called before its first piece."""
        self._body = BodyHash()

    def body(self, chunk: bytes) -> None:
        """The next piece."""
        if self._body is not None and chunk:
            self._body.feed(chunk)

    # --- what it is -------------------------------------------------------------------------

    def author_domain(self) -> str:
        """The domain of ``From`` in small letters, "" when there is not exactly one author."""
        found = self._seen.get(b"from", [])
        if len(found) != 1 or len(found[0]) >= _KEPT:
            return ""
        text = _QUOTED.sub(b"", found[0])
        angled = _ANGLED.findall(text)
        if len(angled) > 1 or sum(b"@" in part for part in text.split(b",")) > 1:
            return ""
        domain = _DOMAIN.search(angled[0] if angled else text)
        return domain[1].decode("ascii").lower().rstrip(".") if domain else ""

    def unsubscribe(self, recipients: int) -> str:
        """How who gets this bulk mail can be rid of it: ``one-click`` (RFC 8058), ``link`` (RFC 2369) or
        ``missing``; "" for mail that is not bulk."""
        seen = self._seen
        precedence = b"".join(seen.get(b"precedence", ())).strip().lower()
        if not (b"list-id" in seen or precedence in (b"bulk", b"list") or recipients >= BULK_FROM):
            return ""
        link = b"".join(seen.get(b"list-unsubscribe", ()))
        post = b"".join(b"".join(seen.get(b"list-unsubscribe-post", ())).split()).lower()
        if post == b"list-unsubscribe=one-click" and _HTTPS.search(link):
            return "one-click"
        return "link" if _URI.search(link) else "missing"

    # --- what becomes of it -----------------------------------------------------------------

    @property
    def tagged(self) -> bool:
        """Whether something must be taken out before anybody sees it."""
        return bool(self._strips)

    @property
    def is_overloaded(self) -> bool:
        """Whether there are more tags than anybody should take out."""
        return self._judged > MOST_TAGS

    def stripped(self) -> bytes:
        """Replies that take every tag out, right or wrong."""
        return b"".join(
            replies.deleted(name, index) for name, n in self._strips.items() for index in range(n, 0, -1)
        )

    def sent_on(self, orders: Orders, signers: Sequence[Signer], at: int) -> bytes:
        """Replies that make a customer's mail what it is to be: fields, signatures, the pool's transport."""
        found = b""
        for name, text in ((b"Feedback-ID", orders.feedback_id), (b"CFBL-Address", orders.cfbl_address)):
            if text and name.lower() not in self._seen:
                value = text.encode("ascii", "backslashreplace")
                self._fields.add(name.lower(), value)
                found += replies.inserted(name, value)
        if orders.pool:
            found += replies.inserted(POOL, orders.pool.encode("ascii", "backslashreplace"))
            found += replies.deleted(POOL, 1)
        body = self._body.digest() if self._body is not None else b""
        for signer in signers if body and not self._fields.full else ():
            found += replies.inserted(b"DKIM-Signature", signer.value(self._fields, body, at))
        return found
