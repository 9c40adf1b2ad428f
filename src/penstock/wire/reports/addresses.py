"""Addresses in texts that anybody wrote, found without backtracking: from each ``@`` outwards."""

from __future__ import annotations

import re
from typing import Final

LONGEST_LOCAL: Final = 128
LONGEST_DOMAIN: Final = 255

STOPS: Final = frozenset(" \t\r\n<>()[],;:\"'`|\\“”„«»‘’「」『』（）＜＞，。：；")
"""Characters that end a local part going left, or a domain going right."""

NO_RECIPIENTS: Final = ("mailer-daemon", "postmaster", "mail-daemon", "maildaemon", "no-reply", "noreply")

ESCAPE: Final = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")


def addresses(text: str) -> list[str]:
    """Every address in the text, in order, as written; each @ is looked at once."""
    found: list[str] = []
    at, floor = text.find("@"), 0
    while at >= 0:
        left, right = _left(text, at, floor), _right(text, at)
        local, domain = text[left:at].lstrip("=*-•·>"), text[at + 1 : right].rstrip(".-")
        if local and domain and not domain.startswith((".", "-")):
            found.append(f"{local}@{domain}")
        floor = max(right, at + 1)
        at = text.find("@", floor)
    return found


def _left(text: str, at: int, floor: int) -> int:
    """Where the local part begins; a quoted one may hold spaces (RFC 5321 §4.1.2)."""
    least = max(floor, at - LONGEST_LOCAL)
    if at > least and text[at - 1] == '"':
        quote = text.rfind('"', least, at - 1)
        if quote >= 0:
            return quote
    left = at
    while left > least and text[left - 1] not in STOPS and text[left - 1].isprintable():
        left -= 1
    return left


def _right(text: str, at: int) -> int:
    """Where the domain, or the address literal in brackets, ends."""
    right, most = at + 1, min(len(text), at + 1 + LONGEST_DOMAIN)
    if right < most and text[right] == "[":
        close = text.find("]", right, most)
        return close + 1 if close >= 0 else right
    while right < most and (text[right].isalnum() or text[right] in ".-_"):
        right += 1
    return right


def first_address(text: str) -> str:
    """The first address of the text, or ""."""
    found = addresses(text[:4000])
    return found[0] if found else ""


def is_daemon(address: str) -> bool:
    """Whether the address is that of a mail system."""
    return address.lower().startswith(NO_RECIPIENTS)


def unescaped(value: str) -> str:
    """Undo what some reporters leave undone: ``+2B`` and ``+3D`` of xtext (RFC 3461 §4; other pairs may be
    a user's own tag), and ``\\x{5317}`` of utf-8-addr-xtext (RFC 6533 §3)."""
    return ESCAPE.sub(lambda match: _character(match[1]), value.replace("+2B", "+").replace("+3D", "="))


def _character(digits: str) -> str:
    code = int(digits, 16)
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else ""
