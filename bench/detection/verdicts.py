"""What an administrator's word is worth, and what it costs: replays of one corpus that differ in it alone.

.venv/bin/python -m bench.detection.verdicts [--source eucore|enron|own] [--seed N]... [--cases N]

In each of them, an hour after each incident of an honest sender, somebody says that it was legitimate. What
that teaches is forgotten at once (``NOTHING``), kept for that sender only (``NARROW``), or kept whole, with
the signals' weights (``ALL``). What the sender did on the day of its incident it does once more, ``AGAIN``
later: with the lesson it must not be paused for that. Attacks, on whoever was judged and on all others, must
leak as little as without any lesson. With ``--false-pauses`` the policy pauses sooner than the default one,
so that there is much to judge.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TextIO

import click
from bench.detection.corpus import make
from bench.detection.draw import DAY, HOUR
from bench.detection.params import Params
from bench.detection.score import Labels, penstock, rows
from bench.detection.streams import SENDING
from rich.console import Console
from rich.table import Table

from penstock.app.parts import blocking_directory
from penstock.config import Settings, parse
from penstock.core.incident import Incident, Verdict
from penstock.core.learning import Learn, Word
from penstock.study.reading import Reading
from penstock.study.replay import Replay
from penstock.study.sources import open_sources
from penstock.study.summary import summary_of
from penstock.wire.maillog.join import Join

RESULTS = Path(__file__).parents[1] / "results"
AFTER = HOUR
"""Seconds after which an incident is judged."""

AGAIN = 10 * DAY
BEFORE = 2 * HOUR
"""Seconds before its incident at which a sender's day begins."""

NOTHING, NARROW, ALL = "nothing", "narrow", "all"
LEARNING = (NOTHING, NARROW, ALL)
QUEUE_ID = re.compile(r"\]: (\w+): ")
WORD = Word(Verdict.LEGITIMATE, Learn.SENDER, "bench")
console = Console() if sys.stdout.isatty() else Console(width=200)


@dataclass(frozen=True)
class Judged:
    """An honest sender of an incident. Times are seconds since the epoch."""

    sender: str
    opened_at: float
    paused_at: float | None
    judged_at: float


@dataclass
class Told:
    """What came of one corpus. ``leaks``: attack → recipients let through; ``paused``: sender → when."""

    judged: list[Judged] = field(default_factory=list)
    leaks: dict[int, int] = field(default_factory=dict)
    paused: dict[str, list[float]] = field(default_factory=dict)


class Office(Replay):
    """A replay with an administrator, who knows whom attackers have taken over, and since when
    (``attacked``). ``learns``: what is kept of the verdicts' lessons."""

    def __init__(
        self, settings: Settings, decisions: TextIO, attacked: dict[str, float], learns: str
    ) -> None:
        super().__init__(settings.policy, blocking_directory(settings), decisions)
        self.judged: list[Judged] = []
        self._attacked, self._learns = attacked, learns

    def _sweep(self, at: float) -> None:
        super()._sweep(at)
        incidents = self._engine.casework.incidents.by_id.values()
        for incident in [i for i in incidents if i.verdict is None and i.opened_at + AFTER <= at]:
            if not incident.into and all(self._is_honest(key, incident) for key in incident.suspects):
                self._judge(incident, at)

    def _is_honest(self, sender: str, incident: Incident) -> bool:
        return incident.seen_at < self._attacked.get(sender, float("inf"))

    def _judge(self, incident: Incident, at: float) -> None:
        verdicts = self._engine.casework.verdicts
        for key, suspect in incident.suspects.items():
            self.judged.append(Judged(key, suspect.opened_at, suspect.paused_at, at))
        _, lesson, _ = verdicts.give(incident.id, WORD, at)
        if self._learns == NOTHING:
            verdicts.forget(incident.id, at, WORD.by)
        elif self._learns == NARROW:
            lesson.steps.clear()
            self._engine.casework.learning.keep(lesson)


def attacked(labels: Labels) -> dict[str, float]:
    """Sender → when its attack began, seconds since the epoch."""
    return {case["sender"]: case["start"] for case in labels.cases if case["malicious"] and case["start"]}


def lived_through(folder: Path, log: str, policy: str, learns: str) -> Told:
    """One replay of a corpus' log."""
    labels = Labels.read(folder)
    written = folder / f"decisions-{log}-{learns}.jsonl"
    with written.open("w") as decisions:
        office = Office(parse(policy), decisions, attacked(labels), learns)
        reading = Reading(open_sources([str(folder / log)]), UTC, None, time.time())
        office.feed(reading.events(Join()))
        office.finish()
    verdicts, _ = penstock(folder, summary_of(reading, office, [], 0.0), written)
    paused: dict[str, list[float]] = {}
    for one in office.incidents:
        if one.paused_at is not None:
            paused.setdefault(one.sender, []).append(one.paused_at)
    return Told(office.judged, dict(verdicts.passed), paused)


# --- the same once more -----------------------------------------------------------------------


def repeated(folder: Path, judged: list[Judged]) -> list[Judged]:
    """Write ``again.log``: the corpus with the days of these incidents once more, each sender's first one.
    Whose are in it."""
    labels = Labels.read(folder)
    taken = attacked(labels)
    end = max(label["at"] for label in rows(folder / "labels.jsonl"))
    first: dict[str, Judged] = {}
    for one in judged:
        again = one.opened_at + AGAIN + DAY
        if again < min(end, taken.get(one.sender, end)) and one.judged_at < one.opened_at + AGAIN - BEFORE:
            first.setdefault(one.sender, one)
    chosen = {
        label["queue_id"]
        for label in rows(folder / "labels.jsonl")
        if not label["malicious"] and _is_of_the_day(first.get(label["account"]), label["at"])
    }
    with (folder / "mail.log").open() as lines, (folder / "again.log").open("w") as out:
        out.writelines(_with_again(lines, _again(folder / "mail.log", chosen)))
    return list(first.values())


def _is_of_the_day(one: Judged | None, at: float) -> bool:
    return one is not None and one.opened_at - BEFORE <= at < one.opened_at - BEFORE + DAY


def _again(log: Path, chosen: set[str]) -> list[str]:
    """The lines of these messages, later and with queue ids of their own, in the order of time."""
    found, seen = [], set[str]()
    with log.open() as lines:
        for line in lines:
            queue_id = QUEUE_ID.search(line)
            if queue_id is None or queue_id[1] not in chosen or line in seen:
                continue
            seen.add(line)
            stamp, _, text = line.partition(" ")
            moved = datetime.fromisoformat(stamp).astimezone(UTC) + timedelta(seconds=AGAIN)
            text = text.replace(f": {queue_id[1]}: ", f": {queue_id[1]}9: ", 1)
            found.append(f"{moved.isoformat(timespec='microseconds')} {text}")
    return sorted(found)


def _with_again(lines: Iterable[str], again: list[str]) -> Iterator[str]:
    place = 0
    for line in lines:
        while place < len(again) and again[place][:26] < line[:26]:
            yield again[place]
            place += 1
        yield line
    yield from again[place:]


# --- figures ----------------------------------------------------------------------------------


@dataclass
class Figures:
    """Of all corpora. By what is learned: senders ``judged``, those of them that had been ``paused``, and of
    the days that came ``again`` those that were paused once more (``repeats``). ``same``, ``others``: attacks
    on senders of whom something was learned before, and on others: [attacks, leak by what is learned …]."""

    again: int = 0
    judged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEARNING, 0))
    paused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEARNING, 0))
    repeats: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEARNING, 0))
    same: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    others: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    families: dict[str, list[int]] = field(default_factory=dict)

    def add(self, labels: Labels, again: list[Judged], told: dict[str, Told]) -> None:
        """One corpus. ``told``: by what is learned."""
        self.again += len(again)
        for learns, found in told.items():
            self.judged[learns] += len(found.judged)
            self.paused[learns] += sum(one.paused_at is not None for one in found.judged)
            self.repeats[learns] += sum(_was_paused_again(one, found) for one in again)
        taught = {one.sender: one.judged_at for one in reversed(told[ALL].judged)}
        for case in labels.cases:
            if case["malicious"] and case["start"] is not None:
                leaks = [told[learns].leaks.get(case["number"], 0) for learns in LEARNING]
                same = taught.get(case["sender"], float("inf")) < case["start"]
                family = self.families.setdefault(case["family"], [0, 0, 0, 0])
                for kind in (self.same if same else self.others, family):
                    kind[:] = [a + b for a, b in zip(kind, (1, *leaks), strict=True)]

    @property
    def pooled(self) -> list[int]:
        """Attacks, and their leak by what is learned."""
        return [a + b for a, b in zip(self.same, self.others, strict=True)]


def _was_paused_again(one: Judged, told: Told) -> bool:
    begin = one.opened_at + AGAIN - BEFORE
    return any(begin <= at < begin + 2 * DAY for at in told.paused.get(one.sender, ()))


def change(before: int, after: int) -> float:
    """By how many per cent a leak is greater."""
    return 100 * (after - before) / max(1, before)


def table(figures: Figures) -> Table:
    """Attacks and their leak."""
    found = Table(title="Recipients leaked, attacks together", title_justify="left")
    for column in ("", "attacks", "nothing learned", "narrow lessons", "%", "all lessons", "%"):
        found.add_column(column, justify="right" if column else "left")
    for name, (attacks, nothing, narrow, everything) in (
        ("on senders judged before", figures.same),
        ("on others", figures.others),
        ("all (bar: 2 %)", figures.pooled),
        *sorted(figures.families.items()),
    ):
        changes = (f"{change(nothing, leak):+.2f}" for leak in (narrow, everything))
        found.add_row(
            name,
            f"{attacks:,}",
            f"{nothing:,}",
            f"{narrow:,}",
            next(changes),
            f"{everything:,}",
            next(changes),
        )
    return found


def show(figures: Figures) -> None:
    """Verdicts, then attacks."""
    found = Table(title="Honest senders judged legitimate", title_justify="left")
    for column in ("learned", "verdicts", "of these paused", "did the same again", "paused for it (bar: 0)"):
        found.add_column(column, justify="left" if column == "learned" else "right")
    for learns in LEARNING:
        counts = (figures.judged[learns], figures.paused[learns], figures.again, figures.repeats[learns])
        found.add_row(learns, *(f"{n:,}" for n in counts))
    console.print(found)
    console.print(table(figures))


def run(folder: Path, params: Params, seed: int, source: str, policy: str, figures: Figures) -> None:
    """One corpus: find out whom there is to judge, repeat their days, replay with and without lessons."""
    begun = time.perf_counter()
    make(folder, params, seed, source)
    scouted = lived_through(folder, "mail.log", policy, NOTHING)
    again = repeated(folder, scouted.judged)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        tasks = {
            learns: pool.submit(lived_through, folder, "again.log", policy, learns) for learns in LEARNING
        }
        told = {learns: task.result() for learns, task in tasks.items()}
    figures.add(Labels.read(folder), again, told)
    console.print(f"{source}, seed {seed}: {time.perf_counter() - begun:.0f} s")


@click.command()
@click.option("--source", type=click.Choice(("eucore", "enron", "own")), help="Default: eucore if there.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(1,), show_default=True)
@click.option("--accounts", type=click.IntRange(1), help="Ordinary accounts.")
@click.option("--cases", type=click.IntRange(1), help="Attacks, and hard cases, of each family.")
@click.option("--false-pauses", type=float, default=0.1, show_default=True,
              help="Of the policy, per 10,000 account-days.")  # fmt: skip
@click.option("--name", default="verdicts", show_default=True, help="Of the results' file.")
def main(
    source: str | None, seeds: tuple[int, ...], accounts: int | None, cases: int | None,
    false_pauses: float, name: str,
) -> None:  # fmt: skip
    """What verdicts of legitimate prevent, and what they cost."""
    source = source or ("eucore" if (SENDING / "eucore.tsv.gz").exists() else "own")
    p, figures = Params(), Figures()
    params = replace(p, accounts=accounts or p.accounts, cases=cases or p.cases)
    policy = f"[detection]\nfalse_pauses = {false_pauses}\n"
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="verdicts-")))
        for seed in seeds:
            run(base / f"{source}-{seed}", params, seed, source, policy, figures)
    show(figures)
    RESULTS.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"source": source, "seeds": seeds, "false_pauses": false_pauses}
    (RESULTS / f"{name}.json").write_text(json.dumps(results | asdict(figures), indent=1) + "\n")
    console.print(f"written: {os.path.relpath(RESULTS / name)}.json")


if __name__ == "__main__":
    main()
