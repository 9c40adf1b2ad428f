"""The intake of reports: what is accepted is on disk, what is understood is handed on, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import smtplib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.conftest import Logs
from app.live import run
from penstock.servers.reports import Bounds, ReportServer
from penstock.wire.reports import Report
from wire.reports.test_arf import arf
from wire.reports.test_dsn import FIELDS, dsn

TO = "reports@example.com"
LETTER = b"From: bob@example.net\nSubject: lunch?\n\nNoon.\n"


class Taker:
    """Who takes the reports: remembers them, resolves them or not, or fails."""

    def __init__(self, answer: str = "", error: Exception | None = None) -> None:
        self.taken: list[tuple[str, Report, bytes]] = []
        self.answer = answer
        self.error = error

    async def __call__(self, name: str, report: Report, raw: bytes) -> str:
        self.taken.append((name, report, raw))
        if self.error:
            raise self.error
        return self.answer


@asynccontextmanager
async def intake(
    folder: Path, taker: Taker, *, bounds: Bounds | None = None, recipients: tuple[str, ...] = (TO,)
) -> AsyncIterator[ReportServer]:
    """A server on two Unix sockets, `smtp` and `lmtp`, and its folder `reports`."""
    server = ReportServer(folder / "reports", taker, recipients=recipients, bounds=bounds or Bounds())
    await server.start()
    for name in ("smtp", "lmtp"):
        sock = socket.socket(socket.AF_UNIX)
        (folder / name).unlink(missing_ok=True)
        sock.bind(str(folder / name))
        await server.listen(sock, lmtp=name == "lmtp")
    try:
        yield server
    finally:
        await server.close()


def names(folder: Path, where: str) -> list[str]:
    return sorted(path.name for path in (folder / "reports" / where).iterdir())


async def until(true: Callable[[], bool]) -> None:
    """Give the loop and its threads their turn until something holds."""
    while not true():  # noqa: ASYNC110 (no event tells what a file system holds)
        await asyncio.sleep(0.001)


class Client:
    """A client that says bytes and reads lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> str:
        """The next answer, its last line."""
        while True:
            line = (await self.reader.readline()).decode()
            if line[3:4] != "-":
                return line.strip()

    async def ask(self, line: str) -> str:
        self.writer.write(line.encode() + b"\r\n")
        return await self.answer()

    async def mail(self, raw: bytes, *recipients: str, answers: int = 1) -> list[str]:
        """Send a mail; the answers after its end."""
        assert (await self.ask("MAIL FROM:<>")).startswith("250")
        for recipient in recipients or (TO,):
            assert (await self.ask(f"RCPT TO:<{recipient}>")).startswith("250")
        assert (await self.ask("DATA")).startswith("354")
        lines = raw.replace(b"\r\n", b"\n").replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
        self.writer.write(lines.removesuffix(b"\r\n") + b"\r\n.\r\n")
        return [await self.answer() for _ in range(answers)]


@asynccontextmanager
async def client(path: Path, hello: str = "EHLO mx.example.net") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 20)
    talker = Client(reader, writer)
    assert (await talker.answer()).startswith("220")
    assert (await talker.ask(hello)).startswith("250")
    try:
        yield talker
    finally:
        writer.close()


LHLO = "LHLO mail.example.com"


def test_a_bounce_by_lmtp_is_handed_on_and_deleted(folder: Path) -> None:
    async def story() -> None:
        taker = Taker()
        async with intake(folder, taker) as server, client(folder / "lmtp", LHLO) as peer:
            (answer,) = await peer.mail(dsn())
            assert answer.startswith("250 2.0.0 ")
            await until(lambda: server.figures.understood == 1)
            await until(lambda: not names(folder, "new"))
            ((name, report, raw),) = taker.taken
            assert answer.endswith(name)
            assert report.recipients[0].address == "bob@example.net"
            assert raw.replace(b"\r\n", b"\n") == dsn()
            assert names(folder, "kept") == names(folder, "tmp") == []
            assert (server.figures.received, server.figures.kept, server.figures.refused) == (1, 0, 0)

    run(story())


def test_a_complaint_by_smtp_over_tcp(folder: Path) -> None:
    async def story() -> None:
        taker = Taker()
        async with intake(folder, taker) as server:
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
            await server.listen(sock, lmtp=False)
            port = sock.getsockname()[1]
            await asyncio.to_thread(send, port, arf())
            await until(lambda: server.figures.understood == 1)
            assert taker.taken[0][1].kind == "complaint"

    run(story())


def send(port: int, raw: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port) as session:
        session.sendmail("", [TO], raw)


def test_lmtp_answers_for_each_recipient(folder: Path) -> None:
    async def story() -> None:
        plus = "reports+abc@example.com"
        bounds = Bounds(mail_bytes=10_000)
        async with intake(folder, Taker(), bounds=bounds) as server, client(folder / "lmtp", LHLO) as peer:
            answers = await peer.mail(dsn(), TO, plus, TO.upper(), answers=3)
            assert len(set(answers)) == 1 and answers[0].startswith("250")
            answers = await peer.mail(dsn() + b"x" * 20_000, TO, plus, answers=2)
            assert answers == ["552 Error: Too much mail data"] * 2
            assert (await peer.ask("NOOP")).startswith("250"), "in step"
            assert (await peer.ask("DATA")).startswith("503"), "one answer, as there is no recipient"
            assert (await peer.ask("NOOP")).startswith("250"), "still in step"
            assert server.figures.received == 1

    run(story())


def test_only_configured_addresses(folder: Path) -> None:
    async def story() -> None:
        async with intake(folder, Taker()) as server, client(folder / "smtp") as peer:
            await peer.ask("MAIL FROM:<a@b.example>")
            assert (
                await peer.ask("RCPT TO:<alice@example.com>")
                == "550 5.1.1 No reports are taken for this address"
            )
            assert (await peer.ask("DATA")).startswith("503")
            assert server.figures.refused == 1
        async with intake(folder, Taker(), recipients=()), client(folder / "smtp") as peer:
            await peer.mail(dsn(), "anybody@example.com")

    run(story())


@pytest.mark.parametrize(
    "raw,why",
    [
        (LETTER, "not understood as a bounce or a complaint"),
        (b"hello", "line 1: no header field"),
        (
            b"A: b\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 300,
            "a multipart holds more than 200 parts",
        ),
    ],
)
def test_what_is_not_understood_is_kept_with_the_reason(
    folder: Path, logs: Logs, raw: bytes, why: str
) -> None:
    async def story() -> None:
        taker = Taker()
        async with intake(folder, taker) as server, client(folder / "smtp") as peer:
            (answer,) = await peer.mail(raw)
            name = answer.split()[-1]
            await until(lambda: server.figures.kept == 1)
            assert names(folder, "kept") == [name, f"{name}.reason"]
            kept = folder / "reports" / "kept"
            assert (kept / f"{name}.reason").read_text().startswith(why)
            assert (kept / name).read_bytes().replace(b"\r\n", b"\n").rstrip() == raw.rstrip()
            assert taker.taken == names(folder, "new") == []
            assert (server.figures.kept, server.figures.understood) == (1, 0)

    run(story())
    assert [line["event"] for line in logs] == ["a report is kept"]


def test_an_unresolved_report_is_kept(folder: Path) -> None:
    async def story() -> None:
        taker = Taker("it answers no message of ours")
        async with intake(folder, taker), client(folder / "smtp") as peer:
            (answer,) = await peer.mail(dsn())
            name = answer.split()[-1]
            await until(lambda: name in names(folder, "kept"))
            assert (
                folder / "reports/kept" / f"{name}.reason"
            ).read_text() == "it answers no message of ours\n"

    run(story())


def test_a_fault_of_whoever_takes_it_keeps_it(folder: Path, logs: Logs) -> None:
    async def story() -> None:
        async with intake(folder, Taker(error=RuntimeError("boom"))), client(folder / "smtp") as peer:
            await peer.mail(dsn())
            await peer.mail(arf())
            await until(lambda: len(names(folder, "kept")) == 4)

    run(story())
    assert [line["event"] for line in logs].count("a report could not be dealt with") == 2


def test_a_delay_is_understood_and_forgotten(folder: Path) -> None:
    async def story() -> None:
        taker = Taker()
        async with intake(folder, taker) as server, client(folder / "smtp") as peer:
            await peer.mail(dsn(FIELDS.replace("failed", "delayed")))
            await until(lambda: server.figures.understood == 1)
            await until(lambda: not names(folder, "new"))
            assert taker.taken == names(folder, "kept") == []

    run(story())


def test_after_a_crash_everything_in_new_is_dealt_with_again(folder: Path) -> None:
    """Before: died while it was handed on, and while another was written."""
    for name in ("tmp", "new", "kept"):
        (folder / "reports" / name).mkdir(parents=True)
    (folder / "reports/tmp/torn.eml").write_bytes(b"From: MAIL")
    (folder / "reports/new/0002-b.eml").write_bytes(arf())
    (folder / "reports/new/0001-a.eml").write_bytes(dsn())
    taker = Taker()

    async def story() -> None:
        async with intake(folder, taker) as server:
            await until(lambda: server.figures.understood == 2)

    run(story())
    assert [(name, report.kind) for name, report, _ in taker.taken] == [
        ("0001-a.eml", "bounce"),
        ("0002-b.eml", "complaint"),
    ]
    assert names(folder, "new") == names(folder, "tmp") == names(folder, "kept") == []
    run(story_of_nothing(folder, taker))
    assert len(taker.taken) == 2


async def story_of_nothing(folder: Path, taker: Taker) -> None:
    async with intake(folder, taker):
        pass


def test_what_was_accepted_before_the_end_is_there_after_it(folder: Path) -> None:
    held = asyncio.Event()

    class Slow(Taker):
        async def __call__(self, name: str, report: Report, raw: bytes) -> str:
            await held.wait()
            return await super().__call__(name, report, raw)

    slow, taker = Slow(), Taker()

    async def story() -> None:
        async with intake(folder, slow), client(folder / "smtp") as peer:
            for _ in range(3):
                await peer.mail(dsn())
            asyncio.get_running_loop().call_later(0.01, held.set)
        async with intake(folder, taker) as server:
            await until(lambda: server.figures.understood == 2)

    run(story())
    handed = [name for name, _, _ in slow.taken + taker.taken]
    assert len(slow.taken) == 1 and len(set(handed)) == 3, (
        "the first was finished, the rest came later, each once"
    )


def test_a_full_folder_defers_until_it_is_emptied(
    folder: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.servers.reports.LOOK_AGAIN", 0.0)

    async def story() -> None:
        bounds = Bounds(files=2)
        async with intake(folder, Taker(), bounds=bounds) as server, client(folder / "lmtp", LHLO) as peer:
            for _ in range(2):
                assert (await peer.mail(LETTER))[0].startswith("250")
            for _ in range(2):
                full = "452 4.3.1 The folder of reports is full, please try again later"
                assert await peer.mail(dsn(), TO, TO, answers=2) == [full, full]
            assert server.figures.refused == 2
            await until(lambda: len(names(folder, "kept")) == 4)
            for path in (folder / "reports/kept").iterdir():
                path.unlink()
            assert (await peer.mail(dsn()))[0].startswith("250")

    run(story())
    shouted = [line for line in logs if line["log_level"] == "error"]
    assert len(shouted) == 1 and "folder of reports is full" in shouted[0]["event"]


def test_bytes_are_bounded_too(folder: Path) -> None:
    async def story() -> None:
        bounds = Bounds(folder_bytes=1000)
        async with intake(folder, Taker(), bounds=bounds), client(folder / "smtp") as peer:
            assert (await peer.mail(LETTER + b"x" * 2000))[0].startswith("452 4.3.1")
            assert (await peer.mail(LETTER))[0].startswith("250")

    run(story())


def defers_on_a_disk_that_can_not_be_written(folder: Path) -> None:
    run(story_of_a_broken_disk(folder, lambda path: path.chmod(0o500)))


def test_a_disk_that_can_not_be_written_defers(folder: Path) -> None:
    """Root may write everywhere, so it is tried by a process that has given that up."""
    if os.geteuid() != 0:
        defers_on_a_disk_that_can_not_be_written(folder)
        return
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "from servers.test_reports import defers_on_a_disk_that_can_not_be_written as defers\n"
        "defers(Path(sys.argv[1]))"
    )
    bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    done = subprocess.run(
        [*bound, sys.executable, "-W", "error", "-c", code, str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_gone_defers(folder: Path, logs: Logs) -> None:
    run(story_of_a_broken_disk(folder, lambda path: path.rmdir()))
    assert [line["log_level"] for line in logs] == ["error"]


async def story_of_a_broken_disk(folder: Path, damage: Callable[[Path], None]) -> None:
    async with intake(folder, Taker()) as server, client(folder / "smtp") as peer:
        damage(folder / "reports" / "tmp")
        assert (await peer.mail(dsn()))[0].startswith("452 4.3.0")
        assert (server.figures.refused, server.figures.received) == (1, 0)


def all_that_is_said(path: Path) -> bytes:
    """What a server says to who says nothing, up to its end."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        return sock.makefile("rb").read()


def test_connections_are_bounded(folder: Path) -> None:
    async def story() -> None:
        async with intake(folder, Taker(), bounds=Bounds(connections=2)) as server:
            async with client(folder / "smtp"), client(folder / "lmtp", LHLO):
                said = await asyncio.to_thread(all_that_is_said, folder / "smtp")
                assert said == b"421 4.3.2 Too many connections, please try again later\r\n"
                assert server.figures.open == 2
            await until(lambda: server.figures.open == 0)
            async with client(folder / "smtp") as peer:
                await peer.mail(dsn())

    run(story())


def test_a_silent_client_is_hung_up(folder: Path) -> None:
    async def story() -> None:
        async with intake(folder, Taker(), bounds=Bounds(timeout=0.01)):
            reader, writer = await asyncio.open_unix_connection(folder / "smtp")
            assert (await reader.read()).startswith(b"220 ")
            writer.close()

    run(story())


def test_a_client_that_leaves_in_the_middle_leaves_nothing(folder: Path) -> None:
    async def story() -> None:
        async with intake(folder, Taker()) as server:
            async with client(folder / "smtp") as peer:
                await peer.ask("MAIL FROM:<>")
                await peer.ask(f"RCPT TO:<{TO}>")
                await peer.ask("DATA")
                peer.writer.write(dsn()[:300])
            await until(lambda: server.figures.open == 0)
            assert (names(folder, "new"), server.figures.received) == ([], 0)

    run(story())


def test_a_smuggled_end_is_no_end(folder: Path) -> None:
    """Only CRLF.CRLF ends a mail (RFC 5321 §4.1.1.4)."""

    async def story() -> None:
        taker = Taker()
        async with intake(folder, taker) as server, client(folder / "smtp") as peer:
            await peer.ask("MAIL FROM:<>")
            await peer.ask(f"RCPT TO:<{TO}>")
            await peer.ask("DATA")
            mail = dsn().replace(b"\n", b"\r\n")
            peer.writer.write(mail + b"\n.\nMAIL FROM:<evil@example.net>\n.\r\nRSET\r\n.\r\n")
            assert (await peer.answer()).startswith("250")
            assert (await peer.ask("NOOP")).startswith("250"), "no answer to what was within"
            await until(lambda: server.figures.understood == 1)
            assert b"evil@example.net" in taker.taken[0][2]

    run(story())


def test_long_lines_are_taken(folder: Path) -> None:
    async def story() -> None:
        async with intake(folder, Taker()) as server, client(folder / "smtp") as peer:
            assert (await peer.mail(dsn() + b"x" * 200_000))[0].startswith("250")
            await until(lambda: server.figures.understood == 1)

    run(story())


def test_the_state_of_the_folder_is_not_for_others(folder: Path) -> None:
    run(story_of_nothing(folder, Taker()))
    for name in ("tmp", "new", "kept"):
        assert (folder / "reports" / name).stat().st_mode & 0o007 == 0
