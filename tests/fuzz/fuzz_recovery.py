"""Fuzz the recovery of counts: any bytes as a segment or a snapshot never raise and never cost a
sound block before them.

    python tests/fuzz/fuzz_recovery.py [-runs=N] [-max_total_time=S] [CORPUS...]

The first byte chooses: raw bytes, or bytes packed into blocks that prove themselves (a fuzzer does
not guess a CRC), as a segment or as a snapshot.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["penstock.stores.recovery", "penstock.stores.countfile"]):
    from penstock.core.ledger import Counter, Ledger
    from penstock.stores import countfile
    from penstock.stores.recovery import recover

T0 = 1_700_000_000
MAGICS = (countfile.DEFINITIONS, countfile.ROWS, countfile.SENDERS, countfile.END)

SOUND = countfile.block(
    countfile.DEFINITIONS, countfile.pack_definition(7, T0, "login:sound")
) + countfile.block(countfile.ROWS, countfile.pack_rows([7, T0, 1 << 8, 5]))


def sound_sender() -> bytes:
    """A block with one sender."""
    ledger = Ledger()
    ledger.mail(T0, 5, 1)
    return countfile.block(countfile.SENDERS, countfile.pack_sender(T0, "login:sound", ledger.pack()))


SOUND_SENDER = sound_sender()


def blocks(data: bytes) -> bytes:
    """The data as sound blocks: kind, length, payload, and so on."""
    found, at = b"", 0
    while at + 2 <= len(data):
        length = data[at + 1]
        found += countfile.block(MAGICS[data[at] % len(MAGICS)], data[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def check(data: bytes) -> None:
    """One input."""
    how, data = (data[0] if data else 0), data[1:]
    if how & 1:
        data = blocks(data)
    folder = Path(tempfile.mkdtemp(prefix="penstock-fuzz-"))
    try:
        if how & 2:
            (folder / "snapshot-00000001.bin").write_bytes(SOUND_SENDER + data)
        else:
            (folder / "counts-00000001.log").write_bytes(SOUND + data)
        found = recover(folder)
        keys = list(found.senders)
        assert "login:sound" in keys
        for key in keys:
            recalled = found.recall(key)
            assert recalled is not None
            ledger = Ledger(recalled[1])
            if key == "login:sound" and not how & 1:
                assert ledger.total(int(Counter.RECIPIENTS), T0, 60) == 5
            ledger.total(int(Counter.RECIPIENTS), T0, 3600)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
