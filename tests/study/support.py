"""Synthetic logs in Postfix's format: a small platform's weeks, with all that a study must tell apart."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from penstock.core.events import Accepted, Bounced, Deferred, Delivered, Event, Message

MONDAY = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
DAY = 86400.0
NEWS = "login:news@shop.example"
HIJACKED = "login:user042@example.com"
CRON = "uid:1033"
DOMAINS = ("example.org", "example.net", "mail.example", "post.example", "firm.example")

Line = tuple[float, str]


class Platform:
    """Writes what Postfix would log. Times are seconds since the epoch."""

    def __init__(self, seed: int = 1, host: str = "mx1") -> None:
        self.random = random.Random(seed)
        self.host = host
        self.lines: list[Line] = []
        self.sent: list[tuple[int, str, int]] = []
        self._messages = 0

    def message(
        self, at: float, login: str, recipients: list[str], bounced: int = 0, client: str = "192.0.2.7"
    ) -> None:
        """One message of a login; the first ``bounced`` recipients are refused."""
        qid = self._queue_id()
        self.sent.append((int(at), f"login:{login}", len(recipients)))
        who = f"client=unknown[{client}], sasl_method=PLAIN, sasl_username={login}"
        self._say(at, "submission/smtpd", f"{qid}: {who}")
        self._rest(at, qid, login, recipients, bounced)

    def script(self, at: float, uid: int, recipients: list[str]) -> None:
        """One message of a local user's script."""
        qid = self._queue_id()
        self._say(at, "pickup", f"{qid}: uid={uid} from=<www{uid}>")
        self._rest(at, qid, f"www{uid}@web.example", recipients, 0)

    def relayed(self, at: float, client: str, recipient: str, inside: bool) -> None:
        """One message of a client without login, for a mailbox here or for another host."""
        qid = self._queue_id()
        self._say(at, "smtpd", f"{qid}: client=unknown[{client}]")
        self._rest(at, qid, "someone@else.example", [recipient], 0, inside)

    def _rest(
        self, at: float, qid: str, sender: str, recipients: list[str], bounced: int, inside: bool = False
    ) -> None:
        self._say(at, "cleanup", f"{qid}: message-id=<{qid}.{int(at)}@example.com>")
        self._say(at, "qmgr", f"{qid}: from=<{sender}>, size=4321, nrcpt={len(recipients)} (queue active)")
        relay = "mail.example[private/dovecot-lmtp]" if inside else "mx.example.org[203.0.113.9]:25"
        for i, recipient in enumerate(recipients):
            fate = "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 1A2B3C)"
            if i < bounced:
                fate = f"dsn=5.1.1, status=bounced (host {relay} said: 550 5.1.1 User unknown)"
            self._say(
                at + 1, "smtp", f"{qid}: to=<{recipient}>, relay={relay}, delay=1, delays=0/0/0/1, {fate}"
            )
        self._say(at + 1, "qmgr", f"{qid}: removed")

    def _queue_id(self) -> str:
        self._messages += 1
        return f"{0x4000000000 + self._messages * 0x1F:X}"

    def _say(self, at: float, daemon: str, text: str) -> None:
        self.lines.append((at, f"{self.host} postfix/{daemon}[{700 + len(daemon)}]: {text}"))

    def people(self, n: int) -> list[str]:
        """Recipients."""
        return [f"r{self.random.randrange(10**6)}@{self.random.choice(DOMAINS)}" for _ in range(n)]

    def write(self, path: Path, dated: bool = False) -> Path:
        """Write the lines in order, with classic or RFC 3339 stamps."""
        path.write_text("".join(f"{line}\n" for line in self.text(dated)))
        return path

    def text(self, dated: bool = False) -> Iterator[str]:
        """The lines in order."""
        for at, line in sorted(self.lines, key=lambda one: one[0]):
            moment = datetime.fromtimestamp(at, UTC)
            stamp = moment.strftime("%Y-%m-%dT%H:%M:%S+00:00") if dated else moment.strftime("%b %e %H:%M:%S")
            yield f"{stamp} {line}"


def weeks(days: int = 19, logins: int = 200, seed: int = 1) -> Platform:
    """Logins that mail on working days, a weekly newsletter, a cron script, one hijacked account."""
    platform = Platform(seed)
    draw = platform.random
    for day in range(days):
        midnight = MONDAY + day * DAY
        working = day % 7 < 5
        for i in range(logins):
            if draw.random() < (0.7 if working else 0.1):
                _person(platform, midnight, f"user{i:03}@example.com")
        for hour in range(24):
            platform.script(midnight + hour * 3600 + 120, 1033, platform.people(2))
        if day % 7 in (1, 4):
            for i in range(1500):
                platform.message(midnight + 9 * 3600 + i // 2, "news@shop.example", platform.people(1))
    _hijack(platform, MONDAY + 9 * DAY + 3 * 3600)
    return platform


def _person(platform: Platform, midnight: float, login: str) -> None:
    draw = platform.random
    for _ in range(max(1, int(draw.lognormvariate(1.0, 0.8)))):
        at = midnight + draw.gauss(13, 2.5) * 3600 % DAY
        n = max(1, min(30, int(draw.lognormvariate(0.2, 0.7))))
        platform.message(float(int(at)), login, platform.people(n), client=f"192.0.2.{len(login)}")


def _hijack(platform: Platform, begin: float) -> None:
    for i in range(400):
        client = f"198.51.100.{i % 40}"
        platform.message(begin + i * 12, HIJACKED[6:], platform.people(20), bounced=6, client=client)


def mail(at: float, sender: str, recipients: int = 1, client: str = "192.0.2.7") -> Accepted:
    """A message that the MTA accepted."""
    message = Message(at, "mx1/postfix", "4F00")
    message.kind, _, message.name = sender.partition(":")
    message.recipients, message.client_address, message.envelope_from = recipients, client, "a@example.com"
    return Accepted(at, message)


def outcomes(accepted: Accepted, addresses: Iterable[str], fate: str = "delivered") -> list[Event]:
    """What became of its recipients: all delivered, deferred or bounced."""
    at, message = accepted
    relay = "mx.example.org[203.0.113.9]:25"
    if fate == "delivered":
        return [Delivered(at + 1, message, address, relay) for address in addresses]
    if fate == "deferred":
        return [Deferred(at + 1, message, address, relay, "4.2.0", "later", True) for address in addresses]
    return [Bounced(at + 1, message, address, relay, "5.1.1", "unknown") for address in addresses]
