"""Memory per sender and start-up time with very many senders: `speed.py --senders-memory`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import native
from contenders import serve_command
from processes import Running, StartFailed, ask, free_port, private_folder, spawn, stop, wait_until
from report import Rows

START_LIMIT = 120.0
RATE_AT_LEAST = 2000  # per second; slower than this and the run is cut off


@dataclass(frozen=True)
class MemoryResult:
    """What a million senders cost; sizes in bytes, times in seconds."""

    label: str
    senders: int
    before: int
    after: int
    restarted: int
    on_disk: int
    start_seconds: float
    empty_start_seconds: float

    @property
    def per_sender(self) -> float:
        """Resident bytes that one more sender costs."""
        return (self.after - self.before) / self.senders


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no VmRSS")


def settled(pid: int, limit: float = 15) -> int:
    """Resident memory once it has not grown for a second (compaction and such have ended)."""
    deadline, last = time.monotonic() + limit, resident(pid)
    while time.monotonic() < deadline:
        time.sleep(1)
        now = resident(pid)
        if now <= last:
            return now
        last = now
    return last


def size_on_disk(folder: Path) -> int:
    """Bytes in the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def answered(port: int) -> bool:
    """Whether the server has answered one question; waits for the answer."""
    try:
        return bool(ask(port, timeout=START_LIMIT))
    except OSError:
        return False


def start(program: Path, folder: Path, detection: str) -> tuple[subprocess.Popen[bytes], int, float]:
    """Start Penstock and measure from exec to the first answer: process, port, seconds."""
    port, log = free_port(), folder / "log"
    begin = time.monotonic()
    child = spawn(serve_command(program, folder, port, detection), log)
    try:
        wait_until(lambda: answered(port), child, log, START_LIMIT)
    except BaseException:
        stop(child)
        raise
    return child, port, time.monotonic() - begin


def fill(child: subprocess.Popen[bytes], port: int, senders: int) -> tuple[int, int]:
    """Let every sender mail once: resident memory before and after."""
    server = Running(port, (child.pid,))
    native.load(server, seconds=1, warmup=0, senders=100, sequential=True)  # touch all the code once
    before = settled(child.pid)
    limit = senders / RATE_AT_LEAST
    run = native.load(server, seconds=limit, warmup=0, senders=senders, sequential=True, requests=senders)
    if run.requests < senders:
        raise StartFailed(f"only {run.requests:,} of {senders:,} senders were answered within {limit:.0f} s")
    return before, settled(child.pid)


def measure(label: str, program: Path, senders: int, detection: str) -> MemoryResult:
    """Let every sender mail once, look at the memory, kill -9, start again."""
    with private_folder() as folder:
        child, port, empty = start(program, folder, detection)
        try:
            before, after = fill(child, port, senders)
        finally:
            child.kill()  # kill -9 on purpose: the start that follows has to recover
            child.wait()
        on_disk = size_on_disk(folder / "state")
        child, _, seconds = start(program, folder, detection)
        try:
            restarted = settled(child.pid)
        finally:
            stop(child)
        return MemoryResult(label, senders, before, after, restarted, on_disk, seconds, empty)


def memory_rows(results: Sequence[MemoryResult]) -> Rows:
    """The memory table: header first."""
    head = ["memory and start-up", "senders", "before", "after", "per sender", "on disk", "empty start"]
    rows = [[*head, "start after kill -9", "memory then"]]
    for it in results:
        sizes = [f"{size / 2**20:,.0f} MiB" for size in (it.before, it.after)]
        rest = [
            f"{it.on_disk / 2**20:,.0f} MiB",
            f"{it.empty_start_seconds:.2f} s",
            f"{it.start_seconds:.2f} s",
        ]
        each = f"{it.per_sender:,.0f} B"
        rows.append([it.label, f"{it.senders:,}", *sizes, each, *rest, f"{it.restarted / 2**20:,.0f} MiB"])
    return rows
