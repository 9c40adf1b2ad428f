"""A damaged SQLite file: noticed at the start, read as far as it goes, kept beside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from penstock.stores.cases import (
    INCIDENTS,
    LESSONS,
    SUSPECTS,
    incident_row,
    lesson_row,
    read_incidents,
    read_lessons,
    suspect_row,
)
from penstock.stores.schema import (
    OVERRIDES,
    STANDINGS,
    Key,
    Memory,
    Row,
    override_row,
    read_meta,
    read_overrides,
    read_standings,
    standing_row,
)


class Damaged(Exception):
    """The database file is no longer one; the message says what was found."""


def examine(engine: sa.Engine, path: Path) -> None:
    """Raises Damaged for what SQLite itself would not notice before it gets there."""
    if not path.stat().st_size:
        raise Damaged("the file is empty")
    with engine.begin() as connection:
        found = connection.execute(sa.text("PRAGMA quick_check(1)")).scalar()
    if found != "ok":
        raise Damaged(f"{found}")


def salvage(engine: sa.Engine, now: float) -> Memory:
    """As much as can be read of a damaged file."""
    saved = Memory(installed_at=now)
    with contextlib.suppress(sa.exc.SQLAlchemyError), engine.begin() as connection:
        for part in (read_meta, read_standings, read_overrides, read_lessons, read_incidents):
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                part(connection, saved)
    return saved


def rows_of(saved: Memory) -> Iterator[tuple[Key, sa.Table, Row]]:
    """What was saved, as rows of the new database."""
    for sender, standing in saved.standings.items():
        yield ("standings", sender), STANDINGS, standing_row(sender, standing)
    for override in saved.overrides.values():
        yield ("overrides", override.sender), OVERRIDES, override_row(override)
    for lesson in saved.lessons.values():
        yield ("lessons", lesson.incident), LESSONS, lesson_row(lesson)
    for code, incident in saved.incidents.items():
        yield ("incidents", code), INCIDENTS, incident_row(incident)
        for key, suspect in incident.suspects.items():
            yield ("suspects", f"{code} {key}"), SUSPECTS, suspect_row(code, suspect)


def sqlite_file(engine: sa.Engine) -> Path | None:
    """The database's file, if it is one."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name and name != ":memory:" else None


def is_damage(error: Exception) -> bool:
    """SQLITE_CORRUPT or SQLITE_NOTADB; anything else (locked, full, not permitted) may pass."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return isinstance(error, Damaged) or code & 0xFF in (11, 26)


def put_aside(path: Path, now: float) -> Path:
    """Rename a database with its journal; returns where it is now."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = path.with_name(f"{path.name}.damaged-{stamp}")
    path.rename(kept)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
    return kept
