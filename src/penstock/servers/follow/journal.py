"""The systemd journal as a source of lines: ``journalctl -o export`` as a subprocess.

The position is the cursor of the last entry that was handed over. When the subprocess ends it is
started again behind that cursor, later and later while it keeps failing.

``--follow`` shows this boot only, and behind a cursor of an earlier one skips an entry (systemd 250 and
later; its issues 36102 and 38912). So up to the first entry of this boot the journal is asked once a
second without it.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from penstock.servers.follow.export import Entry, ExportParser, boot_of, is_after

log = structlog.get_logger()

_SLICE: Final = 32 << 10
_WAIT: Final = 0.05
"""Seconds to wait for the journal's next entry in one read."""

_ASK_AGAIN: Final = 1.0
_RETRY: Final = 1.0
_RETRY_MOST: Final = 60.0
_FIELDS: Final = "MESSAGE,SYSLOG_IDENTIFIER,_HOSTNAME,_SOURCE_REALTIME_TIMESTAMP"
_FOLLOW: Final = ("--follow", "--no-tail")
_SAID: Final = 400


class JournalSlice(NamedTuple):
    """Entries, and whether they are only read again and were counted before."""

    lines: list[Entry]
    silent: bool


class JournalSource:
    """Entries of these units (trusted: journald knows who writes) or identifiers (anybody can claim one);
    with both, of those identifiers in those units. ``folder``: another place of the journal."""

    def __init__(
        self,
        name: str,
        units: Sequence[str] = (),
        identifiers: Sequence[str] = (),
        begin_at_start: bool = False,
        folder: Path | None = None,
        program: str = "journalctl",
    ) -> None:
        self.name = name
        self.problem = ""
        self.truncations = 0
        self._begin_at_start = begin_at_start
        self._command = [program, "--quiet", "--no-pager", "--output=export", f"--output-fields={_FIELDS}"]
        self._command += [f"--directory={folder}"] if folder else []
        self._command += [f"--unit={unit}" for unit in units]
        self._command += [f"--identifier={identifier}" for identifier in identifiers]
        self._cursor = ""
        self._counted_to = ""
        self._waiting: list[Entry] = []
        self._process: Process | None = None
        self._complaints: asyncio.Task[bytes] | None = None
        self._parser = ExportParser()
        self._following = False
        self._cuts = 0
        self._behind = 0
        self._retry = _RETRY
        self._retry_at = 0.0

    @property
    def cuts(self) -> int:
        """Messages longer than 64 KiB."""
        return self._cuts + self._parser.cuts

    @property
    def bytes_behind(self) -> int:
        """What is known to wait (bytes); the journal does not tell how much there is in all."""
        return self._behind

    @property
    def rereading(self) -> bool:
        """Whether entries are still read that an earlier run has counted."""
        return self._counted_to not in ("", self._cursor)

    # --- the start --------------------------------------------------------------------------

    async def open(self, now: float, counts: bytes | None, join: bytes | None) -> bool | None:
        """Take up after the cursors; whether the join's is usable; None: not yet, try again."""
        del now
        if counts is None:
            newest = "" if self._begin_at_start else await self._newest()
            if newest is None:
                return None
            self._cursor = newest
            return False
        self._counted_to = counts.decode("utf-8", "replace")
        saved = None if join is None else join.decode("utf-8", "replace")
        usable = saved is not None and not (saved and is_after(saved, self._counted_to))
        self._cursor = saved if saved is not None and usable else self._counted_to
        return usable

    async def _newest(self) -> str | None:
        """Cursor of the newest entry, "" in an empty journal, None when it cannot be told yet."""
        process = await self._run("--lines=1")
        if process is None:
            return None
        out, err = await process.communicate()
        if process.returncode:
            self._failed(err)
            return None
        entries = ExportParser().feed(out)
        return entries[-1].cursor if entries else ""

    async def _run(self, *arguments: str) -> Process | None:
        if asyncio.get_running_loop().time() < self._retry_at:
            return None
        try:
            return await asyncio.create_subprocess_exec(
                *self._command, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=_SLICE
            )
        except OSError as error:
            self._failed(f"{self._command[0]} cannot be run: {error.strerror}".encode())
            return None

    def _failed(self, said: bytes) -> None:
        """Once for each new problem; the next try waits longer."""
        problem = said.decode("utf-8", "backslashreplace").strip()[-_SAID:] or "journalctl has ended"
        if problem != self.problem:
            self.problem = problem
            log.error("the journal cannot be followed", source=self.name, why=problem)
        self._retry_at = asyncio.get_running_loop().time() + self._retry
        self._retry = min(2 * self._retry, _RETRY_MOST)

    # --- reading ----------------------------------------------------------------------------

    async def read(self) -> JournalSlice | None:
        """The next entries; waits for them for a moment."""
        if not self._waiting:
            self._waiting = await self._next()
        if not self._waiting:
            return None
        old = sum(1 for _ in takewhile(self._is_old, self._waiting))
        if not old:
            self._counted_to = ""
        count = old or len(self._waiting)
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._cursor = taken[-1].cursor
        return JournalSlice(taken, old > 0)

    def _is_old(self, entry: Entry) -> bool:
        return bool(self._counted_to) and not is_after(entry.cursor, self._counted_to)

    async def _next(self) -> list[Entry]:
        process = self._process or await self._begin()
        if process is None or process.stdout is None:
            return []
        try:
            data = await asyncio.wait_for(process.stdout.read(_SLICE), _WAIT)
        except TimeoutError:
            self._behind = 0
            return []
        if not data:
            await self._ended(process)
            return []
        self._behind = len(data) if len(data) == _SLICE else 0
        self._retry = _RETRY
        if self.problem:
            self.problem = ""
            log.info("the journal is followed again", source=self.name)
        return self._parser.feed(data)

    async def _begin(self) -> Process | None:
        self._following = boot_of(self._cursor) == _this_boot()
        after = [f"--after-cursor={self._cursor}"] if self._cursor else []
        process = self._process = await self._run(*after, *_FOLLOW if self._following else ())
        self._cuts, self._parser = self.cuts, ExportParser()
        if process is not None:
            self._complaints = asyncio.get_running_loop().create_task(_last_words(process))
        return process

    async def _ended(self, process: Process) -> None:
        self._process = None
        said = await self._complaints if self._complaints is not None else b""
        if await process.wait() or self._following:
            self._failed(said)
        else:
            self._behind = 0
            self._retry_at = asyncio.get_running_loop().time() + _ASK_AGAIN

    # --- the position -----------------------------------------------------------------------

    def position(self) -> bytes:
        """The cursor of the last entry that was handed over; empty: before the first one."""
        return self._cursor.encode()

    async def close(self) -> None:
        """End the subprocess."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None
        if self._complaints is not None:
            await self._complaints


def _this_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")


async def _last_words(process: Process) -> bytes:
    """What it complained about last; it must not stand still because nobody listens."""
    said = b""
    while process.stderr is not None and (more := await process.stderr.read(_SLICE)):
        said = (said + more)[-_SAID:]
    return said
