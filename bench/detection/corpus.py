"""One corpus: accounts, attacks and hard cases in one log, with labels beside it.

Files: ``mail.log``; if asked for, ``requests.txt`` (what Postfix asked a policy service about it);
``labels.jsonl`` (each message of an account: queue_id, at, account, family, case, malicious, recipients);
``accounts.jsonl`` (sender, family, business, days, and its mail per day); ``cases.jsonl`` (each attack and
hard case: number, family, malicious, sender, campaign, start, end).
Times in the labels are seconds since the epoch.
"""

from __future__ import annotations

import heapq
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TextIO

from bench.detection.accounts import Makers
from bench.detection.attacks import Attacks
from bench.detection.draw import DAY, HOUR, log_uniform
from bench.detection.honest import HardCases, rotation_times
from bench.detection.mail import Account, Case, Mail
from bench.detection.outcomes import Servers
from bench.detection.params import Params
from bench.detection.postfix_log import EPOCH, PostfixLog, Seen
from bench.detection.requests import Requests
from bench.detection.rules import Comparators, Verdicts
from bench.detection.streams import Streams
from bench.detection.world import Outage, World


@dataclass
class Corpus:
    """What was made. ``verdicts``: of the field's rules, over the same mail."""

    folder: Path
    lines: int
    messages: int
    verdicts: dict[str, Verdicts]


def make(folder: Path, params: Params, seed: int, source: str, requests: bool = False) -> Corpus:
    """Write a corpus into ``folder``; the log is the same with and without ``requests``."""
    world = World(params, seed)
    world.outages = _outages(world)
    makers = Makers(world, Streams(source, params.days), seed)
    cases: list[Case] = []
    mails = makers.ordinary(params)
    mails += HardCases(makers, seed, cases).all()
    mails += Attacks(makers, seed, cases).all()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        log, labels = (files.enter_context((folder / f).open("w")) for f in ("mail.log", "labels.jsonl"))
        asked = files.enter_context((folder / "requests.txt").open("w")) if requests else None
        watcher = _Watcher(labels)
        rotations = rotation_times(params.days, params.rotations)
        written = PostfixLog(log, Servers(world, seed), seed, watcher, rotations)
        written.requests = Requests(asked, EPOCH) if asked is not None else None
        for mail in heapq.merge(*mails, key=lambda mail: mail.at):
            if mail.recipients and mail.at < params.days * DAY:
                written.add(mail)
        written.write_until(float("inf"))
    _write(folder / "cases.jsonl", [_case(case) for case in cases])
    _write(folder / "accounts.jsonl", [_account(account, params.days) for account in makers.accounts])
    return Corpus(folder, written.lines, watcher.messages, watcher.rules.verdicts)


class _Watcher:
    """Writes the labels and lets the rules see what the log tells."""

    def __init__(self, labels: TextIO) -> None:
        self._labels = labels
        self.rules = Comparators()
        self.messages = 0

    def __call__(self, seen: Seen) -> None:
        self.rules.watch(seen)
        if seen.to is None:
            self._label(seen.at, seen.mail, seen.queue_id)

    def _label(self, at: float, mail: Mail, queue_id: str) -> None:
        self.messages += 1
        account, case, n = mail.account, mail.case, len(mail.recipients)
        day = account.days.setdefault(int(at // DAY), [0, 0, 0])
        day[0] += 1
        day[1] += n
        if case is not None:
            case.start, case.end = min(case.start, at), max(case.end, at)
            day[2] += n if case.malicious else 0
        label = {
            "queue_id": queue_id,
            "at": round(EPOCH + at, 6),
            "account": account.key,
            "family": case.family if case is not None else account.family,
            "case": case.number if case is not None else None,
            "malicious": mail.malicious,
            "recipients": n,
        }
        self._labels.write(json.dumps(label) + "\n")


def _outages(world: World) -> list[Outage]:
    """Four in the time after the warm-up: the largest provider bounces, and defers; a smaller one, and a host
    of companies, bounce."""
    rng, p = Random(f"{world.rng.random()}/outages"), world.params
    outages = []
    smaller = world.free(rng).name
    for of, mode in (
        ("gmail.com", "bounce"), ("gmail.com", "defer"), (smaller, "bounce"), ("office365", "bounce")
    ):  # fmt: skip
        start = rng.randrange(p.warm_up, max(p.warm_up + 1, p.days - 6)) * DAY + rng.uniform(6, 16) * HOUR
        hours = log_uniform(rng, p.outage_hours)
        outages.append(Outage(of, start, start + hours * HOUR, mode, rng.uniform(*p.outage_share)))
    return outages


def _case(case: Case) -> dict[str, Any]:
    start = EPOCH + case.start if case.end else None
    return {**vars(case), "start": start, "end": EPOCH + case.end if case.end else None}


def _account(account: Account, days: int) -> dict[str, Any]:
    return {
        "sender": account.key,
        "family": account.family,
        "business": account.business,
        "days": days - int(account.born // DAY),
        "mail": account.days,
    }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
