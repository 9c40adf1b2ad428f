"""What all servers of the rig share: a folder, a port, a deadline, a process with a handle."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self, TypeVar

T = TypeVar("T")
_PORTS = 2_500
_FIRST = 10_000 + _PORTS * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8)
_TURN = itertools.count(os.getpid() * 37)
_SYSTEM = ":/usr/sbin:/sbin"
PATH = os.environ.get("PATH", "") + _SYSTEM


def free_port() -> int:
    """A loopback port that nobody listens on, below the range the kernel gives to clients.

    A port from the kernel's own range could be taken by an outgoing connection before the server
    binds it. Parallel test workers draw from different ranges, and no port is given out twice soon.
    """
    for _ in range(_PORTS):
        port = _FIRST + next(_TURN) % _PORTS
        if not answers(port) and _can_bind(port):
            return port
    raise RuntimeError(f"no free port in {_FIRST}..{_FIRST + _PORTS - 1}")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(probe: Callable[[], T], seconds: float = 60, what: str = "the condition") -> T:
    """Ask every few milliseconds until the answer is true; TimeoutError at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not so within {seconds} s (last answer: {answer!r})")
        time.sleep(0.02)


def _group_lives(group: int) -> bool:
    """Whether a process of this group still holds anything (a zombie does not)."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            stat = (process / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _parent, its = stat.rpartition(")")[2].split()[:3]
        if int(its) == group and state not in "ZX":
            return True
    return False


def account(name: str) -> str | None:
    """The Unix account a server must run as: `name` when we are root, else ours (None)."""
    return name if os.geteuid() == 0 else None


class Folder:
    """A temporary folder that other accounts can enter (pytest's own cannot be)."""

    def __init__(self, name: str, owner: str | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"penstock-{name}-"))
        self.path.chmod(0o755)
        if owner:
            entry = pwd.getpwnam(owner)
            os.chown(self.path, entry.pw_uid, entry.pw_gid)

    def remove(self) -> None:
        """Delete the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """A part of the rig: started on entry, stopped on exit, its log kept for a failing test.

    `ALIVE` lists those started and not yet stopped, for the report of a failure.
    """

    ALIVE: ClassVar[list[Server]] = []
    name = "server"

    def start(self) -> None:
        """Start it and return when it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it; harmless when it is not running."""
        raise NotImplementedError

    def close(self) -> None:
        """Clean up after the last stop."""

    def log(self) -> str:
        """Everything that the server has logged so far."""
        return ""

    def __enter__(self) -> Self:
        Server.ALIVE.append(self)
        try:
            self.start()
        except BaseException as error:
            error.add_note(f"log of {self.name}:\n{self.log()[-4_000:]}")
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self in Server.ALIVE:
            Server.ALIVE.remove(self)
        try:
            self.stop()
        finally:
            self.close()


class Daemon(Server):
    """A server that is one foreground process in a session (process group) of its own."""

    def __init__(self, owner: str | None = None) -> None:
        self.folder = Folder(self.name, owner)
        self.owner = owner
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self, command: Sequence[str | Path], env: dict[str, str] | None = None) -> None:
        """Start the command, its output appended to the log file."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder.path,
                env={**os.environ, "PATH": os.environ.get("PATH", "") + _SYSTEM, **(env or {})},
                start_new_session=True,
                user=self.owner,
                group=pwd.getpwnam(self.owner).pw_gid if self.owner else None,
                extra_groups=[] if self.owner else None,
            )

    @property
    def output(self) -> Path:
        """The file that the process's own output goes to."""
        return self.folder.path / "output.log"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def ready(self, probe: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until the probe is true; fail at once if the process ends before."""

        def alive_and_ready() -> bool:
            if not self.running:
                raise RuntimeError(f"{self.name} ended while starting")
            return probe()

        wait_until(alive_and_ready, seconds, f"{self.name} to be ready")

    def signal(self, number: signal.Signals, seconds: float = 20) -> int:
        """Send a signal and wait for the process to end; what is left of its group is killed."""
        if self.process is None:
            return 0
        if self.running:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        finally:
            self._kill_group()

    def _kill_group(self) -> None:
        """A child that was just being made holds the listening sockets until it has died, too."""
        assert self.process is not None
        group = self.process.pid
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        wait_until(lambda: not _group_lives(group), 20, f"an end of what {self.name} had started")

    def stop(self) -> None:
        self.signal(signal.SIGTERM)
        self.process = None

    def close(self) -> None:
        self.folder.remove()

    def log(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""
