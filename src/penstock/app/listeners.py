"""Sockets of the policy listeners: bound with errors that name the address and the remedy."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from penstock.config import Address

BACKLOG = 1024


class ListenError(Exception):
    """An address cannot be listened on; the message says which and why."""


def bind(address: Address) -> socket.socket:
    """A socket that holds the address; nobody can connect before ``serve``.

    A Unix socket is open to every local user: Postfix runs as its own.
    """
    try:
        return _bind_unix(Path(address.path)) if address.path else _bind_tcp(address)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from None


def _bind_tcp(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(path: Path) -> socket.socket:
    _remove_stale(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(0o666)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """A socket that nobody answers on is left from a crash; anything else stays."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(f"{path} exists and is not a socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(path))
            except BlockingIOError:  # alive, with a full queue
                pass
            except ConnectionRefusedError:
                path.unlink()
                return
        raise OSError("somebody else is listening there")


def name_of(address: Address, sock: socket.socket) -> str:
    """The address as it was really bound: port 0 has become one."""
    return str(address if address.path else replace(address, port=sock.getsockname()[1]))


async def serve(sock: socket.socket, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    """Accept connections."""
    loop = asyncio.get_running_loop()
    if sock.family == socket.AF_UNIX:
        return await loop.create_unix_server(factory, sock=sock, backlog=BACKLOG)
    return await loop.create_server(factory, sock=sock, backlog=BACKLOG)


def raise_file_limit() -> None:
    """As many connections as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def close(servers: list[asyncio.Server], addresses: tuple[Address, ...]) -> None:
    """Stop listening and remove the Unix sockets."""
    for server in servers:
        server.close()
    for address in addresses:
        if address.path:
            with contextlib.suppress(OSError):
                Path(address.path).unlink()
