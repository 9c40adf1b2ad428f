"""Reports that come by mail: whom they are charged to, how often, and which are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.app.intake import KEY_BYTES, KEY_FILE, UNLOGGED, Intake, open_tracer
from penstock.core.events import Message
from penstock.core.ledger import Counter
from penstock.core.replies import ReplyClass, Rule
from penstock.stores.sent import SentIndex
from penstock.wire.reports import read_report
from penstock.wire.trace import HEADER, Tracer
from support import ALICE, T0, World, policy

BOB = "login:bob@example.com"
UNKNOWN = "550 5.1.1 <r@example.net>: user unknown"
NOT_OURS = "about no message that is known to have left here"
RULES = (Rule("unknown", ReplyClass.UNKNOWN_USER, ("user unknown",)),)
TRACER = Tracer(b"k" * 32)


class Office:
    """An intake with a real index of sent mail; what it counts is read from the engine's ledgers."""

    def __init__(self, sent: SentIndex, reads_log: bool) -> None:
        self.world = World(replace(policy(), replies=RULES))
        self.sent = sent
        self.intake = Intake(self.world.engine, sent, TRACER, lambda: self.world.at, reads_log)

    def left(
        self, message_id: str = "1@example.com", queue_id: str = "4Xy1", n: int = 3, key: str = ALICE
    ) -> None:
        """A message that the log has told of."""
        message = Message(T0, "mx1/postfix", queue_id)
        message.message_id, message.recipients = message_id, n
        self.sent.remember(message, key)

    async def take(self, raw: str) -> str:
        """One report; why it is kept."""
        return await self.intake.take("name", read_report(raw.encode()), raw.encode())

    def counted(self, key: str = ALICE) -> tuple[int, int]:
        """(bounces, complaints) of a sender."""
        return self.world.total(Counter.BOUNCED, key), self.world.total(Counter.COMPLAINTS, key)


@asynccontextmanager
async def office(folder: Path, reads_log: bool = True) -> AsyncIterator[Office]:
    sent = SentIndex(folder / "sent.db", lambda: T0)
    sent.start(asyncio.get_running_loop())
    try:
        yield Office(sent, reads_log)
    finally:
        await sent.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def returned(
    message_id: str = "1@example.com", hops: str = "", token: str = "", sender: str = "a@x.test"
) -> str:
    """The headers of the mail that a report is about."""
    lines = [hops, f"{HEADER}: {token}" if token else "", f"From: {sender}", "Subject: hello"]
    lines += [f"Message-ID: <{message_id}>"] if message_id else []
    return "\n".join(line for line in lines if line)


def bounce(*recipients: str, about: str = "", queue_id: str = "", action: str = "failed") -> str:
    """A notice of failure (RFC 3464)."""
    people = "\n".join(
        f"Final-Recipient: rfc822; {each}\nAction: {action}\nStatus: 5.1.1\n"
        f"Diagnostic-Code: smtp; {UNKNOWN}\n"
        for each in recipients or ("r@example.net",)
    )
    ours = f"X-Postfix-Queue-ID: {queue_id}\n" if queue_id else ""
    return f"""From: MAILER-DAEMON@mx.example.net
To: alice@example.com
Subject: Undelivered Mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=b"

--=b

Your mail could not be delivered.
--=b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
{ours}
{people}
--=b
Content-Type: text/rfc822-headers

{about or returned()}

--=b--
"""


def complaint(*recipients: str, kind: str = "abuse", about: str = "") -> str:
    """A feedback report (RFC 5965)."""
    people = "".join(f"Original-Rcpt-To: <{each}>\n" for each in recipients)
    return f"""From: fbl@example.net
To: abuse@example.com
Subject: FW: hello
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="=c"

--=c

This is a report.
--=c
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Example/1
Version: 1
{people}
--=c
Content-Type: message/rfc822

{about or returned()}

A line.
--=c--
"""


# --- whose message it was -------------------------------------------------------------------------


def received(queue_id: str, by: str = "mx1.example.com") -> str:
    when = "Thu, 1 Jan 2026 00:00:00 +0000"
    return f"Received: from [192.0.2.7] by {by} (Postfix) with ESMTPSA id {queue_id};\n\t{when}"


@pytest.mark.parametrize(
    "about",
    [
        returned("1@example.com"),
        returned("", received("4Xy1QZ0bcdz2Gh")),
        returned("", received("9Zz9zz9zzz", "mx.example.net") + "\n" + received("4Xy1QZ0bcdz2Gh")),
        returned("", token=TRACER.token(ALICE, T0)),
        returned("never-seen@example.com", token=TRACER.token(ALICE, T0)),
        returned("1@example.com", token="A" * 60),
    ],
    ids=[
        "message id",
        "queue id",
        "queue id behind a forward",
        "token",
        "token alone",
        "message id, forged token",
    ],
)
def test_a_report_finds_its_sender(tmp_path: Path, about: str) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left(queue_id="4Xy1QZ0bcdz2Gh")
            assert await desk.take(bounce(about=about)) == ""
            assert await desk.take(complaint("r@example.net", about=about)) == ""
            assert desk.counted() == (1, 1)

    run(story())


@pytest.mark.parametrize(
    "about",
    [
        returned("somebody-elses@example.net", received("9Zz9zz9zzz", "mx.example.net")),
        returned("", token="A" * 60),
        returned("", token=Tracer(b"another key of 16").token(ALICE, T0)),
        returned("", token=TRACER.token(ALICE, T0)[:-4] + "AAAA"),
        returned(""),
    ],
    ids=["backscatter", "no token", "token of another key", "tampered token", "nothing"],
)
def test_what_never_left_here_charges_nobody_and_is_kept(tmp_path: Path, about: str) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left()
            assert await desk.take(bounce(about=about)) == NOT_OURS
            assert await desk.take(complaint("alice@example.com", about=about)) == NOT_OURS
            assert desk.counted() == (0, 0)
            assert len(desk.world.engine.roster.senders) == 1, "only the one that the test has asked about"

    run(story())


def test_the_token_holds_against_a_message_id_of_somebody_else(tmp_path: Path) -> None:
    """The Message-ID is what a client wrote; the token is what we wrote."""

    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left(key=BOB)
            await desk.take(bounce(about=returned("1@example.com", token=TRACER.token(ALICE, T0))))
            assert (desk.counted(ALICE), desk.counted(BOB)) == ((1, 0), (0, 0))

    run(story())


# --- how often ------------------------------------------------------------------------------------


def test_the_same_report_counts_once_for_each_recipient(tmp_path: Path) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left()
            for _ in range(3):
                assert await desk.take(bounce("a@example.net", "B@example.net")) == ""
                assert await desk.take(bounce("b@Example.net")) == ""
                assert await desk.take(complaint("a@example.net")) == ""
            assert desk.counted() == (2, 1)
            assert (desk.intake.bounces, desk.intake.complaints, desk.intake.repeated) == (2, 1, 9)

    run(story())


def test_it_counts_once_over_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        for expected in (1, 0):
            async with office(tmp_path) as desk:
                desk.left()
                await desk.take(bounce())
                assert desk.intake.bounces == expected

    run(story())


def test_forged_bounces_count_no_more_often_than_the_message_had_recipients(tmp_path: Path) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left(n=3)
            for i in range(1000):
                assert await desk.take(bounce(f"r{i}@example.net")) == ""
            assert desk.counted() == (3, 0)
            for i in range(100):
                await desk.take(complaint(f"r{i}@example.net"))
            assert desk.counted() == (3, 3)

    run(story())


def test_a_copied_token_charges_little_whatever_message_ids_are_made_up(tmp_path: Path) -> None:
    """Every recipient of a mail knows its token."""

    async def story() -> None:
        async with office(tmp_path) as desk:
            token = TRACER.token(ALICE, T0)
            for i in range(100):
                await desk.take(bounce(f"r{i}@example.net", about=returned(f"{i}@example.net", token=token)))
            assert desk.counted() == (UNLOGGED, 0)

    run(story())


# --- what counts ----------------------------------------------------------------------------------


def test_a_complaint_without_a_recipient_counts_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left()
            for _ in range(2):
                assert await desk.take(complaint()) == ""
            assert desk.counted() == (0, 1)

    run(story())


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "Not-Spam"])
def test_what_is_no_complaint_about_the_sender_is_done_with_and_not_counted(
    tmp_path: Path, kind: str
) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left()
            assert await desk.take(complaint("a@example.net", kind=kind)) == ""
            assert desk.counted() == (0, 0)
            assert (desk.intake.complaints, desk.intake.uncounted) == (0, 1)

    run(story())


@pytest.mark.parametrize("kind", ["abuse", "fraud", "virus", "other", "opt-out", "made-up"])
def test_every_other_kind_is_a_complaint(tmp_path: Path, kind: str) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left()
            assert await desk.take(complaint("a@example.net", kind=kind)) == ""
            assert desk.counted() == (0, 1)

    run(story())


@pytest.mark.parametrize(("reads_log", "bounces"), [(True, 0), (False, 1)])
def test_what_our_own_mta_reports_is_not_counted_twice(tmp_path: Path, reads_log: bool, bounces: int) -> None:
    """The log has told of it, if it is read."""

    async def story() -> None:
        async with office(tmp_path, reads_log) as desk:
            desk.left(queue_id="4Xy1QZ0bcdz2Gh")
            assert await desk.take(bounce(queue_id="4Xy1QZ0bcdz2Gh")) == ""
            assert desk.counted() == (bounces, 0)

    run(story())


def test_another_postfix_may_report_with_a_queue_id_of_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left()
            desk.left("2@example.com", "4Xy2QZ0bcdz2Gh", key=BOB)
            assert await desk.take(bounce(queue_id="9Zz9zz9zzz")) == ""
            assert await desk.take(bounce("other@example.net", queue_id="4Xy2QZ0bcdz2Gh")) == ""
            assert desk.counted() == (2, 0)

    run(story())


def test_the_class_comes_from_the_reply(tmp_path: Path) -> None:
    async def story() -> None:
        async with office(tmp_path) as desk:
            desk.left()
            await desk.take(bounce())
            assert desk.world.total(Counter.UNKNOWN_USER) == 1

    run(story())


def test_an_index_that_fails_keeps_the_reports(tmp_path: Path) -> None:
    """Nothing is charged by guess, and nothing is lost."""

    async def story() -> None:
        (tmp_path / "sent.db").mkdir()
        async with office(tmp_path) as desk:
            desk.left()
            assert await desk.take(bounce()) == NOT_OURS
            assert "the index of sent mail fails" in desk.sent.problem

    run(story())


# --- the key --------------------------------------------------------------------------------------


def test_references_outlive_a_restart(tmp_path: Path) -> None:
    token = open_tracer(tmp_path).token(ALICE, T0)
    assert open_tracer(tmp_path).read(token) == (ALICE, T0 - T0 % 60)
    key = tmp_path / KEY_FILE
    assert (key.stat().st_mode & 0o777, key.stat().st_size) == (0o600, KEY_BYTES)


@pytest.mark.parametrize("damage", [b"", b"short"])
def test_a_damaged_key_costs_old_references_and_no_start(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(damage)
    tracer = open_tracer(tmp_path)
    assert tracer.read(tracer.token(ALICE, T0)) is not None
    assert open_tracer(tmp_path / "missing").token(ALICE, T0)


def test_a_report_waits_until_the_log_has_come_to_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.app.intake.LOOK_AGAIN", 0)

    async def story() -> None:
        async with office(tmp_path) as at:
            left = [3]

            def behind() -> int:
                left[0] -= 1
                if not left[0]:
                    at.left()
                return left[0]

            at.intake._behind = behind
            assert await at.take(bounce()) == ""
            assert at.counted() == (1, 0)

    run(story())
