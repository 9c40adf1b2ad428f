"""Which files are logs of mail, which belong together, and which came first.

Rotation leaves ``mail.log``, ``mail.log.1``, ``mail.log.2.gz``, or ``maillog-20260111``; together
they are one log, read oldest first. Syslog often writes the same lines to several files (``mail.info``,
``syslog``): of a folder only one of them is taken, or all mail would count twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_PACKED: Final = re.compile(r"\.(?:gz|bz2|xz|zst|zstd)$")
_ROTATED: Final = re.compile(r"[.-](\d{1,5}|\d{4}-\d\d-\d\d|\d{6,14}|\d{8}-\d{1,10}|old)$")
_DATED_WITHIN: Final = re.compile(r"[.-](\d{8}|\d{4}-\d\d-\d\d)(?=\.log$)")
_SAME_LINES: Final = (
    "mail.log",
    "maillog",
    "mail",
    "mail.info",
    "syslog",
    "messages",
    "mail.warn",
    "mail.err",
)
"""Files into which syslog may write the same lines, the most complete for mail first."""

_NO_TRAFFIC: Final = ("rejectlog", "paniclog", "exim_rejectlog", "exim_paniclog")
_MAIL: Final = re.compile(
    rb"\bpostfix[\w.-]{0,40}/\w|\bexim\w{0,2}\[|\bdovecot(?:\[|:)|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^\n]{0,60} "
    rb"(?:<=|=>|->|==|\*\*|Completed)|^\[\d\d-[A-Z][a-z]{2}-\d{4} [^\]\n]{0,60}\] mail\(\) on \[",
    re.MULTILINE,
)


class SourceError(Exception):
    """A log cannot be read; the message says which and why."""


class Member(NamedTuple):
    """One file of a log; ``path`` None: standard input. ``size`` in bytes, 0: it can be read only once."""

    path: Path | None
    name: str
    size: int


def split_name(name: str) -> tuple[str, str]:
    """A file's name as (the log's name, which rotation of it: "" for the live file)."""
    plain = _PACKED.sub("", name)
    found = _ROTATED.search(plain) or _DATED_WITHIN.search(plain)
    if found is None or found.start() == 0:
        return plain, ""
    return plain[: found.start()] + plain[found.end() :], found[1]


def _age(rotation: str) -> tuple[int, str]:
    """Sorts oldest first: ``old``, high numbers, low numbers, early dates, late dates, the live file."""
    if not rotation:
        return (3, "")
    if rotation == "old":
        return (0, "")
    if len(rotation) <= 5:
        return (1, f"{99999 - int(rotation):05}")
    return (2, re.sub(r"\D", "", rotation).ljust(24, "0"))


def logs_of(
    named: Sequence[str], first_bytes: Callable[[Path], bytes], warnings: list[str]
) -> Iterator[list[Member]]:
    """The files of each log, oldest first, each file once. ``first_bytes`` reads a file's beginning."""
    logs: dict[tuple[Path, str], dict[str, Path]] = {}
    for name in dict.fromkeys(named):
        if name == "-":
            yield [Member(None, "standard input", 0)]
            continue
        path = Path(name)
        if path.is_fifo():
            yield [Member(path, name, 0)]
            continue
        files = _mail_logs(path, first_bytes) if path.is_dir() else [path]
        for file in files:
            _place(file, logs, warnings)
    for rotations in logs.values():
        files = [rotations[rotation] for rotation in sorted(rotations, key=_age)]
        for file in files:
            first_bytes(file)  # who cannot read it shall know before an hour has passed
        yield [Member(file, str(file), file.stat().st_size) for file in files]


def _place(file: Path, logs: dict[tuple[Path, str], dict[str, Path]], warnings: list[str]) -> None:
    """Put a file to the log that it is a part of; not a second time, and not beside its packed twin."""
    log, rotation = split_name(file.name)
    beside = logs.setdefault((file.resolve().parent, log), {})
    there = beside.get(rotation)
    if there is None or there.resolve() == file.resolve():
        beside[rotation] = file
        return
    kept, passed = (there, file) if _PACKED.search(file.name) else (file, there)
    beside[rotation] = kept
    warnings.append(f"{passed}: passed over, because {kept.name} is the same part of the log")


def _mail_logs(folder: Path, first_bytes: Callable[[Path], bytes]) -> list[Path]:
    """The files in a folder that are logs of mail."""
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file())
    except OSError as wrong:
        raise SourceError(f"{folder}: {wrong.strerror or wrong}") from None
    names = {split_name(file.name)[0] for file in files if _is_mail(file, first_bytes)}
    copies = [name for name in _SAME_LINES if name in names]
    taken = names - set(copies[1:])
    return [file for file in files if split_name(file.name)[0] in taken]


def _is_mail(file: Path, first_bytes: Callable[[Path], bytes]) -> bool:
    name = split_name(file.name)[0]
    if name in _NO_TRAFFIC:
        return False
    try:
        return _MAIL.search(first_bytes(file)) is not None
    except SourceError:
        if "mail" in name or "exim" in name:
            raise
        return False  # other people's business in the same folder
