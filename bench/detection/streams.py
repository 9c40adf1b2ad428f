"""When an account mails and to whom, as numbers: from the real sets, or from a model calibrated to them.

A stream is a list of ``(seconds, ids)``; second 0 is a Monday, 0:00. ``ids`` are names of people that several
accounts may share.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Final

from bench.detection.draw import DAY, is_weekend, moment, poisson

Stream = list[tuple[float, list[str]]]
SENDING: Final = Path(__file__).parents[3] / "shared" / "data" / "sending"
WEEK: Final = 7 * DAY
FRESH: Final = 0.2
"""Of accounts: begin within the corpus, as new customers do †."""
SIZES: Final = ((1, 0.81), (2, 0.10), (3, 0.03), (4, 0.018))
"""Recipients of a message in the shared sets; beyond that a tail to 58."""
OCCASION: Final = 0.003
"""Messages to everybody whom it concerns. FIELD §7: ≥ 50 recipients an hour 0.1–18 times in 10,000 days."""


class Streams:
    """Streams to draw from. ``source``: eucore, enron or own."""

    def __init__(self, source: str, days: int) -> None:
        self._days = days
        self._real = [] if source == "own" else _read(source)

    def draw(self, rng: Random, name: str) -> Stream:
        """One account's stream over the corpus; some begin late, some end early, many pause for weeks."""
        if not self._real:
            return _own(rng, self._days, name)
        stream = rng.choice(self._real)
        first, last = stream[0][0], stream[-1][0]
        length = self._days * DAY
        if rng.random() < FRESH:
            shift = first - rng.uniform(0, 0.7) * length
        else:
            shift = rng.uniform(first, max(first, last - length / 2))
        shift = shift // WEEK * WEEK
        return [(at - shift + rng.random(), ids) for at, ids in stream if shift <= at < shift + length]


def _read(source: str) -> list[Stream]:
    """The set's accounts; the clock is moved so that second 0 is a Monday."""
    path = SENDING / f"{source}.tsv.gz"
    shift = 4 * DAY if source == "enron" else 0  # 1970-01-01 was a Thursday; eucore begins with a Monday
    streams: dict[str, Stream] = defaultdict(list)
    with gzip.open(path, "rt") as lines:
        next(lines)
        for line in lines:
            at, sender, recipients = line.rstrip("\n").split("\t")
            streams[sender].append((float(at) - shift, recipients.split()))
    return [sorted(stream) for stream in streams.values() if len(stream) >= 3]


def _own(rng: Random, days: int, name: str) -> Stream:
    """Heavy-tailed rates, sessions, contacts that are met again the more often they were met. Calibrated to:
    messages per account-day 0.5 on average, 6 % of recipients new after four weeks, recipients per active
    day median 2, p99 35."""
    rate = min(rng.lognormvariate(-1.5, 1.25), 12.0)
    shift, new = rng.gauss(0, 1.5), min(rng.lognormvariate(-2.9, 0.7), 0.6)
    begin = rng.uniform(0, 0.7) * days if rng.random() < FRESH else 0.0
    quiet_from = rng.uniform(0, days) if rng.random() < 0.3 else days
    quiet = (quiet_from, quiet_from + rng.expovariate(1 / 20))
    met: list[str] = [f"{name}/{n}" for n in range(3)]
    stream: Stream = []
    for day in range(int(begin), days):
        busy = rate * (0.1 if is_weekend(day * DAY) else 1.35) * rng.gammavariate(1.2, 1 / 1.2)
        if quiet[0] <= day < quiet[1]:
            continue
        at, left = moment(rng, shift), poisson(rng, busy)
        for _ in range(left):
            stream.append((day * DAY + at % DAY, _recipients(rng, met, new, name)))
            at = at + rng.lognormvariate(6.2, 1.6) if rng.random() < 0.5 else moment(rng, shift)
    stream.sort()
    return stream


def _recipients(rng: Random, met: list[str], new: float, name: str) -> list[str]:
    chosen: dict[str, None] = {}
    size = _size(rng)
    new = max(new, 0.6) if size > 30 else new
    for _ in range(size):
        if rng.random() < new + 1 / (len(met) + 1):
            who = f"{name}/{len(met)}" if rng.random() < 0.8 else f"all/{rng.randrange(400)}"
        else:
            who = rng.choice(met)
        chosen[who] = None
        met.append(who)
    return list(chosen)


def _size(rng: Random) -> int:
    if rng.random() < OCCASION:
        return min(int(rng.lognormvariate(3.6, 0.7)), 200)
    n = rng.random()
    for size, share in SIZES:
        n -= share
        if n < 0:
            return size
    return min(4 + int(rng.paretovariate(1.1)), 58)
