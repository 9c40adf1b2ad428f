"""Time zones by name, and the machine's own."""

from __future__ import annotations

import os
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCAL = Path("/etc/localtime")


def zone_of(name: str) -> tzinfo:
    """The zone of that name, ``""`` for the machine's own; raises ValueError."""
    if not name:
        return _local()
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'"{name}" is no time zone such as "Europe/Berlin"') from None


def _local() -> tzinfo:
    """What TZ names (a zone, or a file: ``:/etc/localtime``), else the machine's file, else UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    try:
        if named and not named.startswith("/"):
            return ZoneInfo(named)
        with Path(named or LOCAL).open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
