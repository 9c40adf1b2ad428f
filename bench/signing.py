"""Signing customers' mail: messages a second on one core.

.venv/bin/python bench/signing.py [--seconds 3] [--size 18000]

``signed``: from a milter's packets to the reply with the signature, as the listener does it; ``hashed``: the
same without a key; ``key alone``: what the key takes in OpenSSL; ``dkimpy``: the same message in one piece.
Rates are per second of the processor's time, so other processes on the machine hardly matter.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from penstock.wire.dkim.keys import Key, Kind, generate
from penstock.wire.dkim.sign import Signer
from penstock.wire.milter.codec import MilterCodec
from penstock.wire.milter.commands import Body, EndOfMessage, Header
from penstock.wire.milter.smarthost import Orders, Piece
from wire.milter import mta

HEADERS = 10
FIELDS = {"From": "news@acme.example", "To": "bob@example.net", "Subject": "An offer", "Date": "today"}
LINE = b"Some words of a text, as people write  them: 76 characters and a line's end.\r\n"
AT = 1_790_000_000


def body_of(size: int) -> bytes:
    """Lines of text."""
    return (LINE * (size // len(LINE) + 1))[:size] + b"\r\n"


def packets(body: bytes) -> bytes:
    """A message as Postfix sends it."""
    fields = FIELDS | {f"X-Field-{i}": "some words of a header field " * 2 for i in range(HEADERS)}
    start = mta.mail() + mta.rcpt() + b"".join(mta.header(*pair) for pair in fields.items()) + mta.EOH
    pieces = [body[i : i + 65_535] for i in range(0, len(body), 65_535)]
    return start + b"".join(map(mta.body, pieces[:-1])) + mta.end(pieces[-1])


def through(codec: MilterCodec, data: bytes, orders: Orders) -> bytes:
    """One message: the replies to its end."""
    piece = Piece(("x-tag",))
    piece.hash_body()
    for _, command in codec.feed(data):
        if isinstance(command, Header):
            piece.header(command)
        elif isinstance(command, Body | EndOfMessage):
            piece.body(command.chunk)
    return piece.sent_on(orders, orders.signers, AT)


def rate(do: Callable[[], object], seconds: float) -> float:
    """How often a second of processor time does it."""
    do()
    done, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        do()
        done += 1
    return done / (time.process_time() - began)


def of_key(kind: Kind, key: Key, size: int, seconds: float) -> None:
    """All figures of a key."""
    import dkim

    body = body_of(size)
    data = packets(body)
    codec = MilterCodec()
    codec.feed(mta.offer() + mta.connect())
    orders = Orders((Signer("acme.example", "s1", key),))
    figures = {"signed": rate(lambda: through(codec, data, orders), seconds)}
    figures["hashed"] = rate(lambda: through(codec, data, Orders()), seconds)
    figures["key alone"] = rate(lambda: key.sign(b"x" * 900), seconds)
    if kind == "rsa":
        whole = "".join(f"{name}: {text}\r\n" for name, text in FIELDS.items()).encode() + b"\r\n" + body
        relaxed, pem = (b"relaxed", b"relaxed"), key.pem()
        figures["dkimpy"] = rate(
            lambda: dkim.sign(whole, b"s1", b"acme.example", pem, canonicalize=relaxed), seconds
        )
    for name, value in figures.items():
        click.echo(f"{kind:8} {name:10} {value:9,.0f} messages/s {1e6 / value:8.0f} us each")


@click.command()
@click.option("--seconds", default=3.0, show_default=True, help="Of each figure.")
@click.option("--size", default=18_000, show_default=True, help="Bytes of a body.")
def main(seconds: float, size: int) -> None:
    """Measure signing."""
    of_key("rsa", generate("rsa"), size, seconds)
    of_key("ed25519", generate("ed25519"), size, seconds)


if __name__ == "__main__":
    main()
