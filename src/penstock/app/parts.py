"""Parts made from settings."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from penstock.config import Settings
from penstock.core.journey import Place
from penstock.core.policy import Entry
from penstock.directory import (
    Blocking,
    Chain,
    Database,
    Keeping,
    Program,
    open_blocking,
    open_directory,
)
from penstock.engine import Engine
from penstock.engine.professionals import Professional, Professionals
from penstock.mta.queue import Door, MailQueue
from penstock.stores.places import BadPlaces, Places
from penstock.wire.eximqueue import EXIM
from penstock.wire.milter.smarthost import Orders

KEY_BYTES: Final = 32
"""Of the key under which tags are looked up; it lives as long as the process."""


def directory(settings: Settings) -> Chain:
    """The directory of a running service."""
    wanted = settings.directory
    database, program = _sources(settings)
    return open_directory(
        entries=entries(settings), networks=wanted.networks, database=database, program=program
    )


def blocking_directory(settings: Settings) -> Blocking:
    """The same directory for a replay, which waits for its answers."""
    wanted = settings.directory
    return open_blocking(entries(settings), wanted.networks, *_sources(settings))


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


def professionals(settings: Settings) -> dict[str, Professional]:
    """Professional customers by name, as the engine knows them."""
    return {
        name: Professional(
            one.tag, Orders(one.signers, one.feedback_id, one.cfbl_address, one.pool), one.notice
        )
        for name, one in settings.professional.items()
    }


def smarthost(engine: Engine, settings: Settings) -> Professionals:
    """What knows the professional customers of a running service."""
    found = Professionals(engine.roster, engine.casework.incidents, secrets.token_bytes(KEY_BYTES))
    found.adopt(professionals(settings))
    return found


def entries(settings: Settings) -> dict[str, Entry]:
    """Who senders are, by key: the file's logins, and professional customers."""
    customers = {
        f"customer:{name}": Entry(customer=name, profile=one.profile)
        for name, one in settings.professional.items()
    }
    return customers | dict(settings.directory.logins)


def places(settings: Settings) -> Callable[[str], Place | None] | None:
    """What tells where a client address is, if the policy names a file; raises BadPlaces."""
    geo = settings.policy.detection.geo
    try:
        return Places(Path(geo)).of if geo else None
    except BadPlaces as wrong:
        raise BadPlaces(f"{geo}: {wrong}") from None


def _sources(settings: Settings) -> tuple[Database | None, Program | None]:
    sql, command = settings.directory.sql, settings.directory.command
    return (
        Database(sql.url, sql.query, sql.timeout, Keeping(ttl=sql.ttl)) if sql else None,
        Program(command.argv, command.timeout, Keeping(ttl=command.ttl)) if command else None,
    )
