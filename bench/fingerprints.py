"""Fingerprints: what one message costs, and how well copies of a text are told from other texts.

.venv/bin/python bench/fingerprints.py cost
.venv/bin/python bench/fingerprints.py quality [--words 120]
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from penstock.core.fingerprint import KEY_BYTES, SAME, Printer, words_of
from penstock.wire.content import ContentReader
from wire.content.mails import PACKINGS, personal, plain, story, word

PRINTER = Printer(bytes(KEY_BYTES))
CHUNK = 65_535
ROUNDS = 7
Packed = tuple[str, str, bytes]


@click.group()
def main() -> None:
    """Measure fingerprints."""


def read(packed: Packed) -> None:
    """One message as the milter is shown it."""
    kind, encoding, body = packed
    reader = ContentReader(PRINTER, "x-spam-score", 10.0)
    reader.header("Content-Type", kind)
    reader.header("Content-Transfer-Encoding", encoding)
    for begin in range(0, len(body), CHUNK):
        reader.feed(body[begin : begin + CHUNK])
    reader.finish()


def microseconds(work: Callable[[], None]) -> float:
    """The median of some rounds, of the processor's time."""
    found = []
    for _ in range(ROUNDS):
        begin, n = time.process_time(), 0
        while time.process_time() - begin < 0.2:
            work()
            n += 1
        found.append((time.process_time() - begin) / n * 1e6)
    return statistics.median(found)


def of_size(size: int) -> str:
    """A text of so many bytes."""
    lines = [story(random.Random(i), 11) for i in range(size // 55)]
    return "\n".join(lines)[:size]


@main.command()
def cost() -> None:
    """Microseconds a message, by size and packing."""
    for size in (1_000, 3_000, 18_000, 1_000_000):
        text = of_size(size)
        for pack in PACKINGS if size == 18_000 else (plain,):
            packed = pack(text)
            spent = microseconds(lambda packed=packed: read(packed))  # type: ignore[misc]
            click.echo(
                f"{size:>9,} bytes {pack.__name__:>9}: {spent:7,.0f} us ({spent / size * 1000:.1f} us/KB)"
            )
    hostile = {"<": b"<", "<a ": b"<a ", "http://": b"http://", "bytes 0xff": b"\xff", "comments": b"<!--"}
    for name, piece in hostile.items():
        packed = "text/html", "8bit", piece * (20_000_000 // len(piece))
        spent = microseconds(lambda packed=packed: read(packed))  # type: ignore[misc]
        click.echo(f"20 MB of {name}: {spent:,.0f} us")


@main.command()
@click.option("--words", default=120, show_default=True, help="Of each text.")
@click.option("--pairs", default=200, show_default=True)
def quality(words: int, pairs: int) -> None:
    """The share of pairs of copies, and of unrelated texts, that are taken for the same."""
    for name, change in CHANGES.items():
        hits = 0
        for i in range(pairs):
            chance = random.Random(i)
            text = story(chance, words)
            hits += same(change(text, chance), change(text, chance))
        click.echo(f"{name:>34}: {hits / pairs:.3f}")
    texts = [story(random.Random(-i), words) for i in range(1, 160)]
    prints = [set(PRINTER.take(words_of(text), ()).text) for text in texts]
    alike = [len(one & other) >= SAME for one, other in combinations(prints, 2)]
    click.echo(f"{'unrelated':>34}: {sum(alike) / len(alike):.5f} of {len(alike):,} pairs")


def same(one: str, other: str) -> bool:
    """Whether two texts are taken for the same."""
    found = (set(PRINTER.take(words_of(text), ()).text) for text in (one, other))
    return len(next(found) & next(found)) >= SAME


def strewn(part: float) -> Callable[[str, random.Random], str]:
    """Copies with a name, a number, a link, and so many strange words in between."""
    return lambda text, chance: personal(text, chance, part)


def padded(part: float) -> Callable[[str, random.Random], str]:
    """Copies with so much rubbish behind."""
    return lambda text, chance: (
        f"{text} {' '.join(word(chance) for _ in range(int(len(text.split()) * part)))}"
    )


CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "another name, number and link": strewn(0),
    "a strange word after 5 in 100": strewn(0.05),
    "a strange word after 10 in 100": strewn(0.1),
    "a strange word after 20 in 100": strewn(0.2),
    "half as much rubbish behind": padded(0.5),
    "as much rubbish behind": padded(1.0),
}

if __name__ == "__main__":
    main()
