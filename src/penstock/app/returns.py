"""What comes back: the logs that are followed, and the reports that come by mail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Final

import structlog

from penstock.app import listeners
from penstock.app.intake import Intake, open_tracer
from penstock.app.listeners import ListenError
from penstock.app.node import Node
from penstock.app.watching import Watched
from penstock.servers.reports import ReportServer
from penstock.wire.trace import HEADER

log = structlog.get_logger()

FOLDER: Final = "reports"
FIRST_LOOK: Final = 2.0
"""Seconds that the first look at all logs may delay mail: one that was followed before loses nothing."""


class Returns:
    """Opened after the engine, closed before the log of counts."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._bound: list[Path] = []

    async def follow(self) -> None:
        """Begin to follow the logs, before any mail is let in: what becomes of it stands there."""
        logs = self._node.logs
        logs += [Watched(self._node, name, source) for name, source in self._node.settings.logs.items()]
        if logs:
            looks = [asyncio.ensure_future(watched.follower.start()) for watched in logs]
            await asyncio.wait(looks, timeout=FIRST_LOOK)

    async def open(self) -> None:
        """Begin to listen. What cannot be had is complained about: the gate goes on."""
        settings = self._node.settings
        wanted = settings.reports
        if wanted.header or wanted.listen:
            tracer = open_tracer(settings.state)
            if wanted.header:
                self._node.engine.stamp = lambda sender, at: f"{HEADER}: {tracer.token(sender, at)}"
            node = self._node
            node.intake = Intake(
                node.engine, node.sent, tracer, node.clock, bool(node.logs), lambda: _behind(node)
            )
            await self._listen(node.intake)

    async def _listen(self, intake: Intake) -> None:
        settings = self._node.settings
        if not settings.reports.listen:
            return
        server = ReportServer(
            settings.state / FOLDER,
            intake.take,
            recipients=settings.reports.recipients,
            hostname=socket.gethostname(),
        )
        try:
            await server.start()
        except OSError as error:
            self._complain(intake, f"no reports are taken: {error}")
            return
        self._node.reports = server
        for address in settings.reports.listen:
            try:
                await server.listen(listeners.bind(address), lmtp=True)
            except (OSError, ListenError) as error:
                self._complain(intake, f"no reports are taken on {address}: {error}")
            else:
                self._bound += [Path(address.path)] if address.path else []

    def _complain(self, intake: Intake, why: str) -> None:
        intake.problem = "; ".join(filter(None, (intake.problem, why)))
        log.error("no intake of reports", why=why)

    async def close(self) -> None:
        """Stop between two lines, and keep what the joins know. Sockets that others listen on stay."""
        for watched in self._node.logs:
            try:
                await watched.follower.stop()
            except Exception:
                log.exception("a log was not closed in good order", source=watched.name)
        if self._node.reports is not None:
            await self._node.reports.close()
        for path in self._bound:
            with contextlib.suppress(OSError):
                path.unlink()


def _behind(node: Node) -> int:
    """Bytes of the followed logs that are not read yet."""
    return sum(watched.follower.source.bytes_behind for watched in node.logs)
