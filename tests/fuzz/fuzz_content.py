"""Fuzz the reader of content: any header fields and bodies are read, however they are split.

    python tests/fuzz/fuzz_content.py [-runs=N] [-max_total_time=S] [CORPUS...]

The first line of an input is Content-Type, the second Content-Transfer-Encoding, the third a score.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["penstock.wire.content", "penstock.core.fingerprint"]):
    from penstock.core.fingerprint import BINS, KEY_BYTES, MOST_HOSTS, Fingerprint, Printer
    from penstock.wire.content import ContentReader, score_of

PRINTER = Printer(bytes(KEY_BYTES))


def read(fields: list[str], body: bytes, step: int) -> Fingerprint | None:
    """The fingerprint of a message that comes in pieces."""
    reader = ContentReader(PRINTER, "x-score", 5.0)
    for name, value in zip(("Content-Type", "Content-Transfer-Encoding", "X-Score"), fields, strict=False):
        reader.header(name, value)
    for begin in range(0, len(body), step):
        reader.feed(body[begin : begin + step])
    assert reader.score >= 0
    return reader.finish()


def check(data: bytes) -> None:
    """One input."""
    *fields, body = data.split(b"\n", 3)
    texts = [field.decode("utf-8", "backslashreplace") for field in fields]
    whole = read(texts, body, max(1, len(body)))
    assert read(texts, body, 7) == whole
    if whole is not None:
        assert len(whole.text) <= BINS and len(whole.hosts) <= MOST_HOSTS
    for text in texts:
        found = score_of(text)
        assert found is None or 0 <= found <= 10_000


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
