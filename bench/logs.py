"""How fast mail logs are read: lines per second of each part, and of pflogsumm over the same lines.

    .venv/bin/python bench/logs.py [FILE…] [--only postfix/] [--seconds 5] [--rounds 5] [--json FILE]

FILEs are plain or packed; without any, the real Postfix log of ``../shared/data`` is taken. Their lines are
repeated in memory until a round of the first part takes about ``--seconds``. Rounds are interleaved: each
measures every part once, so a drift of the machine meets all; the ratio is of rounds, not of medians, and
of CPU time, which other load hardly moves. A part is given all lines, those of other programs too.
pflogsumm reads them from one temporary file; its start and its report count, as it does nothing else.

``parse``: lines → facts. ``parse+join``: → events. ``replay``: → decisions of the built-in policy, which is
what ``penstock replay`` does once a file is unpacked.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from penstock.app.parts import blocking_directory
from penstock.config import load
from penstock.config.settings import Settings
from penstock.core.events import Event
from penstock.study.replay import Replay
from penstock.study.sources import open_sources
from penstock.wire.maillog.join import Join
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.stamps import Clock

REAL = Path(__file__).parents[2] / "shared" / "data" / "logs" / "postfix"
PEER = "pflogsumm"


@dataclass(frozen=True)
class Part:
    """Something that reads logs: ``run`` reads them all once."""

    name: str
    run: Callable[[], None]


@dataclass(frozen=True)
class Result:
    """A part over all rounds: lines per second by the clock and per second of CPU time, and the latter
    against the peer's of the same round."""

    name: str
    rates: list[float]
    cpu_rates: list[float]
    ratios: list[float]


def cpu_seconds() -> float:
    """User and system time of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """(seconds by the clock, seconds of CPU time)."""
    began, cpu_began = time.perf_counter(), cpu_seconds()
    run()
    return time.perf_counter() - began, cpu_seconds() - cpu_began


Batches = list[list[str]]


def read_lines(paths: Sequence[Path], only: str) -> Batches:
    """The lines of all files that hold ``only``, the older first (``mail.log.1`` before ``mail.log``)."""
    sources = open_sources([str(path) for path in paths])
    batches = (lines for log in sources.logs for lines in sources.batches(log))
    found = ([line for line in lines if only in line] for lines in batches)
    return [lines for lines in found if lines]


def new_reader() -> Reader:
    return Reader(Clock(None, UTC, now=datetime.now(UTC).timestamp()))


def parse(batches: Batches, reader: Reader) -> None:
    """Lines → facts."""
    for lines in batches:
        reader.feed_lines(lines)


def events_of(batches: Batches, reader: Reader) -> Iterator[Event]:
    """Lines → facts → events."""
    join = Join()
    for lines in batches:
        yield from join.feed_facts(reader.feed_lines(lines))


def replay(batches: Batches, reader: Reader, settings: Settings) -> None:
    """Lines → facts → events → decisions."""
    done = Replay(settings.policy, blocking_directory(settings))
    done.feed(events_of(batches, reader))
    done.finish()


def run_peer(path: Path) -> None:
    subprocess.run([PEER, str(path)], stdout=subprocess.DEVNULL, check=True)


def parts(batches: Batches, times: int, folder: Path) -> list[Part]:
    """All that is measured. A join and a replay begin anew with each repetition, because the queue ids do."""

    def repeated(run: Callable[[Reader], object]) -> Callable[[], None]:
        def run_all() -> None:
            reader = new_reader()
            for _ in range(times):
                run(reader)

        return run_all

    settings = load(None)
    found = [
        Part("parse", repeated(lambda reader: parse(batches, reader))),
        Part("parse+join", repeated(lambda reader: deque(events_of(batches, reader), maxlen=0))),
        Part("replay", repeated(lambda reader: replay(batches, reader, settings))),
    ]
    if shutil.which(PEER):
        path = folder / "mail.log"
        text = "".join(f"{line}\n" for lines in batches for line in lines).encode(errors="replace")
        with path.open("wb") as file:
            for _ in range(times):
                file.write(text)
        found.append(Part(PEER, lambda: run_peer(path)))
    else:
        print(f"{PEER} is not installed (Debian package {PEER}): no ratio.", file=sys.stderr)
    return found


def measure(batches: Batches, seconds: float, rounds: int) -> tuple[int, list[Result]]:
    """How many lines a round has, and the results."""
    once = timed(lambda: parse(batches, new_reader()))[1]
    times = max(1, round(seconds / max(once, 1e-3)))
    count = times * sum(map(len, batches))
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        all_parts = parts(batches, times, Path(folder))
        rounds_of = {part.name: [timed(part.run)] for part in all_parts}
        for _ in range(rounds - 1):
            for part in all_parts:
                rounds_of[part.name].append(timed(part.run))
    return count, [
        result_of(name, count, found, rounds_of.get(PEER, [])) for name, found in rounds_of.items()
    ]


def result_of(
    name: str, count: int, found: list[tuple[float, float]], peer: list[tuple[float, float]]
) -> Result:
    ratios = [other[1] / own[1] for own, other in zip(found, peer, strict=False)]
    return Result(name, [count / wall for wall, _ in found], [count / cpu for _, cpu in found], ratios)


def show(batches: Batches, count: int, results: Sequence[Result]) -> None:
    reader = new_reader()
    parse(batches, reader)
    table = Table(title=f"{count:,} lines a round, median of {len(results[0].rates)} rounds")
    for title in ("part", "lines/s", "slowest", "fastest", "lines per CPU s", f"× {PEER}"):
        table.add_column(title, justify="left" if title == "part" else "right")
    for one in results:
        figures = (median(one.rates), min(one.rates), max(one.rates), median(one.cpu_rates))
        ratio = f"{median(one.ratios):.1f}" if one.ratios else "–"
        table.add_row(one.name, *(f"{figure:,.0f}" for figure in figures), ratio)
    console = Console()
    console.print(table)
    console.print(
        f"of {sum(map(len, batches)):,} lines: {reader.understood:,} facts, "
        f"{reader.ignored:,} knowingly ignored, {reader.foreign:,} of other programs, "
        f"{reader.unknown.total():,} unknown"
    )


def main() -> int:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("files", nargs="*", type=Path, metavar="FILE")
    told.add_argument("--only", default="", metavar="TEXT", help="only lines that hold it (postfix/)")
    told.add_argument("--seconds", type=float, default=5.0, help="of a round of the first part (5)")
    told.add_argument("--rounds", type=int, default=5, help="how often each part is measured (5)")
    told.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = told.parse_args()
    files = options.files or sorted(REAL.glob("mail.log*.gz"))
    batches = read_lines(files, options.only) if files else []
    if not batches:
        print(f"no lines: name a log file, or put one into {REAL}", file=sys.stderr)
        return 1
    count, results = measure(batches, options.seconds, options.rounds)
    show(batches, count, results)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
