"""The policy listener: bytes in, decisions out; nothing here knows why.

One connection is one smtpd process with one question outstanding, so answers are written in
order. A decision that rests on a record waits until that record is durable; only its own
connection waits with it. A fault of ours is answered with the policy's ``on_error``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import structlog

from penstock.core.decision import PASS, Decision
from penstock.core.events import Attempt
from penstock.core.flight import Channel
from penstock.core.policy import Action
from penstock.engine import Engine
from penstock.wire.postfix_policy import DUNNO, PolicyCodec, ProtocolError, render

log = structlog.get_logger()

COUNTED = frozenset({"RCPT", "DATA", "END-OF-MESSAGE"})
"""Stages that mean traffic: a monitor's harmless question must not hide a silence."""

MOST_OUTBOX = 32
"""Answers that may wait for the end of the loop's turn."""


class Durability(Protocol):
    """What the listener needs of the records."""

    durable: int

    def when_durable(self, ticket: int, call: Callable[[], None]) -> None:
        """Call on the loop's thread once the ticket is durable (or can not become so)."""
        ...


class Traffic:
    """Plain figures of one listener, read by metrics and doctor."""

    __slots__ = ("connections", "errors", "last_at", "open", "protocol_errors", "stages", "verbs")

    def __init__(self) -> None:
        self.connections = 0
        self.open = 0
        self.errors = 0
        self.protocol_errors = 0
        self.last_at = 0.0
        self.stages: dict[str, int] = {}
        self.verbs: dict[str, int] = {}


class Gatekeeper:
    """What all connections of a listener share."""

    def __init__(
        self,
        engine: Engine,
        records: Durability,
        clock: Callable[[], float],
        traffic: Traffic,
        on_error: Callable[[], Action],
    ) -> None:
        self.engine = engine
        self.records = records
        self.clock = clock
        self.traffic = traffic
        self.on_error = on_error
        self.connections: set[PolicyConnection] = set()
        self._outbox: list[tuple[asyncio.Transport, bytes]] = []
        self._call_soon = asyncio.get_running_loop().call_soon

    def send(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Write at the end of this turn of the loop, with all other answers: peers that sleep
        are woken together, which costs the kernel far less than one after the other."""
        outbox = self._outbox
        if not outbox:
            self._call_soon(self._deliver)
        outbox.append((transport, answer))
        if len(outbox) >= MOST_OUTBOX:
            self._deliver()

    def _deliver(self) -> None:
        outbox, self._outbox = self._outbox, []
        for transport, answer in outbox:
            transport.write(answer)

    def connection(self) -> PolicyConnection:
        """Protocol factory for loop.create_server."""
        return PolicyConnection(self)

    def failed(self, attempt: Attempt) -> Decision:
        """A fault of ours: shout, and let the mail flow (or as the policy says)."""
        self.traffic.errors += 1
        log.exception("decision failed, answering on_error", sender=attempt.login or attempt.client_address)
        action = self.on_error()
        text = "Temporary problem, please try again later"
        return Decision(action.verb, action.argument, "none", "on_error", text)

    def close(self) -> None:
        """Close every connection; what was answered still goes out, what waits is not lost for it:
        Postfix asks again."""
        for connection in list(self.connections):
            connection.close()


class PolicyConnection(asyncio.Protocol):
    """One smtpd process."""

    def __init__(self, keeper: Gatekeeper) -> None:
        self._keeper = keeper
        self._decide = keeper.engine.decide
        self._send = keeper.send
        self._traffic = keeper.traffic
        self._queue: deque[Attempt] = deque()
        self._writable = True
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected: a TCP peer is named by its address, a local one is ``local``."""
        peer = transport.get_extra_info("peername")
        host = peer[0] if isinstance(peer, tuple) and peer else "local"
        self._transport = cast(asyncio.Transport, transport)
        self._codec = PolicyCodec(host)
        self._channel = Channel(host)
        self._traffic.connections += 1
        self._traffic.open += 1
        self._keeper.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone; a message that it left open is settled by the sweep."""
        del exc
        self._keeper.engine.flights.orphan(self._channel)
        self._traffic.open -= 1
        self._queue.clear()
        self._keeper.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, a request, or several."""
        try:
            attempts = self._codec.feed(data, self._keeper.clock())
        except ProtocolError as error:
            self._refuse_peer(error)
            return
        if self.waiting:
            self._queue.extend(attempts)
            return
        for i, attempt in enumerate(attempts):
            answer = self._answer(attempt)
            if answer is None:
                self._queue.extend(attempts[i + 1 :])
                if not self.waiting:  # the record became durable while we asked for it
                    self._go_on()
                return
            self._send(self._transport, answer)

    def _answer(self, attempt: Attempt) -> bytes | None:
        """The answer, or None when it has to wait for its record."""
        traffic = self._traffic
        stage = attempt.stage
        if stage in COUNTED:
            traffic.last_at = attempt.at
        try:
            traffic.stages[stage] += 1
        except KeyError:
            if len(traffic.stages) < 16:
                traffic.stages[stage] = 1
        try:
            decision = self._decide(attempt, self._channel)
        except Exception:
            decision = self._keeper.failed(attempt)
        if decision is PASS:
            return DUNNO
        if decision.rule:
            traffic.verbs[decision.verb] = traffic.verbs.get(decision.verb, 0) + 1
        answer = render(decision, stage)
        if decision.ticket <= self._keeper.records.durable:
            return answer
        self.waiting = True
        self._transport.pause_reading()
        self._keeper.records.when_durable(decision.ticket, lambda: self._resume(answer))
        return None

    def _resume(self, answer: bytes) -> None:
        """A record has become durable: give the answer that rests on it, and go on."""
        self.waiting = False
        if self._transport.is_closing():
            return
        self._send(self._transport, answer)
        self._go_on()

    def _go_on(self) -> None:
        """Answer what has queued up behind a record, up to the next that has to wait."""
        while self._queue:
            following = self._answer(self._queue.popleft())
            if following is None:
                return
            self._send(self._transport, following)
        if self._writable:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The peer does not read its answers: ask nothing more of it."""
        self._writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable = True
        if not self.waiting:
            self._transport.resume_reading()

    def _refuse_peer(self, error: ProtocolError) -> None:
        self._traffic.protocol_errors += 1
        log.warning(
            "policy peer closed: it does not speak the protocol", peer=self._channel.host, why=str(error)
        )
        self._transport.close()

    def close(self) -> None:
        """Close after what is written has gone out."""
        self._transport.close()
