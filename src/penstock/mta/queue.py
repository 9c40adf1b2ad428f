"""Asks the privileged helper about the MTA's queue and has it act: over its socket, or as a command.

What a command has done is seen in the next listing, not in its exit status: a message that is just being
delivered cannot be held, one that has left cannot be released, and neither is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from penstock.core.limits import BadLimit, parse_duration
from penstock.unixpath import reachable
from penstock.wire.eximqueue import EximListing
from penstock.wire.postqueue import Entry, PostqueueListing
from penstock.wire.queuehelper import MOST_IDS, Answer, BadAnswer, Question, render_question

PIECE: Final = 16 * 1024
"""Bytes parsed at once: about 50 messages, so that decisions do not wait."""

PATIENCE: Final = 310.0
"""Seconds for an answer; the helper gives up before."""

LINGER: Final = 5.0
MOST_SHOWN: Final = 128 * 1024
Deed = Literal["hold", "release", "bounce", "delete"]


class QueueError(Exception):
    """The helper cannot be reached, or the MTA's program failed; the message says why."""


@dataclass(frozen=True)
class Door:
    """Where the helper is: the path of its socket, or the command that runs it."""

    socket: Path | None = None
    command: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.socket) if self.socket is not None else " ".join(self.command)


@dataclass(frozen=True)
class Lifetime:
    """What the MTA does to mail that lies long; seconds, 0 for never.

    ``expires``: age at which it gives a message up: Postfix one that was released (the hold queue has no
    end), Exim one that still is frozen. ``thaws``: time after which Exim releases what is frozen by itself.
    """

    expires: float = 0.0
    thaws: float = 0.0


class MailQueue:
    """The queues of one MTA's instances."""

    def __init__(self, mta: Literal["postfix", "exim"], instances: tuple[str, ...], door: Door) -> None:
        self.mta = mta
        self.instances = instances
        self._door = door

    async def entries(self, instance: str) -> AsyncGenerator[list[Entry], None]:
        """The queue of an instance, in pieces; raises QueueError, also when the listing is not complete."""
        listing = PostqueueListing() if self.mta == "postfix" else EximListing()
        async with contextlib.aclosing(self._ask(Question("list", instance))) as pieces:
            async for piece in pieces:
                yield listing.feed(piece)
        yield listing.close()

    async def act(self, deed: Deed, instance: str, ids: Iterable[str]) -> None:
        """Have it done to these messages, in batches; raises QueueError when the helper is away."""
        left = iter(ids)
        while batch := tuple(islice(left, MOST_IDS)):
            async with contextlib.aclosing(
                self._ask(Question(deed, instance, batch), strict=False)
            ) as pieces:
                async for _ in pieces:
                    pass

    async def show(self, instance: str, queue_id: str) -> tuple[str, str]:
        """Header and the beginning of the body of a message; raises QueueError when it is not there."""
        header = await self._text(Question("headers", instance, (queue_id,)))
        return header, await self._text(Question("body", instance, (queue_id,)))

    async def lifetime(self, instance: str) -> Lifetime:
        """What becomes of mail that lies long; raises QueueError."""
        said = await self._text(Question("limits", instance))
        if self.mta == "postfix":
            return Lifetime(expires=_seconds(said.strip() or "5d"))
        named = dict(line.split(" = ", 1) for line in said.splitlines() if " = " in line)
        return Lifetime(*(_seconds(named.get(name, "0s")) for name in ("timeout_frozen_after", "auto_thaw")))

    async def _text(self, question: Question) -> str:
        found = bytearray()
        async with contextlib.aclosing(self._ask(question)) as pieces:
            async for piece in pieces:
                found += piece[: MOST_SHOWN - len(found)]
        return found.decode("utf-8", "backslashreplace")

    async def _ask(self, question: Question, strict: bool = True) -> AsyncGenerator[bytes, None]:
        """The output in pieces. ``strict``: a program that failed is a QueueError."""
        answer = Answer()
        async with contextlib.aclosing(self._pieces(question)) as pieces:
            async for data in pieces:
                try:
                    found = answer.feed(data)
                except BadAnswer as error:
                    raise QueueError(f"{error} ({self._door})") from None
                yield found
                if answer.end is not None:
                    break
        end = answer.end
        if end is None:
            raise QueueError(f"the queue helper ended without an answer ({self._door})")
        if end.refused or (strict and not end.ok):
            raise QueueError(f"{question.do}: {end.said or 'failed'}")

    async def _pieces(self, question: Question) -> AsyncGenerator[bytes, None]:
        """What comes from the helper; raises QueueError when it is away or silent."""
        try:
            opened = self._connect(question) if self._door.socket is not None else self._start(question)
            async with opened as reader:
                while True:
                    async with asyncio.timeout(PATIENCE):
                        data = await reader.read(PIECE)
                    if not data:
                        break
                    yield data
        except TimeoutError:
            raise QueueError(f"the queue helper does not answer ({self._door})") from None
        except OSError as error:
            why = error.strerror or str(error)
            raise QueueError(f"the queue helper cannot be reached ({self._door}): {why}") from None

    @contextlib.asynccontextmanager
    async def _connect(self, question: Question) -> AsyncIterator[asyncio.StreamReader]:
        assert self._door.socket is not None
        with reachable(self._door.socket) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        try:
            writer.write(render_question(question))
            yield reader
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def _start(self, question: Question) -> AsyncIterator[asyncio.StreamReader]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._door.command, stdin=pipe, stdout=pipe)
        assert process.stdin is not None and process.stdout is not None
        try:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(render_question(question))
                process.stdin.close()
            yield process.stdout
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """One that runs on is told to end; behind sudo it cannot be told, and ends by itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            process.terminate()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            await process.wait()


def _seconds(text: str) -> float:
    """``5d``, ``1w``, ``3600s``, and ``7d12h`` as Exim writes it; 0 for what cannot be read."""
    total, digits = 0, ""
    for each in text.strip():
        digits += each
        if not each.isdigit():
            try:
                total += parse_duration(digits)
            except BadLimit:
                return 0.0
            digits = ""
    return float(total)
