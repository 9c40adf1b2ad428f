"""The control socket: one JSON object a line, asked by the command line and by nobody else.

The socket lies in the state folder; whoever may open it is an administrator, and the kernel
tells who that is (SO_PEERCRED). A change is answered when it is durable.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from penstock.unixpath import reachable

log = structlog.get_logger()

SOCKET: Final = "control.sock"
LONGEST_LINE: Final = 1 << 20
BACKLOG: Final = 1024

Arguments = Mapping[str, Any]
Command = Callable[[Arguments, str], Awaitable[Any]]
"""(arguments, who asks as ``admin:NAME``) → anything JSON can say; raises CommandError."""


class CommandError(Exception):
    """The command could not be done; the message says why, for a person."""


class ControlServer:
    """Answers commands on ``STATE/control.sock``."""

    def __init__(self, folder: Path, commands: Mapping[str, Command]) -> None:
        self.path = folder / SOCKET
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take over the socket's path (the folder's lock says that nobody else serves)."""
        self.path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o117)
        try:
            with reachable(self.path) as name:
                sock.bind(name)
            self._server = await asyncio.start_unix_server(
                self._serve, sock=sock, limit=LONGEST_LINE, backlog=BACKLOG
            )
        except OSError:
            sock.close()
            raise
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)
        for peer in self._peers:
            peer.cancel()
        await asyncio.gather(*self._peers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        who, task = f"admin:{_peer(writer)}", asyncio.current_task()
        assert task is not None
        self._peers.add(task)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line, who)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError) as error:
            log.warning("control connection broken off", by=who, why=str(error))
        except asyncio.CancelledError:  # the service closes; asyncio takes a cancelled peer for a fault
            pass
        finally:
            self._peers.discard(task)
            writer.close()

    async def _answer(self, line: bytes, who: str) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            command = self._commands[asked["command"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"ok": False, "error": f"not a command: {line[:80]!r}"}
        try:
            return {"ok": True, "result": await command(asked, who)}
        except CommandError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:
            log.exception("a command failed", command=asked["command"], by=who)
            return {"ok": False, "error": f"a fault in Penstock, see its log: {error!r}"}


def _peer(writer: asyncio.StreamWriter) -> str:
    """The user at the other end, as the kernel knows it."""
    connection: socket.socket = writer.get_extra_info("socket")
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid = struct.unpack("3i", packed)[1]
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
