"""What the returned copy of the original message tells: its id, its way, our own mark on it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
from typing import Final

from penstock.wire.reports.addresses import addresses, first_address
from penstock.wire.reports.tree import Headers, Part, decoded, fields_of, read_headers
from penstock.wire.trace import HEADER, find_reference

MOST_HOPS: Final = 20
MOST_BLOCK: Final = 200_000
"""Bytes of returned headers that are read."""

BY: Final = re.compile(r"\bby ([A-Za-z0-9._-]{1,255})")
ID: Final = re.compile(r"\bid ([A-Za-z0-9._-]{4,64})")
BRACKETED: Final = re.compile(r"<([^<>\s]{1,500})>")

RETURNED: Final = frozenset(
    {
        "message/rfc822",
        "message/global",
        "message/partial",
        "text/rfc822-headers",
        "text/rfc822-header",
        "message/rfc822-headers",
        "message/global-headers",
        "text/rfc822",
    }
)
"""Kinds of parts that hold the original message or its headers (RFC 3462 §2, RFC 6532 §3.7)."""


@dataclass(frozen=True, slots=True)
class Original:
    """Facts of the returned message; empty when it was not returned."""

    message_id: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    reference: str = ""
    hops: tuple[tuple[str, str], ...] = ()
    headers: Headers = field(default_factory=Headers)


def of_part(part: Part) -> Original:
    """Facts of a part that holds the original; headers that were encoded anew are decoded."""
    return of_bytes(part.content())


def of_bytes(raw: bytes) -> Original:
    """Facts of the original's bytes: some writers put MIME headers of their own before it."""
    raw = raw.lstrip(b"\n ")[:MOST_BLOCK]
    headers, at = read_headers(raw)
    named = {name for name, _ in headers.fields}
    if at < len(raw) and named and all(name.startswith("content-") for name in named):
        headers, _ = read_headers(decoded(raw[at:], headers.get("content-transfer-encoding")).lstrip(b"\n"))
    return of_headers(headers)


def of_text(text: str) -> Original:
    """Facts of headers that were pasted into a text, perhaps indented."""
    lines = text[:MOST_BLOCK].lstrip("\n").split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip(" \t>")) if lines else 0
    block: list[str] = []
    for line in lines:
        if not line.strip():
            if block:
                break
            continue
        block.append(line[indent:] if indent else line)
    return of_headers(fields_of("\n".join(block).encode("utf-8", "replace")))


def of_headers(headers: Headers) -> Original:
    """Facts of header fields."""
    to = [a for name in ("to", "cc", "bcc") for value in headers.all(name) for a in addresses(value)]
    return Original(
        message_id=message_id(headers.last("message-id")),
        sender=first_address(headers.get("return-path")) or first_address(headers.get("from")),
        recipients=tuple(dict.fromkeys(to)),
        reference=find_reference(f"{HEADER}: {headers.get(HEADER.lower())}"),
        hops=tuple(hop for value in headers.all("received")[:MOST_HOPS] if (hop := _hop(value))),
        headers=headers,
    )


def message_id(value: str) -> str:
    """``<id@host> (added by …)`` → ``id@host``."""
    match = BRACKETED.search(value)
    return match[1] if match else value.strip().strip("<>").partition(" ")[0][:500]


def _hop(received: str) -> tuple[str, str] | None:
    """(host, queue id) of a Received field (RFC 5321 §4.4)."""
    by, queue_id = BY.search(received[:2000]), ID.search(received[:2000])
    return (by[1], queue_id[1]) if by and queue_id else None


def moment(value: str) -> float | None:
    """Seconds since the epoch of an RFC 5322 date, None when it is none."""
    try:
        parsed = parsedate_tz(value[:100])
        return float(mktime_tz(parsed)) if parsed else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
