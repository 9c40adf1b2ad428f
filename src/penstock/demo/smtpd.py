"""One smtpd process of the pretended Postfix: one policy connection, one message after the other.

It asks what Postfix asks with the set-up that ``penstock setup postfix`` hands out: RCPT for each
recipient, then END-OF-MESSAGE for those that were accepted, one question outstanding at a time. What
is accepted is written into the mail log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from penstock.core.flight import ASKS_END
from penstock.demo.cast import Actor
from penstock.demo.maillog import MailLog
from penstock.demo.plan import Message

REQUEST: Final = """\
request=smtpd_access_policy
protocol_state={stage}
protocol_name=ESMTP
client_address={address}
client_name={name}
client_port={port}
reverse_client_name={name}
server_address=192.0.2.1
server_port=587
helo_name={helo}
sender={sender}
recipient={recipient}
recipient_count={count}
queue_id={queue_id}
instance={instance}
size={size}
etrn_domain=
stress=
sasl_method={method}
sasl_username={login}
sasl_sender=
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=TLSv1.3
encryption_cipher=TLS_AES_256_GCM_SHA384
encryption_keysize=256
policy_context={context}

"""
"""A question as Postfix 3.7 asks it at submission: names and order (SMTPD_POLICY_README)."""

_CLIENT: Final = {"name": "client.example.net", "port": 41234, "helo": "client.example.net"}


class Ear(Protocol):
    """Who is told what became of the mail."""

    def refused(self, actor: int, answer: str, recipients: int) -> None:
        """The service refused so many recipients with this answer."""
        ...

    def accepted(self, actor: int, recipients: int) -> None:
        """A message was accepted for so many recipients."""
        ...


class Smtpd(asyncio.Protocol):
    """A connection to the policy socket; ``deliver`` one message, then ``done(smtpd, deferred)``."""

    def __init__(
        self,
        number: int,
        clock: Callable[[], float],
        ear: Ear,
        log: MailLog,
        done: Callable[[Smtpd, Message, tuple[str, ...]], None],
        lost: Callable[[], None],
    ) -> None:
        self._pid = 20_000 + number
        self._clock = clock
        self._ear = ear
        self._log = log
        self._done = done
        self._lost = lost
        self._buffer = b""
        self._serial = 0
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected to the service."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The service has hung up, or we have."""
        del exc
        self._lost()

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def deliver(self, message: Message, actor: Actor) -> None:
        """Begin a message now."""
        self._message, self._actor = message, actor
        self._asked = 0
        self._taken: list[str] = []
        self._deferred: list[str] = []
        self._serial += 1
        now = self._clock()
        micros = int(now % 1 * 1e6)
        client = self._serial % actor.clients
        network, _, last = actor.address.rpartition(".")
        self._fields = {
            "address": f"{network}.{(int(last) + client - 1) % 254 + 1}" if client else actor.address,
            "sender": actor.envelope,
            "login": actor.login,
            "method": "PLAIN" if actor.login else "",
            "instance": f"{self._pid:x}.{int(now):x}.{micros:x}.{self._serial:x}",
            "context": ASKS_END,
        }
        self._ask_recipient()

    @property
    def _queue_id(self) -> str:
        return f"{self._pid:X}{self._serial:06X}"

    def _ask_recipient(self) -> None:
        recipient = self._message.recipients[self._asked]
        self._asked += 1
        self._ask("RCPT", recipient, 0, self._queue_id if self._taken else "", self._message.size)

    def _ask(self, stage: str, recipient: str, count: int, queue_id: str, size: int) -> None:
        text = REQUEST.format(
            stage=stage,
            recipient=recipient,
            count=count,
            queue_id=queue_id,
            size=size,
            **_CLIENT,
            **self._fields,
        )
        self._stage = stage
        self._transport.write(text.encode())

    def data_received(self, data: bytes) -> None:
        """An answer, perhaps in pieces."""
        self._buffer += data
        if self._buffer.endswith(b"\n\n"):
            answer, self._buffer = self._buffer, b""
            self.answers += 1
            self._answered(answer.decode().strip().removeprefix("action="))

    def _answered(self, answer: str) -> None:
        if self._stage == "END-OF-MESSAGE":
            self._finish(answer)
            return
        recipient = self._message.recipients[self._asked - 1]
        if answer == "DUNNO":
            self._taken.append(recipient)
        else:
            self._refused(answer, [recipient])
        if self._asked < len(self._message.recipients):
            self._ask_recipient()
        elif self._taken:
            self._ask("END-OF-MESSAGE", "", len(self._taken), self._queue_id, self._message.size)
        else:
            self._done(self, self._message, tuple(self._deferred))

    def _finish(self, answer: str) -> None:
        if answer == "DUNNO":
            self._ear.accepted(self._message.actor, len(self._taken))
            taken = self._message._replace(at=self._clock(), recipients=tuple(self._taken))
            self._log.write(self._queue_id, taken, self._actor, self._fields["address"])
        else:
            self._refused(answer, self._taken)
        self._done(self, self._message, tuple(self._deferred))

    def _refused(self, answer: str, recipients: list[str]) -> None:
        self._ear.refused(self._message.actor, answer, len(recipients))
        if answer.startswith("DEFER"):
            self._deferred += recipients
