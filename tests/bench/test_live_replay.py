"""The same log and policy give the same incidents and the same decisions, replayed and lived through.

Live is a service on its own policy socket and its own log; only its clock is the test's. What differs in
principle, and nothing else:

- Replay asks about a message when the log says that it was taken, and about its recipients in the order in
  which the log names them. Postfix asks at RCPT, some seconds earlier, in the client's order: what else
  happens in between is known to one of them only.
- A service reads a log some moments after it was written (a poll lasts 50 ms).
- What happens by the clock (a case is closed, a quiet sender is looked at again) happens within a sweep,
  and each of them sweeps from its own beginning on.
- Replay keeps each case by itself; what comes within two days of an incident a service adds to it.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bench.detection.corpus import Corpus, make
from bench.detection.params import Params
from bench.detection.score import seconds
from click.testing import CliRunner

from app.playing import Mail, decisions, played, read
from penstock.app import service
from penstock.app.service import runner
from penstock.cli.baseline import baseline
from penstock.config import parse
from penstock.core import explain
from penstock.engine.case import CALM
from penstock.engine.detector import SWEEP
from penstock.servers.follow import follower
from penstock.study import replay

pytestmark = pytest.mark.timeout(300)
SWEPT = SWEEP + replay.SWEEP_EVERY
"""Seconds by which two that sweep from other beginnings may differ."""

POLICIES = {"enforce": "", "shadow": '[detection]\nmode = "shadow"\n'}


@dataclass(frozen=True)
class Affair:
    """A sender under suspicion: times in seconds since the epoch, the suspicion at its highest."""

    opened: float
    paused: float
    released: float
    suspicion: float
    signals: tuple[str, ...]


Affairs = dict[str, list[Affair]]


@dataclass(frozen=True)
class Replayed:
    """What the command line tells of a log."""

    affairs: Affairs
    decisions: dict[str, dict[str, Any]]


def affairs_of(told: list[dict[str, Any]], findings: str) -> Affairs:
    """Sender → its affairs, the oldest first."""
    found: Affairs = {}
    for one in sorted(told, key=lambda one: str(one["opened_at"])):
        signals = tuple(reason["signal"] for reason in one[findings])
        paused, released = (seconds(one[at]) if one[at] else math.inf for at in ("paused_at", "released_at"))
        affair = Affair(seconds(one["opened_at"]), paused, released, one["suspicion"], signals)
        found.setdefault(one["sender"], []).append(affair)
    return found


@pytest.fixture
def mail(corpus: Corpus) -> Mail:
    """What is asked and logged in the small corpus; it keeps what became of it."""
    return read(corpus.folder / "mail.log", corpus.folder / "requests.txt")


def replayed(folder: Path, mail: Mail, policy: str, seed: str) -> tuple[str, str]:
    """The summary (as JSON, without how long it took) and the decisions, from a process of its own."""
    log, used, written = mail.write(folder / "all.log"), folder / "policy.toml", folder / f"{seed}.jsonl"
    used.write_text(policy)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("penstock")), "replay", "--policy", str(used), "--json",
            "--decisions", str(written), "--timezone", "UTC", str(log),
        ],
        stdout=subprocess.PIPE, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
    )  # fmt: skip
    summary = json.loads(done.stdout)
    del summary["seconds"]
    return json.dumps(summary), written.read_text()


def live(
    folder: Path, mail: Mail, policy: str, patch: pytest.MonkeyPatch, spread: bool = False, lag: float = 0.0
) -> Affairs:
    """What a service tells of the same mail."""
    patch.setattr(follower, "POLL", 0.0)
    patch.setattr(service, "SWEEP", 3600.0)  # the player does the chores, by the clock of the mail
    patch.setattr(service, "PATROL", 3600.0)
    patch.setattr(service, "_calm_garbage_collector", lambda: None)
    suspects: list[dict[str, Any]] = []

    async def story() -> None:
        async with played(folder / "live", mail, policy, spread, lag) as (player, node):
            assert not node.logs[0].faults
            kept = (told for told in player.incidents.values() if not told["into"])
            suspects.extend(suspect for told in kept for suspect in told["suspects"])

    runner()(story())
    return affairs_of(suspects, "findings")


@pytest.mark.parametrize("mode", POLICIES)
def test_a_replay_tells_the_same_each_time(mode: str, mail: Mail, tmp_path: Path) -> None:
    one, other = (replayed(tmp_path, mail, POLICIES[mode], seed) for seed in ("1", "2"))
    assert one == other
    assert len(json.loads(one[0])["incidents"]) > 5


@pytest.mark.parametrize("mode", POLICIES)
def test_live_is_as_replayed(mode: str, mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_live_is_as_replayed(mode, mail, tmp_path, monkeypatch)


@pytest.mark.parametrize(("seed", "mode"), [(1, "shadow"), (2, "enforce"), (6, "enforce")])
def test_so_is_other_mail(
    seed: int, mode: str, small: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make(tmp_path / "corpus", small, seed, "own", True)
    mail = read(other.folder / "mail.log", other.folder / "requests.txt")
    assert_live_is_as_replayed(mode, mail, tmp_path, monkeypatch)


def assert_live_is_as_replayed(
    mode: str, mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked in the same order at the same time, with the log read at once.

    A service lives on after the end of the log: it still delivers what it has put off."""
    summary, written = replayed(tmp_path, mail, POLICIES[mode], "1")
    expected = affairs_of(json.loads(summary)["incidents"], "reasons")
    found = live(tmp_path, mail, POLICIES[mode], monkeypatch)
    assert found.keys() == expected.keys()
    for sender, affairs in found.items():
        assert_alike(affairs, expected[sender], mode == "enforce", mail.last_at)
    (tmp_path / "1.jsonl").write_text(written)
    told = {
        one: (d["decision"], d["recipients"], d["until"])
        for one, d in decisions(tmp_path / "1.jsonl").items()
    }
    assert told == {
        letter.queue_id: (
            letter.verb.partition("_")[0].lower(),
            letter.stopped,
            explain.when(letter.until) if letter.until is not None else None,
        )
        for letter in mail.letters
        if letter.stopped
    }


def assert_alike(found: list[Affair], expected: list[Affair], enforced: bool, end: float) -> None:
    """The same affairs of one sender, those of replay that a service has put together included. ``end``: of
    the log, seconds."""
    left = list(expected)
    for affair in found:
        parts = [part for part in left if affair.opened <= part.opened <= affair.released]
        left = [part for part in left if part not in parts]
        assert parts and parts[0].opened == affair.opened, (affair, expected)
        worst = max(parts, key=lambda part: part.suspicion)
        assert worst.suspicion == pytest.approx(affair.suspicion, abs=0.01)
        assert worst.signals == affair.signals
        if enforced:  # in shadow mode a service tells when it would have paused, a replay does not
            paused = min(part.paused for part in parts)
            assert paused == affair.paused or abs(paused - affair.paused) <= SWEPT
        released = affair.released if affair.released <= end else math.inf
        assert parts[-1].released == released or drift(affair) >= abs(parts[-1].released - released)
    assert not left


def drift(affair: Affair) -> float:
    """Seconds by which the ends may differ: each look at a quiet sender is a sweep late at most."""
    return SWEPT * (1 + (affair.released - affair.opened) / CALM)


def test_a_service_with_a_baseline_is_as_one_that_has_watched_all_the_time(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four weeks by `penstock baseline`, the rest lived through."""
    cut = mail.first_at + 28 * 86400
    early, late = mail.split(cut)
    expected = affairs_of(json.loads(replayed(tmp_path, mail, "", "1")[0])["incidents"], "reasons")
    state = tmp_path / "live" / "state"
    arguments = [str(early.write(tmp_path / "early.log")), "--state", str(state), "--timezone", "UTC"]
    done = CliRunner().invoke(baseline, arguments)
    assert done.exit_code == 0, done.output
    found = live(tmp_path, late, "", monkeypatch)
    after = {key: [one for one in affairs if one.opened >= cut] for key, affairs in expected.items()}
    assert found.keys() == {key for key, affairs in after.items() if affairs}
    for sender, affairs in found.items():
        assert_alike(affairs, after[sender], True, mail.last_at)
    assert sum(affair.paused < math.inf for affairs in found.values() for affair in affairs) > 5


def test_whoever_is_paused_live_is_paused_in_replay(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked as Postfix asks, with a log that comes two seconds late.

    Whoever is clearly guilty to one is paused by both, and at the same time if he is to both: known and new
    recipients of a message are asked about in another order, and who is at the threshold may be paused some
    messages later, within the hour."""
    lag, rules = 2.0, parse("").policy.detection
    clear = rules.pause_at + 1
    summary, _ = replayed(tmp_path, mail, "", "1")
    expected = affairs_of(json.loads(summary)["incidents"], "reasons")
    found = live(tmp_path, mail, "", monkeypatch, True, lag)
    begun = max(letter.at - letter.begun for letter in mail.letters)
    paused = 0
    for sender in found.keys() | expected.keys():
        here, there = found.get(sender, []), expected.get(sender, [])
        for affair, other in [(affair, there) for affair in here] + [(affair, here) for affair in there]:
            if affair.paused < math.inf and affair.suspicion > clear:
                paused += 1
                nearest = min(other, key=lambda one: abs(one.paused - affair.paused), default=None)
                assert nearest is not None and nearest.paused < math.inf, (sender, here, there)
                slack = SWEPT + lag + begun if nearest.suspicion > clear else 3600.0
                assert abs(nearest.paused - affair.paused) <= slack, (sender, here, there)
            elif affair.suspicion > rules.slow_at + 2:
                opened = min((abs(one.opened - affair.opened) for one in other), default=math.inf)
                assert opened <= SWEPT + lag + begun, (sender, here, there)
    assert paused > 4


def test_the_corpus_has_what_makes_live_and_replay_differ(mail: Mail) -> None:
    """Messages come in at the same time, ask for many recipients, and some of these are told of late."""
    assert any(later.begun < earlier.at for earlier, later in pairwise(mail.letters))
    assert any(len(letter.rcpts) > 20 for letter in mail.letters)
    assert any(letter.tail[-1][0] - letter.at > 600 for letter in mail.letters)
