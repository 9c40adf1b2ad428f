"""Fuzz the milter codec: any bytes are commands or a ProtocolError, however they are split.

    python tests/fuzz/fuzz_milter.py [-runs=N] [-max_total_time=S] [CORPUS...]

The first bytes of an input choose where the rest is split. What was read before an error may differ
between the ways (an error ends the connection), but one is never longer or other than the other.
What was read becomes questions and replies.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["penstock.wire.milter", "penstock.core"]):
    from penstock.core.decision import Decision
    from penstock.core.policy import Verb
    from penstock.wire.milter import replies
    from penstock.wire.milter.codec import MilterCodec
    from penstock.wire.milter.codes import Action
    from penstock.wire.milter.commands import (
        Body,
        Command,
        Connect,
        EndOfMessage,
        Header,
        Mail,
        Offer,
        ProtocolError,
        Rcpt,
    )
    from penstock.wire.milter.envelope import WISH_SMTP, Envelope, is_local
    from penstock.wire.milter.smarthost import Orders, Piece

TAGS = ("x-tag", "subject", "")


def read(pieces: list[bytes]) -> tuple[list[Command], bool]:
    """(commands, whether it ended with an error)."""
    codec = MilterCodec()
    found: list[Command] = []
    try:
        for piece in pieces:
            for letter, command in codec.feed(piece):
                found.append(command)
                if isinstance(command, Offer):
                    assert WISH_SMTP.terms(command).answer
                assert len(letter) == 1
    except ProtocolError as error:
        assert str(error)
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


def follow(commands: list[Command]) -> None:
    """What a listener does with them."""
    client, envelope, piece = None, None, Piece(TAGS)
    for command in commands:
        if isinstance(command, Connect):
            client = command
            assert is_local(client) in (True, False)
        elif isinstance(command, Mail) and client is not None:
            envelope, piece = Envelope(client, command, "1"), Piece(TAGS)
            piece.hash_body()
        elif envelope is not None:
            if isinstance(command, Header):
                envelope.learn(command)
                piece.header(command)
            elif isinstance(command, Body):
                piece.body(command.chunk)
            elif isinstance(command, Rcpt):
                envelope.name(command.address)
                told(envelope.attempt("RCPT", command.address, 1.0, "mx1").recipient)
            elif isinstance(command, EndOfMessage):
                changed(piece, command, envelope.mail_from)
                attempt = envelope.attempt("END-OF-MESSAGE", "", 1.0, "mx1")
                assert attempt.size >= 0 and attempt.recipient_count >= 0
                assert attempt.sender == "" or attempt.sender[4:].isdigit()


def changed(piece: Piece, end: EndOfMessage, text: str) -> None:
    """Whatever a message holds, what is changed of it is whole packets with two texts."""
    piece.body(end.chunk)
    piece.author_domain()
    assert piece.unsubscribe(1) in ("", "missing", "link", "one-click")
    data = piece.stripped() + piece.sent_on(Orders((), text, text, text), (), 1)
    while data:
        length = int.from_bytes(data[:4], "big")
        assert 0 < length <= len(data) - 4 and data[4:5] in (b"i", b"m")
        assert data[4 : 4 + length].count(b"\0", 5) == 2 and data[3 + length] == 0
        data = data[4 + length :]


def told(text: str) -> None:
    """Whatever a text holds, a reply is whole packets of one line."""
    for verb in (Verb.REJECT, Verb.HOLD, Verb.MARK):
        decision = Decision(verb, f"X-A: {text}", "R", "rule", text)
        data = replies.at_end(
            decision, (replies.header_of(decision),), Action.ADD_HEADERS | Action.QUARANTINE
        )
        while data:
            length = int.from_bytes(data[:4], "big")
            assert 0 < length <= len(data) - 4
            assert b"\n" not in data[4 : 4 + length][5:] and b"\r" not in data[4 : 4 + length][5:]
            data = data[4 + length :]


def check(data: bytes) -> None:
    """One input."""
    steps, data = data[:3] or b"\0", data[3:]
    whole, wrong = read([data])
    for pieces in (split(data, steps), split(data, b"\0")):
        again, wrong_again = read(pieces)
        assert wrong == wrong_again, (pieces, wrong)
        assert again[: len(whole)] == whole, pieces
        assert wrong or again == whole
    follow(whole)


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
