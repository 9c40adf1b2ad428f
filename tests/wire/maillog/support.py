"""Facts by hand, and events in a compact notation that holds no text of a log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from penstock.core.events import (
    Accepted,
    Bounced,
    Deferred,
    Delivered,
    Died,
    Event,
    LoggedIn,
    Message,
    Rejected,
)
from penstock.wire.maillog.facts import Client, Fact, Named, Outcome, Queued, Refused, Removed
from penstock.wire.maillog.join import Join


class Notation:
    """Numbers in the order of appearance. A message that was not accepted before shows its sender."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, object], int] = {}
        self._accepted: set[tuple[str, str, float]] = set()

    def lines(self, events: Iterable[Event]) -> list[str]:
        return [self.line(event) for event in events]

    def line(self, event: Event) -> str:
        match event:
            case Accepted(_, m):
                self._accepted.add(_key(m))
                return f"{self._of(m)} accepted {self._sender(m.kind, m.name)} n={m.recipients}"
            case Died(_, m, _):
                return f"{self._of(m)} died"
            case Delivered(_, m, recipient, _):
                return f"{self._of(m)} delivered {self._number('r', recipient)}"
            case Deferred(_, m, recipient, _, _, _, first):
                return (
                    f"{self._of(m)} deferred {self._number('r', recipient)} {'first' if first else 'again'}"
                )
            case Bounced(_, m, recipient, _, status, _):
                return f"{self._of(m)} bounced {self._number('r', recipient)} {status}"
            case Rejected():
                who = self._sender("login", event.login) if event.login else ""
                who = who or self._sender("ip", event.client_address)
                return f"rejected {who} {self._number('r', event.recipient)}"
            case LoggedIn(_, login, _, _, ok):
                return f"login {self._number('s', login)}{'' if ok else ' failed'}"
            case _:
                return repr(event)

    def _of(self, m: Message) -> str:
        number = self._number("m", _key(m))
        return number if _key(m) in self._accepted else f"{number}({self._sender(m.kind, m.name)})"

    def _sender(self, kind: str, name: str) -> str:
        return f"{kind}:{self._number('s', name)}" if kind else "nobody"

    def _number(self, sort: str, what: object) -> str:
        numbered = sum(1 for other, _ in self._numbers if other == sort)
        return f"{sort}{self._numbers.setdefault((sort, what), numbered + 1)}"


def _key(m: Message) -> tuple[str, str, float]:
    return m.scope, m.queue_id, m.at


HOST = "mail/postfix"
SPOOL = "127.0.0.1[127.0.0.1]:10024"
AWAY = "mx.example.net[192.0.2.25]:25"
NEVER = 1e9


def client(at: float, queue_id: str = "A1", login: str = "", **more: Any) -> Client:
    return Client(at, HOST, queue_id, "203.0.113.5", login, "")._replace(**more)


def named(at: float, queue_id: str = "A1", name: str = "1@example.com") -> Named:
    return Named(at, HOST, queue_id, name)


def queued(at: float, queue_id: str = "A1", sender: str = "a@example.com", n: int = 1) -> Queued:
    return Queued(at, HOST, queue_id, sender, 500, n)


def outcome(at: float, status: str, queue_id: str = "A1", to: str = "r@example.net", **more: Any) -> Outcome:
    return Outcome(at, HOST, queue_id, "smtp", to, "", AWAY, status, "", "250 ok")._replace(**more)


def removed(at: float, queue_id: str = "A1") -> Removed:
    return Removed(at, HOST, queue_id)


def refused(at: float, action: str, stage: str, queue_id: str = "A1", **more: Any) -> Refused:
    return Refused(
        at, HOST, queue_id, action, stage, "203.0.113.5", "", "a@example.com", "r@example.net", "no"
    )._replace(**more)


def told(*facts: Fact, join: Join | None = None) -> list[Event]:
    join = Join() if join is None else join
    return [event for fact in facts for event in join.feed(fact)]


def lines(*facts: Fact, join: Join | None = None) -> list[str]:
    """The events without logins, and what waits at the end."""
    join = Join() if join is None else join
    events = [*told(*facts, join=join), *join.settle(NEVER)]
    return Notation().lines(event for event in events if not isinstance(event, LoggedIn))


def of_filter(at: float, queue_id: str = "B1", **more: Any) -> Client:
    return client(at, queue_id, client_address="127.0.0.1", **more)


def handed_over(at: float, queue_id: str = "A1", new: str = "B1", **more: Any) -> Outcome:
    reply = f"250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as {new}"
    return outcome(at, "sent", queue_id, relay=SPOOL, reply=reply)._replace(**more)
