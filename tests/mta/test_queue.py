"""The queue helper: a fixed set of commands, and nothing else, whatever it is asked; how the service asks it.

Postfix's commands are run for real in tests/e2e/test_queue.py. Exim cannot be installed beside Postfix: its
commands are run by a program that records its arguments and answers what Exim 4.96 has answered.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from penstock.mta.queue import Door, Lifetime, MailQueue, QueueError
from penstock.mta.queue_helper import Mta, jobs, read_arguments, serve
from penstock.unixpath import reachable
from penstock.wire.eximqueue import EXIM
from penstock.wire.queuehelper import MOST_IDS, Answer, BadQuestion, Question, render_question

SHORT = "4F5C64474F"
ID = "1tAbCd-0001Ab-2C"
OTHER = "1tAbCe-0001Ab-2C"
LISTED = f" 25m  2.9K {ID} <alice@example.com>\n          bob@example.org\n\n"
RECORDED = f"""#!{sys.executable}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "asked").open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
said = {{
    "-bpr": {LISTED!r},
    "-bP": "timeout_frozen_after = 1w\\nauto_thaw = 2d12h\\n",
    "-Mvh": "{ID}-H\\nalice 1000 1000\\n",
    "-Mvb": "{ID}-D\\n" + "body\\n" * 100_000,
}}
print(said.get(sys.argv[1], "Message {ID} is locked"), end="")
sys.exit(sys.argv[1] in ("-Mf", "-Mrm"))
"""


def mta(tmp_path: Path, name: str, *programs: str) -> Mta:
    """An MTA with empty programs of these names."""
    for program in programs:
        (tmp_path / program).touch()
    return Mta(name, (EXIM,) if name == "exim" else ("/etc/postfix", "/etc/out"), (str(tmp_path),))


POSTFIX = ("postqueue", "postsuper", "postcat", "postconf")


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("hold", [["postsuper", "-c", "/etc/out", "-h", "-"]]),
        ("delete", [["postsuper", "-c", "/etc/out", "-d", "-", "hold"]]),
        (
            "release",
            [
                ["postsuper", "-c", "/etc/out", "-H", "-", "hold"],
                ["postqueue", "-c", "/etc/out", "-i", SHORT],
            ],
        ),
        (
            "bounce",
            [
                ["postsuper", "-c", "/etc/out", "-f", "-", "hold"],
                ["postqueue", "-c", "/etc/out", "-i", SHORT],
            ],
        ),
        ("headers", [["postcat", "-c", "/etc/out", "-q", "-h", SHORT]]),
        ("body", [["postcat", "-c", "/etc/out", "-q", "-b", SHORT]]),
    ],
)
def test_postfix_commands(tmp_path: Path, do: str, expected: list[list[str]]) -> None:
    found = jobs(Question(do, "/etc/out", (SHORT,)), mta(tmp_path, "postfix", *POSTFIX))
    assert [[Path(job.argv[0]).name, *job.argv[1:]] for job in found] == expected
    assert found[0].reads == ("" if do in ("headers", "body") else f"{SHORT}\n")


@pytest.mark.parametrize(
    "question",
    [
        Question("list", "/tmp/mine"),
        Question("list", "exim"),
        Question("delete", "/etc/postfix", (ID,)),
        Question("delete", "/etc/postfix", ("ABCDEF", "nohexx")),
    ],
)
def test_other_instances_and_ids_are_refused(tmp_path: Path, question: Question) -> None:
    with pytest.raises(BadQuestion):
        jobs(question, mta(tmp_path, "postfix", *POSTFIX))


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadQuestion, match="postqueue is not installed"):
        jobs(Question("list", "/etc/postfix"), mta(tmp_path, "postfix"))


@pytest.mark.parametrize("line", [b"", b"rm -rf /\n", b"x" * 100_000, b'{"do": "list"}\n'])
def test_whatever_is_no_question_runs_nothing(tmp_path: Path, line: bytes) -> None:
    output, answer = io.BytesIO(), Answer()
    serve(io.BytesIO(line), output, mta(tmp_path, "postfix", *POSTFIX))
    assert answer.feed(output.getvalue()) == b""
    assert answer.end is not None and answer.end.refused and not answer.end.ok


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_arguments([]).instances == ("/etc/postfix",)
    assert read_arguments(["--mta", "exim"]).instances == (EXIM,)
    assert read_arguments(["--config-dir", "/a", "--config-dir", "/b"]).instances == ("/a", "/b")
    with pytest.raises(SystemExit):
        read_arguments(["--config-dir", "etc"])
    assert "must be an absolute path" in capsys.readouterr().err


# --- Exim, by a recorded program ------------------------------------------------------------


@pytest.fixture
def exim(tmp_path: Path) -> MailQueue:
    """A queue behind a helper that runs the recorded program."""
    (tmp_path / "exim4").write_text(RECORDED)
    (tmp_path / "exim4").chmod(0o755)
    helper = (sys.executable, "-m", "penstock.mta.queue_helper", "--mta", "exim", "--programs", str(tmp_path))
    return MailQueue("exim", (EXIM,), Door(command=helper))


def asked(tmp_path: Path) -> list[list[str]]:
    """What the recorded program was asked."""
    return [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]


def test_exim_by_its_recorded_program(tmp_path: Path, exim: MailQueue) -> None:
    async def story() -> None:
        entries = [entry async for piece in exim.entries(EXIM) for entry in piece]
        assert [entry.queue_id for entry in entries] == [ID]
        for deed in ("hold", "release", "bounce", "delete"):
            await exim.act(deed, EXIM, [ID, OTHER])  # type: ignore[arg-type]
        assert await exim.lifetime(EXIM) == Lifetime(7 * 86400.0, 2.5 * 86400)
        header, body = await exim.show(EXIM, ID)
        assert header.startswith(f"{ID}-H") and 1000 < len(body) <= 16 * 1024

    asyncio.run(story())
    both = [ID, OTHER]
    assert asked(tmp_path) == [
        ["-bpr"],
        ["-Mf", *both],
        ["-Mt", *both],
        ["-Mg", *both],
        ["-Mrm", *both],
        ["-bP", "timeout_frozen_after", "auto_thaw"],
        ["-Mvh", ID],
        ["-Mvb", ID],
    ]


def test_many_messages_go_in_batches(tmp_path: Path, exim: MailQueue) -> None:
    ids = [f"1tAbCd-{n:06d}-00" for n in range(2 * MOST_IDS + 1)]
    asyncio.run(exim.act("hold", EXIM, ids))
    assert [len(arguments) - 1 for arguments in asked(tmp_path)] == [MOST_IDS, MOST_IDS, 1]


# --- the way to the helper ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("door", "why"),
    [
        (Door(socket=Path("/nowhere/queue.sock")), "cannot be reached .*queue.sock.*No such file"),
        (Door(command=("/nowhere/helper",)), "cannot be reached .*No such file"),
        (Door(command=("/bin/true",)), "ended without an answer"),
        (Door(command=("/bin/echo", "a password is required")), "no queue helper answers"),
        (
            Door(command=(sys.executable, "-m", "penstock.mta.queue_helper")),
            "none of this helper's instances",
        ),
    ],
)
def test_a_helper_that_is_none(door: Door, why: str) -> None:
    queue = MailQueue("postfix", ("/etc/elsewhere",), door)

    async def story() -> None:
        with pytest.raises(QueueError, match=why):
            [piece async for piece in queue.entries("/etc/elsewhere")]
        with pytest.raises(QueueError, match=why):
            await queue.act("hold", "/etc/elsewhere", [SHORT])

    asyncio.run(story())


def test_the_helper_behind_a_socket(tmp_path: Path) -> None:
    """As systemd runs it: one process for each connection, which is its standard input and output."""
    (tmp_path / "exim4").write_text(RECORDED)
    (tmp_path / "exim4").chmod(0o755)
    path = tmp_path / "queue.sock"
    helper = (sys.executable, "-m", "penstock.mta.queue_helper", "--mta", "exim", "--programs", str(tmp_path))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process = await asyncio.create_subprocess_exec(
            *helper, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate(await reader.readline())
        writer.write(said)
        writer.close()

    async def story() -> None:
        with reachable(path) as name:
            server = await asyncio.start_unix_server(answer, name)
        queue = MailQueue("exim", (EXIM,), Door(socket=path))
        entries = [entry async for piece in queue.entries(EXIM) for entry in piece]
        assert [entry.queue_id for entry in entries] == [ID]
        server.close()

    asyncio.run(story())


def test_the_question_is_one_line() -> None:
    assert render_question(Question("list", "/etc/x\n")).count(b"\n") == 1
