"""Both ends of SMTP, for tests: a client with a SASL login by XCLIENT, and a recording sink."""

from __future__ import annotations

import smtplib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from rig.base import Server, free_port, wait_until

Reply = tuple[int, str]


def message(subject: str = "hello", body: str = "A line.\n", **headers: str) -> str:
    """A small message; headers as keywords, `_` standing for `-`."""
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"From: alice@example.com\r\nSubject: {subject}\r\n{extra}\r\n{body}".replace("\r\n", "\n")


@dataclass
class Sent:
    """What the server replied to one transaction; `data` is None when DATA was never sent."""

    mail: Reply
    recipients: dict[str, Reply] = field(default_factory=dict)
    data: Reply | None = None

    @property
    def accepted(self) -> list[str]:
        """The recipients of a message that the server took over; empty if it took none."""
        if self.data is None or self.data[0] != 250:
            return []
        return [address for address, (code, _) in self.recipients.items() if code == 250]

    @property
    def queue_id(self) -> str:
        """Postfix's queue id from the final reply, or an empty text."""
        text = self.data[1] if self.data else ""
        return text.partition("queued as ")[2].strip()


class Client:
    """An SMTP session. `login` becomes its SASL login by XCLIENT, with no password server.

    Use one per thread.
    """

    def __init__(self, port: int, login: str = "", address: str = "", name: str = "") -> None:
        self.smtp = smtplib.SMTP(local_hostname="client.example.net", timeout=20)
        greeting = self.smtp.connect("127.0.0.1", port)
        self.greeting: Reply = (greeting[0], greeting[1].decode())
        self.smtp.ehlo()
        self.xclient(LOGIN=login, ADDR=address, NAME=name)

    def xclient(self, **attributes: str) -> None:
        """Change the session's identity; empty values are left out, nothing is sent if all are."""
        given = " ".join(f"{name}={value}" for name, value in attributes.items() if value)
        if given:
            code, text = self.smtp.docmd("XCLIENT", given)
            if code != 220:
                raise smtplib.SMTPResponseException(code, text)
            self.smtp.ehlo()

    def command(self, line: str) -> Reply:
        """Send one command; the reply."""
        code, text = self.smtp.docmd(line)
        return code, text.decode(errors="replace")

    def envelope(self, sender: str, recipients: Sequence[str]) -> Sent:
        """MAIL and one RCPT per recipient, no further."""
        sent = Sent(self.command(f"MAIL FROM:<{sender}>"))
        for recipient in recipients:
            sent.recipients[recipient] = self.command(f"RCPT TO:<{recipient}>")
        return sent

    def send(self, sender: str, recipients: Sequence[str], content: str | None = None) -> Sent:
        """A whole transaction; DATA only if some recipient was taken. Ready for the next one after."""
        sent = self.envelope(sender, recipients)
        if any(code == 250 for code, _ in sent.recipients.values()):
            sent.data = self.data(content if content is not None else message())
        if sent.data is None or sent.data[0] != 250:
            self.reset()
        return sent

    def data(self, content: str) -> Reply:
        """DATA and the content; the final reply, or the refusal of DATA."""
        try:
            code, text = self.smtp.data(content.encode())
        except smtplib.SMTPDataError as error:
            return error.smtp_code, _text(error.smtp_error)
        return code, text.decode(errors="replace")

    def reset(self) -> None:
        """RSET; harmless when the server has hung up."""
        try:
            self.command("RSET")
        except smtplib.SMTPServerDisconnected:
            pass

    def close(self) -> None:
        """QUIT."""
        try:
            self.smtp.quit()
        except (smtplib.SMTPException, OSError):
            self.smtp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


@dataclass(frozen=True)
class Mail:
    """A message that the sink took. ``raw``: as it came over the wire."""

    sender: str
    recipients: tuple[str, ...]
    content: str
    raw: bytes = b""


class Sink(Server):
    """An SMTP server that records what it takes, as the rest of the world.

    `answers` maps a recipient to the reply that it gets at RCPT ("451 4.3.0 later"), others get 250;
    it may be changed while the sink runs.
    """

    name = "sink"

    def __init__(self, answers: dict[str, str] | None = None) -> None:
        self.answers = answers or {}
        self.port = free_port()
        self._mails: list[Mail] = []
        self._lock = threading.Lock()
        self._controller: _Controller | None = None

    def start(self) -> None:
        self._controller = _Controller(self, self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    @property
    def mails(self) -> list[Mail]:
        """The messages taken so far."""
        with self._lock:
            return list(self._mails)

    def deliveries(self) -> Counter[str]:
        """How many times each recipient got a message."""
        return Counter(address for mail in self.mails for address in mail.recipients)

    def wait_for(self, count: int, seconds: float = 30) -> list[Mail]:
        """Wait until this many recipients were delivered to; the messages."""

        def enough() -> bool:
            return sum(self.deliveries().values()) >= count

        wait_until(enough, seconds, f"{count} deliveries")
        return self.mails

    def log(self) -> str:
        return "\n".join(f"{mail.sender} -> {', '.join(mail.recipients)}" for mail in self.mails)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """aiosmtpd's hook: take the recipient, or not."""
        answer = self.answers.get(address, "250 2.1.5 Ok")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """aiosmtpd's hook: record the message."""
        content = _text(envelope.content or b"").replace("\r\n", "\n")
        with self._lock:
            raw = envelope.original_content or b""
            self._mails.append(Mail(envelope.mail_from or "", tuple(envelope.rcpt_tos), content, raw))
        return "250 2.0.0 taken"


class _Controller(Controller):
    """aiosmtpd's thread, with a server that has no size limit and speaks plain ESMTP."""

    def __init__(self, sink: Sink, port: int) -> None:
        super().__init__(sink, hostname="127.0.0.1", port=port, ready_timeout=10)

    def factory(self) -> Any:
        return SMTP(self.handler, enable_SMTPUTF8=True, data_size_limit=0, hostname="sink.example.org")
