"""``penstock doctor`` on a service that is well, degraded in some way, or not there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import geo
from penstock.cli import milter_checks
from penstock.core.flight import ASKS_END
from rig.base import wait_until
from rig.penstock import Penstock
from rig.policy import PolicyClient
from wire.milter import mta

Checks = dict[str, list[dict[str, Any]]]


def examine(state: Path, *arguments: str, config: Path | None = None) -> tuple[int, Checks]:
    """Exit status, and the checks by name."""
    done = ask(state, "--json", *arguments, config=config)
    found: Checks = {}
    for check in json.loads(done.stdout):
        found.setdefault(check["name"], []).append(check)
    return done.returncode, found


def ask(state: Path, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    where = () if "--config-dir" in arguments else ("--no-postfix",)
    environment = {**os.environ, "PENSTOCK_CONFIG": str(config)} if config else None
    return subprocess.run(
        (sys.executable, "-m", "penstock", "doctor", "--state", str(state), *where, *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )


@contextlib.contextmanager
def serving(config: str | None = None) -> Iterator[Penstock]:
    """A service with its control socket open."""
    with Penstock(config, "--listen", "http=off") as running:
        commanded(running)
        yield running


def commanded(running: Penstock) -> None:
    """Wait for the control socket: the policy port is open a moment before it."""
    wait_until((running.state / "control.sock").exists, what="the control socket")


def oks(checks: Checks, name: str) -> list[bool | None]:
    return [check["ok"] for check in checks[name]]


@pytest.fixture(scope="module")
def penstock() -> Iterator[Penstock]:
    with serving() as running:
        yield running


def test_a_fresh_service_is_well_but_nobody_asks(penstock: Penstock) -> None:
    code, checks = examine(penstock.state)
    assert code == 0
    for name in ("service", "policy", "mode", "records", "listener", "disk", "acquaintance"):
        assert oks(checks, name) == [True], checks[name]
    assert oks(checks, "rights") == [True, True]
    assert "penstock setup postfix" in checks["traffic"][0]["hint"]
    assert oks(checks, "traffic") == [None]


def test_the_stages_that_arrive_are_told() -> None:
    with serving() as penstock, penstock.client() as client:
        client.ask(instance="1.66f0c0de.1.0")
        code, checks = examine(penstock.state)
        assert code == 0
        assert oks(checks, "traffic") == [True]
        assert "RCPT 1" in checks["traffic"][0]["text"]
        assert "never asked at END-OF-MESSAGE" in checks["stages"][0]["text"]
        client.ask(
            protocol_state="END-OF-MESSAGE",
            recipient_count=1,
            instance="1.66f0c0de.1.0",
            policy_context=ASKS_END,
        )
        assert "stages" not in examine(penstock.state)[1]


def test_for_a_person_each_line_has_a_mark_and_what_is_not_ok_a_hint(penstock: Penstock) -> None:
    said = ask(penstock.state).stdout.splitlines()
    assert all(line.startswith(("ok    ", "warn  ", "FAIL  ", "      → ")) for line in said[:-1])
    warned = [i for i, line in enumerate(said) if line.startswith("warn  traffic")]
    assert warned and all(said[i + 1].startswith("      → ") for i in warned)
    assert said[-1].endswith("0 failed")


def test_a_geo_file_that_cannot_be_used_is_told() -> None:
    with serving("") as penstock:
        penstock.configure('[detection]\ngeo = "/nowhere/City.mmdb"\n')
        code, checks = examine(penstock.state)
        assert code == 1 and oks(checks, "policy") == [False]
        assert '"/nowhere/City.mmdb": cannot be read: No such file' in checks["policy"][0]["text"]


def test_a_service_that_starts_beside_a_broken_geo_file_serves_and_tells_it(tmp_path: Path) -> None:
    file = geo.write(tmp_path / "City.mmdb")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with serving(f'[detection]\ngeo = "{file}"\n') as penstock:
        with penstock.client() as client:
            assert client.ask(sasl_username="a@example.com") == "DUNNO"
        code, checks = examine(penstock.state)
        assert code == 1 and oks(checks, "geo") == [False]
        assert f"{file}: is not in MaxMind's format" in checks["geo"][0]["text"]
        assert "penstock reload" in checks["geo"][0]["hint"]
        said = penstock.run("status", "--state", str(penstock.state)).stdout
        assert f"PROBLEM: geo file {file}" in said
        file.write_bytes(whole)
        penstock.cli("reload")
        assert "geo" not in examine(penstock.state)[1]


def test_without_a_service_the_command_that_starts_one(tmp_path: Path) -> None:
    code, checks = examine(tmp_path)
    assert code == 1
    assert oks(checks, "service") == [False]
    assert checks["service"][0]["hint"] == f"penstock serve --state {tmp_path}"
    assert oks(checks, "policy") == [True]


def test_a_service_without_its_control_socket_is_named(tmp_path: Path) -> None:
    with serving() as penstock:
        assert penstock.process is not None
        (penstock.state / "control.sock").unlink()
        _, checks = examine(penstock.state)
        assert f"Process {penstock.process.pid} serves" in checks["service"][0]["hint"]


def test_a_unix_socket_is_asked_and_its_way_examined() -> None:
    """In the state folder nobody but Penstock's own account reaches it: a FAIL with the folder's name."""
    with serving() as penstock:
        away = penstock.folder.path / "policy.sock"
        inside = penstock.state / "policy.sock"
        penstock.terminate()
        penstock.arguments += ("--listen", f"policy=unix:{away}", "--listen", f"policy=unix:{inside}")
        penstock.start()
        commanded(penstock)
        code, checks = examine(penstock.state)
        assert oks(checks, "listener") == [True, True, True]
        told = {text: check["ok"] for check in checks["rights"] if "policy socket" in (text := check["text"])}
        assert sorted(told.values()) == [False, True] and code == 1
        assert any(f"{penstock.state} keeps the user postfix out" in text for text in told)
        with PolicyClient(str(away)) as client:
            assert client.ask() == "DUNNO"


def test_a_broken_policy_file_fails_while_the_old_policy_serves() -> None:
    with serving("") as penstock:
        penstock.configure('mode = "shado"\n')
        code, checks = examine(penstock.state)
        assert code == 1
        assert oks(checks, "policy") == [False]
        assert "shado" in checks["policy"][0]["text"]
        assert "The old policy stays in force" in checks["policy"][0]["text"]
        assert "penstock config check" in checks["policy"][0]["hint"]


def test_a_broken_policy_file_without_a_service(tmp_path: Path) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text("limits = 3\n")
    code, checks = examine(tmp_path / "state", config=file)
    assert code == 1
    assert oks(checks, "policy") == [False]


def test_a_file_newer_than_the_policy_in_force_wants_a_reload() -> None:
    with serving('mode = "shadow"\n') as penstock:
        code, checks = examine(penstock.state)
        assert (code, oks(checks, "policy"), oks(checks, "mode")) == (0, [True], [None])
        assert penstock.config is not None
        later = penstock.config.stat().st_mtime + 60
        os.utime(penstock.config, (later, later))
        _, checks = examine(penstock.state)
        assert checks["policy"][0]["hint"] == "penstock reload"


def test_a_socket_that_everybody_may_command_fails() -> None:
    with serving() as penstock:
        (penstock.state / "control.sock").chmod(0o666)
        code, checks = examine(penstock.state)
        assert code == 1
        assert False in oks(checks, "rights")


def test_postfix_is_examined_with_our_addresses(penstock: Penstock, tmp_path: Path) -> None:
    """A folder without a configuration is a failure that names what to do."""
    code, checks = examine(penstock.state, "--config-dir", str(tmp_path))
    assert code == 1
    assert oks(checks, "postfix") == [False]
    assert checks["postfix"][0]["hint"]


def test_who_hands_mail_in_must_not_hang_on_a_header_alone() -> None:
    local, smtp, log = {"kind": "local"}, {"kind": "smtp"}, {"name": "mail"}
    (check,) = milter_checks.witnesses({"milters": [smtp, local], "logs": []})
    assert check.ok is None and "Follow the mail log" in check.hint
    assert not list(milter_checks.witnesses({"milters": [local], "logs": [log]}))
    assert not list(milter_checks.witnesses({"milters": [smtp], "logs": []}))


def test_milters_are_asked_and_what_they_saw_is_told() -> None:
    folder = tempfile.mkdtemp(prefix="penstock-doctor-")
    Path(folder).chmod(0o755)
    config = f'[listen]\nmilter = ["unix:{folder}/milter.sock"]\nmilter_smtp = ["127.0.0.1:0"]\n'
    with serving(config) as running:
        code, checks = examine(running.state)
        assert code == 0 and oks(checks, "milter") == [True, None, True, None]
        assert "no mail server has asked" in checks["milter"][1]["text"]
        local, smtp = running.cli("status")["milters"]
        assert not local["smtp"] and smtp["smtp"]
        host, port = smtp["address"].split(":")
        for packets in (mta.offer() + mta.packet(b"Z"), mta.offer() + mta.LOCAL + mta.mail() + mta.end()):
            with socket.create_connection((host, int(port)), 10) as connection:
                connection.sendall(packets + mta.QUIT)
                while connection.recv(4096):
                    pass
        _, checks = examine(running.state)
        assert oks(checks, "milter") == [True, None, True, None, None]
        assert "nobody could be named" in checks["milter"][3]["text"]
        assert "did not speak the milter protocol" in checks["milter"][4]["text"]
    shutil.rmtree(folder)
