"""Reading the policy file: bytes → text → document → Settings, with the file's own troubles told."""

from __future__ import annotations

import os
import re
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.config.build import build
from penstock.config.merge import effective
from penstock.config.report import ConfigError, Problem, Report, Spot
from penstock.config.settings import Settings, masked

STANDARD = Path("/etc/penstock/penstock.toml")
VARIABLE = "PENSTOCK_CONFIG"
_AT = re.compile(r" \(at line (\d+), column (\d+)\)$")
_AT_END = " (at end of document)"


def default_path() -> Path | None:
    """The file to read when none is named: $PENSTOCK_CONFIG, else the standard one if there is one."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return STANDARD if STANDARD.exists() else None


def load(path: Path | None = None, at: float | None = None, opens: bool = True) -> Settings:
    """The settings of a policy file, or the built-in ones without one; raises ConfigError.

    ``at`` (seconds since the epoch; default: now) tells which exceptions have ended. ``opens``: a file that
    it names and that cannot be used is an error; a service that starts goes without that file instead.
    """
    if path is None:
        return parse("", at=at)
    try:
        with path.open("rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read()
    except OSError as wrong:
        raise ConfigError([Problem(str(path), f"cannot be read: {wrong.strerror or wrong}")]) from None
    settings = parse(_decoded(data, path), str(path), at, opens)
    warnings = (*_permission_warnings(path, mode, settings), *settings.warnings)
    return replace(settings, file=path, warnings=warnings)


def parse(text: str, name: str = "policy", at: float | None = None, opens: bool = True) -> Settings:
    """The settings of a policy file's text; raises ConfigError with everything that is wrong."""
    file = _document(text, name)
    report = Report(opens=opens)
    spot = Spot("", report)
    document = effective(file, spot)
    settings = build(file, document, spot, time.time() if at is None else at)
    if report.problems:
        raise ConfigError(report.problems)
    return replace(settings, warnings=tuple(map(str, report.warnings)))


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        column = wrong.start - data.rfind(b"\n", 0, wrong.start)
        problem = f"not UTF-8 (byte 0x{data[wrong.start]:02x})"
        raise ConfigError([Problem(f"{path}:{line}:{column}", problem)]) from None


def _document(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise ConfigError([_syntax(str(wrong), text, name)]) from None
    except ValueError:  # an integer of thousands of digits
        raise ConfigError([Problem(name, "not TOML: a number is too long")]) from None
    except RecursionError:
        raise ConfigError([Problem(name, "nested too deeply")]) from None


def _syntax(message: str, text: str, name: str) -> Problem:
    """tomllib tells the place in its message only."""
    found = _AT.search(message)
    if found:
        return Problem(f"{name}:{found[1]}:{found[2]}", f"not TOML: {message[: found.start()]}")
    lines = text.split("\n")
    place = f"{name}:{len(lines)}:{len(lines[-1]) + 1}"
    return Problem(place, f"not TOML: {message.removesuffix(_AT_END)}, where the file ends")


def _permission_warnings(path: Path, mode: int, settings: Settings) -> list[str]:
    found = []
    if mode & 0o002:
        found.append(f"{path}: every user of this machine may change it (chmod o-w)")
    sql = settings.directory.sql
    if sql is not None and mode & 0o004 and masked(sql.url) != sql.url:
        found.append(f"{path}: holds a password, and every user of this machine may read it (chmod o-r)")
    return found
