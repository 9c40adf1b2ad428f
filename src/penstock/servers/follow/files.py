"""A log file as a source of lines, through every rotation.

The live file is watched by name, but followed by descriptor: renamed, unlinked or packed, it is read to its
end and for a while longer (``LINGER`` polls: writers reopen late), beside its successor. What was
rotated in between, or while nobody followed, is found by inode or by its head and read in order.
A file truncated in place begins anew; if a copy of it was made (copytruncate) the rest is read from
there. Lost is only what nobody kept: written and truncated between two polls without a copy.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import structlog

from penstock.servers.follow.archive import Survey, Unsettled, counted, located
from penstock.servers.follow.packed import Plain, open_regular
from penstock.servers.follow.position import HEAD, Mark, Position
from penstock.servers.follow.tail import ALL, LONGEST, Slice, Tail, Truncated

log = structlog.get_logger()

LINGER: Final = 600
"""Polls without news (50 ms each) after which a rotated file is let go."""

PATIENCE: Final = 100
"""Polls for which a log may be missing after its rotation before anybody is told."""


class FileSource:
    """One log file. ``begin_at_start``: what it holds before the very first start counts as well.

    ``problem`` tells in words what is wrong at present, "" when nothing is. ``truncations``: times that the
    file was truncated; ``cuts``: lines that were longer than 64 KiB.
    """

    def __init__(self, name: str, path: Path, begin_at_start: bool = False, linger: int = LINGER) -> None:
        self.name = name
        self.path = path
        self.problem = ""
        self.truncations = 0
        self._begin_at_start = begin_at_start
        self._linger = linger
        self._since = 0
        self._tails: list[Tail] = []
        self._lost: list[Mark] = []
        self._cuts = 0
        self._missing = 0

    # --- what metrics ask -------------------------------------------------------------------

    @property
    def cuts(self) -> int:
        """Lines that were cut."""
        return self._cuts + sum(tail.cuts for tail in self._tails)

    @property
    def bytes_behind(self) -> int:
        """Bytes (packed ones as packed) that are not read yet."""
        return sum(tail.behind() for tail in self._tails)

    @property
    def rereading(self) -> bool:
        """Whether lines are still read that an earlier run has counted."""
        return any(tail.silent > tail.read_to for tail in self._tails)

    # --- the start --------------------------------------------------------------------------

    async def open(self, now: float, counts: bytes | None, join: bytes | None) -> bool | None:
        """Take up where the counts end; re-read silently from where the join's state was saved.

        Returns whether that state may be used, None when it must be tried again (``problem`` says
        why). Raises ValueError when a position is none.
        """
        before = None if counts is None else Position.unpack(counts)
        saved = None if join is None else Position.unpack(join)
        try:
            if before is not None:
                return await asyncio.to_thread(self._resume, before, saved)
            self._since = int(now * 1e9)
            self._first_start()
        except Unsettled:
            return None
        except OSError as error:
            self._complain(f"cannot be read: {error.strerror or error}")
            return None
        return False

    def _first_start(self) -> None:
        try:
            data = Plain(open_regular(self.path))
        except FileNotFoundError:
            return
        end = 0 if self._begin_at_start else _end_of_last_line(data)
        self._tails = [Tail(data, data.fetch(0, HEAD), end, end)]

    def _resume(self, counts: Position, join: Position | None) -> bool:
        self._since = counts.since
        survey = Survey(self.path, counts, *([join] if join else []))
        ends = counted(counts, survey.files, self.path)
        starts = counted(join, survey.files, self.path) if join else ends
        usable = join is not None and all(s <= e for s, e in zip(starts, ends, strict=True))
        self._complain_of(survey)
        if counts.files and not located(counts.files, survey.files):
            self._say_gone()
        for found, start, end in zip(survey.files, starts if usable else ends, ends, strict=True):
            if start == ALL:
                found.data.close()
            else:
                self._tails.append(Tail(found.data, found.head, start, end))
        return usable

    def _say_gone(self) -> None:
        log.error(
            "the log that was read last is gone with whatever was written to it since", source=self.name
        )

    # --- reading ----------------------------------------------------------------------------

    async def read(self) -> Slice | None:
        """The next lines, the oldest file first; None when there is nothing new anywhere."""
        found = await self._read_all()
        if found is None:
            known = len(self._tails)
            await self._look_for_rotation()
            found = await self._read_all() if len(self._tails) > known else None
        return found

    async def _read_all(self) -> Slice | None:
        for tail in list(self._tails):
            found = await self._read(tail)
            if found is not None:
                return found
        return self._let_go()

    async def _read(self, tail: Tail) -> Slice | None:
        if tail.was_filled():
            # Perhaps truncated and filled again since: what it held is looked for first.
            self._lost.append(tail.mark())
            self._drop(tail)
            return None
        try:
            found = await asyncio.to_thread(tail.read) if tail.packed else tail.read()
        except Truncated:
            self._begin_anew(tail)
            return None
        except OSError as error:
            self._complain(f"cannot be read: {error}")
            if tail.packed:
                self._drop(tail)
            return None
        if tail.shrunk:
            tail.shrunk = False
            log.error("the log has lost its end: going on at what is its end now", source=self.name)
        if found is None and tail.silent == ALL:
            self._drop(tail)
        return found

    def _begin_anew(self, tail: Tail) -> None:
        self.truncations += 1
        log.warning(
            "the log was truncated: it is read from its start, and its old end from a copy if there is one",
            source=self.name,
        )
        if tail.silent < ALL:
            self._lost.append(tail.mark())
        self._drop(tail)

    def _drop(self, tail: Tail) -> None:
        self._cuts += tail.cuts
        self._tails.remove(tail)
        tail.close()

    def _let_go(self) -> Slice | None:
        """Part with the oldest file, once its successor has contents and nobody writes to it any more."""
        if len(self._tails) < 2:
            return None
        old, successor = self._tails[:2]
        if old.quiet < (1 if old.packed else self._linger) or not successor.has_contents:
            return None
        silent = old.read_to < old.silent
        lines = old.finish()
        self._drop(old)
        return Slice(lines, silent)

    # --- rotation ---------------------------------------------------------------------------

    async def _look_for_rotation(self) -> None:
        try:
            there = self._is_there()
            if there and not self._lost:
                self._at_ease()
            else:
                await asyncio.to_thread(self._take_successors)
        except Unsettled:
            return
        except OSError as error:
            self._complain(f"cannot be read: {error.strerror or error}")

    def _is_there(self) -> bool:
        """Whether the file that is read last still is the live one."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._missing += 1
            if not self._tails or self._missing > PATIENCE:
                self._complain("no such file: waiting for it")
            return False
        return bool(self._tails) and self._tails[-1].is_file(found.st_dev, found.st_ino)

    def _take_successors(self) -> None:
        """Add the files that came after those that are open, and the rest of a truncated one."""
        survey = Survey(self.path, self._position())
        files = survey.files
        known = {i for i, one in enumerate(files) if self._holds(one.candidate.device, one.candidate.inode)}
        known |= located([tail.mark() for tail in self._tails if tail.has_contents], files).keys()
        ends = counted(self._position(), files, self.path)
        self._complain_of(survey)
        self._lost = []
        for i, (found, end) in enumerate(zip(files, ends, strict=True)):
            if i in known or end == ALL:
                found.data.close()
            else:
                for tail in self._tails:
                    tail.quiet = 0
                self._tails.append(Tail(found.data, found.head, end, end))

    def _holds(self, device: int, inode: int) -> bool:
        return any(tail.is_file(device, inode) for tail in self._tails)

    # --- the position -----------------------------------------------------------------------

    def position(self) -> bytes:
        """Everything up to here was handed over."""
        return self._position().pack()

    def _position(self) -> Position:
        marks = [tail.mark() for tail in self._tails if tail.silent < ALL]
        return Position((*self._lost, *marks), self._since)

    async def close(self) -> None:
        """Close all files."""
        for tail in list(self._tails):
            self._drop(tail)

    # --- problems ---------------------------------------------------------------------------

    def _complain(self, what: str) -> None:
        """Once for each new problem."""
        problem = f"{self.path}: {what}"
        if problem != self.problem:
            self.problem = problem
            log.error("a log cannot be followed", source=self.name, why=problem)

    def _complain_of(self, survey: Survey) -> None:
        for why in survey.unreadable:
            log.error("a rotated log cannot be read: its lines are left out", source=self.name, why=why)

    def _at_ease(self) -> None:
        self._missing = 0
        if self.problem:
            self.problem = ""
            log.info("the log is followed again", source=self.name)


def _end_of_last_line(data: Plain) -> int:
    """Where a line begins that is not yet finished, else the end."""
    end = os.fstat(data.fd).st_size
    begin = max(0, end - LONGEST)
    newline = data.fetch(begin, end - begin).rfind(b"\n")
    return begin + newline + 1 if newline >= 0 or not begin else end
