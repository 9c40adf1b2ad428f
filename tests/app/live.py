"""A whole service inside the test's own event loop: its parts can be slowed, broken and looked into."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.app import Service
from penstock.app.service import runner
from penstock.config import Address, load, parse
from rig.policy import DEFAULTS, encode

T0 = 1_700_000_000.0
Change = Callable[[Service], None]


class Clock:
    """Time that stands still until the test moves it."""

    def __init__(self, now: float = T0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run a test's story on the loop that the service runs on (uvloop where it is installed)."""
    runner()(_bounded(story))


async def _bounded(story: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(60):
        await story


@contextlib.asynccontextmanager
async def serving(
    folder: Path,
    config: str = "",
    clock: Callable[[], float] | None = None,
    http: Address | None = None,
    opens: bool = True,
) -> AsyncIterator[Service]:
    """A service on `folder/state` with one Unix socket, `folder/policy`; closed at the end.

    With a text in `config` it reads `folder/penstock.toml`, so that it can be reloaded. `opens`: the files
    that it names are looked into before.
    """
    clock = clock or Clock()
    folder.mkdir(exist_ok=True)
    if config:
        (folder / "penstock.toml").write_text(config)
    settings = load(folder / "penstock.toml", clock(), opens) if config else parse("", at=clock())
    listen = replace(settings.listen, policy=(Address(path=str(folder / "policy")),), http=http)
    service = Service(replace(settings, listen=listen, state=folder / "state"), clock)
    await service.open()
    try:
        yield service
    finally:
        await service.close()


class Peer:
    """One smtpd process: an asynchronous connection to the policy socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, **attributes: str | int) -> None:
        """Ask without waiting."""
        self.writer.write(encode(DEFAULTS | {k: str(v) for k, v in attributes.items()}))

    async def answer(self, seconds: float = 10) -> str:
        """The next action."""
        async with asyncio.timeout(seconds):
            raw = await self.reader.readuntil(b"\n\n")
        return raw.decode().removeprefix("action=").rstrip("\n")

    async def ask(self, **attributes: str | int) -> str:
        """Ask and wait for the action."""
        self.send(**attributes)
        return await self.answer()


@contextlib.asynccontextmanager
async def peer(folder: Path) -> AsyncIterator[Peer]:
    """A connection to the service on that folder."""
    reader, writer = await asyncio.open_unix_connection(folder / "policy")
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def raw_control(folder: Path, line: bytes) -> bytes:
    """What the control socket answers to a line; empty when it hangs up."""
    reader, writer = await asyncio.open_unix_connection(folder / "state/control.sock", limit=1 << 22)
    try:
        writer.write(line)
        await writer.drain()
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def command(folder: Path, name: str, **arguments: Any) -> Any:
    """The result of a command; AssertionError with its words when it was refused."""
    answer = json.loads(
        await raw_control(folder, json.dumps({"command": name, **arguments}).encode() + b"\n")
    )
    assert answer["ok"], answer["error"]
    return answer["result"]


async def until(probe: Callable[[], Any], seconds: float = 10) -> None:
    """Let the loop run until the probe is true (it may be a coroutine function)."""
    async with asyncio.timeout(seconds):
        while True:
            found = probe()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await asyncio.sleep(0.005)
