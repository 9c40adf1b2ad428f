"""The platform's mail log, as Postfix writes it: what was accepted, and what became of each recipient.

Remote hosts take everything within a second or two, but for addresses that do not exist any more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from penstock.demo.cast import Actor
from penstock.demo.plan import GONE_PREFIX, Message

_DELIVERY = 1.5
"""Seconds from a message's end to its delivery."""

_TIMES = "delay=1.5, delays=0.3/0/0.6/0.6"
_SENT = f"{_TIMES}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued)"
_GONE = f"{_TIMES}, dsn=5.1.1, status=bounced (host %s said: 550 5.1.1 <%s>: Recipient address rejected: \
User unknown in virtual mailbox table (in reply to RCPT TO command))"


class MailLog:
    """A log that is written to; each message at once and as a whole."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, queue_id: str, message: Message, actor: Actor, client: str) -> None:
        """Log a message that is accepted at ``message.at`` (seconds since the epoch)."""
        login = f", sasl_method=PLAIN, sasl_username={actor.login}" if actor.login else ""
        size, count = message.size, len(message.recipients)
        lines = [f"smtpd[20000]: {queue_id}: client=client.example.net[{client}]{login}"]
        lines += [
            f"qmgr[900]: {queue_id}: from=<{actor.envelope}>, size={size}, nrcpt={count} (queue active)"
        ]
        text = _stamped(message.at, lines)
        lines = [f"smtp[21000]: {queue_id}: {_outcome(recipient)}" for recipient in message.recipients]
        text += _stamped(message.at + _DELIVERY, [*lines, f"qmgr[900]: {queue_id}: removed"])
        self._file.write(text.encode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_past(path: Path, midnight: float, messages: tuple[Message, ...], actors: tuple[Actor, ...]) -> None:
    """The log of the days before ``midnight`` (seconds since the epoch)."""
    log = MailLog(path)
    for number, message in enumerate(messages):
        actor = actors[message.actor]
        at = midnight + message.at
        log.write(f"3{number:09X}", message._replace(at=at), actor, actor.home or actor.address)
    log.close()


def _stamped(at: float, lines: list[str]) -> str:
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
    return "".join(f"{stamp} mail postfix/{line}\n" for line in lines)


def _outcome(recipient: str) -> str:
    host = f"mx.{recipient.partition('@')[2]}[198.51.100.250]"
    what = _GONE % (host, recipient) if recipient.startswith(GONE_PREFIX) else _SENT
    return f"to=<{recipient}>, relay={host}:25, {what}"
