"""The milter listener of a smarthost for professional customers: tags, signatures, the pool.

All of a message comes in, and all is decided at its end: a right tag charges it to ``customer:NAME``, any
other mail goes to the login or address that it came from. Tags are taken out of whatever is queued, also
where a decision failed. How a customer's mail is to look is said by ``Orders``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from penstock.core.decision import Decision
from penstock.core.names import login_key
from penstock.core.policy import Action, Verb
from penstock.core.tags import BAD, Judged, Result
from penstock.core.witness import Origin
from penstock.engine import Engine
from penstock.engine.professionals import REPEATS, Professional, Professionals
from penstock.servers.milter import MilterConnection
from penstock.servers.milter_keeper import MilterKeeper
from penstock.servers.milter_traffic import MilterTraffic
from penstock.servers.policy import Durability
from penstock.wire.dkim.sign import Signer
from penstock.wire.milter import replies
from penstock.wire.milter.codes import Action as Able
from penstock.wire.milter.commands import Body, Command, EndOfMessage, Header, Rcpt
from penstock.wire.milter.envelope import Envelope
from penstock.wire.milter.smarthost import WISH_SMARTHOST, Piece

log = structlog.get_logger()

_TOLD_EVERY: Final = 100
"""Bad tags of one sender, beyond the first few, for one line of the log."""

_NOT_STRIPPED: Final = Decision(
    Verb.DEFER, "", "none", "tag", "The tag of this message cannot be taken out, please try again later"
)
_OVERLOADED: Final = Decision(Verb.REJECT, "", "none", "tag", "There are too many tags in this message")


class SmarthostKeeper(MilterKeeper):
    """What all connections of such a listener share."""

    def __init__(
        self,
        engine: Engine,
        records: Durability,
        clock: Callable[[], float],
        traffic: MilterTraffic,
        on_error: Callable[[], Action],
        professionals: Professionals,
    ) -> None:
        super().__init__(engine, records, clock, traffic, on_error)
        self.wish = WISH_SMARTHOST
        self.professionals = professionals


class SmarthostConnection(MilterConnection):
    """One SMTP session."""

    def __init__(self, keeper: SmarthostKeeper) -> None:
        super().__init__(keeper)
        self._professionals = keeper.professionals
        self._open_piece()

    def _open_piece(self) -> None:
        self._piece = Piece(self._professionals.tags.headers)
        self._judged: Judged | None = None
        self._signers: tuple[Signer, ...] = ()

    def _close_message(self) -> None:
        super()._close_message()
        self._open_piece()

    def _rcpt(self, rcpt: Rcpt) -> bytes:
        if self._envelope is not None:
            self._envelope.name(rcpt.address)
        return b""

    def _header(self, header: Header) -> bytes:
        if self._envelope is not None:
            self._piece.header(header)
            self._envelope.learn(header)
        return b""

    def _body(self, body: Body) -> bytes:
        if self._envelope is not None:
            self._judge(self._envelope)
            self._piece.body(body.chunk)
            self._envelope.take(body.chunk)
        return b""

    def _judge(self, envelope: Envelope) -> Judged:
        """Whose message it is, once all its fields are there."""
        if self._judged is None:
            naming = self._keeper.engine.roster.policy.naming
            login = login_key(envelope.login, naming) if envelope.login else ""
            judged = self._professionals.tags.judge(login, envelope.client.address, self._piece.values)
            professional = self._owner(judged)
            if professional is not None:
                self._signers = self._piece.signed_by(professional.orders)
                if self._signers:
                    self._piece.hash_body()
            self._judged = judged
        return self._judged

    def _owner(self, judged: Judged) -> Professional | None:
        """The customer whose mail it really is."""
        return self._professionals.by_name.get(judged.customer) if judged.result is Result.OK else None

    def _end(self, end: EndOfMessage) -> bytes:
        envelope = self._envelope
        if envelope is None:
            return b""
        judged = self._judge(envelope)
        self._piece.body(end.chunk)
        envelope.take(end.chunk, last=True)
        envelope.queue_id = self._macros.pop("i", "")
        piece, signers, professional = self._piece, self._signers, self._owner(judged)
        login = envelope.login
        if professional is not None:
            envelope.login, envelope.origin = "", Origin(f"customer:{judged.customer}")
        decision = self._unfit(piece) or self._decide_local(envelope)
        self._piece = piece  # for _failed, also after a message that was given up
        self._professionals.judged(judged)
        if judged.result in BAD:
            self._tell(login, envelope.client.address, judged)
        recipients = envelope.recipients
        answer = replies.at_end(decision, self._headers, self._actions)
        if not _is_refused(decision):
            answer = self._changed(piece, professional, signers, recipients) + answer
        self._traffic.ended(str(decision.verb if decision.stops else Verb.PASS))
        self._close_message()
        return answer

    def _unfit(self, piece: Piece) -> Decision | None:
        """Why a message cannot be taken, whoever sends it: nothing is charged for that."""
        if not piece.is_overloaded and (not piece.tagged or Able.CHANGE_HEADERS in self._actions):
            return None
        self._give_up()
        return _OVERLOADED if piece.is_overloaded else _NOT_STRIPPED

    def _changed(
        self, piece: Piece, professional: Professional | None, signers: tuple[Signer, ...], recipients: int
    ) -> bytes:
        """What is done to a message before it is queued."""
        found = piece.stripped()
        if professional is None or Able.ADD_HEADERS not in self._actions:
            return found
        name = professional.tag.customer
        for signer in signers:
            self._professionals.count("signed", name, signer.key.kind)
        if professional.orders.signers and not signers:
            self._professionals.count("signed", name, "not")
        unsubscribe = piece.unsubscribe(recipients)
        if unsubscribe:
            self._professionals.count("bulk", name, unsubscribe)
        return found + piece.sent_on(professional.orders, signers, int(self._keeper.clock()))

    def _tell(self, login: str, address: str, judged: Judged) -> None:
        """A bad tag is an event; again and again, an incident."""
        at, roster = self._keeper.clock(), self._keeper.engine.roster
        sender = roster.by_login(login, at) if login else roster.by_address(address, at)
        times, incident = self._professionals.suspicious(sender.key, judged, at)
        if times <= REPEATS or times % _TOLD_EVERY == 0:
            log.warning(
                "tag",
                result=str(judged.result),
                customer=judged.customer,
                sender=sender.key,
                client=address,
                times=times,
                incident=incident,
            )

    def _failed(self, command: Command) -> bytes:
        """Also where we failed, the tag stays in the house."""
        stripped = self._piece.stripped()
        answer = super()._failed(command)
        if not isinstance(command, EndOfMessage) or self._keeper.on_error().verb in _REFUSALS:
            return answer
        self._open_piece()
        return stripped + answer if Able.CHANGE_HEADERS in self._actions else answer


_REFUSALS: Final = (Verb.DEFER, Verb.REJECT, Verb.DISCARD)


def _is_refused(decision: Decision) -> bool:
    """Whether nothing of the message is queued."""
    return decision.verb in _REFUSALS


SmarthostConnection._handlers = {
    **MilterConnection._handlers,
    Rcpt: SmarthostConnection._rcpt,
    Header: SmarthostConnection._header,
    Body: SmarthostConnection._body,
    EndOfMessage: SmarthostConnection._end,
}
