"""What survives: kill -9 under load, SIGTERM, a full disk, a folder that is none, damaged files."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from e2e.conftest import StartPenstock
from penstock.cli.common import ask
from penstock.stores import countfile
from rig.base import Folder, answers, free_port, wait_until
from rig.penstock import Penstock

ROOMY = (
    '[profiles.personal]\nrecipients = ["1000000/h"]\nmessages = []\nbytes = []\npause = []\nnewcomer = []\n'
)
ALICE = "login:alice@example.com"
WINDOW = 0.05
"""Seconds of traffic that a kill -9 may cost."""

SMALL_SEGMENTS = """
import penstock.stores.counts as counts
counts.SEGMENT_BYTES = 30_000
from penstock.cli import main
main()
"""


class SmallSegments(Penstock):
    """Penstock whose log of counts turns over several times a second."""

    def launch(self, command: Any, env: dict[str, str] | None = None) -> None:
        super().launch([sys.executable, "-c", SMALL_SEGMENTS, *command[3:]], env)


def hour(penstock: Penstock, sender: str) -> int:
    """Recipients charged to a sender in the last hour; 0 for one never seen."""
    try:
        found: int = ask(penstock.state, "show", sender=sender)["counts"]["recipients"]["hour"]
    except click.ClickException as error:
        assert "has never been seen" in error.message
        return 0
    return found


def pause(penstock: Penstock, sender: str, to: str = "paused") -> dict[str, Any]:
    """Change a standing as the command line does."""
    found: dict[str, Any] = ask(penstock.state, "standing", sender=sender, to=to, reason="test")
    return found


class Asking(threading.Thread):
    """One smtpd: asks for one recipient after the other until it is told to stop or hung up on."""

    messages = itertools.count(1)

    def __init__(self, penstock: Penstock, senders: list[str]) -> None:
        super().__init__()
        self.client = penstock.client()
        self.senders = senders
        self.asked: Counter[str] = Counter()
        self.answered: list[tuple[float, str]] = []
        self.stopping = False
        self.start()

    def run(self) -> None:
        """Ask."""
        begun = int(time.time())
        with contextlib.suppress(OSError), self.client:
            for n in itertools.count():
                if self.stopping:
                    break
                login = self.senders[n % len(self.senders)]
                self.asked[login] += 1
                answer = self.client.ask(
                    sasl_username=login,
                    instance=f"{next(self.messages):x}.{begun:x}.1.0",
                    recipient=f"r{n}@example.net",
                )
                assert answer == "DUNNO"
                self.answered.append((time.monotonic(), login))

    def before(self, at: float) -> Counter[str]:
        """Answers that had been given by then."""
        return Counter(login for when, login in self.answered if when <= at)


def stall(loads: list[Asking], killed: float) -> float:
    """The longest that one of them waited for an answer before the kill: the machine was busy with other
    things, and whoever writes down waits as long for his turn."""
    times = [[when for when, _ in load.answered if when > killed - 1] for load in loads]
    return max((b - a for each in times for a, b in itertools.pairwise(each)), default=0)


class Pausing(threading.Thread):
    """An administrator who pauses and resumes; what was said to be durable must be so."""

    def __init__(self, penstock: Penstock, dice: random.Random, standing: dict[str, str]) -> None:
        super().__init__()
        self.penstock, self.dice = penstock, dice
        self.standing = standing
        self.under_way: tuple[str, str] | None = None
        self.start()

    def run(self) -> None:
        """Pause and resume."""
        with contextlib.suppress(click.ClickException, ValueError):
            while True:
                sender = self.dice.choice(list(self.standing))
                to = "open" if self.standing[sender] == "paused" else "paused"
                self.under_way = sender, to
                assert pause(self.penstock, sender, to)["durable"]
                self.standing[sender] = to
                self.under_way = None
                time.sleep(self.dice.uniform(0, 0.01))


def test_kill_9_at_any_moment_loses_no_pause_and_no_more_than_50_ms_of_counts() -> None:
    dice = random.Random(20)
    logins = [f"u{i}@example.com" for i in range(12)]
    standing = {f"login:p{i}@example.com": "open" for i in range(4)}
    known: Counter[str] = Counter()
    with SmallSegments(ROOMY) as penstock:
        for _ in range(10):
            loads = [Asking(penstock, logins[i::3]) for i in range(3)]
            admin = Pausing(penstock, dice, standing)
            time.sleep(dice.uniform(0.02, 0.6))
            assert penstock.process is not None
            killed = time.monotonic()
            os.kill(penstock.process.pid, signal.SIGKILL)
            penstock.kill()
            for thread in (*loads, admin):
                thread.join(10)
            penstock.start()
            window = WINDOW + stall(loads, killed)
            for load in loads:
                sure = load.before(killed - window)
                for login in load.senders:
                    found = hour(penstock, f"login:{login}") - known[login]
                    assert sure[login] <= found <= load.asked[login]
                    known[login] += found
            for sender, state in standing.items():
                now = ask(penstock.state, "show", sender=sender) if state != "open" else None
                if admin.under_way is None or admin.under_way[0] != sender:
                    assert state == "open" or (now and now["standing"]["state"] == state)
            if admin.under_way is not None:
                sender = admin.under_way[0]
                paused = [row["sender"] for row in ask(penstock.state, "senders", state="paused")["senders"]]
                standing[sender] = "paused" if sender in paused else "open"
            with penstock.client() as client:
                for i, (sender, state) in enumerate(standing.items()):
                    answer = client.ask(sasl_username=sender.removeprefix("login:"), instance=f"{i:x}.1.2.3")
                    assert answer.startswith("DEFER") == (state == "paused")
        assert sum(known.values()) > 1000
        segments = penstock.state.glob
        wait_until(lambda: len(list(segments("counts-*.log"))) <= 3, what="the segments to be compacted")
        assert list(segments("snapshot-*.bin"))
        assert sum(hour(penstock, f"login:{login}") for login in logins) == known.total()
        log = penstock.log()
    assert "Traceback" not in log and "[error" not in log and "could not be read" not in log


def test_a_compactor_dies_with_its_service(tmp_path: Path) -> None:
    """Left alone it would take segments away under the next service, which is just reading them."""
    fifo = tmp_path / "counts-00000001.log"
    os.mkfifo(fifo)  # so that the compactor waits
    service = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-m', 'penstock.stores.compact', sys.argv[1], '1', str(os.getpid())]\n"
        "child = subprocess.Popen(command); print(child.pid, flush=True); child.wait()"
    )
    command = [sys.executable, "-c", service, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        compactor = int(process.stdout.readline())

        def gone() -> bool:
            status = Path(f"/proc/{compactor}/stat")
            with contextlib.suppress(OSError):
                return status.read_text().rpartition(")")[2].split()[0] in "ZX"
            return True

        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, compactor) == 10, what="the compactor to begin")
        assert not gone()
        process.kill()
        process.wait()
        wait_until(gone, what="the compactor to end")


def test_sigterm_under_load_loses_nothing() -> None:
    with SmallSegments(ROOMY) as penstock:
        loads = [Asking(penstock, [f"u{i}@example.com"]) for i in range(3)]
        wait_until(lambda: min(len(load.answered) for load in loads) > 300, what="some traffic")
        half = penstock.client()
        half.send(b"request=smtpd_access_policy\n")
        with half, socket.socket(socket.AF_UNIX) as hung:
            hung.connect(str(penstock.state / "control.sock"))
            hung.send(b'{"command": "stat')
            start = time.monotonic()
            assert penstock.terminate() == 0
            assert time.monotonic() - start < 3
        for load in loads:
            load.join(10)
        penstock.start()
        for load in loads:
            login = load.senders[0]
            assert len(load.answered) <= hour(penstock, f"login:{login}") <= load.asked[login]
        log = penstock.log()
    assert "Traceback" not in log and "[error" not in log and "[warning" not in log


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """Standard error on a full disk: every line fails, and mail goes on."""

    class Mute(Penstock):
        def launch(self, command: Any, env: dict[str, str] | None = None) -> None:
            script = 'exec "$@" 2>/dev/full'
            super().launch(["sh", "-c", script, "sh", *command], env)

    with Mute(ROOMY) as penstock:
        for i in range(5):
            with penstock.client() as client:
                assert client.ask(recipient=f"{i}@x.org") == "DUNNO"
                client.send(b"rubbish\n\n")
                with pytest.raises(ConnectionError):
                    client.answer()
        penstock.configure("rubbish")
        penstock.hang_up()
        assert pause(penstock, ALICE)["durable"]
        penstock.configure(ROOMY)
        penstock.restart()
        assert hour(penstock, ALICE) == 5
        with penstock.client() as client:
            assert client.ask(instance="9.9.9.9").startswith("DEFER")
        assert penstock.terminate() == 0


# --- disks --------------------------------------------------------------------------------------


def health(port: int) -> tuple[int, dict[str, Any]]:
    """/healthz: status and what it says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = Folder("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder.path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        folder.remove()
        pytest.skip("a small file system can be mounted by root only")
    yield folder.path
    subprocess.run(["umount", "--lazy", str(folder.path)], check=True)
    folder.remove()


def fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


def test_a_full_disk_degrades_loudly_and_recovers(small_disk: Path, start_penstock: StartPenstock) -> None:
    port = free_port()
    penstock = Penstock(ROOMY, f"--listen=http=127.0.0.1:{port}")
    penstock.state = small_disk / "state"
    with penstock:
        wait_until(lambda: answers(port), what="the HTTP listener")
        assert health(port) == (200, {"status": "ok", "problems": []})
        load = Asking(penstock, [f"u{i}@example.com" for i in range(5)])
        wait_until(lambda: len(load.answered) > 100, what="some traffic")
        fill(small_disk / "filling")
        wait_until(lambda: health(port)[0] == 503, what="the alarm")
        assert "counts are not written since" in health(port)[1]["problems"][0]
        told = penstock.run("pause", ALICE, "--reason", "x", "--state", str(penstock.state))
        assert told.returncode == 0 and f"{ALICE} is paused" in told.stdout
        assert "WARNING: the change is in force but could not be written" in told.stderr
        assert pause(penstock, "login:bob@example.com")["durable"] is False
        assert len(health(port)[1]["problems"]) == 2
        with penstock.client() as client:
            for login in ("alice", "bob"):
                answer = client.ask(sasl_username=f"{login}@example.com", instance=f"{login[:1]}.1.1.1")
                assert answer.startswith("DEFER")
        assert (
            "PROBLEM: counts are not written" in penstock.run("status", "--state", str(penstock.state)).stdout
        )
        shown = penstock.cli("show", ALICE)
        assert shown["standing"]["state"] == "paused"
        at_full = len(load.answered)
        wait_until(lambda: len(load.answered) > at_full + 100, what="answers on a full disk")
        log = penstock.log()
        assert log.count("counts cannot be written") == 1
        assert log.count("records cannot be written") == 1
        (small_disk / "filling").unlink()
        wait_until(lambda: health(port)[0] == 200, what="the end of the alarm")
        load.stopping = True
        load.join(10)
        time.sleep(WINDOW)
        penstock.kill()
        penstock.start()
        found = {login: hour(penstock, f"login:{login}") for login in load.senders}
        assert found == load.asked
        with penstock.client() as client:
            for login in ("alice", "bob"):
                answer = client.ask(sasl_username=f"{login}@example.com", instance=f"{login[:1]}.1.1.1")
                assert answer.startswith("DEFER")
        log = penstock.log()
        assert log.count("are written again") == 2 and "Traceback" not in log


@pytest.mark.parametrize("what", ["a file", "below a file", "full", "no lock"])
def test_a_folder_that_cannot_be_used_is_no_reason_not_to_serve(what: str, request: Any) -> None:
    port, folder = free_port(), Folder("state")
    request.addfinalizer(folder.remove)
    state = folder.path / "state"
    if what == "a file":
        state.write_text("precious")
    elif what == "below a file":
        (folder.path / "file").write_text("precious")
        state = folder.path / "file" / "state"
    elif what == "no lock":
        (state / "lock").mkdir(parents=True)
        (state / "control.sock").mkdir()
    else:
        state = request.getfixturevalue("small_disk")
        fill(state / "filling")
    penstock = Penstock(None, f"--listen=http=127.0.0.1:{port}")
    penstock.state = state
    with penstock:
        wait_until(lambda: answers(port), what="the HTTP listener")
        with penstock.client() as client:
            for i in range(20):
                assert client.ask(recipient=f"r{i}@example.net") == "DUNNO"
        most = 3 if what == "full" else 1
        wait_until(lambda: len(health(port)[1]["problems"]) >= most, what="the alarm")
        code, told = health(port)
        log = penstock.log()
        assert code == 503 and told["status"] == "degraded" and told["problems"]
        assert "[error" in log and "Traceback" not in log
        if what == "full":
            assert pause(penstock, ALICE)["durable"] is False
            (state / "filling").unlink()
            wait_until(lambda: penstock.log().count("are written again") == 2, what="recovery")
            assert pause(penstock, "login:bob@example.com")["durable"]
            penstock.kill()
            penstock.start()
            assert hour(penstock, ALICE) == 20
            paused = ask(penstock.state, "senders", state="paused")["senders"]
            assert {row["sender"] for row in paused} == {ALICE, "login:bob@example.com"}
        if what == "no lock":
            told = penstock.run("status", "--state", str(state))  # type: ignore[assignment]
            assert told.returncode == 1 and "Traceback" not in told.stderr  # type: ignore[attr-defined]
        assert penstock.terminate() == 0
    if what == "a file":
        assert state.read_text() == "precious"


# --- damage -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound_state() -> Iterator[Path]:
    """A state folder with a snapshot, a segment and records: 60 recipients each of alice and bob, both
    with an exception, alice paused."""
    with Penstock(ROOMY) as penstock:
        for turn in range(3):
            with penstock.client() as client:
                for i in range(40):
                    login = "alice" if i % 2 else "bob"
                    client.ask(sasl_username=f"{login}@example.com", instance=f"{turn}{i:x}.ffffff.1.0")
            if turn == 0:
                pause(penstock, ALICE)
                pause(penstock, ALICE, "open")
            if turn < 2:
                penstock.restart()
                if turn == 0:
                    wait_until(lambda: list(penstock.state.glob("snapshot-*")), what="a snapshot")
        for sender in (ALICE, "login:bob@example.com"):
            ask(penstock.state, "limit", sender=sender, recipients=["777/h"], reason="test")
        pause(penstock, ALICE)
        penstock.terminate()
        yield penstock.state


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def _truncate(path: Path) -> None:
    """Within a block: a log that ends between two blocks is whole, only shorter, and nobody can tell."""
    half = path.stat().st_size // 2
    with path.open("rb") as file:
        between = any(end == half for _, _, end in countfile.blocks(file))
    os.truncate(path, half + between)


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _tail(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"PSR1\x40\x00\x00\x00torn")


def _hole(path: Path) -> None:
    """Zeros over the last three quarters: the head looks sound."""
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(size // 4)
        file.write(bytes(size - size // 4))


DAMAGES: list[Callable[[Path], None]] = [_garbage, _truncate, _zero, _empty, _tail, _hole]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[1:])
@pytest.mark.parametrize("pattern", ["counts-*.log", "snapshot-*.bin", "records.db"])
def test_damaged_files_are_survived_and_told(
    sound_state: Path, pattern: str, damage: Callable[[Path], None]
) -> None:
    penstock = Penstock(ROOMY)
    shutil.copytree(sound_state, penstock.state)
    victims = sorted(penstock.state.glob(pattern))
    assert victims
    damage(victims[-1])
    with penstock:
        log = penstock.log()
        with penstock.client() as client:
            assert client.ask(sasl_username="carol@example.com") == "DUNNO"
            alice = client.ask(sasl_username="alice@example.com", instance="a.ffffffff.1.0")
        counted = hour(penstock, "login:bob@example.com")
        assert pause(penstock, "login:dave@example.com")["durable"]
        kept = list(penstock.state.glob("*damaged*"))
        if pattern == "records.db":
            assert counted == 60
            harmless = damage is _tail
            assert bool(kept) != harmless
            assert ("the records are damaged" in log) != harmless
            assert alice.startswith("DEFER") or not harmless
        else:
            assert alice.startswith("DEFER"), "the pause does not depend on the counts"
            assert 20 <= counted <= 60 or damage in (_garbage, _zero, _empty, _truncate, _hole)
            if damage is not _empty or pattern != "counts-*.log":
                assert victims[-1].name in log or damage is _tail
            if victims[-1].name in log:
                wait_until(
                    lambda: list(penstock.state.glob("*.damaged")), what="the damaged file kept beside"
                )
        penstock.kill()
        penstock.start()
        paused = ask(penstock.state, "senders", state="paused")["senders"]
        assert "login:dave@example.com" in {row["sender"] for row in paused}
        assert "Traceback" not in penstock.log()


def test_what_can_be_read_of_damaged_records_is_carried_over(sound_state: Path) -> None:
    """A page of the history is lost: standings and exceptions are not."""
    penstock = Penstock(ROOMY)
    shutil.copytree(sound_state, penstock.state)
    file = penstock.state / "records.db"
    raw = bytearray(file.read_bytes())
    page = _page_of_history(file)
    raw[page * 4096 : page * 4096 + 4096] = bytes(range(256)) * 16
    file.write_bytes(raw)
    with penstock:
        assert "the records are damaged" in penstock.log()
        for _ in range(2):
            shown = ask(penstock.state, "show", sender=ALICE)
            assert shown["standing"]["state"] == "paused"
            assert shown["override"]["limits"] == ["recipients 777/h"]
            penstock.kill()
            penstock.start()
        assert penstock.log().count("the records are damaged") == 1
        assert len(list(penstock.state.glob("records.db.damaged-*"))) == 1


def _page_of_history(file: Path) -> int:
    """Number (from 0) of the page that the table `history` begins on."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(file)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'history'"
        root: int = connection.execute(query).fetchone()[0]
    return root - 1


def test_records_locked_by_somebody_are_not_taken_for_damaged(sound_state: Path) -> None:
    import sqlite3

    penstock = Penstock(ROOMY)
    shutil.copytree(sound_state, penstock.state)
    with contextlib.closing(sqlite3.connect(penstock.state / "records.db", timeout=0)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with penstock:
            assert "records cannot be" in penstock.log()
            assert not list(penstock.state.glob("*damaged*"))
            other.rollback()
            other.close()
            assert wait_until(lambda: pause(penstock, "login:x")["durable"], what="the records to come back")
            penstock.restart()
            assert ask(penstock.state, "show", sender=ALICE)["standing"]["state"] == "paused"
