"""Parts made from settings."""

from __future__ import annotations

from penstock.config import Settings
from penstock.directory import (
    Blocking,
    Chain,
    Database,
    Keeping,
    Program,
    open_blocking,
    open_directory,
)


def directory(settings: Settings) -> Chain:
    """The directory of a running service."""
    wanted = settings.directory
    database, program = _sources(settings)
    return open_directory(entries=wanted.logins, networks=wanted.networks, database=database, program=program)


def blocking_directory(settings: Settings) -> Blocking:
    """The same directory for a replay, which waits for its answers."""
    wanted = settings.directory
    return open_blocking(wanted.logins, wanted.networks, *_sources(settings))


def _sources(settings: Settings) -> tuple[Database | None, Program | None]:
    sql, command = settings.directory.sql, settings.directory.command
    return (
        Database(sql.url, sql.query, sql.timeout, Keeping(ttl=sql.ttl)) if sql else None,
        Program(command.argv, command.timeout, Keeping(ttl=command.ttl)) if command else None,
    )
