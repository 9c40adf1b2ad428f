"""Facts that reach the engine. Each carries its own time; nothing in the core asks a clock."""

from __future__ import annotations

from typing import NamedTuple


class Attempt(NamedTuple):
    """One question of an MTA: may this client go on? (Postfix SMTPD_POLICY_README.)

    ``at`` is seconds since the epoch. ``recipient_count`` is known at DATA and END-OF-MESSAGE
    only; ``size`` (bytes) is the client's claim until END-OF-MESSAGE. ``host`` and ``instance``
    together name one message while it is being received.
    """

    at: float
    host: str
    stage: str
    client_address: str
    envelope_from: str
    recipient: str
    recipient_count: int
    queue_id: str
    instance: str
    size: int
    login: str
    context: str


MOST_KIB = 1 << 30


def kib_of(a: Attempt) -> int:
    """The message's size in KiB, as far as a counter goes."""
    return min((a.size + 1023) >> 10, MOST_KIB)


def began(a: Attempt) -> float:
    """When Postfix began to receive the message: ``instance`` is pid.seconds.microseconds.n in hex."""
    parts = a.instance.split(".")
    try:
        return float(int(parts[1], 16))
    except (IndexError, ValueError):
        return a.at
