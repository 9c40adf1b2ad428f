"""``penstock classify``: for a person, for a program, line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from penstock.cli import main

MINE = '[[replies]]\nname = "mine"\nclass = "policy"\nphrases = ["user unknown"]\n'


@pytest.fixture(autouse=True)
def _no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_CONFIG", raising=False)


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["classify", *arguments], input=stdin)


def test_a_person_is_told_what_it_means_and_whom_it_blames() -> None:
    done = run("550 5.1.1 <bob@example.org>: User unknown")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "unknown-user, permanent",
        "The address does not exist there.",
        "It blames: the recipient list",
        "Rule: unknown user",
    ]


def test_words_without_quotes_are_one_reply() -> None:
    assert run("452", "4.2.2", "Mailbox", "full").output.startswith("mailbox-full, not permanent\n")


def test_a_program_gets_json() -> None:
    done = json.loads(run("--json", "554 blocked using zen.spamhaus.org").output)
    assert done == {
        "reply": "554 blocked using zen.spamhaus.org",
        "class": "reputation",
        "permanent": True,
        "rule": "DNS block list",
        "meaning": "Our IP address or the sending domain is blocked or listed for its reputation.",
        "blames": "the content or our IP address",
    }


def test_status_and_relay_count() -> None:
    assert json.loads(run("--json", "--status", "5.2.2", "no").output)["class"] == "mailbox-full"
    relay = ["--relay", "mx.secureserver.net[192.0.2.1]:25"]
    assert json.loads(run("--json", *relay, "554 IB105").output)["class"] == "reputation"
    assert json.loads(run("--json", "554 IB105").output)["class"] == "other"


def test_lines_are_read_whatever_their_bytes() -> None:
    done = run("-", stdin=b"550 user unknown\n\n550 \xff\x1b[2J mailbox full\r\n")
    assert done.output == (
        "unknown-user\tpermanent\tunknown user\t550 user unknown\n"
        "mailbox-full\tpermanent\tmailbox full\t550 \ufffd\ufffd[2J mailbox full\n"
    )
    rows = [json.loads(line) for line in run("--json", "-", stdin=b"550 x\n421 y\n").output.splitlines()]
    assert [row["class"] for row in rows] == ["other", "temporary"]


def test_rules_of_the_policy_file_come_first(tmp_path: Path) -> None:
    policy = tmp_path / "penstock.toml"
    policy.write_text(MINE)
    assert "Rule: mine" in run("--policy", str(policy), "550 user unknown").output


def test_a_wrong_policy_file_is_told(tmp_path: Path) -> None:
    policy = tmp_path / "penstock.toml"
    policy.write_text(MINE.replace("policy", "polite"))
    done = run("--policy", str(policy), "550 user unknown")
    assert done.exit_code == 1
    assert 'replies[0].class: "polite"' in done.output
    assert run("--policy", str(tmp_path / "none"), "550").exit_code == 1
    assert run().exit_code == 2
