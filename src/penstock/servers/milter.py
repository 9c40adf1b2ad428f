"""The milter listener: an MTA's commands in, replies out; the engine decides as for the policy listener.

One connection is one SMTP session, or one message that was handed in on this machine. Of the former each
recipient is decided as it comes; of the latter the whole message at its end, since its recipients cannot
be refused one by one: what stops one of them stops them all. Mail that nobody can be named for passes
and is counted. A fault of ours is answered with the policy's ``on_error``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import structlog

from penstock.core.decision import PASS, Decision
from penstock.core.flight import Channel
from penstock.core.policy import Action, Verb
from penstock.engine import Engine
from penstock.servers.milter_traffic import MilterTraffic
from penstock.servers.policy import Durability
from penstock.wire.milter import codes, replies
from penstock.wire.milter.codec import MilterCodec
from penstock.wire.milter.codes import Action as Able
from penstock.wire.milter.commands import (
    Abort,
    Body,
    Command,
    Connect,
    EndOfMessage,
    Header,
    Helo,
    Macros,
    Mail,
    Offer,
    ProtocolError,
    Quit,
    Rcpt,
)
from penstock.wire.milter.envelope import WISH_LOCAL, WISH_SMTP, Envelope, is_local

log = structlog.get_logger()

LEFT: Final = "left"
"""The result of sessions that the policy listener is asked about."""
UNNAMED: Final = "unnamed"

_MACROS: Final = ("i", "auth_authen")
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


class MilterKeeper:
    """What all connections of a listener share."""

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
        self.stopping = False
        self.connections: set[MilterConnection] = set()
        self.numbers = itertools.count()
        self._gone = asyncio.Event()

    def connection(self) -> MilterConnection:
        """Protocol factory for loop.create_server."""
        return MilterConnection(self)

    def failed(self, who: str) -> Decision:
        """A fault of ours: shout, and let the mail flow (or as the policy says)."""
        self.traffic.errors += 1
        log.exception("milter failed, answering on_error", sender=who)
        action = self.on_error()
        text = "Temporary problem, please try again later"
        return Decision(action.verb, action.argument, "none", "on_error", text)

    def left(self, connection: MilterConnection) -> None:
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


class MilterConnection(asyncio.Protocol):
    """One SMTP session, or one local submission."""

    def __init__(self, keeper: MilterKeeper) -> None:
        self._keeper = keeper
        self._traffic = keeper.traffic
        self._codec = MilterCodec()
        self._replied: frozenset[bytes] = frozenset()
        self._actions = Able(0)
        self._queue: deque[tuple[bytes, Command]] = deque()
        self._client: Connect | None = None
        self._macros: dict[str, str] = {}
        self._envelope: Envelope | None = None
        self._headers: dict[str, None] = {}
        self._ticket = 0
        self._waiting = False
        self._over = False
        self._writable = True
        self._tcp: Any = None

    # --- the connection ---------------------------------------------------------------------

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
            if not self._waiting:
                self._go_on()
        except ProtocolError as error:
            self._refuse_peer(error)

    def _go_on(self) -> None:
        """Answer what has come, up to a reply that has to wait for its record."""
        answers = bytearray()
        while self._queue and not self._waiting:
            answer = self._answer(*self._queue.popleft())
            if self._ticket > self._keeper.records.durable:
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
        if self._envelope is None and not self._waiting:
            self._transport.close()

    def close(self) -> None:
        """Close after what is written has gone out: the MTA then goes on without us."""
        self._transport.close()

    # --- the commands -----------------------------------------------------------------------

    def _answer(self, letter: bytes, command: Command) -> bytes:
        """The reply to one command; empty where the MTA expects none."""
        handler = _HANDLERS.get(type(command))
        try:
            answer = b"" if handler is None else handler(self, command)
        except ProtocolError:
            raise
        except Exception:
            answer = self._failed(command)
        if not answer and letter in self._replied:
            return replies.CONTINUE
        return answer

    def _failed(self, command: Command) -> bytes:
        envelope = self._envelope
        decision = self._keeper.failed(envelope.login or envelope.sender if envelope is not None else "")
        if isinstance(command, Rcpt):
            return replies.at_rcpt(decision)
        if isinstance(command, EndOfMessage):
            self._envelope = None
            return replies.at_end(decision, (), self._actions)
        return b""

    def _offered(self, offer: Offer) -> bytes:
        terms = self._keeper.wish.terms(offer)
        self._replied, self._actions = terms.replied, terms.actions
        return terms.answer

    def _connected(self, client: Connect) -> bytes:
        """Sessions of SMTP clients are let go at once where the policy listener is asked about them."""
        self._client = client
        if self._traffic.smtp or is_local(client):
            return b""
        self._traffic.ended(LEFT)
        return replies.ACCEPT

    def _told(self, macros: Macros) -> bytes:
        if macros.about == codes.MAIL:
            self._macros.pop("auth_authen", None)
        for name in _MACROS:
            if name in macros.values:
                self._macros[name] = macros.values[name]
        return b""

    def _mail(self, mail: Mail) -> bytes:
        """A message begins."""
        self._give_up()
        at, client = self._keeper.clock(), self._client
        self._traffic.last_at = at
        if client is None:
            return b""
        instance = f"milter.{int(at):x}.{next(self._keeper.numbers):x}.0"
        self._envelope = Envelope(client, mail, instance)
        self._envelope.login = self._macros.get("auth_authen", "")
        return b""

    def _rcpt(self, rcpt: Rcpt) -> bytes:
        envelope = self._envelope
        if envelope is None:
            return b""
        if is_local(envelope.client):
            envelope.name(rcpt.address)
            return b""
        decision = self._decide(envelope, "RCPT", rcpt.address)
        answer = replies.at_rcpt(decision)
        if answer is replies.CONTINUE:
            envelope.recipients += 1
        else:
            self._traffic.refused[decision.verb] = self._traffic.refused.get(decision.verb, 0) + 1
        return answer

    def _header(self, header: Header) -> bytes:
        if self._envelope is not None:
            self._envelope.learn(header)
        return b""

    def _body(self, body: Body) -> bytes:
        if self._envelope is not None:
            self._envelope.read += len(body.chunk)
        return b""

    def _end(self, end: EndOfMessage) -> bytes:
        envelope = self._envelope
        if envelope is None:
            return b""
        envelope.read += len(end.chunk)
        envelope.queue_id = self._macros.pop("i", "")
        if not is_local(envelope.client):
            decision = self._decide(envelope, "END-OF-MESSAGE", "")
        elif envelope.sender:
            decision = self._decide_local(envelope)
        else:
            decision = PASS
        answer = replies.at_end(decision, self._headers, self._actions)
        named = envelope.sender or not is_local(envelope.client)
        self._traffic.ended(str(decision.verb if decision.stops else Verb.PASS) if named else UNNAMED)
        self._close_message()
        return answer

    def _decide(self, envelope: Envelope, stage: str, recipient: str) -> Decision:
        """The engine's answer; what it wants to add to the message is kept for the end."""
        at = self._keeper.clock()
        attempt = envelope.attempt(stage, recipient, at, self._host)
        decision = self._keeper.engine.decide(attempt, self._channel)
        if decision.verb is Verb.MARK:
            self._headers[replies.header_of(decision)] = None
        self._ticket = max(self._ticket, decision.ticket)
        return decision

    def _decide_local(self, envelope: Envelope) -> Decision:
        """One answer for the whole message. Recipients beyond those named are charged by their number."""
        for recipient in envelope.named:
            decision = self._decide(envelope, "RCPT", recipient)
            if decision.stops:
                self._give_up()
                return decision
        return self._decide(envelope, "END-OF-MESSAGE", "")

    def _give_up(self) -> None:
        """A message that began is over without an end: what was charged for it goes back."""
        envelope = self._envelope
        if envelope is not None:
            engine = self._keeper.engine
            flight = engine.flights.get(f"{self._host} {envelope.instance}")
            if flight is not None and flight.airborne:
                engine.give_back(flight)
        self._close_message()

    def _close_message(self) -> None:
        self._envelope = None
        self._headers.clear()

    def _aborted(self, command: Command) -> bytes:
        del command
        self._give_up()
        self._macros.pop("i", None)
        return b""

    def _quit(self, command: Quit) -> bytes:
        self._give_up()
        self._macros.clear()
        self._client = None
        self._over = not command.new
        return b""


_HANDLERS: Final[Mapping[type, Callable[[MilterConnection, Any], bytes]]] = {
    Offer: MilterConnection._offered,
    Connect: MilterConnection._connected,
    Macros: MilterConnection._told,
    Helo: MilterConnection._aborted,
    Mail: MilterConnection._mail,
    Rcpt: MilterConnection._rcpt,
    Header: MilterConnection._header,
    Body: MilterConnection._body,
    EndOfMessage: MilterConnection._end,
    Abort: MilterConnection._aborted,
    Quit: MilterConnection._quit,
}
