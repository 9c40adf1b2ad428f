"""What is known of one message while it comes in, and the questions that follow from it.

A message that was handed in on this machine (sendmail(1)) comes from Postfix as a session that only seems
to be one: client ``localhost``, address 127.0.0.1, port 0, which no real connection has. Recipients of
such a message cannot be refused one by one. Neither login nor user id is told. PHP writes the id of the
file's owner and the file's name into ``X-PHP-Originating-Script`` (php.ini ``mail.add_x_header``): the script
itself could write that as well, so it is a claim among others (``core/witness.py``).

A relay is a web server of ours whose local mail comes by SMTP. Its MTA's Received field is the first that we
are shown (the MTA here hides its own); those below may be anybody's.
"""

from __future__ import annotations

import re
from typing import Final

from penstock.core.events import Attempt
from penstock.core.fingerprint import Fingerprint
from penstock.core.flight import ASKS_END
from penstock.core.witness import Claim, Origin, Witness, base_of
from penstock.wire.content import ContentReader
from penstock.wire.maillog.php import EVALED
from penstock.wire.milter.codec import Wish
from penstock.wire.milter.codes import Action, Stage, Step
from penstock.wire.milter.commands import Connect, Header, Mail

ORIGIN: Final = "x-php-originating-script"
MOST_NAMED: Final = 1_000
"""Recipients of one message that are asked about by address; those beyond are charged by their number."""

HIGHEST_UID: Final = (1 << 32) - 2
LONGEST_SCRIPT: Final = 255

_SCRIPT: Final = re.compile(r"\s*(\d{1,10}):\s*([^\r\n]{0,1000})", re.ASCII)
_HANDED_IN: Final = (
    re.compile(r"\(Postfix, from userid (\d{1,10})\)", re.ASCII),
    re.compile(r"\s*\(from ([a-z_][\w.-]{0,31})@localhost\)\s", re.ASCII),  # Sendmail
    re.compile(r"\s*from ([a-z_][\w.-]{0,31}) by \S{1,255} with local ", re.ASCII),  # Exim
)
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
_NO_MACRO: Final = "{none}"
MACROS: Final = {
    Stage.CONNECT: _NO_MACRO,
    Stage.HELO: _NO_MACRO,
    Stage.MAIL: "{auth_authen}",
    Stage.RCPT: _NO_MACRO,
    Stage.DATA: _NO_MACRO,
    Stage.END_OF_HEADERS: _NO_MACRO,
    Stage.END_OF_MESSAGE: "i",
}
"""An empty list would be the MTA's own to Postfix, so we ask for one that no MTA has: it tells nothing."""
WISH_LOCAL: Final = Wish(_ACTIONS, _STEPS, MACROS)
"""For local mail. The content is asked for: a header names the sender, and sizes are told nowhere else.
The client gets a reply, since SMTP sessions are let go; then only the recipients and the end do."""

WISH_SMTP: Final = Wish(_ACTIONS, _STEPS | Step.NR_CONNECT | Step.NO_HEADERS | Step.NO_BODY, MACROS)
"""For SMTP clients: the envelope is enough. Sending content is most of what a milter costs an MTA."""

WISH_CONTENT: Final = Wish(_ACTIONS, _STEPS | Step.NR_CONNECT, MACROS)
"""For SMTP clients where content is to be read."""


class Envelope:
    """One message. ``claims``: who sent it, as its headers have it; ``origin``: whom it is charged to when
    there is no login. ``passed``: whether a Received field has come; ``asked``: whether the log was asked.

    ``size`` is the client's claim (bytes) until content comes in, which is then counted. ``recipients``
    counts those that may pass; ``named`` are the addresses of a message that is decided at its end.
    """

    __slots__ = (
        "asked",
        "claims",
        "client",
        "content",
        "fingerprint",
        "instance",
        "login",
        "mail_from",
        "named",
        "origin",
        "passed",
        "queue_id",
        "read",
        "recipients",
        "size",
    )

    def __init__(self, client: Connect, mail: Mail, instance: str) -> None:
        self.client = client
        self.instance = instance
        self.mail_from = mail.address
        self.login = ""
        self.queue_id = ""
        self.claims: tuple[Claim, ...] = ()
        self.origin = Origin()
        self.passed = False
        self.asked = False
        self.size = claimed_size(mail.arguments)
        self.read = 0
        self.content: ContentReader | None = None
        self.fingerprint: Fingerprint | None = None
        self.recipients = 0
        self.named: list[str] = []

    def learn(self, header: Header) -> None:
        """A header field: its size counts, and the first that PHP or a relay's MTA wrote tells who sends."""
        self.read += len(header.name) + len(header.value) + 4
        if self.content is not None:
            self.content.header(header.name, header.value)
        name = header.name.lower()
        if name == ORIGIN:
            self._add(by_php(header.value))
        elif name == "received" and not self.passed:
            self.passed = True
            if not is_local(self.client):
                self._add(by_relay(header.value))

    def _add(self, claim: Claim | None) -> None:
        """The first of each witness."""
        if claim is not None and all(claim.witness is not other.witness for other in self.claims):
            self.claims += (claim,)

    def take(self, chunk: bytes, last: bool = False) -> None:
        """A piece of the body, which is seen for as long as it takes to hash it."""
        self.read += len(chunk)
        if self.content is not None:
            self.content.feed(chunk)
            if last:
                self.fingerprint = self.content.finish()

    def name(self, recipient: str) -> None:
        """A recipient of a message that is decided at its end."""
        self.recipients += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(recipient)

    def attempt(self, stage: str, recipient: str, at: float, host: str) -> Attempt:
        """A question about this message, asked at ``at`` by the MTA on ``host``. (Fields by their place: by
        name they take three times as long.)"""
        return Attempt(
            at,
            host,
            stage,
            self.client.address,
            self.mail_from,
            recipient,
            self.recipients if stage == "END-OF-MESSAGE" else 0,
            self.queue_id,
            self.instance,
            self.read or self.size,
            self.login,
            ASKS_END,
            self.origin.key,
            self.origin.under,
            self.fingerprint,
            self.content.score if self.content is not None else 0.0,
        )


def by_php(value: str) -> Claim | None:
    """``1033:mailer.php``: the owner of the file and its name, never a path."""
    found = _SCRIPT.match(value)
    if found is None or int(found[1]) > HIGHEST_UID:
        return None
    script = base_of(EVALED.sub("", found[2]).strip())
    script = script if script.isprintable() and len(script) <= LONGEST_SCRIPT else ""
    return Claim(Witness.HEADER, str(int(found[1])), script)


def by_relay(value: str) -> Claim | None:
    """The user who handed it in to a relay's Postfix, Sendmail or Exim; sSMTP and msmtp tell none."""
    for pattern in _HANDED_IN:
        found = pattern.match(value) if pattern is not _HANDED_IN[0] else pattern.search(value)
        if found is not None and not (found[1].isdigit() and int(found[1]) > HIGHEST_UID):
            return Claim(Witness.RELAY, found[1])
    return None


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
