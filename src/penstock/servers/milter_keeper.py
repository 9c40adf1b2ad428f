"""What all connections of a milter listener share."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Protocol

import structlog

from penstock.core.decision import Decision
from penstock.core.policy import Action
from penstock.engine import Engine
from penstock.servers.milter_locals import Locals
from penstock.servers.milter_traffic import MilterTraffic
from penstock.servers.policy import Durability
from penstock.wire.content import ContentReader
from penstock.wire.milter.envelope import WISH_LOCAL, WISH_SMTP

log = structlog.get_logger()


class Closable(Protocol):
    """A connection, as far as the keeper cares."""

    def close_if_idle(self) -> None:
        """Close unless a message is coming in."""

    def close(self) -> None:
        """Close after what is written has gone out."""


class MilterKeeper:
    """What all connections of a listener share. ``reader``: what is to read a message, if
    anything."""

    def __init__(
        self,
        engine: Engine,
        records: Durability,
        clock: Callable[[], float],
        traffic: MilterTraffic,
        on_error: Callable[[], Action],
    ) -> None:
        self.engine = engine
        self.records = records
        self.clock = clock
        self.traffic = traffic
        self.on_error = on_error
        self.wish = WISH_SMTP if traffic.smtp else WISH_LOCAL
        self.reader: Callable[[], ContentReader | None] = lambda: None
        self.locals = Locals(engine.origins, clock)
        self.stopping = False
        self.connections: set[Closable] = set()
        self.numbers = itertools.count()
        self._gone = asyncio.Event()

    def failed(self, who: str) -> Decision:
        """A fault of ours: shout, and let the mail flow (or as the policy says)."""
        self.traffic.errors += 1
        log.exception("milter failed, answering on_error", sender=who)
        action = self.on_error()
        text = "Temporary problem, please try again later"
        return Decision(action.verb, action.argument, "none", "on_error", text)

    def left(self, connection: Closable) -> None:
        """A connection is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._gone.set()

    async def drain(self, seconds: float) -> None:
        """Close every connection, those in the middle of a message when it has ended, or after so long."""
        self.stopping = True
        for connection in list(self.connections):
            connection.close_if_idle()
        if self.connections:
            self._gone.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), seconds)
        for connection in list(self.connections):
            connection.close()
