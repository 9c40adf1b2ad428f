"""The control socket: who may use it, and what rubbish does to it."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.conftest import Logs
from app.live import T0, command, peer, raw_control, run, serving

ALICE = "login:alice@example.com"

RUBBISH = {
    "no JSON": b"hello\n",
    "no object": b"[1, 2]\n",
    "a number": b"5\n",
    "no command": b"{}\n",
    "an unknown command": b'{"command": "drop"}\n',
    "a command that is a list": b'{"command": ["standing"]}\n',
    "nested deeply": b"[" * 100_000 + b"\n",
    "a number of many digits": b"1" * 10_000 + b"\n",
    "no UTF-8": b'{"command": "\xff"}\n',
    "empty": b"\n",
}


def test_rubbish_is_refused_and_harms_nobody(folder: Path, logs: Logs) -> None:
    async def story() -> None:
        async with serving(folder):
            for what, line in RUBBISH.items():
                answer = json.loads(await raw_control(folder, line))
                assert answer["ok"] is False and answer["error"].startswith("not a command: "), what
                assert len(answer["error"]) < 400, what
            assert await raw_control(folder, b'{"command": "' + b"x" * (3 << 20) + b'"}\n') == b""
            reader, writer = await asyncio.open_unix_connection(folder / "state/control.sock")
            writer.write(b'{"command": "status"')  # and never the rest
            assert (await command(folder, "status"))["problems"] == []
            writer.close()
            assert await reader.read() == b""

    run(story())
    assert {line["event"] for line in logs} == {"serving", "control connection broken off", "stopped"}


PAUSE: dict[str, Any] = {"command": "standing", "sender": ALICE, "to": "paused", "reason": "x"}
LIMIT: dict[str, Any] = {"command": "limit", "sender": ALICE, "reason": "x"}

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("has never been seen here", {"command": "show", "sender": ALICE}),
    ("needs a reason", PAUSE | {"reason": " "}),
    ("needs a reason", PAUSE | {"reason": None}),
    ("is not a valid State", PAUSE | {"to": "gone"}),
    ("is not a valid State", PAUSE | {"to": None}),
    ("is not a valid State", PAUSE | {"then": 5}),
    ("is not a sender", PAUSE | {"sender": "alice"}),
    ("is not a sender", PAUSE | {"sender": None}),
    ("is open already", PAUSE | {"to": "open"}),
    *(
        (f"a term of {term!r} seconds", PAUSE | {"for": term})
        for term in ("x", -1, 0, float("nan"), float("inf"), 1e300, 604799999395200)
    ),
    ("a term of [] seconds", LIMIT | {"recipients": ["1/h"], "for": []}),
    ('unknown unit "x"', LIMIT | {"recipients": ["1/x"]}),
    ("not a limit", LIMIT | {"recipients": "1/h"}),
    ("not a limit", LIMIT | {"recipients": [5]}),
    ("no profile 'gold': there are personal", LIMIT | {"profile": "gold"}),
    ("say a limit or a profile", LIMIT),
    ("an exception needs a reason", LIMIT | {"recipients": ["1/h"], "reason": ""}),
    ("has no exception of its own", LIMIT | {"default": True}),
    ("no refusal has the reference", {"command": "explain", "reference": "K7F3-9QX2"}),
    ("no refusal has the reference", {"command": "explain"}),
    ("limit: a number", {"command": "senders", "limit": "x"}),
]


def test_wrong_arguments_are_told_in_a_sentence(folder: Path, logs: Logs) -> None:
    """Never as a fault of ours, and with nothing changed."""

    async def story() -> None:
        async with serving(folder) as penstock:
            for sentence, asked in WRONG:
                answer = json.loads(await raw_control(folder, json.dumps(asked).encode() + b"\n"))
                assert answer["ok"] is False and sentence in answer["error"], asked
                assert "fault" not in answer["error"]
            assert not list(penstock.engine.roster.not_open(T0))
            assert not penstock.engine.roster.overrides

    run(story())
    assert not [line for line in logs if line["log_level"] == "error"]


def test_the_socket_is_the_administrators_alone(folder: Path) -> None:
    async def story() -> None:
        async with serving(folder):
            mode = (folder / "state/control.sock").stat().st_mode
            assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) & ~0o660 == 0
            assert stat.S_IMODE((folder / "state").stat().st_mode) & 0o027 == 0
            told = await command(folder, "standing", sender=ALICE, to="paused", reason="x")
            assert told["by"] == f"admin:{getpass.getuser()}"

    run(story())
    assert not (folder / "state/control.sock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_kernel_tells_who_asks(folder: Path) -> None:
    """SO_PEERCRED: the name in the history cannot be chosen by who asks."""
    asking = (
        "import os, socket, sys; os.setgroups([]); os.setgid({gid}); os.setuid({uid})\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(sys.argv[2].encode() + b'\\n')\n"
        "print(s.makefile().readline())"
    )
    line = json.dumps({"command": "standing", "sender": ALICE, "to": "paused", "reason": "x", "by": "me"})

    async def story() -> None:
        async with serving(folder):
            for uid, gid, name in ((65534, 0, "nobody"), (54321, 0, "54321"), (65534, 65534, None)):
                (folder / "state").chmod(0o755)
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-c",
                    asking.format(uid=uid, gid=gid),
                    str(folder / "state/control.sock"),
                    line,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
                out, err = await process.communicate()
                if name is None:
                    assert b"PermissionError" in err
                else:
                    assert json.loads(out)["result"]["by"] == f"admin:{name}"

    run(story())


def test_a_thousand_commands_at_once(folder: Path) -> None:
    """Changes and questions from many connections; each gets its own answer."""

    async def story() -> None:
        async with serving(folder), peer(folder) as client:
            await client.ask()

            async def change(i: int) -> None:
                sender, to = f"login:u{i % 50}@example.com", "paused" if i < 500 else "locked"
                told = await command(folder, "standing", sender=sender, to=to, reason=f"{i}")
                assert (told["sender"], told["durable"]) == (sender, True)

            async def look(i: int) -> None:
                assert (await command(folder, "show", sender=ALICE))["sender"] == ALICE
                assert (await command(folder, "senders", limit=1))["known"] >= 1

            for start in range(0, 1000, 250):
                mixed = ((change if i % 5 else look)(i) for i in range(start, start + 250))
                await asyncio.gather(*mixed)
            found = await command(folder, "senders", state="locked", limit=100)
            assert {row["sender"] for row in found["senders"]} >= {
                f"login:u{i}@example.com" for i in range(50) if i % 5
            }

    run(story())


def test_a_peer_that_never_reads_holds_up_nobody(folder: Path) -> None:
    async def story() -> None:
        async with serving(folder), peer(folder) as client:
            with socket.socket(socket.AF_UNIX) as deaf:
                deaf.setblocking(False)
                deaf.connect(str(folder / "state/control.sock"))
                sent = 0
                with pytest.raises(BlockingIOError):
                    while sent < 64 << 20:
                        sent += deaf.send(b'{"command": "status"}\n' * 1000)
                        await asyncio.sleep(0)
                assert await client.ask() == "DUNNO"
                assert (await command(folder, "status"))["listeners"][0]["stages"] == {"RCPT": 1}

    run(story())
