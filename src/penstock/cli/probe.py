"""A harmless question to a listener that runs, and how long the answer takes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import BinaryIO, Final

from penstock.mta.checks import Check

TIMEOUT: Final = 5.0
"""Seconds."""

SLOW_MS: Final = 100.0


def probe(
    name: str,
    address: str,
    question: bytes,
    read: Callable[[BinaryIO], bytes],
    is_right: Callable[[bytes], bool],
) -> Check:
    """Ask, ``read`` the answer, and judge it and the time it took."""
    began = time.perf_counter()
    try:
        answer = _asked(address, question, read)
        if not answer:
            raise ConnectionError("it closes the connection without an answer")
    except OSError as error:
        hint = "Is a firewall or another user's rights in the way? See the log of the service."
        return Check(name, False, f"{address} does not answer: {error.strerror or error}", hint)
    ms = (time.perf_counter() - began) * 1000
    if not is_right(answer):
        return Check(name, False, f"{address} answers {answer[:60]!r}", "Who listens there?")
    return Check(
        name, ms < SLOW_MS or None, f"{address} answers in {ms:.1f} ms", "Is the machine overloaded?"
    )


def _asked(address: str, question: bytes, read: Callable[[BinaryIO], bytes]) -> bytes:
    from penstock.config import parse_address

    where = parse_address(address)
    family = socket.AF_UNIX if where.path else socket.AF_INET6 if ":" in where.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT)
        sock.connect(str(where.path) if where.path else (where.host, where.port))
        sock.sendall(question)
        with sock.makefile("rb") as stream:
            return read(stream)
