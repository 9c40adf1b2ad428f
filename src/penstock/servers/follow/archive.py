"""The files of one log: the live one and what rotation made of its predecessors.

``mail.log.1``, ``mail.log.2.gz``, ``mail.log-20260127.xz``, ``mail-20260127.log`` and so on, oldest
first. Which of them was read how far is told by inode, or by the head of the contents when the file was
copied or packed since.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from penstock.servers.follow.packed import Bytes, open_regular, opened
from penstock.servers.follow.position import HEAD, Mark, Position
from penstock.servers.follow.tail import ALL

_TRIES: Final = 5
_NUMBER: Final = 5
"""Digits at most of a number that grows with age; anything longer is a date."""

_MARGIN: Final = 86400 * 10**9
"""ns that a file may seem older than it was when it was read, after clocks were set."""

_PACKED: Final = ("gz", "bz2", "xz", "zst")


class Unsettled(Exception):
    """The files were renamed while they were looked at: look again."""


class Candidate(NamedTuple):
    """One file of a log. ``kind``: "" or how it is packed. ``rank`` orders the files of one ``scheme``
    (number, date; "" for the live one)."""

    path: Path
    device: int
    inode: int
    mtime: int
    kind: str
    scheme: str
    rank: str


class Found(NamedTuple):
    """A candidate, open, and the first bytes of its contents."""

    candidate: Candidate
    data: Bytes
    head: bytes


def candidates(live: Path) -> list[Candidate]:
    """All files of a log, oldest first, the live one last. OSError when the folder cannot be read."""
    named = _names(live)
    found = []
    for path in live.parent.iterdir():
        match = named.fullmatch(path.name)
        if path.name == live.name or match:
            with contextlib.suppress(FileNotFoundError):
                found.append(_candidate(path, match))
    return _in_order(found, live)


def _names(live: Path) -> re.Pattern[str]:
    """How rotated files of this log may be called; the part between is number or date."""
    stem, suffix = re.escape(live.stem), re.escape(live.suffix)
    between = r"[.-](?P<{}>[0-9][0-9T:_-]*|old)"
    packed = rf"(?:\.(?P<kind>{'|'.join(_PACKED)}))?"
    after = re.escape(live.name) + between.format("after")
    within = stem + between.format("within") + suffix
    return re.compile(f"(?:{after}|{within}){packed}" if live.suffix else after + packed)


def _candidate(path: Path, match: re.Match[str] | None) -> Candidate:
    stat = path.stat()
    kind = rank = scheme = ""
    if match is not None:
        groups = match.groupdict()
        kind = groups["kind"] or ""
        digits = re.sub(r"\D", "", groups["after"] or groups.get("within") or "")
        scheme = "number" if len(digits) <= _NUMBER else "date"
        rank = digits.zfill(_NUMBER)
    return Candidate(path, stat.st_dev, stat.st_ino, stat.st_mtime_ns, kind, scheme, rank)


def _in_order(found: list[Candidate], live: Path) -> list[Candidate]:
    """Oldest first: by number or by date; by time of change where both are in use.

    While a file is being packed both it and the unfinished result are there: the former counts.
    """
    rotated = [one for one in found if one.path.name != live.name]
    plain = {(one.scheme, one.rank) for one in rotated if not one.kind}
    rotated = [one for one in rotated if not one.kind or (one.scheme, one.rank) not in plain]
    schemes = {one.scheme for one in rotated}
    if len(schemes) > 1:
        rotated.sort(key=lambda one: one.mtime)
    else:
        rotated.sort(key=lambda one: one.rank, reverse=schemes == {"number"})
    return rotated + [one for one in found if one.path.name == live.name]


class Survey:
    """The files of a log that may hold lines not yet read, open, oldest first.

    Whoever takes a file out of ``files`` closes it; ``close`` closes the others. ``unreadable`` tells of
    rotated files that cannot be opened.
    """

    def __init__(self, live: Path, *positions: Position) -> None:
        """Raises Unsettled; OSError when the folder or the live file cannot be read."""
        self.files: list[Found] = []
        self.unreadable: list[str] = []
        oldest = min((_oldest(position) for position in positions), default=0)
        for _ in range(_TRIES):
            listed = _relevant(live, oldest)
            if self._open(listed, live) and _names_of(_relevant(live, oldest)) == _names_of(listed):
                self._leave_out_copies()
                return
            self.close()
        raise Unsettled

    def _open(self, listed: list[Candidate], live: Path) -> bool:
        """Whether each name still leads to the file that was listed."""
        self.unreadable = []
        for one in listed:
            try:
                found = _opened(one)
            except FileNotFoundError:
                return False
            except OSError as error:
                if one.path.name == live.name:
                    self.close()
                    raise
                self.unreadable.append(f"{one.path}: {error}")
                continue
            self.files.append(found)
            stat = os.fstat(found.data.fd)
            if (stat.st_dev, stat.st_ino) != (one.device, one.inode):
                return False
        return True

    def _leave_out_copies(self) -> None:
        """A file with which a later one begins is the copy that copytruncate is just making."""
        for i in reversed(range(len(self.files) - 1)):
            head = self.files[i].head
            if head and any(later.head.startswith(head) for later in self.files[i + 1 :]):
                self.files.pop(i).data.close()

    def close(self) -> None:
        """Close what nobody took."""
        for found in self.files:
            found.data.close()
        self.files = []


def _relevant(live: Path, oldest: int) -> list[Candidate]:
    try:
        found = candidates(live)
    except FileNotFoundError:
        return []
    return [one for one in found if one.mtime >= oldest or one.path.name == live.name]


def _oldest(position: Position) -> int:
    """No file that is older than this (ns) can hold anything new."""
    return min((mark.mtime for mark in position.files), default=position.since) - _MARGIN


def _names_of(listed: list[Candidate]) -> list[tuple[Path, int, int]]:
    return [(one.path, one.device, one.inode) for one in listed]


def _opened(one: Candidate) -> Found:
    data = opened(open_regular(one.path), one.kind)
    try:
        return Found(one, data, data.fetch(0, HEAD))
    except OSError:
        data.close()
        raise


def located(marks: Sequence[Mark], files: Sequence[Found]) -> dict[int, Mark]:
    """Which file (by index) each mark is about: the same inode if the contents agree, else the same head."""
    found: dict[int, Mark] = {}
    for mark in marks:
        like = [i for i, one in enumerate(files) if i not in found and mark.is_head_of(one.head)]
        same = [i for i in like if _is_inode_of(mark, files[i])]
        if same:
            found[same[-1]] = mark
        elif like and mark.head:
            found[_likeliest(mark, like, files)] = mark
    return found


def _likeliest(mark: Mark, like: list[int], files: Sequence[Found]) -> int:
    """Of several files with the same head the last; but of one from which no whole line was read the head
    says little, so it is the first that has changed since."""
    changed = [i for i in like if files[i].candidate.mtime >= mark.mtime]
    return changed[0] if changed and not mark.offset else like[-1]


def _is_inode_of(mark: Mark, one: Found) -> bool:
    return mark.inode > 0 and (mark.device, mark.inode) == (one.candidate.device, one.candidate.inode)


def counted(position: Position, files: Sequence[Found], live: Path) -> list[int]:
    """For each file the offset up to which it is counted: 0 for those that came later, ALL for older ones.

    When none of the position's files can be found (it is gone, or was empty), those that were changed
    since came later.
    """
    found = located(position.files, files)
    offsets = [found[i].offset if i in found else ALL for i in range(len(files))]
    last = max((i for i, mark in found.items() if mark.head), default=None)
    newest = max((mark.mtime for mark in position.files), default=position.since)
    for i, (one, _, _) in enumerate(files):
        later = one.mtime > newest or one.path == live if last is None else i > last
        if i not in found and later:
            offsets[i] = 0
    return offsets
