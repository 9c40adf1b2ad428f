"""The directory of a replay: the same answers, waited for, each asked for once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from directory.support import ENTRIES, QUERY
from penstock.core.policy import Entry, Profile
from penstock.directory import Database, Program, open_blocking
from penstock.study.replay import Replay
from study.support import MONDAY, mail
from support import limits, policy_of

ALICE, BOB, NOBODY = "login:alice@example.com", "login:bob", "login:nobody@example.com"
LOGGING = """
import pathlib, sys
with open({log!r}, "a") as file:
    file.write(sys.argv[1] + "\\n")
sys.exit(1)
"""


def opened(source: dict[str, Any]) -> Any:
    """A blocking directory from open_directory's arguments."""
    return open_blocking(
        source.get("entries", {}), source.get("networks", {}), source.get("database"), source.get("program")
    )


def test_every_source_gives_its_entries_at_once(source: dict[str, Any]) -> None:
    directory = opened(source)
    assert {key: directory.get(key) for key in ENTRIES} == ENTRIES
    assert directory.get(NOBODY) is None
    assert directory.problems == {}
    directory.close()


def test_the_file_comes_first_then_the_database_then_the_command(sqlite_url: str, command: list[str]) -> None:
    own = Entry("1", "own")
    database = Database(sqlite_url, f"{QUERY} AND login <> 'bob'")
    directory = open_blocking({ALICE: own}, {}, database, Program(command))
    assert directory.get(ALICE) == own
    assert directory.get(BOB) == ENTRIES[BOB], "the database does not know it, the command does"
    directory.close()


def test_each_sender_is_asked_for_once_known_or_not(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    script = tmp_path / "who"
    script.write_text(LOGGING.format(log=str(log)))
    directory = open_blocking({}, {}, None, Program([sys.executable, "-I", str(script)]))
    for _ in range(3):
        assert directory.get(ALICE) is None
    assert directory.get(BOB) is None
    assert len(log.read_text().splitlines()) == 2
    directory.close()


def test_what_is_down_is_told_once_and_the_next_source_answers(command: list[str], tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/accounts.db", QUERY)
    directory = open_blocking({}, {}, database, Program(command))
    assert {key: directory.get(key) for key in ENTRIES} == ENTRIES
    assert list(directory.problems) == ["sql"]
    assert directory.problems["sql"].startswith("directory.sql: ")
    directory.close()


@pytest.mark.parametrize("argv", [["/nonexistent/who"], [sys.executable, "-c", "print('no json')"]])
def test_a_command_that_fails_is_told(argv: list[str]) -> None:
    directory = open_blocking({}, {}, None, Program(argv))
    assert directory.get(ALICE) is None
    assert directory.problems["command"].startswith("directory.command: ")
    directory.close()


@pytest.mark.parametrize(("kind", "refused"), [("sql", []), ("command", [10])])
def test_a_replay_goes_by_it(kind: str, refused: list[int], sqlite_url: str, command: list[str]) -> None:
    """The database says that alice is roomy, the command that she sends newsletters."""
    query = "SELECT customer, 'roomy' AS profile FROM accounts WHERE login = :login"
    rules = policy_of(
        Profile("plain", limits("5/h")),
        Profile("roomy", limits("50/h")),
        Profile("newsletter", limits("30/h")),
    )
    database, program = (Database(sqlite_url, query), None) if kind == "sql" else (None, Program(command))
    directory = open_blocking({}, {}, database, program)
    replay = Replay(rules, directory)
    replay.feed([mail(MONDAY, ALICE, 40)])
    replay.finish()
    directory.close()
    assert directory.problems == {}
    assert [refusal.recipients for refusal in replay.limited] == refused
