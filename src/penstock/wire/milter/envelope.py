"""What is known of one message while it comes in, and the questions that follow from it.

A message that was handed in on this machine (sendmail(1)) comes from Postfix as a session that only seems
to be one: client ``localhost``, address 127.0.0.1, port 0, which no real connection has. Recipients of
such a message cannot be refused one by one. Neither login nor user id is told. PHP writes the user id and
the script's file name into ``X-PHP-Originating-Script`` (php.ini ``mail.add_x_header``): the script
itself could write that as well, so it is a hint, and what the log says later counts more.
"""

from __future__ import annotations

import re
from typing import Final

from penstock.core.events import Attempt
from penstock.core.flight import ASKS_END
from penstock.wire.milter.codec import Wish
from penstock.wire.milter.codes import Action, Stage, Step
from penstock.wire.milter.commands import Connect, Header, Mail

ORIGIN: Final = "x-php-originating-script"
MOST_NAMED: Final = 1_000
"""Recipients of one message that are asked about by address; those beyond are charged by their number."""

HIGHEST_UID: Final = (1 << 32) - 2

_SCRIPT: Final = re.compile(r"\s*(\d{1,10}):", re.ASCII)
_DIGITS: Final = re.compile(r"\d{1,15}", re.ASCII)

_ACTIONS: Final = Action.ADD_HEADERS | Action.QUARANTINE | Action.SET_MACROS
_STEPS: Final = (
    Step.NO_UNKNOWN
    | Step.NO_DATA
    | Step.NO_HELO
    | Step.NO_END_OF_HEADERS
    | Step.NR_HELO
    | Step.NR_MAIL
    | Step.NR_DATA
    | Step.NR_UNKNOWN
    | Step.NR_HEADER
    | Step.NR_END_OF_HEADERS
    | Step.NR_BODY
)
_MACROS: Final = {
    Stage.CONNECT: "",
    Stage.HELO: "",
    Stage.MAIL: "{auth_authen}",
    Stage.RCPT: "",
    Stage.DATA: "",
    Stage.END_OF_HEADERS: "",
    Stage.END_OF_MESSAGE: "i",
}
WISH_LOCAL: Final = Wish(_ACTIONS, _STEPS, _MACROS)
"""For local mail. The content is asked for: a header names the sender, and sizes are told nowhere else.
The client gets a reply, since SMTP sessions are let go; then only the recipients and the end do."""

WISH_SMTP: Final = Wish(_ACTIONS, _STEPS | Step.NR_CONNECT | Step.NO_HEADERS | Step.NO_BODY, _MACROS)
"""For SMTP clients: the envelope is enough. Sending content is most of what a milter costs an MTA."""


class Envelope:
    """One message. ``sender``: the key to charge when there is no login, as far as anything hints at it.

    ``size`` is the client's claim (bytes) until content comes in, which is then counted. ``recipients``
    counts those that may pass; ``named`` are the addresses of a message that is decided at its end.
    """

    __slots__ = (
        "client",
        "instance",
        "login",
        "mail_from",
        "named",
        "queue_id",
        "read",
        "recipients",
        "sender",
        "size",
    )

    def __init__(self, client: Connect, mail: Mail, instance: str) -> None:
        self.client = client
        self.instance = instance
        self.mail_from = mail.address
        self.login = ""
        self.queue_id = ""
        self.sender = ""
        self.size = claimed_size(mail.arguments)
        self.read = 0
        self.recipients = 0
        self.named: list[str] = []

    def learn(self, header: Header) -> None:
        """A header field: its size counts, and the first that PHP wrote tells who sends."""
        self.read += len(header.name) + len(header.value) + 4
        if not self.sender and header.name.lower() == ORIGIN:
            found = _SCRIPT.match(header.value)
            if found and int(found[1]) <= HIGHEST_UID:
                self.sender = f"uid:{int(found[1])}"

    def name(self, recipient: str) -> None:
        """A recipient of a message that is decided at its end."""
        self.recipients += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(recipient)

    def attempt(self, stage: str, recipient: str, at: float, host: str) -> Attempt:
        """A question about this message, asked at ``at`` by the MTA on ``host``."""
        return Attempt(
            at=at,
            host=host,
            stage=stage,
            client_address=self.client.address,
            envelope_from=self.mail_from,
            recipient=recipient,
            recipient_count=self.recipients if stage == "END-OF-MESSAGE" else 0,
            queue_id=self.queue_id,
            instance=self.instance,
            size=self.read or self.size,
            login=self.login,
            context=ASKS_END,
            sender=self.sender,
        )


def is_local(client: Connect) -> bool:
    """Whether no client is behind it: mail handed in on this machine."""
    return client.port == 0 and client.address in ("127.0.0.1", "::1") and client.name == "localhost"


def claimed_size(arguments: tuple[str, ...]) -> int:
    """Bytes as the client announced them (RFC 1870), 0 when it did not."""
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name.upper() == "SIZE" and _DIGITS.fullmatch(value):
            return int(value)
    return 0
