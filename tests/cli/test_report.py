"""``penstock report``: files, folders, mailboxes, standard input; JSON and words; errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from wire.reports.samples import SAMPLES
from wire.reports.test_arf import arf
from wire.reports.test_dsn import FIELDS, dsn

LETTER = b"From: bob@example.net\nSubject: lunch?\n\nNoon.\n"


@pytest.fixture(autouse=True)
def no_policy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.config.default_path", lambda: None)
    monkeypatch.delenv("PENSTOCK_CONFIG", raising=False)


def report(*arguments: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)], input=given, catch_exceptions=False)


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_bounce_as_json(tmp_path: Path) -> None:
    (tmp_path / "b.eml").write_bytes(dsn())
    result = report(tmp_path / "b.eml", "--json")
    assert result.exit_code == 0 and result.stderr == ""
    (row,) = rows(result)
    assert row["file"] == str(tmp_path / "b.eml")
    assert (row["kind"], row["original_message_id"], row["feedback_type"]) == (
        "bounce",
        "one@example.com",
        "",
    )
    assert row["original_queue_id"] == "4XyZ12abcDz9"
    (bob,) = row["recipients"]
    told = {key: bob[key] for key in ("address", "class", "status", "permanent")}
    assert told == {
        "address": "bob@example.net",
        "class": "unknown-user",
        "status": "5.1.1",
        "permanent": True,
    }
    assert bob["rule"] and bob["reply"].startswith("550 5.1.1")


def test_a_complaint_and_what_is_neither(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(arf())
    (tmp_path / "2").write_bytes(LETTER)
    complaint, letter = rows(report(tmp_path / "1", tmp_path / "2", "--json"))
    assert (complaint["kind"], complaint["feedback_type"], complaint["counts"]) == (
        "complaint",
        "abuse",
        True,
    )
    assert [r["address"] for r in complaint["recipients"]] == ["bob@example.net"]
    assert (letter["kind"], letter["recipients"], letter["counts"]) == ("other", [], False)


def test_who_waits_is_told_apart_from_who_failed(tmp_path: Path) -> None:
    more = "\nFinal-Recipient: rfc822; carol@example.net\nAction: delayed\nStatus: 4.4.1\n"
    (tmp_path / "1").write_bytes(dsn(FIELDS + more))
    (row,) = rows(report(tmp_path / "1", "--json"))
    assert [(r["address"], r["action"], r["permanent"]) for r in row["recipients"]] == [
        ("bob@example.net", "failed", True),
        ("carol@example.net", "delayed", False),
    ]


def test_in_words(tmp_path: Path) -> None:
    (tmp_path / "b.eml").write_bytes(dsn(FIELDS.replace("Recipient address", "\x1b[31mRecipient address")))
    (tmp_path / "c.eml").write_bytes(arf())
    lines = report(tmp_path / "b.eml", tmp_path / "c.eml").stdout.splitlines()
    assert lines[0] == f"{tmp_path}/b.eml: bounce, message one@example.com"
    assert lines[1] == "  bob@example.net: unknown-user, permanent 5.1.1"
    assert lines[2].startswith("    550 5.1.1 <bob@example.net>: \ufffd[31mRecipient")
    assert lines[3:] == [f"{tmp_path}/c.eml: complaint (abuse), message one@example.com", "  bob@example.net"]


def test_what_can_not_be_read_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"hello\n")
    (tmp_path / "good").write_bytes(dsn())
    result = report(tmp_path / "bad", tmp_path / "none", tmp_path / "good", "--json")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{tmp_path}/bad: line 1: no header field, so this is no mail: b'hello\\n'",
        f"{tmp_path}/none: No such file or directory",
    ]
    assert [row["kind"] for row in rows(result)] == ["bounce"]


def test_standard_input() -> None:
    (row,) = rows(report("-", "--json", given=dsn()))
    assert (row["file"], row["kind"]) == ("-", "bounce")


def test_an_mbox(tmp_path: Path) -> None:
    line = b"From MAILER-DAEMON Sat Nov 21 10:00:00 2026\n"
    box = b"".join(line + mail + b"\n" for mail in (dsn(), arf(), LETTER))
    (tmp_path / "box").write_bytes(box)
    for found in (rows(report(tmp_path / "box", "--json")), rows(report("-", "--json", given=box))):
        assert [row["kind"] for row in found] == ["bounce", "complaint", "other"]
        assert [row["file"].rpartition("#")[2] for row in found] == ["1", "2", "3"]


def test_a_maildir_and_a_folder(tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "dir" / name).mkdir(parents=True)
    (tmp_path / "dir/new/1").write_bytes(dsn())
    (tmp_path / "dir/cur/2").write_bytes(arf())
    (tmp_path / "dir/tmp/3").write_bytes(b"torn")
    (tmp_path / "dir/.index").write_bytes(b"x")
    found = rows(report(tmp_path / "dir", "--json"))
    assert sorted(row["kind"] for row in found) == ["bounce", "complaint"]
    assert [row["kind"] for row in rows(report(tmp_path / "dir/new", "--json"))] == ["bounce"]


def test_rules_of_the_policy_file_count(tmp_path: Path) -> None:
    (tmp_path / "b.eml").write_bytes(SAMPLES["X.400 words"].raw())
    policy = tmp_path / "penstock.toml"
    policy.write_text('[[replies]]\nname = "ours"\nclass = "policy"\nphrases = ["unrecognised OR name"]\n')
    (row,) = rows(report(tmp_path / "b.eml", "--json", "--policy", policy))
    assert (row["recipients"][0]["class"], row["recipients"][0]["rule"]) == ("policy", "ours")
