"""Fuzz the policy codec: any bytes are attempts or a ProtocolError, however they are split.

    python tests/fuzz/fuzz_policy.py [-runs=N] [-max_total_time=S] [CORPUS...]

The first bytes of an input choose where the rest is split. What was read before an error may differ
between the ways (an error ends the connection), but one is never longer or other than the other.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["penstock.wire", "penstock.core"]):
    from penstock.core.events import Attempt
    from penstock.wire.postfix_policy import PolicyCodec, ProtocolError

TAUGHT = b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a\nsize=0\n\n"


def read(pieces: list[bytes], taught: bool) -> tuple[list[Attempt], bool]:
    """(attempts, whether it ended with an error)."""
    codec = PolicyCodec("mx1")
    if taught:
        codec.feed(TAUGHT, 1.0)
    found: list[Attempt] = []
    try:
        for piece in pieces:
            found += codec.feed(piece, 1.0)
    except ProtocolError:
        return found, True
    return found, False


def split(data: bytes, steps: bytes) -> list[bytes]:
    """The data in pieces of these lengths, again and again."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        step = steps[turn % len(steps)] % 61 + 1
        pieces.append(data[at : at + step])
        at += step
        turn += 1
    return pieces


def check(data: bytes) -> None:
    """One input."""
    steps, data = data[:3] or b"\0", data[3:]
    whole, wrong = read([data], False) if data else ([], False)
    for pieces in (split(data, steps), split(data, b"\0")):
        again, wrong_again = read(pieces, False)
        assert wrong == wrong_again, (pieces, wrong)
        assert again[: len(whole)] == whole, pieces
        assert wrong or again == whole
    taught, wrong_taught = read([data] if data else [], True)
    assert (taught, wrong_taught) == (whole, wrong), "the learned layout reads it differently"
    for attempt in whole:
        assert attempt.size >= 0
        assert attempt.recipient_count >= 0
        assert "\n" not in "".join(value for value in attempt if isinstance(value, str))


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
