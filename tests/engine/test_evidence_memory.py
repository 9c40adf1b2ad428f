"""What evidence costs in memory: little for each sender, and no more for one who tries to make it much."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from dataclasses import replace
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

import pytest

from penstock.core.acquaintance import Acquaintance
from penstock.core.events import Attempt, Bounced, Delivered, LoggedIn, Message
from penstock.core.evidence import Detection
from penstock.core.flight import ASKS_END, Channel
from penstock.core.policy import Verb
from penstock.core.replies import ReplyClass, Rule
from penstock.directory.static import Static
from penstock.engine import Engine, case, detector, networks, providers
from penstock.study.memory import Memory
from support import T0, policy

RELAY = "mx[203.0.113.9]:25"
ROOM = 1 << 10
"""Bytes that evidence may take of a sender."""

_PROGRAM = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType)


def size_of(root: object) -> int:
    """Bytes of an object and of all that it leads to, the program itself left out."""
    seen, waiting, size = {id(root)}, [root], 0
    while waiting:
        found = waiting.pop()
        size += sys.getsizeof(found)
        for other in gc.get_referents(found):
            if id(other) not in seen and not isinstance(other, _PROGRAM):
                seen.add(id(other))
                waiting.append(other)
    return size


def engine_of(mode: str) -> Engine:
    """One whose ports keep nothing."""
    rules = replace(
        policy(), detection=Detection(mode), replies=(Rule("gone", ReplyClass.UNKNOWN_USER, ("unknown",)),)
    )
    ports = Memory()
    ports.installed_at = T0
    known = Acquaintance(b"test", 1 << 20)
    return Engine(rules, Static({}, {}), ports, ports, ports, ports, known, T0)


def write(
    engine: Engine,
    channel: Channel,
    login: str,
    recipient: str,
    at: float,
    address: str = "192.0.2.7",
    domain: str = "example.com",
) -> bool:
    """One message to one recipient from beginning to end; whether it passed."""
    instance = f"{at:f}.{login}"
    asked = Attempt(at, "mx1", "RCPT", address, f"a@{domain}", recipient, 0, "", instance, 0, login, ASKS_END)
    if engine.decide(asked, channel).verb is not Verb.PASS:
        return False
    engine.decide(asked._replace(stage="END-OF-MESSAGE", recipient_count=1), channel)
    return True


def message(login: str, at: float) -> Message:
    found = Message(at, "mx1", "4Xy1")
    found.kind, found.name, found.recipients = "login", login, 1
    return found


# --- many honest senders ------------------------------------------------------------------------


def live(engine: Engine, senders: int, days: int = 4) -> None:
    """Ordinary days: letters to friends, somebody new on each, from home and from a telephone."""
    channel = Channel("mx1")
    for day in range(days):
        for n in range(senders):
            login, at = f"user{n:06}@example.com", T0 + day * 86400 + n
            for turn, friend in enumerate((f"a{n}", f"b{n}", f"c{n}", f"new{day}.{n}")):
                address = f"10.{n >> 8}.{n & 255}.9" if turn else f"100.{n & 255}.{n >> 8}.9"
                recipient = f"{friend}@example.net"
                assert write(engine, channel, login, recipient, at + turn, address)
                engine.observe(Delivered(at + turn + 0.5, message(login, at), recipient, RELAY))
        engine.sweep(T0 + (day + 1) * 86400)


def test_evidence_costs_little_for_each_sender() -> None:
    senders = 200
    sizes = []
    for mode in ("off", "enforce"):
        engine = engine_of(mode)
        live(engine, senders)
        sizes.append(size_of(engine))
    off, on = sizes
    assert 0 < (on - off) / senders < ROOM


# --- one who tries ------------------------------------------------------------------------------


def attack(engine: Engine, channel: Channel, numbers: Iterable[int]) -> None:
    """Each message to somebody else, from another network, under another name; every third bounces. Some
    log in from elsewhere in between."""
    login = "mallory@example.com"
    for n in numbers:
        at = T0 + n / 100
        recipient = f"r{n}@d{n % 5000}.example.net"
        passed = write(
            engine, channel, login, recipient, at, f"2001:{n & 0xFFFF:x}:{n >> 16:x}::1", f"d{n}.example.org"
        )
        if passed and n % 3:
            engine.observe(Delivered(at, message(login, at), recipient, RELAY))
        elif passed:
            engine.observe(Bounced(at, message(login, at), recipient, RELAY, "5.1.1", "550 user unknown"))
        engine.observe(LoggedIn(at, login, f"2a00:{n & 0xFFFF:x}::1", "imap", True))
        if not n % 100:
            engine.sweep(at)


@pytest.mark.parametrize("mode", ["shadow", "enforce"])
def test_nobody_can_make_the_memory_grow(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bounds made small, so that a few thousand reach them as millions would reach the real ones.

    Shadow is the harder case: nothing stops the sender.
    """
    monkeypatch.setattr(networks, "MOST_NETWORKS", 100)
    monkeypatch.setattr(providers, "MOST_DOMAINS", 100)
    monkeypatch.setattr(case, "MOST_UNDER_WAY", 100)
    monkeypatch.setattr(detector, "MOST_MET", 100)
    engine, channel = engine_of(mode), Channel("mx1")
    attack(engine, channel, range(1000))
    before = size_of(engine)
    attack(engine, channel, range(1000, 3000))
    assert size_of(engine) - before < 2000 * 8, "bytes, of 2,000 recipients, networks and envelopes"
