"""Figures of one or more corpora: leak, false pauses, delay. From the labels and from what replay wrote.

Leak: recipients of an attack's messages that were let through, at once or later, before its sender was
stopped (all of them when it never was). A sender that was stopped before its attack began is a false pause
and no success: that attack counts nowhere else.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.detection.draw import DAY
from bench.detection.postfix_log import EPOCH
from bench.detection.rules import Verdicts

AFTERWARDS = 2 * DAY
"""Seconds after a hard case's last message in which a pause is still about it: outcomes come late."""
Rows = list[dict[str, Any]]


@dataclass
class Delays:
    """Honest recipients that were slowed (let go later) or refused, and by how long in minutes."""

    recipients: int = 0
    refused: int = 0
    minutes: list[float] = field(default_factory=list)
    of: dict[str, list[float]] = field(default_factory=dict)  # the same by family

    def slow(self, family: str, n: int, minutes: float) -> None:
        """``n`` recipients waited so long."""
        self.minutes += [minutes] * n
        self.of.setdefault(family, []).extend([minutes] * n)

    def add(self, other: Delays) -> None:
        """Another corpus."""
        self.recipients += other.recipients
        self.refused += other.refused
        self.minutes += other.minutes
        for family, minutes in other.of.items():
            self.of.setdefault(family, []).extend(minutes)

    def as_json(self) -> dict[str, Any]:
        """Shares in per cent."""
        n = max(self.recipients, 1)
        return {
            "slowed_percent": 100 * len(self.minutes) / n,
            "refused_percent": 100 * self.refused / n,
            "median_minutes": quantile(self.minutes, 0.5),
            "p95_minutes": quantile(self.minutes, 0.95),
            "median_minutes_of": {family: quantile(m, 0.5) for family, m in sorted(self.of.items())},
        }


@dataclass
class Labels:
    """The truth about one corpus."""

    cases: Rows
    accounts: Rows

    @classmethod
    def read(cls, folder: Path) -> Labels:
        return cls(list(rows(folder / "cases.jsonl")), list(rows(folder / "accounts.jsonl")))


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    with path.open() as lines:
        yield from map(json.loads, lines)


def seconds(stamp: str) -> float:
    """RFC 3339 → seconds since the epoch."""
    return datetime.fromisoformat(stamp).timestamp()


# --- what Penstock did


def penstock(folder: Path, summary: dict[str, Any], written: Path) -> tuple[Verdicts, Delays]:
    """Verdicts and delays from replay's summary and the decisions that it has ``written``."""
    verdicts, delays = Verdicts("Penstock"), Delays()
    pauses: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for incident in summary["incidents"]:
        if incident["paused_at"] is None:
            continue
        at = seconds(incident["paused_at"])
        until = seconds(incident["released_at"]) if incident["released_at"] else float("inf")
        for sender in incident.get("senders") or [incident["sender"]]:
            pauses[sender].append((at, until))
            verdicts.stopped[sender] = min(at - EPOCH, verdicts.stopped.get(sender, float("inf")))
    decisions = _decisions(written)
    for label in rows(folder / "labels.jsonl"):
        held, let_go = decisions.get(label["queue_id"], (0, None))
        later = let_go is not None and not _paused(pauses[label["account"]], label["at"], let_go)
        if label["malicious"]:
            through = label["recipients"] - (0 if later else min(held, label["recipients"]))
            verdicts.passed[label["case"]] = verdicts.passed.get(label["case"], 0) + through
            continue
        delays.recipients += label["recipients"]
        if later and let_go is not None:
            delays.slow(label["family"], held, (let_go - label["at"]) / 60)
        else:
            delays.refused += held
    return verdicts, delays


def _decisions(path: Path) -> dict[str, tuple[int, float | None]]:
    """Queue id → recipients that did not pass at once, and when they were let go (None: never)."""
    found: dict[str, tuple[int, float | None]] = {}
    for one in rows(path):
        found[one["queue_id"]] = (one["recipients"], seconds(one["until"]) if one["until"] else None)
    return found


def _paused(pauses: list[tuple[float, float]], at: float, until: float) -> bool:
    """Whether a pause met a message that waited from ``at`` to ``until``."""
    return any(start <= until and end > at for start, end in pauses)


# --- figures


def quantile(values: list[float], q: float) -> float | None:
    """The nearest rank above; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


@dataclass
class Family:
    """One attack family over all corpora. ``early``: stopped before the attack began."""

    leaks: list[float] = field(default_factory=list)
    stopped: int = 0
    early: int = 0
    hours: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        n = len(self.leaks)
        return {
            "attacks": n,
            "median": median(self.leaks) if n else None,
            "p95": quantile(self.leaks, 0.95),
            "stopped_percent": 100 * self.stopped / n if n else None,
            "early": self.early,
            "delay_hours": median(self.hours) if self.hours else None,
        }


class Score:
    """One way of judging, over one or more corpora."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.families: dict[str, Family] = defaultdict(Family)
        self.hard: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # family → cases, paused
        self.false = {"all": 0, "ordinary": 0, "business": 0}
        self.in_warm_up = 0
        self.days = {"all": 0, "ordinary": 0, "business": 0}
        self.delays = Delays()

    def add(self, labels: Labels, verdicts: Verdicts, warm_up: int, delays: Delays | None = None) -> None:
        """Count one corpus. ``warm_up``: days."""
        attacked = {}
        for case in labels.cases:
            if case["start"] is None:
                continue
            if case["malicious"]:
                attacked[case["sender"]] = case["start"] - EPOCH
                self._attack(case, verdicts)
            else:
                self._hard_case(case, verdicts)
        in_cases = {case["sender"] for case in labels.cases}
        for account in labels.accounts:
            self._account(account, verdicts, in_cases, attacked.get(account["sender"]), warm_up)
        if delays is not None:
            self.delays.add(delays)

    def _attack(self, case: dict[str, Any], verdicts: Verdicts) -> None:
        family = self.families[case["family"]]
        start = case["start"] - EPOCH
        at = verdicts.stopped.get(case["sender"])
        if at is not None and at < start - 1:
            family.early += 1
            return
        family.leaks.append(verdicts.passed.get(case["number"], 0))
        if at is not None and at <= case["end"] - EPOCH + AFTERWARDS:
            family.stopped += 1
            family.hours.append((at - start) / 3600)

    def _hard_case(self, case: dict[str, Any], verdicts: Verdicts) -> None:
        counts = self.hard[case["family"]]
        counts[0] += 1
        at = verdicts.stopped.get(case["sender"])
        counts[1] += at is not None and at <= case["end"] - EPOCH + AFTERWARDS

    def _account(
        self,
        account: dict[str, Any],
        verdicts: Verdicts,
        in_cases: set[str],
        attacked: float | None,
        warm_up: int,
    ) -> None:
        """Its honest days, and whether it was paused in them."""
        days = account["days"] if attacked is None else max(0, int(attacked / DAY))
        at = verdicts.stopped.get(account["sender"])
        paused = at is not None and (attacked is None or at < attacked - 1)
        kinds = ["all"]
        if account["sender"] not in in_cases:
            kinds.append("business" if account["business"] else "ordinary")
        for kind in kinds:
            self.days[kind] += days
            self.false[kind] += paused
        self.in_warm_up += paused and at is not None and at < warm_up * DAY and len(kinds) == 2

    def per_10k(self, kind: str) -> float:
        """False pauses for each 10,000 account-days; ``kind``: all, ordinary+business, business."""
        kinds = ("ordinary", "business") if kind == "real" else (kind,)
        return 1e4 * sum(self.false[k] for k in kinds) / max(1, sum(self.days[k] for k in kinds))

    def hard_percent(self) -> float:
        """Honest hard cases that were paused."""
        cases = sum(n for n, _ in self.hard.values())
        return 100 * sum(paused for _, paused in self.hard.values()) / max(cases, 1)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "name": self.name,
            "families": {name: family.as_json() for name, family in sorted(self.families.items())},
            "false_pauses_per_10k": {k: self.per_10k(k) for k in ("real", "business", "all")},
            "account_days": self.days,
            "false_pauses": self.false,
            "of_these_in_warm_up": self.in_warm_up,
            "hard_percent": self.hard_percent(),
            "hard": {name: {"cases": n, "paused": p} for name, (n, p) in sorted(self.hard.items())},
            "delays": self.delays.as_json(),
        }
