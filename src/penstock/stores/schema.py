"""The tables of the records, and how rows become values and values rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from penstock.core.incident import Incident
from penstock.core.learning import Lesson
from penstock.core.limits import Limit, Unit
from penstock.core.policy import Override
from penstock.core.standing import Standing, State

log = structlog.get_logger()

SCHEMA = sa.MetaData()
_text, _time = sa.Text, sa.Float
META = sa.Table("meta", SCHEMA, sa.Column("key", _text, primary_key=True), sa.Column("value", _text))
STANDINGS = sa.Table(
    "standings",
    SCHEMA,
    sa.Column("sender", _text, primary_key=True),
    *(sa.Column(name, _text, nullable=False) for name in ("state", "by", "why", "then")),
    sa.Column("since", _time, nullable=False),
    sa.Column("until", _time),
)
HISTORY = sa.Table(
    "history",
    SCHEMA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", _time, nullable=False),
    sa.Column("sender", _text, nullable=False, index=True),
    *(sa.Column(name, _text, nullable=False) for name in ("what", "before", "after", "by", "why")),
    sa.Column("until", _time),
)
OVERRIDES = sa.Table(
    "overrides",
    SCHEMA,
    sa.Column("sender", _text, primary_key=True),
    sa.Column("profile", _text),
    *(sa.Column(name, _text, nullable=False) for name in ("limits", "by", "why")),
    sa.Column("until", _time),
)
REFUSALS = sa.Table(
    "refusals",
    SCHEMA,
    sa.Column("reference", _text, primary_key=True),
    *(sa.Column(name, _text, nullable=False) for name in ("sender", "rule", "verb", "figures")),
    sa.Column("shadow", sa.Boolean, nullable=False),
    *(sa.Column(name, _time, nullable=False) for name in ("first_at", "last_at")),
    sa.Column("recipients", sa.BigInteger, nullable=False),
)

ANSWER_WITHIN = 2
"""Seconds for a database on the network to answer."""

Row = dict[str, Any]
Key = tuple[str, str]


@dataclass
class Memory:
    """What the records held at start."""

    standings: dict[str, Standing] = field(default_factory=dict)
    overrides: dict[str, Override] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    lessons: dict[str, Lesson] = field(default_factory=dict)
    installed_at: float = 0.0


def read_meta(connection: sa.Connection, memory: Memory) -> bool:
    """Since when; False when that is not written yet."""
    query = sa.select(META.c.value).where(META.c.key == "installed_at")
    installed = connection.execute(query).scalar()
    if installed is not None:
        memory.installed_at = float(installed)
    return installed is not None


def read_standings(connection: sa.Connection, memory: Memory) -> None:
    for row in connection.execute(sa.select(STANDINGS)):
        try:
            standing = Standing(State(row.state), row.since, row.by, row.why, row.until, State(row.then))
        except ValueError as error:
            log.error("a standing cannot be read and is left out", sender=row.sender, why=str(error))
            continue
        memory.standings[row.sender] = standing


def read_overrides(connection: sa.Connection, memory: Memory) -> None:
    for row in connection.execute(sa.select(OVERRIDES)):
        try:
            limits = tuple(
                Limit(Unit(unit), amount, window, mode, share)
                for unit, amount, window, mode, share in json.loads(row.limits)
            )
        except (ValueError, TypeError) as error:
            log.error("an exception cannot be read and is left out", sender=row.sender, why=str(error))
            continue
        memory.overrides[row.sender] = Override(row.sender, row.profile, limits, row.until, row.by, row.why)


def standing_row(sender: str, new: Standing) -> Row:
    return {
        "sender": sender,
        "state": str(new.state),
        "since": new.since,
        "by": new.by,
        "why": new.why,
        "until": new.until,
        "then": str(new.then),
    }


def override_row(override: Override) -> Row:
    return {
        "sender": override.sender,
        "profile": override.profile,
        "limits": json.dumps([[str(x.unit), x.amount, x.window, x.mode, x.share] for x in override.limits]),
        "until": override.until,
        "by": override.by,
        "why": override.why,
    }


def clean(text: str) -> str:
    """Text that every database can hold: neither NUL nor bytes that were no UTF-8."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{path}"


def open_database(url: str) -> sa.Engine:
    """One connection at most; SQLite with a log that is synced at each commit."""
    if not url.startswith("sqlite"):
        waits = {"timeout": ANSWER_WITHIN}
        return sa.create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=waits)
    engine = sa.create_engine(
        url, poolclass=sa.StaticPool, connect_args={"check_same_thread": False, "timeout": 5}
    )

    @sa.event.listens_for(engine, "connect")
    def durable(connection: Any, _record: Any) -> None:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        except Exception:
            connection.close()
            raise

    return engine
