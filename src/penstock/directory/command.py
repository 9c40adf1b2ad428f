"""Asks a program: argv + [login], one JSON object on standard output, exit code 1 for unknown.

No shell is involved. A login that begins with "-" is never handed over, for it would be read as
an option; it counts as unknown. Each run has a time limit and a limit of output; beyond them its
whole process group is killed and the look-up has failed. ``workers`` runs at a time, a process
each: some milliseconds of CPU per look-up, so this suits thousands of accounts, not millions.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import Final

from penstock.core.policy import Entry
from penstock.directory.cache import LookupFailed, SourceDown
from penstock.directory.complaints import Complaints
from penstock.directory.entries import NoColumns, read_entry

MOST_OUTPUT: Final = 64 * 1024
UNKNOWN: Final = 1

Process = subprocess.Popen[bytes]


class CommandAsker:
    """Looks logins up with a program."""

    name = "command"

    def __init__(
        self, argv: Sequence[str], complain: Complaints, timeout: float = 5.0, workers: int = 4
    ) -> None:
        self.workers = workers
        self._argv = list(argv)
        self._complain = complain
        self._timeout = timeout
        self._lock = Lock()
        self._running: set[Process] = set()
        self._aborted = False

    def wants(self, key: str) -> bool:
        """Logins only."""
        return key.startswith("login:") and not key.startswith("login:-")

    def ask(self, key: str) -> Entry | None:
        """Run the program and read what it says."""
        process = self._start(key.removeprefix("login:"))
        try:
            code, output, said = _read(process, time.monotonic() + self._timeout)
        finally:
            self._finish(process)
        if code == UNKNOWN:
            return None
        if code != 0:
            raise LookupFailed(f"exit code {code}: {said or 'nothing on standard error'}")
        return self._entry(key, output)

    def _entry(self, key: str, output: bytes) -> Entry:
        try:
            row = json.loads(output)
        except (ValueError, RecursionError):
            raise LookupFailed(f"not JSON: {output[:80]!r}") from None
        if not isinstance(row, dict):
            raise LookupFailed(f"not a JSON object: {output[:80]!r}")
        try:
            entry, bad = read_entry(row)
        except NoColumns as error:
            raise LookupFailed(str(error)) from None
        if bad:
            self._complain("directory has bad values", key, bad)
        return entry

    def _start(self, login: str) -> Process:
        with self._lock:  # an abort comes before the start, or finds the process
            if self._aborted:
                raise SourceDown("closing")
            try:
                process = subprocess.Popen(
                    [*self._argv, login],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise SourceDown(f"cannot run {self._argv[0]}: {error}") from error
            self._running.add(process)
            return process

    def _finish(self, process: Process) -> None:
        """Whatever is left of it ends now."""
        with self._lock:
            self._running.discard(process)
            if process.returncode is None:
                _kill(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()

    def abort(self) -> None:
        """Kill what runs, start nothing more."""
        with self._lock:
            self._aborted = True
            for process in self._running:
                if process.returncode is None:
                    _kill(process)

    def close(self) -> None:
        """Nothing is kept between look-ups."""


def _kill(process: Process) -> None:
    """Kill the process, not yet waited for, with all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(process: Process, deadline: float) -> tuple[int, bytes, str]:
    """Exit code, standard output, end of standard error; raises LookupFailed."""
    assert process.stdout is not None and process.stderr is not None
    kept = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
    with selectors.DefaultSelector() as selector:
        for fd in kept:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            for ready, _ in selector.select(_left(deadline)):
                data = os.read(ready.fd, 65536)
                if not data:
                    selector.unregister(ready.fd)
                kept[ready.fd] += data
            _limit(kept, process.stdout.fileno())
    try:
        code = process.wait(_left(deadline))
    except subprocess.TimeoutExpired:
        raise LookupFailed("took too long") from None
    output, said = kept.values()
    return code, output, said.decode(errors="replace").strip()[-200:]


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise LookupFailed("took too long")
    return left


def _limit(kept: dict[int, bytes], stdout: int) -> None:
    """Too much on standard output is a failure; of standard error the end is kept."""
    if len(kept[stdout]) > MOST_OUTPUT:
        raise LookupFailed(f"printed more than {MOST_OUTPUT} bytes")
    for fd in kept:
        if fd != stdout:
            kept[fd] = kept[fd][-1000:]
