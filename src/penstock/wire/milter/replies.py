"""Decisions → what the MTA is told. Whatever the texts hold, a reply is one line of ASCII."""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Final

from penstock.core.decision import Decision
from penstock.core.policy import Verb
from penstock.wire.milter import codes
from penstock.wire.milter.codec import packet
from penstock.wire.milter.codes import Action

CONTINUE: Final = packet(codes.CONTINUE)
ACCEPT: Final = packet(codes.ACCEPT)
DISCARD: Final = packet(codes.DISCARD)

_REFUSING: Final = (Verb.DEFER, Verb.REJECT)


def at_rcpt(decision: Decision) -> bytes:
    """The reply about one recipient. What concerns the whole message waits for its end."""
    return _refusal(decision) if decision.stops and decision.verb in _REFUSING else CONTINUE


def at_end(decision: Decision, headers: Collection[str], actions: Action) -> bytes:
    """The replies to the end of a message that passes, with headers (``Name: value``), or does not.

    A milter cannot reroute, so such a message is held as well. Where the MTA cannot hold, it is deferred.
    """
    if not decision.stops:
        if not headers or Action.ADD_HEADERS not in actions:
            return CONTINUE
        return b"".join(map(_inserted, headers)) + CONTINUE
    if decision.verb is Verb.DISCARD:
        return DISCARD
    if decision.verb in _REFUSING or Action.QUARANTINE not in actions:
        return _refusal(decision)
    reason = f"penstock {decision.rule} (ref {decision.reference})"
    return packet(codes.QUARANTINE, _line(reason) + b"\0") + CONTINUE


def header_of(decision: Decision) -> str:
    """The header line of a mark."""
    return f"{decision.argument} (ref {decision.reference})" if decision.rule else decision.argument


def _refusal(decision: Decision) -> bytes:
    """A reply of our own words. The MTA uses it as a format: ``%`` is doubled (smfi_setreply)."""
    code = "550 5.7.1" if decision.verb is Verb.REJECT else "451 4.7.1"
    told = f"{code} {decision.text} (ref {decision.reference})"
    return packet(codes.REPLY, _line(told).replace(b"%", b"%%") + b"\0")


def _inserted(line: str) -> bytes:
    """A header field above all others."""
    name, _, value = line.partition(":")
    return packet(
        codes.INSERT_HEADER, struct.pack("!I", 0) + _line(name) + b"\0" + _line(value.strip()) + b"\0"
    )


def inserted(name: bytes, value: bytes) -> bytes:
    """A header field above all others, its value as it is to stand there (folded by LF and a space)."""
    return packet(codes.INSERT_HEADER, struct.pack("!I", 0) + _whole(name) + _whole(value))


def deleted(name: bytes, index: int) -> bytes:
    """The ``index``-th field of that name, counted from 1, is taken out. Of several the last one goes first:
    MTAs differ in whether the others are counted anew."""
    return packet(codes.CHANGE_HEADER, struct.pack("!I", index) + _whole(name) + b"\0")


def _whole(text: bytes) -> bytes:
    """A text as the protocol ends it."""
    return text.replace(b"\0", b"") + b"\0"


def _line(text: str) -> bytes:
    return " ".join(text.replace("\0", " ").split()).encode("ascii", "backslashreplace")
