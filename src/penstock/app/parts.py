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
from penstock.mta.queue import Door, MailQueue
from penstock.wire.eximqueue import EXIM


def directory(settings: Settings) -> Chain:
    """The directory of a running service."""
    wanted = settings.directory
    database, program = _sources(settings)
    return open_directory(entries=wanted.logins, networks=wanted.networks, database=database, program=program)


def blocking_directory(settings: Settings) -> Blocking:
    """The same directory for a replay, which waits for its answers."""
    wanted = settings.directory
    return open_blocking(wanted.logins, wanted.networks, *_sources(settings))


def mail_queue(settings: Settings) -> MailQueue | None:
    """The MTA's queue behind its helper, when it is to be looked after."""
    mta, instances, door = door_of(settings)
    if mta == "postfix":
        return MailQueue("postfix", instances, door)
    return MailQueue("exim", (EXIM,), door) if mta == "exim" else None


def door_of(settings: Settings) -> tuple[str, tuple[str, ...], Door]:
    """Which MTA's queue, its instances, and where the helper is."""
    wanted = settings.queue
    command = wanted.helper_command
    return wanted.mta, wanted.config_dirs, Door(command=command) if command else Door(socket=wanted.helper)


def _sources(settings: Settings) -> tuple[Database | None, Program | None]:
    sql, command = settings.directory.sql, settings.directory.command
    return (
        Database(sql.url, sql.query, sql.timeout, Keeping(ttl=sql.ttl)) if sql else None,
        Program(command.argv, command.timeout, Keeping(ttl=command.ttl)) if command else None,
    )
