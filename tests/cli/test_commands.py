"""Every command against a running service: text, JSON, exit status, errors, completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from penstock.cli import COMMANDS, main
from rig.penstock import Penstock

ALICE = "login:alice@example.com"
CONFIG = """
[profiles.personal]
recipients = ["5/h"]
messages = []
bytes = []
newcomer = []
pause = []
outcomes = ["unknown-user 25/h", "complaints 3/d"]

[names]
default_realm = "example.com"
"""


@pytest.fixture(scope="module")
def penstock() -> Iterator[Penstock]:
    """A service that refused two recipients of alice; a new mailing login for each test that changes one."""
    with Penstock(CONFIG) as running:
        with running.client() as client:
            for i in range(7):
                client.ask(recipient=f"r{i}@example.org", instance=f"{i}.ffffffff.1.0", size=2000)
            client.ask(sasl_username="", client_address="192.0.2.7", instance="a.ffffffff.1.0")
        yield running


def cli(penstock: Penstock, *arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [*arguments, "--state", str(penstock.state)])


def told(penstock: Penstock, *arguments: str) -> str:
    """What a command prints."""
    result = cli(penstock, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def parsed(penstock: Penstock, *arguments: str) -> Any:
    """What a command prints as JSON."""
    return json.loads(told(penstock, *arguments, "--json"))


def test_status(penstock: Penstock) -> None:
    found = parsed(penstock, "status")
    assert penstock.process is not None and found["pid"] == penstock.process.pid
    assert found["listeners"][0]["stages"] == {"RCPT": 8}
    assert found["listeners"][0]["verbs"] == {"defer": 2}
    text = told(penstock, "status")
    for part in (f"process {found['pid']}", "RCPT 8", "2 × defer", str(penstock.config), "mode enforce"):
        assert part in text


def test_senders(penstock: Penstock) -> None:
    text = told(penstock, "senders", "alice")
    row = next(line for line in text.splitlines() if line.startswith(ALICE)).split()
    assert row[1:6] == ["open", "personal", "5", "5", "2"]
    assert "1 matching sender in memory; " in text
    assert [row["sender"] for row in parsed(penstock, "senders", "ALICE")["senders"]] == [ALICE]
    assert parsed(penstock, "senders", "ip:")["senders"][0]["profile"] == "relay"
    assert parsed(penstock, "senders", "no such")["senders"] == []
    assert len(parsed(penstock, "senders", "--most", "1")["senders"]) == 1
    assert "shown (--most)" in told(penstock, "senders", "--most", "1")


def test_show_and_explain(penstock: Penstock) -> None:
    found = parsed(penstock, "show", "login:Alice+tag@EXAMPLE.com")
    assert found["sender"] == ALICE and found["counts"]["refused"]["hour"] == 2
    (refusal,) = found["refusals"]
    reference = refusal["reference"]
    text = told(penstock, "show", "login:alice")
    for part in (f"{ALICE} is open", "5/h", reference, "refused by limits"):
        assert part in text
    for typed in (reference, reference.lower().replace("-", ""), f"(ref {reference})"):
        assert parsed(penstock, "explain", *typed.split())["reference"] == reference
    text = told(penstock, "explain", reference)
    assert f"2 recipients of {ALICE} were deferred" in text
    assert "it had sent 5 recipients within an hour; profile personal allows 5 (5/h)" in text


def test_standing_through_its_life(penstock: Penstock) -> None:
    sender = "login:life@example.com"
    first = told(penstock, "pause", "login:life", "--reason", "stolen", "--for", "2h", "--then", "probation")
    assert first.startswith(f"{sender} is paused until 2") and ", then probation (since 2" in first
    assert "by admin:" in first and ": stolen)" in first
    assert told(penstock, "senders", "--standing", "paused").splitlines()[1].split()[:2] == [sender, "paused"]
    changed = parsed(penstock, "lock", sender, "--reason", "again")
    assert (changed["state"], changed["durable"], changed["until"]) == ("locked", True, None)
    changed = parsed(penstock, "resume", sender, "--reason", "clean", "--probation", "1d")
    assert (changed["state"], changed["then"]) == ("probation", "open")
    assert parsed(penstock, "slow", sender, "--reason", "hm")["state"] == "slowed"
    assert told(penstock, "resume", sender, "--reason", "fine").startswith(f"{sender} is open (since")
    shown = parsed(penstock, "show", sender)
    steps = [(change["before"], change["after"], change["why"]) for change in shown["history"]]
    assert steps == [
        ("slowed", "open", "fine"),
        ("probation", "slowed", "hm"),
        ("locked", "probation", "clean"),
        ("paused", "locked", "again"),
        ("open", "paused", "stolen"),
    ]
    assert "standing: open → paused until" in told(penstock, "show", sender)


def test_limit_and_back(penstock: Penstock) -> None:
    sender = "login:limit@example.com"
    limits = ["--recipients", "1000/h", "--recipients", "5000/d", "--bytes", "1GB/d"]
    text = told(penstock, "limit", sender, *limits, "--for", "7d", "--reason", "party")
    assert text.startswith(f"{sender}: recipients 1000/h, recipients 5000/d, bytes 1GB/d until 2")
    with penstock.client() as client:
        client.ask(sasl_username="limit@example.com", instance="b.ffffffff.1.0")
    shown = parsed(penstock, "show", sender)
    held = [f"{limit['unit']} {limit['limit']}" for limit in shown["limits"]]
    replaced = ["recipients 1000/h", "recipients 5000/d", "bytes 1GB/d"]
    assert held == ["unknown-user 25/h", "complaints 3/d", *replaced]
    assert "exception: recipients 1000/h" in told(penstock, "show", sender)
    outcomes = ["--outcome", "unknown-user 100/h", "--outcome", "bounced 5 % / day min 20"]
    text = told(penstock, "limit", sender, *outcomes, "--reason", "an old list")
    assert text == f"{sender}: unknown-user 100/h, bounced 5%/d min 20\n"
    shown = parsed(penstock, "show", sender)
    held = [f"{limit['unit']} {limit['limit']}" for limit in shown["limits"]]
    assert held[-3:] == ["complaints 3/d", "unknown-user 100/h", "bounced 5%/d min 20"]
    wrong = cli(penstock, "limit", sender, "--outcome", "bounces 5/h", "--reason", "x")
    assert wrong.exit_code == 1 and 'unknown outcome "bounces"' in wrong.stderr
    assert parsed(penstock, "limit", sender, "--profile", "newsletter", "--reason", "list")["durable"]
    assert parsed(penstock, "show", sender)["profile"] == "newsletter"
    assert told(penstock, "limit", sender, "--default").strip().endswith("limits of its profile hold again")
    shown = parsed(penstock, "show", sender)
    assert (shown["profile"], shown["override"]) == ("personal", None)
    assert [change["what"] for change in shown["history"]] == ["limit"] * 4


def test_reload(penstock: Penstock) -> None:
    assert told(penstock, "reload") == f"the policy of {penstock.config} is in force\n"
    try:
        penstock.configure(CONFIG + '\n[profiles.personnal]\nrecipients = ["5/x"]\nlike = "personel"\n')
        wrong = cli(penstock, "reload")
        assert wrong.exit_code == 1
        assert "the old policy stays in force" in wrong.stderr
        for part in ('unknown unit "x"', "profiles.personnal.recipients[0]", "personel"):
            assert part in wrong.stderr
        wrong = cli(penstock, "reload", "--json")
        assert wrong.exit_code == 1 and not wrong.stdout
    finally:
        penstock.configure(CONFIG)
    assert parsed(penstock, "reload")["policy_file"] == str(penstock.config)


ERRORS = [
    (1, "login:nobody@example.com has never been seen here", ("show", "login:nobody")),
    (1, "'alice' is not a sender: write KIND:NAME", ("show", "alice")),
    (1, "'bot:x' is not a sender", ("pause", "bot:x", "--reason", "x")),
    (1, "'uid:root': a uid is a number", ("pause", "uid:root", "--reason", "x")),
    (1, "'ip:192.0.2.0/24' is not one address", ("pause", "ip:192.0.2.0/24", "--reason", "x")),
    (1, "needs a reason", ("pause", "login:x", "--reason", " ")),
    (2, "Missing option '--reason'", ("pause", "login:x")),
    (2, "not a duration", ("pause", "login:x", "--reason", "x", "--for", "2 fortnights")),
    (2, "not a duration", ("pause", "login:x", "--reason", "x", "--for", "0h")),
    (2, "longer than 100 years", ("pause", "login:x", "--reason", "x", "--for", "999999999w")),
    (2, "is not one of", ("pause", "login:x", "--reason", "x", "--for", "1h", "--then", "locked")),
    (1, 'unknown unit "x"', ("limit", "login:x", "--recipients", "5/x", "--reason", "x")),
    (1, "bytes need KB, MB or GB", ("limit", "login:x", "--bytes", "5/h", "--reason", "x")),
    (1, "an exception needs a reason", ("limit", "login:x", "--recipients", "5/h")),
    (1, "say a limit or a profile", ("limit", "login:x", "--reason", "x")),
    (1, "no profile 'gold'", ("limit", "login:x", "--profile", "gold", "--reason", "x")),
    (1, "login:x@example.com has no exception of its own", ("limit", "login:x", "--default")),
    (1, "no refusal has the reference 0000-0000", ("explain", "oooo-0000")),
    (2, "is not one of", ("senders", "--standing", "gone")),
    (2, "is not in the range", ("senders", "--most", "0")),
]


@pytest.mark.parametrize(("status", "sentence", "arguments"), ERRORS, ids=lambda value: str(value)[:40])
def test_errors(penstock: Penstock, status: int, sentence: str, arguments: tuple[str, ...]) -> None:
    """A sentence on standard error, nothing on standard output, and nothing has changed."""
    for extra in ((), ("--json",)):
        result = cli(penstock, *arguments, *extra)
        assert result.exit_code == status
        assert sentence in result.stderr and not result.stdout
    assert "Traceback" not in penstock.log()


ASKING = [
    ("status",),
    ("senders",),
    ("show", ALICE),
    ("explain", "K7F3-9QX2"),
    ("pause", ALICE, "--reason", "x"),
    ("limit", ALICE, "--default"),
    ("reload",),
]


@pytest.mark.parametrize("arguments", ASKING, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("what", ["nothing", "a stale socket", "a file"])
def test_no_service(tmp_path: Path, arguments: tuple[str, ...], what: str) -> None:
    import socket

    state = tmp_path / "s"
    if what == "a file":
        state.write_text("")
    elif what == "a stale socket":
        state.mkdir()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(state / "control.sock"))
    result = CliRunner().invoke(main, [*arguments, "--state", str(state)])
    assert result.exit_code == 1 and not result.stdout
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    if what != "a file":
        assert f"no penstock serves from {state}" in result.stderr


def test_a_service_that_breaks_off_is_told(tmp_path: Path) -> None:
    import socket
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()

        def answer(raw: bytes) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(raw)

        for raw in (b"", b'{"ok": tr', b"junk\n"):
            thread = threading.Thread(target=answer, args=(raw,))
            thread.start()
            result = CliRunner().invoke(main, ["status", "--state", str(tmp_path)])
            thread.join()
            assert result.exit_code == 1, raw
            assert "without an answer" in result.stderr, raw


def test_a_reason_in_another_character_set(penstock: Penstock) -> None:
    """A Latin-1 terminal: the change holds, and the service goes on recording."""
    command = [sys.executable, "-m", "penstock", "pause", "login:latin", "--state", str(penstock.state)]
    for more in ([], ["--json"]):
        done = subprocess.run(
            [*map(os.fsencode, [*command, *more]), b"--reason", b"caf\xe9"], capture_output=True, timeout=20
        )
        assert done.returncode == 0 and b"caf" in done.stdout, done.stderr
    assert parsed(penstock, "pause", "login:after", "--reason", "é")["durable"]


def test_the_state_folder_is_found(penstock: Penstock, tmp_path: Path) -> None:
    """By option, by environment, by the configuration."""
    config = tmp_path / "penstock.toml"
    config.write_text(f'state = "{penstock.state}"\n')
    for environment in ({"PENSTOCK_STATE": str(penstock.state)}, {"PENSTOCK_CONFIG": str(config)}):
        result = CliRunner().invoke(main, ["status", "--json"], env=environment)
        assert result.exit_code == 0 and json.loads(result.stdout)["state"] == str(penstock.state)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(penstock: Penstock, shell: str) -> None:
    program = str(Path(sys.executable).parent / "penstock")

    def complete(words: str, at: int, incomplete: str = "") -> list[str]:
        environment = {"_PENSTOCK_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": f"{at}"}
        if shell == "fish":
            environment["COMP_CWORD"] = incomplete
        done = subprocess.run(
            [program], capture_output=True, text=True, env=os.environ | environment, timeout=20
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    script = subprocess.run(
        [program],
        capture_output=True,
        text=True,
        env=os.environ | {"_PENSTOCK_COMPLETE": f"{shell}_source"},
        timeout=20,
    )
    assert "penstock" in script.stdout and "_PENSTOCK_COMPLETE" in script.stdout
    assert any("pause" in word for word in complete("penstock pa", 1, "pa"))
    state = str(penstock.state)
    found = complete(f"penstock show --state {state} login:ali", 4, "login:ali")
    assert any("alice@example.com" in word for word in found)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0 and len(result.stdout) > 100


def test_a_state_folder_with_a_long_path() -> None:
    """The kernel takes 107 bytes for a Unix socket; a folder may be deeper."""
    penstock = Penstock()
    penstock.state = penstock.folder.path / ("deep-" * 30)
    with penstock:
        assert penstock.cli("status")["senders"] == 0
        assert penstock.cli("pause", "login:a", "--reason", "test")["durable"]
