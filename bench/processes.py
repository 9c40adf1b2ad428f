"""Starts and stops the servers that are measured: private folders, free ports, every end by handle."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = HERE / "build"
PROBE = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=192.0.2.1\n"
    b"client_name=unknown\nreverse_client_name=unknown\nhelo_name=probe\nsender=probe@example.com\n"
    b"recipient=probe@example.net\nrecipient_count=0\nqueue_id=\ninstance=1.1.1.1\nsize=100\n"
    b"sasl_method=PLAIN\nsasl_username=probe@example.com\nsasl_sender=\n\n"
)


class StartFailed(Exception):
    """A server did not come up; the text is one sentence for the report."""


@dataclass(frozen=True)
class Running:
    """A server under measurement: where to ask it, and whose CPU time to count."""

    port: int
    pids: tuple[int, ...]
    tree: bool = False
    http: bool = False


@dataclass(frozen=True)
class Contender:
    """One line of the benchmark: `absent` says why it cannot take part, `start` yields a `Running`."""

    name: str
    label: str
    start: Callable[[Path], AbstractContextManager[Running]]
    absent: Callable[[], str | None] = field(default=lambda: None)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A temporary folder that servers which drop their privileges can pass through."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def free_port() -> int:
    """A TCP port of the loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def ask(port: int, timeout: float = 1.0) -> bytes:
    """Ask one policy question and return the whole answer; OSError when nobody answers in time."""
    with socket.create_connection((HOST, port), timeout) as connection:
        connection.sendall(PROBE)
        answer = b""
        while not answer.endswith(b"\n\n"):
            if not (part := connection.recv(4096)):
                raise ConnectionError("the server hung up")
            answer += part
        return answer


def answers_policy(port: int) -> bool:
    """Whether a policy server at this port answers a question."""
    try:
        return ask(port).startswith(b"action=")
    except OSError:
        return False


def accepts(port: int) -> bool:
    """Whether anything accepts connections at this port."""
    try:
        socket.create_connection((HOST, port), 1.0).close()
    except OSError:
        return False
    return True


def tail(log: Path) -> str:
    """The last line of a log that says something, for a sentence about a failure."""
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "it said nothing")


def wait_until(
    ready: Callable[[], bool], child: subprocess.Popen[bytes], log: Path, limit: float = 30
) -> None:
    """Wait until the server is ready; StartFailed when it ends first or takes too long."""
    deadline = time.monotonic() + limit
    while not ready():
        if child.poll() is not None:
            raise StartFailed(f"it ended at once: {tail(log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"it was not ready after {limit:.0f} s: {tail(log)}")
        time.sleep(0.02)


def stop(child: subprocess.Popen[bytes], patience: float = 10) -> None:
    """End a process that we started, with its whole session; kill it when it does not listen."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def spawn(
    command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, in its log's folder, its words going to the log."""
    with log.open("ab") as words:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            cwd=log.parent,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )


@contextmanager
def process(command: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the length of a `with` block."""
    child = spawn(command, log)
    try:
        yield child
    finally:
        stop(child)


@contextmanager
def policy_server(
    command: Sequence[str | Path], port: int, log: Path, tree: bool = False
) -> Iterator[Running]:
    """A policy server for the length of a `with` block, once it answers."""
    with process(command, log) as child:
        wait_until(lambda: answers_policy(port), child, log)
        yield Running(port, (child.pid,), tree)
