"""The intake of reports that come by mail: LMTP or SMTP in, ``Report`` out, nothing lost in between.

A mail is written to ``new/`` (fsync, rename) before it is accepted, then read off the loop and handed
on. What was understood and resolved is deleted; everything else moves to ``kept/`` beside a ``.reason`` file.
After a crash ``new/`` is worked through again under the same names, so whoever takes the reports counts each
name once. Both folders are bounded: when they are full the mail is deferred (452), and that is shouted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from penstock.wire.reports import BadReport, Report, read_report

log = structlog.get_logger()

T = TypeVar("T")
OnReport = Callable[[str, Report, bytes], Awaitable[str]]
"""(name of the mail, report, its bytes) → "" when it is resolved, else why it is to be kept.

The same name comes twice when we died between the answer and the deletion: count it once."""

LONGEST_LINE: Final = 1 << 20
MOST_RECIPIENTS: Final = 100
SHOUT_AGAIN: Final = 300.0
LOOK_AGAIN: Final = 5.0
"""Seconds after which a full folder is complained about, and counted, again."""
OTHER: Final = "not understood as a bounce or a complaint"

FULL: Final = "452 4.3.1 The folder of reports is full, please try again later"
DISK: Final = "452 4.3.0 The report can not be written, please try again later"
FAULT: Final = "451 4.3.0 Internal error, please try again later"
NOT_HERE: Final = "550 5.1.1 No reports are taken for this address"
TOO_MANY: Final = "452 4.5.3 Too many recipients"
BUSY: Final = b"421 4.3.2 Too many connections, please try again later\r\n"


@dataclass(frozen=True)
class Bounds:
    """What the intake may cost: a mail, connections at once, seconds without a command, the folder."""

    mail_bytes: int = 16 << 20
    connections: int = 20
    timeout: float = 300.0
    files: int = 20_000
    folder_bytes: int = 1 << 30


@dataclass
class Figures:
    """Plain figures of the intake, read by metrics and doctor."""

    received: int = 0
    understood: int = 0
    kept: int = 0
    refused: int = 0
    open: int = 0


class ReportFolder:
    """``tmp/``, ``new/`` and ``kept/``. Its methods block and are called in threads, one at a time."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self.folder = folder
        self._bounds = bounds
        self.files = 0
        self.bytes = 0

    def open(self) -> list[str]:
        """Make the folders, count what lies in them; the names of what is still to be read, oldest first.

        Raises OSError."""
        for name in ("tmp", "new", "kept"):
            (self.folder / name).mkdir(mode=0o750, parents=True, exist_ok=True)
        for torn in (self.folder / "tmp").iterdir():  # was never accepted
            torn.unlink()
        self.count()
        return sorted(path.name for path in (self.folder / "new").glob("*.eml"))

    def count(self) -> None:
        """Look how full it is: an administrator may have emptied ``kept/``. Raises OSError."""
        sizes = [p.stat().st_size for name in ("new", "kept") for p in (self.folder / name).glob("*.eml")]
        self.files, self.bytes = len(sizes), sum(sizes)

    def _count(self, files: int, size: int) -> None:
        self.files += files
        self.bytes += size

    def has_room(self, size: int) -> bool:
        """Whether a mail of this size fits."""
        return self.files < self._bounds.files and self.bytes + size <= self._bounds.folder_bytes

    def store(self, raw: bytes) -> str:
        """Write a mail so that it survives a crash; its name. Raises OSError."""
        name = f"{time.time_ns():020d}-{secrets.token_hex(6)}.eml"
        written = self.folder / "tmp" / name
        try:
            with written.open("xb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            written.rename(self.folder / "new" / name)
        except OSError:
            written.unlink(missing_ok=True)
            raise
        _sync(self.folder / "new")
        self._count(1, len(raw))
        return name

    def read(self, name: str) -> bytes:
        """The bytes of a mail. Raises OSError."""
        return (self.folder / "new" / name).read_bytes()

    def drop(self, name: str) -> None:
        """It is dealt with."""
        path = self.folder / "new" / name
        size = path.stat().st_size
        path.unlink()
        self._count(-1, -size)

    def keep(self, name: str, why: str) -> None:
        """Keep it for the administrator, with the reason."""
        kept = self.folder / "kept"
        (kept / f"{name}.reason").write_text(why + "\n", encoding="utf-8", errors="replace")
        (self.folder / "new" / name).rename(kept / name)


def _sync(folder: Path) -> None:
    """Make a rename durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class ReportServer:
    """Takes reports on the sockets that it is given, reads them, hands them on in the order of arrival."""

    def __init__(
        self,
        folder: Path,
        on_report: OnReport,
        *,
        recipients: Collection[str] = (),
        hostname: str = "localhost",
        bounds: Bounds = Bounds(),
    ) -> None:
        self.figures = Figures()
        self.folder = ReportFolder(folder, bounds)
        self.bounds = bounds
        self.hostname = hostname
        self.connections: set[asyncio.Transport] = set()
        self._on_report = on_report
        self._recipients = frozenset(address.lower() for address in recipients)
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._servers: list[asyncio.Server] = []
        self._worker: asyncio.Task[None] | None = None
        self._folder_lock = asyncio.Lock()
        self._closing = False
        self._shouted = self._looked = -SHOUT_AGAIN
        # It logs what strangers type, at every level below this one.
        logging.getLogger("mail.log").setLevel(logging.ERROR)

    async def start(self) -> None:
        """Open the folder and begin with what a crash has left in it. Raises OSError."""
        for name in await asyncio.to_thread(self.folder.open):
            self._waiting.put_nowait(name)
        self._worker = asyncio.create_task(self._work())

    async def listen(self, sock: socket.socket, *, lmtp: bool) -> None:
        """Take mail on a bound socket, TCP or Unix, as LMTP (RFC 2033) or SMTP (RFC 5321)."""
        loop = asyncio.get_running_loop()
        factory = self._lmtp if lmtp else self._smtp
        if sock.family == socket.AF_UNIX:
            self._servers.append(await loop.create_unix_server(factory, sock=sock))
        else:
            self._servers.append(await loop.create_server(factory, sock=sock))

    def _smtp(self) -> SMTP:
        return SmtpConnection(self)

    def _lmtp(self) -> SMTP:
        return LmtpConnection(self)

    async def close(self) -> None:
        """Stop taking mail; what is being handed on is finished, the rest stays in ``new/``."""
        for server in self._servers:
            server.close()
        for transport in list(self.connections):
            transport.abort()
        for server in self._servers:
            await server.wait_closed()
        self._closing = True
        if self._worker is not None:
            self._waiting.put_nowait("")
            await self._worker

    def takes(self, address: str) -> bool:
        """Whether reports are taken for an address; ``reports+anything@`` is ``reports@``."""
        local, _, domain = address.lower().rpartition("@")
        plain = f"{local.partition('+')[0]}@{domain}"
        return not self._recipients or bool(self._recipients & {address.lower(), plain})

    async def take(self, raw: bytes) -> str:
        """Store a mail; the answer to the client. Once begun it is finished, whatever the client does."""
        return await asyncio.shield(asyncio.ensure_future(self._store(raw)))

    async def _store(self, raw: bytes) -> str:
        try:
            if not await self._has_room(len(raw)):
                return self._refuse(FULL, "the folder of reports is full: empty kept/, reports are deferred")
            name = await self._in_folder(self.folder.store, raw)
        except OSError as error:
            return self._refuse(DISK, f"a report can not be written: {error}")
        self.figures.received += 1
        self._waiting.put_nowait(name)
        return f"250 2.0.0 {name}"

    async def _in_folder(self, call: Callable[..., T], *arguments: object) -> T:
        """Do something in the folder, off the loop, alone."""
        async with self._folder_lock:
            return await asyncio.to_thread(call, *arguments)

    async def _has_room(self, size: int) -> bool:
        """Whether a mail fits; a full folder is looked at again now and then. Raises OSError."""
        now = time.monotonic()
        if not self.folder.has_room(size) and now - self._looked >= LOOK_AGAIN:
            self._looked = now
            await self._in_folder(self.folder.count)
        return self.folder.has_room(size)

    def _refuse(self, answer: str, why: str) -> str:
        """Defer, and shout: to the log, but not for each of a thousand reports."""
        self.figures.refused += 1
        now = time.monotonic()
        if now - self._shouted >= SHOUT_AGAIN:
            self._shouted = now
            log.error(why, folder=str(self.folder.folder), files=self.folder.files, bytes=self.folder.bytes)
        return answer

    async def _work(self) -> None:
        while (name := await self._waiting.get()) and not self._closing:
            try:
                await self._deal_with(name)
            except OSError as error:
                log.error("a report stays in new/ until the next start", report=name, why=str(error))

    async def _deal_with(self, name: str) -> None:
        """Read, hand on, delete or keep one mail. Raises OSError."""
        why = await self._resolved(name, await asyncio.to_thread(self.folder.read, name))
        if not why:
            self.figures.understood += 1
            await self._in_folder(self.folder.drop, name)
            return
        log.warning("a report is kept", report=name, why=why)
        await self._in_folder(self.folder.keep, name, why)
        self.figures.kept += 1

    async def _resolved(self, name: str, raw: bytes) -> str:
        """Why the mail is to be kept, "" when it is dealt with."""
        try:
            report = await asyncio.to_thread(read_report, raw)
            if report.kind == "other":  # a delay or a success was understood, and charges nobody
                return "" if report.recipients else OTHER
            return await self._on_report(name, report, raw)
        except BadReport as error:
            return str(error)
        except Exception as error:
            log.exception("a report could not be dealt with", report=name)
            return f"a fault in Penstock, see its log: {error!r}"


class Handler:
    """What aiosmtpd asks of a connection."""

    def __init__(self, server: ReportServer) -> None:
        self._server = server

    async def handle_RCPT(
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only addresses that reports go to."""
        del smtp, session
        if not self._server.takes(address):
            self._server.figures.refused += 1
            return NOT_HERE
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return TOO_MANY
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:
        """The whole mail is here."""
        del smtp, session
        try:
            return await self._server.take(envelope.original_content or b"")
        except Exception as error:  # LMTP owes an answer for each recipient, so it is given here
            return await self.handle_exception(error)

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours must not cost a report: the client tries again (aiosmtpd would say 500)."""
        log.error("a fault in the intake of reports", why=repr(error))
        return FAULT


class SmtpConnection(SMTP):
    """One client. Long lines are taken: to refuse them for good would lose a report."""

    line_length_limit = LONGEST_LINE

    def __init__(self, server: ReportServer) -> None:
        super().__init__(
            Handler(server),
            data_size_limit=server.bounds.mail_bytes,
            enable_SMTPUTF8=True,
            hostname=server.hostname,  # else it asks the DNS, blocking
            ident="Penstock reports",
            timeout=server.bounds.timeout,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            loop=asyncio.get_running_loop(),
        )
        self._report_server = server
        self._turned_away = False

    def connection_made(self, given: asyncio.BaseTransport) -> None:
        """Greet, or turn away."""
        transport = cast(asyncio.Transport, given)  # uvloop's is no subclass of it
        server = self._report_server
        self._turned_away = len(server.connections) >= server.bounds.connections
        if self._turned_away:
            server.figures.refused += 1
            transport.write(BUSY)
            transport.close()
            return
        server.connections.add(transport)
        server.figures.open = len(server.connections)
        self._ours = transport
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        if self._turned_away:
            return
        self._report_server.connections.discard(self._ours)
        self._report_server.figures.open = len(self._report_server.connections)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client; one that was turned away may still talk."""
        if not self._turned_away:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """The client has said all."""
        return None if self._turned_away else super().eof_received()


class LmtpConnection(SmtpConnection, LMTP):
    """LMTP: after the data there is one answer for each recipient (RFC 2033 §4.2), which aiosmtpd lacks."""

    _answers = 1

    async def smtp_DATA(self, arg: str) -> None:
        """Receive the mail."""
        assert self.envelope is not None
        self._answers = max(len(self.envelope.rcpt_tos), 1)
        try:
            await super().smtp_DATA(arg)
        finally:
            self._answers = 1

    async def push(self, status: Any) -> None:
        """Send an answer, repeated where it is one for each recipient."""
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else str(status)
        if not text.startswith(("354", "501", "503")):
            text = "\r\n".join([text] * self._answers)
        await super().push(text)
