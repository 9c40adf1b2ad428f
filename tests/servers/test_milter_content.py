"""What the milter reads of messages: over a real connection, from Postfix's packets to a campaign."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from app.live import run
from engine.people import DAY, RELAY, rules
from engine.test_fingerprints import PRINTER
from penstock.core.events import Delivered, Message
from penstock.core.ledger import Counter
from penstock.core.policy import PASS_ON
from penstock.core.sender import Sender
from penstock.servers.milter_traffic import SMTP
from penstock.signals.view import Alike
from penstock.wire.content import ContentReader
from penstock.wire.milter.envelope import WISH_CONTENT
from servers.test_milter import CONTINUE, Mta, Rig, listening
from support import World
from wire.content.mails import INVITATION, PACKINGS, PITCH, personal, story
from wire.milter import mta

SCORE = "X-Spamd-Result"


def key(i: int) -> str:
    return f"login:user{i}@house{i}.example"


class Town:
    """Accounts of different domains behind one milter that reads content."""

    def __init__(self, rig: Rig, peer: Mta) -> None:
        self.rig = rig
        self.peer = peer
        self.chance = random.Random(1)

    async def send(self, i: int, recipients: list[str], *content: bytes) -> list[tuple[bytes, bytes]]:
        """One message of one account, which arrives."""
        login = key(i).removeprefix("login:")
        peer = self.peer
        for recipient in recipients:
            start = (
                mta.macros("M", auth_authen=login) + mta.mail(login) if recipient == recipients[0] else b""
            )
            assert await peer.say(start, mta.rcpt(recipient)) == CONTINUE
        said = await peer.say(*content)
        world = self.rig.world
        for recipient in recipients:
            message = Message(world.at, "local", "4Xy1")
            message.kind, message.name = "login", login
            world.engine.observe(Delivered(world.at, message, recipient, RELAY))
        world.wait(1)
        return said

    async def write(self, i: int, recipients: list[str], text: str, n: int = 0) -> None:
        """The same, packed in some way and sent in pieces."""
        kind, encoding, body = PACKINGS[n % len(PACKINGS)](text)
        head = mta.header("Content-Type", kind) + mta.header("Content-Transfer-Encoding", encoding) + mta.EOH
        half = len(body) // 2
        assert await self.send(i, recipients, head, mta.body(body[:half]), mta.end(body[half:])) == CONTINUE

    async def live(self, accounts: int, days: int = 9) -> None:
        """So many days with a letter of everybody to friends, and to one stranger."""
        for day in range(days):
            for i in range(accounts):
                to = [*self.friends(i), f"new{day}.{i}@example.org"]
                await self.write(i, to, story(random.Random(100 * day + i), 70), day)
            self.rig.world.wait(DAY - accounts)

    def friends(self, i: int) -> list[str]:
        return [f"friend{n}.{i}@example.org" for n in range(4)]

    def sender(self, i: int) -> Sender:
        return self.rig.world.sender(key(i))

    def alike(self, i: int) -> Alike:
        return self.rig.world.engine.detector.weighing.view(self.sender(i), self.rig.world.at).alike


async def town(folder: Path, tale: Any, score_header: str = "") -> None:
    async with listening(folder, smtp=True, on_error=PASS_ON) as rig:
        rig.world = World(rules())
        rig.keeper.engine = rig.world.engine
        rig.keeper.records = rig.world.records
        rig.keeper.clock = lambda: rig.world.at
        assert rig.traffic.kind == SMTP
        rig.keeper.wish = WISH_CONTENT
        rig.keeper.reader = lambda: ContentReader(PRINTER, score_header, 10.0)
        peer = await rig.connect()
        await peer.hello()
        await tale(Town(rig, peer))
        assert not rig.traffic.errors


def test_one_spam_with_hash_busters_from_five_accounts_is_one_campaign(folder: Path) -> None:
    async def tale(here: Town) -> None:
        await here.live(6)
        for i in range(5):
            for n in range(4):
                text = personal(PITCH, here.chance, 0.06)
                await here.write(i, [f"s{n}.{i}@example.net"], text, i + n)
        assert [here.alike(i).texts for i in range(6)] == [5, 5, 5, 5, 5, 0]
        incidents = here.rig.world.engine.casework.incidents
        found = [incidents.of(key(i)) for i in range(5)]
        assert found[0] is not None and all(one is found[0] for one in found)
        assert found[0].campaign == here.alike(0).name != ""

    run_town(folder, tale)


def test_a_club_s_letter_is_no_campaign(folder: Path) -> None:
    async def tale(here: Town) -> None:
        await here.live(6)
        for i in range(6):
            await here.write(i, [*here.friends(i), f"aunt{i}@example.net"], f"{INVITATION}\n\nYours, {i}", i)
        assert all(here.alike(i).texts == 0 for i in range(6))
        assert not here.rig.world.engine.detector.cases

    run_town(folder, tale)


@pytest.mark.parametrize(
    ("value", "counted"), [("default: True [31.00 / 15.00];", 1), ("default: False [2 / 15]", 0)]
)
def test_only_a_high_score_of_the_named_header_counts(folder: Path, value: str, counted: int) -> None:
    async def tale(here: Town) -> None:
        head = mta.header("X-Spam-Status", "Yes, score=99") + mta.header(SCORE, value) + mta.EOH
        assert await here.send(0, ["a@example.net"], head, mta.end(b"hello")) == CONTINUE
        assert here.sender(0).ledger.total(Counter.SPAM_SCORED, int(here.rig.world.at), 3600) == counted

    run_town(folder, tale, SCORE.lower())


def test_hostile_content_passes_and_costs_nobody(folder: Path) -> None:
    async def tale(here: Town) -> None:
        head = mta.header("Content-Type", "multipart/mixed; boundary=-") + mta.EOH
        chunks = [mta.body(b"\0-\xff--" * 13_000)] * 30
        assert await here.send(0, ["a@example.net"], head, *chunks, mta.end()) == CONTINUE
        assert here.alike(0) == Alike()

    run_town(folder, tale)


def test_a_message_that_is_given_up_leaves_nothing(folder: Path) -> None:
    async def tale(here: Town) -> None:
        start = mta.macros("M", auth_authen="user0@house0.example") + mta.mail() + mta.rcpt("s@example.net")
        assert await here.peer.say(start) == CONTINUE
        here.peer.writer.write(mta.EOH + mta.body(PITCH.encode()) + mta.ABORT)
        await here.send(1, ["t@example.net"], mta.EOH, mta.end(b"short"))
        assert len(here.rig.world.engine.detector.texts) == 0

    run_town(folder, tale)


def run_town(folder: Path, tale: Any, score_header: str = "") -> None:
    run(town(folder, tale, score_header))
