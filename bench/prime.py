"""A state folder with a past, as a service on known senders has one: who knows whom, and some days of counts.

The past is made by the engine itself, with the addresses that ``load.c`` uses: each sender writes to the
whole of its address book, from one network and under one name, and all of it is delivered.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from penstock.config import parse
from penstock.core.acquaintance import Acquaintance
from penstock.core.events import Attempt, Delivered, Message
from penstock.core.flight import Channel
from penstock.directory.static import Static
from penstock.engine import Engine
from penstock.stores import acquaintances, countfile
from penstock.study.memory import Memory
from processes import BUILD

SENDERS = 10_000
BOOK = 10
DAYS = 5
A_DAY = 2
"""New recipients; each day the first of the book gets the message too."""

POLICY = """\
[detection]
mode = "enforce"
[profiles.personal]
recipients = ["1000000/d"]
messages = []
usual = { novel = 100000, recipients = 10000000 }
"""


def primed(sources: str) -> Path:
    """The folder, made anew each day, whose past it is, and for other ``sources``."""
    folder, now = BUILD / "primed", time.time()
    stamp, wanted = BUILD / "primed-from", f"{now // 86400:.0f} {sources}"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder, now)
        stamp.write_text(wanted)
    return folder


def make(folder: Path, now: float) -> None:
    """Let the senders live for some days, and save what is left of it."""
    memory, known = Memory(), Acquaintance(b"bench" * 6 + b"..")
    engine = Engine(
        parse(POLICY).policy, Static({}, {}), memory, memory, memory, memory, known, now - 9 * 86400
    )
    for day in range(DAYS):
        for sender in range(SENDERS):
            live_a_day(engine, sender, now - (DAYS - day) * 86400, day * A_DAY)
    acquaintances.write(folder / "acquaintance.bin", known, now)
    with countfile.snapshot_path(folder, 1).open("wb") as file:
        writer = countfile.SnapshotWriter(file)
        for it in engine.roster.senders.values():
            writer.add(it.first_seen, it.key, it.ledger.pack())
        writer.close()


def live_a_day(engine: Engine, sender: int, at: float, first: int) -> None:
    """One message to some of the sender's address book, delivered."""
    login = f"user{sender + 1:05}@example.com"
    address = f"10.{sender >> 8 & 255}.{sender & 255}.9"
    channel, instance = Channel("bench"), f"{sender:x}.{int(at):x}"
    for n in {0, *range(first, first + A_DAY)}:
        number = sender * BOOK + n
        recipient = f"friend{number}@mx{number % 1000}.example.net"
        engine.decide(
            Attempt(at, "bench", "RCPT", address, login, recipient, 0, "", instance, 2000, login, ""), channel
        )
        message = Message(at, "bench", "4Xy1")
        message.kind, message.name = "login", login
        engine.observe(Delivered(at, message, recipient, "mx[203.0.113.9]:25"))
