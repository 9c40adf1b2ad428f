"""The milter listener on an engine in memory: decisions, waiting, faults, the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.conftest import Logs
from app.live import run, until
from penstock.core.events import Accepted, Message
from penstock.core.ledger import Counter
from penstock.core.policy import DEFER, HOLD, PASS_ON, REJECT, Action
from penstock.core.standing import State
from penstock.servers.milter import MilterConnection
from penstock.servers.milter_keeper import MilterKeeper
from penstock.servers.milter_traffic import LOCAL, SMTP, MilterTraffic
from support import ALICE, T0, World, policy
from wire.milter import mta

SITE = "uid:1033"
CONTINUE = [(b"c", b"")]
ORIGIN = mta.header("X-PHP-Originating-Script", "1033:mailer.php")


class Mta:
    """One connection of an MTA."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: bool) -> None:
        self.reader, self.writer, self.silent = reader, writer, silent

    async def say(self, *packets: bytes, replies: int = 1) -> list[tuple[bytes, bytes]]:
        """Send, and read so many replies."""
        self.writer.write(b"".join(packets))
        return [await self.reply() for _ in range(replies)]

    async def reply(self) -> tuple[bytes, bytes]:
        """The next one."""
        async with asyncio.timeout(10):
            head = await self.reader.readexactly(4)
            data = await self.reader.readexactly(int.from_bytes(head, "big"))
        return data[:1], data[1:]

    async def hello(self, client: bytes = b"", offer: bytes = b"") -> None:
        """The terms, and a client (alice's) to begin with."""
        ((letter, _),) = await self.say(offer or mta.offer())
        assert letter == b"O"
        await self.say(client or mta.connect(), replies=0 if self.silent else 1)

    async def closed(self) -> bool:
        """Whether the other side hangs up and has nothing more to say."""
        async with asyncio.timeout(10):
            return await self.reader.read() == b""


class Rig:
    """A listener on a Unix socket."""

    def __init__(self, world: World, path: Path, smtp: bool, on_error: Action) -> None:
        self.world = world
        self.path = path
        self.traffic = MilterTraffic(SMTP if smtp else LOCAL)
        self.peers: list[Mta] = []
        self.keeper = MilterKeeper(
            world.engine, world.records, lambda: world.at, self.traffic, lambda: on_error
        )

    async def connect(self) -> Mta:
        """A new connection."""
        found = Mta(*await asyncio.open_unix_connection(self.path), silent=self.traffic.smtp)
        self.peers.append(found)
        return found

    async def hang_up(self) -> None:
        """Close the MTA's ends."""
        for peer in self.peers:
            peer.writer.close()
            with contextlib.suppress(OSError):
                await peer.writer.wait_closed()

    async def session(self, client: bytes = b"") -> Mta:
        """A connection on which the terms are settled."""
        found = await self.connect()
        await found.hello(client)
        return found


@contextlib.asynccontextmanager
async def listening(
    folder: Path, *limits: str, smtp: bool = True, on_error: Action = PASS_ON, over_limit: Action = DEFER
) -> AsyncIterator[Rig]:
    """A world with these limits, and its milter."""
    rig = Rig(World(policy(*limits, over_limit=over_limit)), folder / "milter", smtp, on_error)
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: MilterConnection(rig.keeper), rig.path
    )
    try:
        yield rig
    finally:
        server.close()
        await rig.hang_up()
        await until(lambda: not rig.keeper.connections)


def story(folder: Path, tale: Callable[[Rig], Any], *limits: str, **options: Any) -> None:
    """Run a tale on a rig."""

    async def told() -> None:
        async with listening(folder, *limits, **options) as rig:
            await tale(rig)

    run(told())


def begin(login: str = "alice@example.com") -> bytes:
    """MAIL of a client with a login."""
    return mta.macros("M", auth_authen=login) + mta.mail()


# --- clients ----------------------------------------------------------------------------------


def test_recipients_are_charged_and_refused_one_by_one(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        assert await peer.say(begin(), mta.rcpt("a@x.y"), replies=1) == CONTINUE
        assert await peer.say(mta.rcpt("b@x.y")) == CONTINUE
        ((letter, said),) = await peer.say(mta.rcpt("c@x.y"))
        assert letter == b"y" and said.startswith(b"451 4.7.1 ")
        assert await peer.say(ORIGIN, mta.EOH, mta.body(b"x" * 5000), mta.end(b"yy")) == CONTINUE
        assert rig.world.counted() == (2, 1)
        assert rig.world.total(Counter.KIB) == 5
        assert rig.traffic.results == {"pass": 1} and rig.traffic.refused == {"defer": 1}

    story(folder, tale, "2/h")


def test_one_login_is_one_account_whoever_asks(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        smtpd = rig.world.smtpd("ALICE@example.com")
        smtpd.rcpt("a@x.y")
        smtpd.end(1)
        peer = await rig.session()
        await peer.say(begin("Alice@Example.COM"), mta.rcpt("b@x.y"))
        await peer.say(mta.end())
        assert rig.world.counted() == (2, 2)

    story(folder, tale)


def test_without_login_the_address_is_charged(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session(mta.connect(address="2001:db8::7"))
        await peer.say(mta.mail(), mta.rcpt())
        await peer.say(mta.end())
        assert rig.world.counted("ip:2001:db8::/64") == (1, 1)

    story(folder, tale)


def test_a_login_does_not_outlive_its_message(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        await peer.say(begin(), mta.rcpt())
        await peer.say(mta.end())
        await peer.say(mta.macros("M"), mta.mail(), mta.rcpt())
        await peer.say(mta.end())
        assert rig.world.counted() == (1, 1) and rig.world.counted("ip:192.0.2.7") == (1, 1)

    story(folder, tale)


@pytest.mark.parametrize("over", ["abort", "mail", "close", "second session"])
def test_what_a_dead_message_had_reserved_goes_back(folder: Path, over: str) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        await peer.say(begin(), mta.rcpt("a@x.y"), mta.rcpt("b@x.y"), replies=2)
        assert rig.world.counted() == (2, 1)
        if over == "abort":
            peer.writer.write(mta.ABORT)
        elif over == "mail":
            peer.writer.write(begin())
        elif over == "second session":
            peer.writer.write(mta.packet(b"K") + mta.connect())
        else:
            peer.writer.close()
        await until(lambda: rig.world.counted() == (0, 0))

    story(folder, tale)


def test_a_message_is_committed_once_and_given_back_when_postfix_refuses_it(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        await peer.say(begin(), mta.rcpt())
        await peer.say(mta.end(queue_id="4Xq"))
        peer.writer.write(mta.ABORT + mta.QUIT)
        assert await peer.closed()
        assert rig.world.counted() == (1, 1)
        assert rig.world.engine.died("4Xq", rig.world.at)
        assert rig.world.counted() == (0, 0)

    story(folder, tale)


def test_a_slow_upload_is_charged_in_the_end(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        await peer.say(begin(), mta.rcpt())
        rig.world.wait(60)
        rig.world.sweep()
        assert rig.world.counted() == (0, 0)
        assert await peer.say(mta.end()) == CONTINUE
        assert rig.world.counted() == (1, 1)

    story(folder, tale)


def test_an_old_mta_gets_a_reply_to_everything(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.connect()
        peer.silent = False
        await peer.hello(offer=mta.offer(2, 0x3F, 0))
        rest = mta.packet(b"H", b"here\0") + begin() + mta.rcpt() + mta.header("a", "b") + mta.EOH
        found = await peer.say(rest, mta.body(b"x"), mta.end(), replies=7)
        assert found == CONTINUE * 7

    story(folder, tale)


def test_where_the_policy_listener_is_asked_sessions_are_let_go(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.connect()
        await peer.say(mta.offer())
        assert await peer.say(mta.connect()) == [(b"a", b"")]
        assert rig.traffic.results == {"left": 1}

    story(folder, tale, smtp=False)


# --- local submissions ------------------------------------------------------------------------


async def submit(rig: Rig, recipients: int, *headers: bytes) -> list[tuple[bytes, bytes]]:
    """One message of sendmail(1); the replies to its end."""
    peer = await rig.session(mta.LOCAL)
    everybody = [mta.rcpt(f"r{i}@x.y") for i in range(recipients)]
    assert await peer.say(mta.mail(), *everybody, replies=recipients) == CONTINUE * recipients
    found = await peer.say(*headers, mta.EOH, mta.end(b"hello"))
    while found[-1][0] not in b"cdy":
        found.append(await peer.reply())
    peer.writer.write(mta.QUIT)
    assert await peer.closed()
    return found


@pytest.mark.parametrize(
    ("over_limit", "letters"), [(DEFER, b"y"), (REJECT, b"y"), (HOLD, b"qc"), (Action(HOLD.verb), b"qc")]
)
def test_what_stops_one_recipient_stops_them_all(folder: Path, over_limit: Action, letters: bytes) -> None:
    async def tale(rig: Rig) -> None:
        assert await submit(rig, 3, ORIGIN) == CONTINUE
        found = await submit(rig, 3, ORIGIN)
        assert b"".join(letter for letter, _ in found) == letters
        assert rig.world.counted(SITE) == (3, 1), "of the message that was stopped nothing is charged"
        assert rig.traffic.results == {"pass": 1, str(over_limit.verb): 1}

    story(folder, tale, "5/h", smtp=False, over_limit=over_limit)


def test_thousands_of_recipients_are_charged_exactly(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        assert await submit(rig, 4000, ORIGIN) == CONTINUE
        assert rig.world.counted(SITE) == (4000, 1)
        assert (await submit(rig, 4000, ORIGIN))[0][0] == b"y"
        assert rig.world.counted(SITE) == (4000, 1)

    story(folder, tale, "6000/h", smtp=False)


def test_nobody_is_charged_for_mail_of_nobody(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        for header in (mta.header("Subject", "1033:x"), mta.header("X-PHP-Originating-Script", "x")):
            assert await submit(rig, 3, header) == CONTINUE
        assert rig.traffic.results == {"unnamed": 2}
        assert not rig.world.counts.rows

    story(folder, tale, "1/h", smtp=False)


def test_a_paused_user_is_stopped(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        rig.world.engine.roster.change_standing(SITE, State.PAUSED, T0, "test", "x", None, State.OPEN)
        ((letter, reason), last) = await submit(rig, 1, ORIGIN)
        assert letter == b"q" and reason.startswith(b"penstock standing:paused (ref ") and last == (b"c", b"")

    async def held(rig: Rig) -> None:
        plain = rig.world.engine.roster.policy.profiles["plain"]
        rig.world.engine.adopt(
            replace(rig.world.engine.roster.policy, profiles={"plain": replace(plain, paused=HOLD)})
        )
        await tale(rig)

    story(folder, held, smtp=False)


def told_by_log(rig: Rig, name: str, queue_id: str = "4Xy1") -> None:
    """The log says who handed a message in."""
    message = Message(T0, "mx1", queue_id)
    message.kind, message.name, message.recipients, message.size = "uid", name, 2, 5000
    rig.world.engine.observe(Accepted(T0, message))


def test_a_message_that_the_log_tells_of_as_well_is_counted_once(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        await submit(rig, 2, ORIGIN)
        told_by_log(rig, "1033")
        assert rig.world.counted(SITE) == (2, 1)
        told_by_log(rig, "1033", "another")
        assert rig.world.counted(SITE) == (4, 2)

    story(folder, tale, smtp=False)


def test_a_false_hint_is_put_right_by_the_log(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        await submit(rig, 2, ORIGIN)
        told_by_log(rig, "6666")
        assert rig.world.counted(SITE) == (0, 0) and rig.world.total(Counter.KIB, SITE) == 0
        assert rig.world.counted("uid:6666") == (2, 1)

    story(folder, tale, smtp=False)


def test_a_reference_is_added(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        rig.world.engine.stamp = lambda sender, at: f"X-Ref: {sender} {at:.0f}"
        assert await submit(rig, 2, ORIGIN) == [
            (b"i", b"\0\0\0\0X-Ref\0script:1033:mailer.php 1700000000\0"),
            (b"c", b""),
        ]
        peer = await rig.session()
        await peer.say(begin(), mta.rcpt("a@x.y"), mta.rcpt("b@x.y"), replies=2)
        assert (await peer.say(mta.end(), replies=2))[0][1].startswith(b"\0\0\0\0X-Ref\0login:alice")

    story(folder, tale)


# --- waiting, faults, the end -----------------------------------------------------------------


def test_an_answer_waits_for_its_record_and_keeps_the_order(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        records, calls = rig.world.records, []
        rig.world.engine.roster.change_standing(ALICE, State.PAUSED, T0, "test", "x", None, State.OPEN)
        records.durable = 0
        records.when_durable = lambda ticket, call: calls.append(call)  # type: ignore[attr-defined]
        peer = await rig.session()
        peer.writer.write(begin() + mta.rcpt("a@x.y") + mta.rcpt("b@x.y"))
        await until(lambda: calls)
        assert len(calls) == 1 and rig.traffic.refused == {"defer": 1}
        records.durable = 1 << 60
        calls[0]()
        found = [await peer.reply(), await peer.reply()]
        assert [letter for letter, _ in found] == [b"y", b"y"]
        other = await rig.session()
        assert await other.say(begin("bob@example.com"), mta.rcpt()) == CONTINUE

    story(folder, tale)


def test_a_record_that_is_durable_at_once_keeps_the_order(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        rig.world.engine.roster.change_standing(ALICE, State.PAUSED, T0, "test", "x", None, State.OPEN)
        rig.world.records.durable = 0
        rig.world.records.when_durable = lambda ticket, call: call()  # type: ignore[attr-defined]
        peer = await rig.session()
        bob, alice = begin("bob@example.com"), begin()
        found = await peer.say(bob, mta.rcpt(), mta.end(), alice, mta.rcpt(), mta.rcpt("x@x.y"), replies=4)
        assert [letter for letter, _ in found] == [b"c", b"c", b"y", b"y"]

    story(folder, tale)


@pytest.mark.parametrize(("on_error", "letter"), [(PASS_ON, b"c"), (DEFER, b"y"), (HOLD, b"c")])
def test_a_fault_inside_is_answered_on_error(
    folder: Path, logs: Logs, on_error: Action, letter: bytes
) -> None:
    async def tale(rig: Rig) -> None:
        def broken(*arguments: object) -> None:
            raise RuntimeError("a bug")

        rig.world.engine.decide = broken  # type: ignore[assignment,method-assign]
        peer = await rig.session()
        assert (await peer.say(begin(), mta.rcpt()))[0][0] == letter
        first = (await peer.say(mta.end()))[0]
        assert first[0] == {b"c": b"c", b"y": b"y"}[letter] if on_error is not HOLD else b"q"
        assert rig.traffic.errors == 2
        assert [entry["log_level"] for entry in logs] == ["error", "error"]
        assert logs[0]["sender"] == "alice@example.com"

    story(folder, tale, on_error=on_error)


def test_who_does_not_speak_the_protocol_is_told_good_bye(folder: Path, logs: Logs) -> None:
    async def tale(rig: Rig) -> None:
        healthy = await rig.session()
        for said in (b"GET / HTTP/1.1\r\n\r\n", mta.offer(1), mta.offer() * 2, b"\0" * 5):
            peer = await rig.connect()
            peer.writer.write(said)
            async with asyncio.timeout(10):
                await peer.reader.read()
        assert rig.traffic.protocol_errors == 4
        assert [entry["log_level"] for entry in logs] == ["warning"] * 4
        assert await healthy.say(begin(), mta.rcpt()) == CONTINUE

    story(folder, tale)


def test_a_thousand_connections_at_once(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peers = [await rig.session() for _ in range(1000)]
        for peer in peers:
            peer.writer.write(begin() + mta.rcpt())
        for peer in peers:
            assert await peer.reply() == CONTINUE[0]
        for peer in peers:
            peer.writer.write(mta.end() + mta.QUIT)
        for peer in peers:
            assert await peer.reply() == CONTINUE[0]
        await until(lambda: rig.traffic.open == 0)
        assert rig.world.counted() == (1000, 1000)

    story(folder, tale)


def test_hostile_content_of_ten_megabytes(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        peer = await rig.session()
        await peer.say(begin(), mta.rcpt("\u00e9" * 200 + "@x.y"))
        for i in range(1000):
            peer.writer.write(mta.header(f"X-{i}\r\n", "\xff\r\n " * 3000))
            await peer.writer.drain()
        peer.writer.write(mta.EOH + mta.body(b"\0" * 65535) * 20)
        assert await peer.say(mta.end()) == CONTINUE
        assert rig.world.total(Counter.KIB) > 10_000

    story(folder, tale)


def test_the_end_waits_for_messages_that_are_coming_in(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        idle, busy = await rig.session(), await rig.session()
        await busy.say(begin(), mta.rcpt())
        ending = asyncio.ensure_future(rig.keeper.drain(30))
        assert await idle.closed()
        assert await busy.say(mta.end()) == CONTINUE
        assert await busy.closed()
        await ending
        assert rig.world.counted() == (1, 1)

    story(folder, tale)


def test_the_end_does_not_wait_for_ever(folder: Path) -> None:
    async def tale(rig: Rig) -> None:
        busy = await rig.session()
        await busy.say(begin(), mta.rcpt())
        await rig.keeper.drain(0.01)
        assert await busy.closed()
        await until(lambda: rig.world.counted() == (0, 0))

    story(folder, tale)
