"""The socket's half of a milter connection: bytes in, commands to answer, answers out in their order."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Any, Final, cast

import structlog

from penstock.core.flight import Channel
from penstock.servers.milter_keeper import MilterKeeper
from penstock.wire.milter.codec import MilterCodec
from penstock.wire.milter.codes import END_OF_MESSAGE
from penstock.wire.milter.commands import Command, ProtocolError

log = structlog.get_logger()

_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


class MilterLink(asyncio.Protocol):
    """One connection. Who extends it answers commands, and knows whether a message is coming in."""

    def __init__(self, keeper: MilterKeeper) -> None:
        self._keeper = keeper
        self._traffic = keeper.traffic
        self._codec = MilterCodec()
        self._queue: deque[tuple[bytes, Command]] = deque()
        self._ticket = 0
        self._waiting = False
        self._over = False
        self._writable = True
        self._tcp: Any = None

    def _answer(self, letter: bytes, command: Command) -> bytes:
        """The reply to one command; empty where the MTA expects none."""
        raise NotImplementedError

    def _must_wait(self) -> bool:
        """Whether a message that has ended needs something else to be known before it is decided;
        ``_go_on_later`` is called when it is."""
        return False

    def _go_on_later(self) -> None:
        """What was waited for is there."""
        self._waiting = False
        if self._transport.is_closing():
            return
        if self._writable:
            self._transport.resume_reading()
        try:
            self._go_on()
        except ProtocolError as error:
            self._refuse_peer(error)

    def _give_up(self) -> None:
        """A message that began is over without an end."""
        raise NotImplementedError

    def _idle(self) -> bool:
        """Whether no message is coming in."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected: a TCP peer is named by its address, a local one is ``local``."""
        peer = transport.get_extra_info("peername")
        tcp = isinstance(peer, tuple) and bool(peer)
        self._host = peer[0] if tcp else "local"
        if tcp and _QUICKACK is not None:
            self._tcp = transport.get_extra_info("socket")
        self._transport = cast(asyncio.Transport, transport)
        self._channel = Channel(self._host)
        self._traffic.connections += 1
        self._traffic.open += 1
        self._keeper.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone; a message that it left open is over."""
        del exc
        self._give_up()
        self._queue.clear()
        self._keeper.engine.flights.orphan(self._channel)
        self._traffic.open -= 1
        self._keeper.left(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a command, a command, or several.

        Over TCP each piece is acknowledged at once: an MTA that sends on without waiting for replies has its
        next packet held back by its own kernel until then, for 40 ms a message.
        """
        if self._tcp is not None:
            self._tcp.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        try:
            self._queue.extend(self._codec.feed(data))
            if self._queue and not self._waiting:
                self._go_on()
        except ProtocolError as error:
            self._refuse_peer(error)

    def _go_on(self) -> None:
        """Answer what has come, up to a reply that has to wait for its record."""
        answers, queue = bytearray(), self._queue
        while queue and not self._waiting:
            if queue[0][0] == END_OF_MESSAGE and self._must_wait():
                break
            answer = self._answer(*queue.popleft())
            if self._ticket and self._ticket > self._keeper.records.durable:
                self._write(answers)  # it may become durable while we ask for it
                answers.clear()
                self._wait(answer)
            else:
                answers += answer
        self._write(answers)
        if self._over or self._keeper.stopping:
            self.close_if_idle()

    def _write(self, answers: bytearray) -> None:
        if answers and not self._transport.is_closing():
            self._transport.write(bytes(answers))

    def _wait(self, answer: bytes) -> None:
        """Give an answer when the record that it rests on is durable."""
        self._waiting = True
        self._transport.pause_reading()
        self._keeper.records.when_durable(self._ticket, lambda: self._resume(answer))

    def _resume(self, answer: bytes) -> None:
        self._waiting = False
        self._ticket = 0
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if self._writable:
            self._transport.resume_reading()
        try:
            self._go_on()
        except ProtocolError as error:
            self._refuse_peer(error)

    def pause_writing(self) -> None:
        """The peer does not read its replies: take nothing more from it."""
        self._writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable = True
        if not self._waiting:
            self._transport.resume_reading()

    def _refuse_peer(self, error: ProtocolError) -> None:
        self._traffic.protocol_errors += 1
        log.warning("milter peer closed: it does not speak the protocol", peer=self._host, why=str(error))
        self._queue.clear()
        self._transport.close()

    def close_if_idle(self) -> None:
        """Close unless a message is coming in."""
        if self._idle() and not self._waiting:
            self._transport.close()

    def close(self) -> None:
        """Close after what is written has gone out: the MTA then goes on without us."""
        self._transport.close()
