"""The milter listener: an MTA's commands in, replies out; the engine decides as for the policy listener.

One connection is one SMTP session, or one message that was handed in on this machine. Of the former each
recipient is decided as it comes; of the latter the whole message at its end, since its recipients cannot
be refused one by one: what stops one of them stops them all. Mail that nobody can be named for passes
and is counted. A fault of ours is answered with the policy's ``on_error``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from penstock.core.decision import PASS, Decision
from penstock.core.flight import Flight
from penstock.core.policy import Verb
from penstock.servers.milter_keeper import MilterKeeper
from penstock.servers.milter_link import MilterLink
from penstock.wire.milter import replies
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
from penstock.wire.milter.envelope import Envelope

LEFT: Final = "left"
"""The result of sessions that the policy listener is asked about."""
UNNAMED: Final = "unnamed"

_MACROS: Final = ("i", "auth_authen")


class MilterConnection(MilterLink):
    """One SMTP session, or one local submission."""

    _handlers: ClassVar[Mapping[type, Callable[[Any, Any], bytes]]]
    """Command → the method that answers it."""

    def __init__(self, keeper: MilterKeeper) -> None:
        super().__init__(keeper)
        self._replied: frozenset[bytes] = frozenset()
        self._actions = Able(0)
        self._client: Connect | None = None
        self._whole = False  # its messages are decided at their end
        self._macros: dict[str, str] = {}
        self._envelope: Envelope | None = None
        self._headers: dict[str, None] = {}

    def _idle(self) -> bool:
        return self._envelope is None

    def _must_wait(self) -> bool:
        """At the end of a local message the log may be about to tell who handed it in."""
        envelope = self._envelope
        if envelope is None or envelope.asked:
            return False
        envelope.asked = True
        queue_id = self._macros.get("i", "")
        if self._keeper.locals.must_wait(queue_id, envelope.client, self._go_on_later):
            self._waiting = True
            self._transport.pause_reading()
        return self._waiting

    def _answer(self, letter: bytes, command: Command) -> bytes:
        """The reply to one command; empty where the MTA expects none."""
        handler = self._handlers.get(type(command))
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
        decision = self._keeper.failed(envelope.login or envelope.origin.key if envelope is not None else "")
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
        self._whole = self._keeper.locals.covers(client)
        if self._traffic.smtp or self._whole:
            return b""
        self._traffic.ended(LEFT)
        return replies.ACCEPT

    def _told(self, macros: Macros) -> bytes:
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
        began = math.ceil(at)  # not before this process did, or the gate takes it for charged already
        instance = f"milter.{began:x}.{next(self._keeper.numbers):x}.0"
        self._envelope = Envelope(client, mail, instance)
        self._envelope.login = self._macros.pop("auth_authen", "")  # told anew before each message
        self._envelope.content = self._keeper.reader()
        return b""

    def _rcpt(self, rcpt: Rcpt) -> bytes:
        envelope = self._envelope
        if envelope is None:
            return b""
        if self._whole:
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
            self._envelope.take(body.chunk)
        return b""

    def _end(self, end: EndOfMessage) -> bytes:
        envelope = self._envelope
        if envelope is None:
            return b""
        envelope.take(end.chunk, last=True)
        envelope.queue_id = self._macros.pop("i", "")
        named = True
        if not self._whole:
            decision = self._decide(envelope, "END-OF-MESSAGE", "")
        elif self._keeper.locals.name(envelope):
            decision = self._decide_local(envelope)
        else:
            named, decision = False, PASS
        answer = replies.at_end(decision, self._headers, self._actions)
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
        """One answer for the whole message: the first that stops it. Recipients beyond those named count by
        their number."""
        for recipient in envelope.named:
            decision = self._decide(envelope, "RCPT", recipient)
            flight = self._flight(envelope) if decision.stops else None
            if flight is not None and flight.verdict is None:
                self._keeper.engine.stop(flight, decision, self._keeper.clock())
        return self._decide(envelope, "END-OF-MESSAGE", "")

    def _flight(self, envelope: Envelope) -> Flight | None:
        """The message as the engine knows it."""
        return self._keeper.engine.flights.get(f"{self._host} {envelope.instance}")

    def _give_up(self) -> None:
        """A message that began is over without an end: what was charged for it goes back."""
        envelope = self._envelope
        if envelope is not None:
            flight = self._flight(envelope)
            if flight is not None and flight.airborne:
                self._keeper.engine.give_back(flight)
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


MilterConnection._handlers = {
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
