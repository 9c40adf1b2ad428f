"""A corpus once more: honest senders do again what they were judged for, then they are robbed.

All of it is done with the log's lines, so that outcomes come again as well: a provider that failed fails
again. Each sender of an incident gets, after the day of it,

    ``EXACT`` later    the same lines;
    ``VARIED`` later   another issue of it: who was new then is in part, or altogether, somebody else, alive
                       or dead as the one before; up to half as many messages more; an hour earlier or
                       later; now and then from another network of its own (a traveller is elsewhere);
    at the end         an attack that the corpus has made on somebody else, on this account, with another list
                       and from other networks, unless it came from the owner's own machine.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import merge
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, Final

from bench.detection.draw import DAY, HOUR
from bench.detection.score import Labels, rows

EXACT: Final = 7 * DAY
VARIED: Final = 14 * DAY + 2 * HOUR
"""Seconds after the day of the incident."""

QUIET: Final = 3 * DAY
"""Seconds from the corpus' end to the attacks: all that was honest is judged by then."""

SPREAD: Final = 5
"""Days over which they begin."""

BEFORE: Final = 2 * HOUR
"""Seconds before its incident at which a sender's day begins."""

ELSEWHERE: Final = "travel, VPN, mobile"
SHARES: Final = (0.1, 0.3, 1.0)
"""Of the recipients that were new: so many are others."""

MORE: Final = 0.5
"""Of its messages: up to so many more."""

AT_HOME: Final = 3
"""Days on which a sender has used a network of its own."""

FIRST: Final = 100_000
"""The number of the first of these attacks."""

NOT_STOLEN: Final = frozenset({"snowshoe", "adversarial"})
"""Attacks that are no one account's, or that begin long before they can be told."""

_QUEUE_ID: Final = re.compile(r"\]: (\w+): ")
_CLIENT: Final = re.compile(r"client=\S+\[([0-9a-f.:]+)\], .*sasl_username=(\S+)")
_TO: Final = re.compile(r" to=<([^>]+)>")

Line = tuple[float, str]
"""Seconds since the epoch, and what follows the stamp."""


@dataclass(frozen=True)
class Judged:
    """An honest sender of an incident. Times are seconds since the epoch."""

    sender: str
    opened_at: float
    paused_at: float | None
    judged_at: float

    @property
    def begun(self) -> float:
        """When its day began."""
        return self.opened_at - BEFORE


@dataclass
class Past:
    """What a corpus' log tells of some messages: ``lines`` by queue id; the ``homes`` of a login: network →
    an address of it, the days on which it was used; ``known``: whom a sender wrote to before its day."""

    lines: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    homes: dict[str, dict[str, tuple[str, set[str]]]] = field(default_factory=lambda: defaultdict(dict))
    known: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def own(self, sender: str) -> list[str]:
        """An address of each network of its own, the most used one first."""
        used = sorted(self.homes[sender].values(), key=lambda home: -len(home[1]))
        return [address for address, days in used if len(days) >= AT_HOME]

    def other_home(self, sender: str, but: str) -> str:
        """Another network of its own, else the same one."""
        return next((address for address in self.own(sender) if _wide(address) != _wide(but)), but)


def seconds_of(line: str) -> Line:
    """A line's time and its rest."""
    stamp, _, rest = line.partition(" ")
    return datetime.fromisoformat(stamp).astimezone(UTC).timestamp(), rest


def written(at: float, rest: str) -> str:
    """A line of that time."""
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='microseconds')} {rest}"


def past_of(log: Path, chosen: set[str], senders: set[str], before: dict[str, str]) -> Past:
    """Read a log. ``before``: messages before their sender's day → whose. A line that is there twice (a
    rotation) is taken once."""
    past = Past()
    last: dict[str, str] = {}
    with log.open() as lines:
        for line in lines:
            found = _QUEUE_ID.search(line)
            if found is None:
                continue
            queue_id = found[1]
            client = _CLIENT.search(line)
            if client is not None and (sender := f"login:{client[2]}") in senders:
                past.homes[sender].setdefault(_wide(client[1]), (client[1], set()))[1].add(line[:10])
            if queue_id in before and (to := _TO.search(line)) is not None:
                past.known[before[queue_id]].add(to[1])
            if queue_id in chosen and last.get(queue_id) != line:
                last[queue_id] = line
                past.lines[queue_id].append(seconds_of(line))
    return past


def _wide(address: str) -> str:
    return ":".join(address.split(":")[:2]) if ":" in address else ".".join(address.split(".")[:2])


# --- one message once more ------------------------------------------------------------------


def moved(lines: Iterable[Line], queue_id: str, mark: str, by: float, change: dict[str, str]) -> list[Line]:
    """A message's lines so much later, under another queue id, with other words in them."""
    found = []
    for at, rest in lines:
        for old, new in (change | {f": {queue_id}: ": f": {queue_id}{mark}: "}).items():
            rest = rest.replace(old, new)
        found.append((at + by, rest))
    return found


def others(
    lines: Iterable[Line], known: Container[str], share: float, tag: str, rng: Random
) -> dict[str, str]:
    """Somebody else for so many of the recipients that are not known."""
    found = {to[1] for _, rest in lines if (to := _TO.search(rest)) is not None}
    return {
        f"<{to}>": f"<{to.replace('@', f'.{tag}@', 1)}>"
        for to in sorted(found)
        if to not in known and rng.random() < share
    }


def varied(past: Past, one: Judged, family: str, ids: list[str], seed: int) -> Iterator[Line]:
    """Another day like that one."""
    rng = Random(f"{seed}/{one.sender}/varied")
    share, more, by = rng.choice(SHARES), rng.uniform(0, MORE), VARIED + rng.uniform(-1, 1) * HOUR
    home, known = rng.random() < 0.5, past.known[one.sender]
    for queue_id in ids:
        lines = past.lines[queue_id]
        place = _place(past, one.sender, lines, family == ELSEWHERE, home)
        yield from moved(lines, queue_id, "8", by, place | others(lines, known, share, "v", rng))
        if rng.random() < more:
            later = by + rng.uniform(1, 20)
            yield from moved(lines, queue_id, "7", later, place | others(lines, known, 1.0, "w", rng))


def _place(past: Past, sender: str, lines: list[Line], travels: bool, other_home: bool) -> dict[str, str]:
    """The client's address: another one, or none to change."""
    client = _CLIENT.search(lines[0][1])
    if client is None:
        return {}
    if travels:
        return {client[1]: elsewhere(client[1], 64)}
    return {client[1]: past.other_home(sender, client[1])} if other_home else {}


def elsewhere(address: str, by: int) -> str:
    """The like of it in another network."""
    parts = address.split(":" if ":" in address else ".")
    if ":" in address:
        parts[1] = f"{(int(parts[1] or '0', 16) + by) % 65536:x}"
        return ":".join(parts)
    parts[1] = str((int(parts[1]) + by) % 256)
    return ".".join(parts)


# --- a whole corpus -------------------------------------------------------------------------


@dataclass(frozen=True)
class Attack:
    """One that the corpus has: its messages, to be made on somebody else."""

    family: str
    sender: str
    start: float
    end: float
    messages: tuple[tuple[str, int], ...]  # queue id, recipients


def attacks_of(labels: Labels, folder: Path) -> list[Attack]:
    """In the order of their numbers."""
    messages: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for label in rows(folder / "labels.jsonl"):
        if label["malicious"]:
            messages[label["case"]].append((label["queue_id"], label["recipients"]))
    return [
        Attack(case["family"], case["sender"], case["start"], case["end"], tuple(messages[case["number"]]))
        for case in labels.cases
        if case["malicious"] and case["start"] is not None
        if case["family"] not in NOT_STOLEN
    ]


def is_at_home(past: Past, attack: Attack) -> bool:
    """Whether it comes from the owner's own machine."""
    homes = {_wide(address) for address in past.own(attack.sender)}
    clients = (_CLIENT.search(past.lines[queue_id][0][1]) for queue_id, _ in attack.messages)
    return any(client is None or _wide(client[1]) in homes for client in clients)


def stolen(past: Past, sender: str, attack: Attack, number: int, by: float) -> Iterator[Line]:
    """That attack, on this account."""
    (kind, _, old), (_, _, new) = attack.sender.partition(":"), sender.partition(":")
    mine = {old: new, f"@{old.rpartition('@')[2]}>": f"@{new.rpartition('@')[2]}>"}
    if kind == "uid":
        mine = {f"uid={old} ": f"uid={new} "}
    homes, own = {_wide(address) for address in past.own(attack.sender)}, past.own(sender)
    rng = Random(0)
    for queue_id, _ in attack.messages:
        lines, change = past.lines[queue_id], dict(mine)
        if (client := _CLIENT.search(lines[0][1])) is not None:
            at_home = own and _wide(client[1]) in homes
            change[client[1]] = own[0] if at_home else elsewhere(client[1], 7 * number)
        change |= others(lines, (), 1.0, f"t{number}", rng)
        yield from moved(lines, queue_id, _mark(number), by, change)


def _mark(number: int) -> str:
    return f"6{number}"


def once_more(folder: Path, judged: list[Judged], into: Path, seed: int) -> tuple[list[Judged], float]:
    """Write a corpus into ``into``; (whose days are in it again, when the attacks on them begin)."""
    labels = Labels.read(folder)
    end = DAY * round(max(label["at"] for label in rows(folder / "labels.jsonl")) / DAY)
    chosen = chosen_of(labels, judged, end - VARIED - 2 * DAY)
    days, before = days_of(folder, chosen)
    attacks = attacks_of(labels, folder)
    wanted = {queue_id for ids in days.values() for queue_id in ids}
    wanted.update(queue_id for attack in attacks for queue_id, _ in attack.messages)
    past = past_of(folder / "mail.log", wanted, {*chosen, *(attack.sender for attack in attacks)}, before)
    families = {account["sender"]: account["family"] for account in labels.accounts}
    added: list[Line] = []
    into.mkdir(parents=True, exist_ok=True)
    for name in ("labels.jsonl", "cases.jsonl", "accounts.jsonl"):
        shutil.copyfile(folder / name, into / name)
    for sender, one in chosen.items():
        for queue_id in days[sender]:
            added += moved(past.lines[queue_id], queue_id, "9", EXACT, {})
        added += varied(past, one, families[sender], days[sender], seed)
    _steal(past, chosen, attacks, end + QUIET, into, added)
    with (folder / "mail.log").open() as lines, (into / "mail.log").open("w") as out:
        new = (written(at, rest) for at, rest in sorted(added))
        out.writelines(merge(lines, new, key=lambda line: line[:26]))
    return list(chosen.values()), end + QUIET


def _steal(
    past: Past, senders: Iterable[str], attacks: list[Attack], begin: float, into: Path, added: list[Line]
) -> None:
    """An attack on each sender, one family after the other, and their labels."""
    kinds = {
        kind: cycle([attack for attack in attacks if attack.sender.startswith(kind)])
        for kind in ("login:", "uid:")
    }
    with (into / "labels.jsonl").open("a") as told, (into / "cases.jsonl").open("a") as cases:
        for number, sender in enumerate(senders, FIRST):
            attack = next(kinds[f"{sender.partition(':')[0]}:"])
            by = begin + number % SPREAD * DAY - attack.start // DAY * DAY
            added += stolen(past, sender, attack, number, by)
            case: dict[str, Any] = {"number": number, "family": attack.family, "malicious": True}
            case |= {"sender": sender, "start": attack.start + by, "end": attack.end + by}
            case["at_home"] = is_at_home(past, attack)
            cases.write(json.dumps(case) + "\n")
            for queue_id, n in attack.messages:
                at = past.lines[queue_id][0][0] + by
                label = {"queue_id": queue_id + _mark(number), "at": at, "account": sender}
                label |= {"family": attack.family, "case": number, "malicious": True, "recipients": n}
                told.write(json.dumps(label) + "\n")


def chosen_of(labels: Labels, judged: list[Judged], until: float) -> dict[str, Judged]:
    """Sender → its incident before ``until``: the first of its hard case, else the first. Nobody whom the
    corpus has robbed."""
    cases = {case["sender"]: case for case in labels.cases}
    found: dict[str, Judged] = {}
    for one in judged:
        case = cases.get(one.sender)
        if one.opened_at >= until or (case is not None and case["malicious"]):
            continue
        old = found.get(one.sender)
        if old is None or (case is not None and not _within(case, old) and _within(case, one)):
            found[one.sender] = one
    return found


def _within(case: dict[str, Any], one: Judged) -> bool:
    return case["start"] is not None and case["start"] - HOUR <= one.opened_at <= case["end"] + 2 * DAY


def days_of(folder: Path, chosen: dict[str, Judged]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """(Sender → the messages of its day, message before that day → sender)."""
    found: dict[str, list[str]] = {sender: [] for sender in chosen}
    before: dict[str, str] = {}
    for label in rows(folder / "labels.jsonl"):
        one = chosen.get(label["account"])
        if one is not None and label["at"] < one.begun:
            before[label["queue_id"]] = one.sender
        elif one is not None and label["at"] < one.begun + DAY:
            found[one.sender].append(label["queue_id"])
    return found, before
