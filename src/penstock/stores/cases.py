"""The tables of incidents, their senders and what was learned of them, and how values become rows."""

from __future__ import annotations

import json
import math
from typing import Any

import sqlalchemy as sa
import structlog

from penstock.core.evidence import Finding
from penstock.core.incident import Incident, Suspect, Verdict
from penstock.core.learning import Learn, Lesson
from penstock.stores.schema import SCHEMA, Memory, Row

log = structlog.get_logger()

_text, _time = sa.Text, sa.Float
INCIDENTS = sa.Table(
    "incidents",
    SCHEMA,
    sa.Column("id", _text, primary_key=True),
    sa.Column("opened_at", _time, nullable=False),
    sa.Column("closed_at", _time),
    sa.Column("shadow", sa.Boolean, nullable=False),
    *(sa.Column(name, _text, nullable=False) for name in ("campaign", "how", "into")),
    *(sa.Column(name, _text, nullable=False) for name in ("verdict", "by", "note")),
    sa.Column("verdict_at", _time, nullable=False),
)
SUSPECTS = sa.Table(
    "suspects",
    SCHEMA,
    sa.Column("incident", _text, primary_key=True),
    sa.Column("sender", _text, primary_key=True),
    *(sa.Column(name, _time, nullable=False) for name in ("opened_at", "began_at", "seen_at")),
    *(sa.Column(name, _time) for name in ("slowed_at", "paused_at", "released_at")),
    *(sa.Column(name, _time, nullable=False) for name in ("suspicion", "prior")),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("leak", "stopped")),
    *(sa.Column(name, _text, nullable=False) for name in ("customer", "profile", "findings", "counts")),
)
_PACKED = ("signals", "groups", "seen", "networks", "who", "steps")
LESSONS = sa.Table(
    "lessons",
    SCHEMA,
    sa.Column("incident", _text, primary_key=True),
    *(sa.Column(name, _text, nullable=False) for name in ("verdict", "learn", "by", "note")),
    *(sa.Column(name, _time, nullable=False) for name in ("at", "until", "ends_at")),
    *(sa.Column(name, _text, nullable=False) for name in ("about", "given")),
    *(sa.Column(name, _text, nullable=False) for name in _PACKED),
)
_TIMES = ("slowed_at", "paused_at", "released_at")
_PLAIN = ("sender", "opened_at", "began_at", "seen_at", "suspicion", "prior", "leak", "stopped")


def incident_row(incident: Incident) -> Row:
    names = ("id", "opened_at", "closed_at", "shadow", "campaign", "how", "into", "by", "note", "verdict_at")
    return {name: getattr(incident, name) for name in names} | {"verdict": str(incident.verdict or "")}


def suspect_row(incident: str, suspect: Suspect) -> Row:
    names = (*_PLAIN, *_TIMES, "customer", "profile")
    findings = [[f.signal, f.weight, f.text, f.group] for f in suspect.findings]
    return {name: getattr(suspect, name) for name in names} | {
        "incident": incident,
        "findings": json.dumps(findings),
        "counts": json.dumps(suspect.counts),
    }


def lesson_row(lesson: Lesson) -> Row:
    names = ("incident", "by", "note", "at", "until", "ends_at", "about", "given")
    return (
        {name: getattr(lesson, name) for name in names}
        | {"verdict": str(lesson.verdict), "learn": str(lesson.learn)}
        | {name: json.dumps(getattr(lesson, name)) for name in _PACKED}
    )


def forget(connection: sa.Connection, closed_before: float, now: float) -> None:
    """Delete what was closed long ago, and lessons that have ended."""
    connection.execute(sa.delete(INCIDENTS).where(INCIDENTS.c.closed_at < closed_before))
    connection.execute(sa.delete(SUSPECTS).where(SUSPECTS.c.incident.not_in(sa.select(INCIDENTS.c.id))))
    connection.execute(sa.delete(LESSONS).where(LESSONS.c.ends_at <= now))


def read_incidents(connection: sa.Connection, memory: Memory) -> None:
    for row in connection.execute(sa.select(INCIDENTS)):
        try:
            verdict = Verdict(row.verdict) if row.verdict else None
            found = Incident(**{**row._mapping, "verdict": verdict, "suspects": {}})
            _check(found.opened_at, found.verdict_at)
        except (ValueError, TypeError) as error:
            log.error("an incident cannot be read and is left out", incident=row.id, why=str(error))
            continue
        memory.incidents[found.id] = found
    for row in connection.execute(sa.select(SUSPECTS)):
        try:
            _add(memory, row)
        except (ValueError, TypeError, AttributeError) as error:
            log.error(
                "a sender of an incident cannot be read and is left out", sender=row.sender, why=str(error)
            )


def _add(memory: Memory, row: Any) -> None:
    """One sender to its incident; one that lost it is left out."""
    incident = memory.incidents.get(row.incident)
    if incident is None:
        return
    values = {name: value for name, value in row._mapping.items() if name != "incident"}
    values["findings"] = tuple(Finding(*_finding(each)) for each in json.loads(row.findings))
    values["counts"] = {str(name): int(n) for name, n in json.loads(row.counts).items()}
    suspect = Suspect(**values)
    _check(suspect.opened_at, suspect.began_at, suspect.seen_at, suspect.suspicion, suspect.prior)
    incident.suspects[suspect.sender] = suspect


def _finding(found: Any) -> tuple[str, float, str, str]:
    signal, weight, text, group = found
    _check(weight)
    return str(signal), float(weight), str(text), str(group)


def read_lessons(connection: sa.Connection, memory: Memory) -> None:
    for row in connection.execute(sa.select(LESSONS)):
        try:
            lesson = _lesson(row)
        except (ValueError, TypeError, AttributeError) as error:
            log.error("a lesson cannot be read and is left out", incident=row.incident, why=str(error))
            continue
        memory.lessons[lesson.incident] = lesson


def _lesson(row: Any) -> Lesson:
    values = {name: value for name, value in row._mapping.items() if name != "ends_at"}
    values |= {"verdict": Verdict(row.verdict), "learn": Learn(row.learn)}
    for name in ("signals", "groups", "who"):
        values[name] = tuple(str(each) for each in json.loads(values[name]))
    values["steps"] = {str(name): float(step) for name, step in json.loads(row.steps).items()}
    seen = json.loads(row.seen).items()
    values["seen"] = {str(key): {str(c): int(n) for c, n in day.items()} for key, day in seen}
    values["networks"] = {str(key): str(network) for key, network in json.loads(row.networks).items()}
    lesson = Lesson(**values)
    _check(lesson.at, lesson.until, *lesson.steps.values())
    return lesson


def _check(*numbers: Any) -> None:
    """Raises TypeError or ValueError for what is no finite number."""
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a number that is none")
