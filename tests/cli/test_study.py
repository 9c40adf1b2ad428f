"""``penstock study`` as an operator runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from study.support import DAY, MONDAY, Platform, weeks


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weeks(days=12, logins=40).write(tmp_path_factory.mktemp("log") / "mail.log", dated=True)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["study", *map(str, arguments)], env={"COLUMNS": "120"})


def test_it_tells_limits_and_who_is_above_them(log: Path) -> None:
    result = run(log, "--timezone", "UTC")
    assert result.exit_code == 0, result.output
    assert "2026-01-05 00:02 to 2026-01-16 23:02 (UTC)" in result.stdout
    for said in ("Logins: 42 active", "Scripts: 1 active", "recipients per hour", "login:news@shop.example"):
        assert said in result.stdout


def test_everything_as_json(log: Path) -> None:
    told = json.loads(run(log, "--json", "--timezone", "Europe/Berlin").stdout)
    assert told["timezone"] == "Europe/Berlin"
    assert told["from"] == "2026-01-05T00:02:00Z"
    assert set(told["groups"]) == {"logins", "scripts"}
    assert told["groups"]["logins"]["distributions"][0]["limits"][2]["limit"] is None


def test_report_and_policy_are_written(log: Path, tmp_path: Path) -> None:
    report, policy = tmp_path / "study.html", tmp_path / "policy.toml"
    result = run(log, "--report", report, "--propose", policy)
    assert result.exit_code == 0, result.output
    assert report.read_text().startswith("<!doctype html>")
    assert "is valid" in CliRunner().invoke(main, ["config", "check", str(policy)]).output
    again = run(log, "--propose", policy)
    assert (again.exit_code, again.output) == (1, f"Error: {policy}: is there already; name a new file\n")


def test_standard_input(log: Path) -> None:
    command = [sys.executable, "-c", "from penstock.cli.study import study; study()", "-", "--json"]
    with log.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["lines"] == len(log.read_text().splitlines())


def test_logins_are_told_apart_as_the_policy_does(tmp_path: Path) -> None:
    platform = Platform()
    platform.message(MONDAY, "alice", platform.people(1))
    platform.message(MONDAY + DAY, "Alice@example.com", platform.people(1))
    log = platform.write(tmp_path / "mail.log")
    config = tmp_path / "penstock.toml"
    config.write_text('[names]\ndefault_realm = "example.com"\n')
    assert json.loads(run(log, "--json").stdout)["groups"]["logins"]["senders"] == 2
    told = json.loads(run(log, "--json", "--config", config).stdout)
    assert told["groups"]["logins"]["senders"] == 1
    assert 'default_realm = "example.com"' in told["policy"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no message of any sender in 0 lines"),
        ("Jan  5 00:00:00 mx sshd[1]: hello\n", "1 of other programs"),
        ("Jan  5 00:00:00 mx postfix/qmgr[1]: what is this\n", "unknown: qmgr 1"),
    ],
)
def test_a_log_without_mail_says_why_and_fails(tmp_path: Path, content: str, said: str) -> None:
    log = tmp_path / "mail.log"
    log.write_text(content)
    result = run(log)
    assert result.exit_code == 1
    assert said in result.output


def test_mistakes_are_sentences(tmp_path: Path, log: Path) -> None:
    assert "absent: No such file" in run(tmp_path / "absent").output
    assert "is no time zone" in run(log, "--timezone", "Mars/Olympus").output
    assert "cannot be written in that folder" in run(log, "--report", tmp_path / "no" / "x.html").output
    (tmp_path / "bad.toml").write_text("modus = 1")
    assert "modus" in run(log, "--config", tmp_path / "bad.toml").output
