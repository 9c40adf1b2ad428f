"""A real process follows a real log and is killed with SIGKILL again and again, rotations in between."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.base import PATH, wait_until
from servers.follow.support import PACKERS, Log, counted_in, expected

RUNNER = Path(__file__).with_name("runner.py")
LOGROTATE = shutil.which("logrotate", path=PATH)


class Followed:
    """The runner over a log: started, killed, asked to end."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.logs = folder / "log"
        for path in (self.state, self.logs):
            path.mkdir()
        self.log = Log(self.logs / "mail.log")
        self.process: subprocess.Popen[str] | None = None
        self.written = 0

    def start(self) -> None:
        command = [sys.executable, str(RUNNER), str(self.state), str(self.log.path)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert "following\n" in iter(self.process.stdout.readline, "")

    def end(self, how: Callable[[subprocess.Popen[str]], None]) -> None:
        """Kill or terminate the runner, and wait until it is gone."""
        assert self.process is not None
        assert self.process.stdout is not None
        how(self.process)
        self.process.wait(30)
        self.process.stdout.close()
        self.process = None

    def write(self, count: int) -> None:
        """Lines and pairs, in bursts that a kill falls into."""
        for _ in range(count):
            self.written += 1
            number = self.written
            self.log.write(f"begin {number} long {'x' * (number % 300)}", f"line {number}")
            if number > 5:
                self.log.write(f"end {number - 5}")

    def end_when_caught_up(self, how: Callable[[subprocess.Popen[str]], None]) -> None:
        """Every line written is counted, and none twice."""
        wanted = expected(self.log.lines)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: self._counted() >= wanted.total(), 60)
        self.end(how)
        found = counted_in(self.state)
        assert (found - wanted, wanted - found) == ({}, {}), "(too often, too seldom)"

    def _counted(self) -> int:
        with contextlib.suppress(FileNotFoundError):  # the compactor has just taken a segment away
            return counted_in(self.state).total()
        return 0


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    made = Followed(tmp_path)
    yield made
    if made.process is not None:
        made.end(subprocess.Popen.kill)
    made.log.close()


def rename(log: Log, dice: random.Random) -> None:
    log.rename()
    log.write(f"late {dice.random()}")
    log.open()
    old = [path for path in log.rotated() if path.suffix[1:] not in PACKERS]
    if dice.random() < 0.5 and len(old) > 1:
        log.pack(old[0], dice.choice(sorted(PACKERS)))


def test_killed_again_and_again(followed: Followed) -> None:
    dice = random.Random(7)
    for _ in range(20):
        followed.start()
        for _ in range(dice.randrange(1, 40)):
            followed.write(dice.randrange(1, 150))
            if dice.random() < 0.2:
                rename(followed.log, dice)
        followed.end(subprocess.Popen.kill if dice.random() < 0.9 else subprocess.Popen.terminate)
        followed.write(dice.randrange(50))
        if dice.random() < 0.4:
            rename(followed.log, dice)
            followed.write(dice.randrange(50))
    followed.start()
    followed.end_when_caught_up(subprocess.Popen.terminate)


GONE_AT_ONCE = "compress at once"
"""What a writer still writes to the old file is lost to everybody: that is what delaycompress is for."""

CONFIGURATIONS = {
    "create, delaycompress": "create 0640\n delaycompress\n compress",
    GONE_AT_ONCE: "create 0640\n compress",
    "nocreate, dates": "nocreate\n dateext\n dateformat -%Y%m%d-%s",
    "copytruncate": "copytruncate",
    "copytruncate, compress": "copytruncate\n compress",
}


@pytest.mark.skipif(LOGROTATE is None, reason="not installed: logrotate")
@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_the_real_logrotate(followed: Followed, tmp_path: Path, what: str) -> None:
    """Between our writes, so that copytruncate itself loses nothing."""
    assert LOGROTATE is not None
    configuration = tmp_path / "logrotate.conf"
    configuration.write_text(f"{followed.log.path} {{\n rotate 20\n missingok\n {CONFIGURATIONS[what]}\n}}\n")
    configuration.chmod(0o644)
    command = [LOGROTATE, "--force", "--state", str(tmp_path / "logrotate.state"), str(configuration)]
    followed.start()
    for turn in range(6):
        followed.write(60)
        if turn % 2:
            followed.end_when_caught_up(subprocess.Popen.kill)
            followed.write(10)
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if "copytruncate" not in what:
            followed.write(0 if what == GONE_AT_ONCE else 5)
            followed.log.open()
        followed.write(20)
        if turn % 2:
            followed.start()
        if "%s" in CONFIGURATIONS[what]:
            # Well into the next second: time(2) names the file, and lags by up to a tick of the kernel.
            next_second = int(time.time()) + 1.2
            wait_until(lambda: time.time() > next_second)  # noqa: B023
    followed.end_when_caught_up(subprocess.Popen.terminate)
