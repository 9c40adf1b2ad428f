"""What a database row or a command's JSON says, as an ``Entry``.

Columns are recognised by name, in any case: customer, profile, language, contact, created (or
created_at). Other columns are ignored. A value that makes no sense is left out and named; the rest
of the row counts. No row at all means that the sender is unknown; an empty one means "known, and
nothing special about it".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeGuard
from uuid import UUID

from penstock.core.policy import Entry

TEXTS = ("customer", "profile", "language", "contact")
MOMENTS = ("created", "created_at")
LONGEST = 256
EARLIEST, LATEST = 1e8, 4_102_444_800.0
"""Epoch numbers outside (1973, 2100) are something else: milliseconds, 20240131, a row number."""

_EPOCH = re.compile(r"\d{9,}(\.\d+)?", re.ASCII)


class BadValue(ValueError):
    """A value that cannot be what its column is for."""


class NoColumns(ValueError):
    """The row has none of the names that mean something here."""


def read_entry(row: Mapping[str, object]) -> tuple[Entry, dict[str, str]]:
    """The entry, and what was wrong, by column; raises NoColumns."""
    known = {name.lower(): value for name, value in row.items() if name.lower() in TEXTS + MOMENTS}
    if row and not known:
        raise NoColumns(f"none of {', '.join(sorted(row))[:200]} is one of {', '.join(TEXTS + MOMENTS[:1])}")
    bad: dict[str, str] = {}
    texts = {name: _read_text(known, name, bad) for name in TEXTS}
    created = [_read_moment(known, name, bad) for name in MOMENTS]
    return Entry(**texts, created_at=next((at for at in created if at is not None), None)), bad


def _read_text(row: Mapping[str, object], name: str, bad: dict[str, str]) -> str:
    try:
        return text(row.get(name))
    except ValueError as error:
        bad[name] = str(error)
        return ""


def _read_moment(row: Mapping[str, object], name: str, bad: dict[str, str]) -> float | None:
    try:
        return moment(row.get(name))
    except (ValueError, OverflowError) as error:
        bad[name] = str(error)
        return None


def text(value: object) -> str:
    """A short printable text; numbers are written out; raises BadValue."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode()
    elif _is_number(value) and float(value) == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise BadValue(f"{_shown(value)} is not a text")
    written = str(value).strip()
    if len(written) > LONGEST or not written.isprintable():
        raise BadValue(f"{_shown(written)} is too long or not printable")
    return written


def moment(value: object) -> float | None:
    """Seconds since the epoch of a date, datetime, ISO text or number; 0 and "" mean unknown.

    A moment without a zone is UTC. Raises BadValue or another ValueError or OverflowError.
    """
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode()
    if isinstance(value, str):
        value = _from_text(value.strip())
    if value is None:
        return None
    if isinstance(value, date):
        return _from_date(value)
    if _is_number(value):
        return _from_number(float(value))
    raise BadValue(f"{_shown(value)} is not a date")


def _from_text(written: str) -> object:
    if not written.strip("0") or written.startswith("0000-00-00"):  # MySQL's "no date"
        return None
    if _EPOCH.fullmatch(written):
        return float(written)
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        raise BadValue(f"{_shown(written)} is not a date") from None


def _from_date(value: date) -> float:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _from_number(value: float) -> float | None:
    if value == 0:
        return None
    if not math.isfinite(value) or not EARLIEST <= value <= LATEST:
        raise BadValue(f"{value:g} is not a time in seconds since 1970")
    return value


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _shown(value: object) -> str:
    return repr(value)[:80]
