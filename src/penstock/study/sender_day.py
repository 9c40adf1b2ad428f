"""One day of one sender: what is gathered while it lasts, and what is kept of the busiest ones."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Final, NamedTuple

from penstock.study.windows import WINDOWS, Peak

MOST_DOMAINS: Final = 500
MOST_DISTINCT: Final = 100
"""Client addresses and envelope senders that are told apart within a sender-day."""

KEPT: Final = 200
"""Senders whose busiest day is kept in full, for each group and figure."""

_LONGEST_DOMAIN: Final = 255


class Detail(NamedTuple):
    """One sender-day in full. ``peaks``: (recipients, messages, ended at) of the busiest window of each
    length. ``domains``: the most frequent of the recipients' with their counts. Counts that stop at their
    bound (``MOST_DOMAINS``, ``MOST_DISTINCT``) mean that many or more."""

    sender: str
    day: int
    recipients: int
    messages: int
    peaks: tuple[tuple[int, int, int], ...]
    domains: tuple[tuple[str, int], ...]
    domain_count: int
    clients: int
    envelopes: int
    delivered: int
    deferred: int
    bounced: int


class Today:
    """What is known of a sender's open day."""

    __slots__ = (
        "begin", "bounced", "clients", "day", "deferred", "delivered", "domain_count", "domains", "envelopes",
        "messages", "peaks", "recipients",
    )  # fmt: skip

    def __init__(self, day: int, begin: float) -> None:
        self.day = day
        self.begin = begin
        self.recipients = self.messages = 0
        self.delivered = self.deferred = self.bounced = 0
        self.peaks = tuple(Peak() for _ in WINDOWS)
        self.domains: dict[str, int] = {}
        self.clients: set[str] = set()
        self.envelopes: set[str] = set()

    def answered(self, recipient: str) -> None:
        """A recipient's first outcome tells its domain."""
        domain = recipient[recipient.rfind("@") + 1 :].lower()
        domains = self.domains
        if domain in domains:
            domains[domain] += 1
        elif len(domains) < MOST_DOMAINS:
            domains[domain[:_LONGEST_DOMAIN]] = 1


def detail_of(sender: str, today: Today) -> Detail:
    domains = Counter(today.domains)
    return Detail(
        sender=sender,
        day=today.day,
        recipients=today.recipients,
        messages=today.messages,
        peaks=tuple((peak.recipients, peak.messages, peak.at) for peak in today.peaks),
        domains=tuple(domains.most_common(3)),
        domain_count=len(domains),
        clients=len(today.clients),
        envelopes=len(today.envelopes),
        delivered=today.delivered,
        deferred=today.deferred,
        bounced=today.bounced,
    )


class Top:
    """The busiest senders by one figure, each with its busiest day."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._floor = 0
        self.held: dict[str, tuple[int, Detail]] = {}

    def wants(self, sender: str, value: int) -> bool:
        """Whether that day belongs here."""
        held = self.held.get(sender)
        return value > (held[0] if held else self._floor)

    def put(self, value: int, detail: Detail) -> None:
        """Keep a wanted day."""
        self.held[detail.sender] = value, detail
        if len(self.held) >= 2 * self._most:
            best = heapq.nlargest(self._most, self.held.items(), key=lambda item: item[1][0])
            self.held = dict(best)
            self._floor = best[-1][1][0]
