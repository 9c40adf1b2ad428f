"""``penstock baseline``: a new installation knows its senders from the first day."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from penstock.cli.common import ask
from penstock.stores import countfile
from penstock.stores.recovery import recover
from rig.penstock import Penstock
from study.support import DAY, Platform

ALICE, BOB = "login:alice@example.com", "login:bob@example.com"
DAYS = 20


def last_weeks(now: float) -> Platform:
    """Alice and Bob write to a few people a day; two days ago Bob's password was used elsewhere."""
    made = Platform()
    for name, day in ((name, day) for day in range(DAYS, 0, -1) for name in ("alice", "bob")):
        people = [f"{name}{n}@example.org" for n in (day % 5, day % 7, day % 3)]
        made.message(now - day * DAY, f"{name}@example.com", people)
    for n in range(60):
        people = [f"stranger{n}.{each}@example.net" for each in range(10)]
        made.message(now - 2 * DAY + 7200 + 20 * n, "bob@example.com", people, 3, f"198.51.{n}.1")
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return last_weeks(time.time()).write(tmp_path / "mail.log", dated=True)


@pytest.fixture
def penstock() -> Iterator[Penstock]:
    """A service that has never been started."""
    made = Penstock("")
    yield made
    made.stop()


@contextmanager
def running(penstock: Penstock) -> Iterator[None]:
    penstock.start()
    yield
    penstock.terminate()


def run(penstock: Penstock, *arguments: str | Path) -> Result:
    where = ["--state", str(penstock.state), "--config", str(penstock.config)]
    return CliRunner().invoke(main, ["baseline", *map(str, arguments), *where], env={"COLUMNS": "120"})


def failed(penstock: Penstock, *arguments: str | Path) -> str:
    result = run(penstock, *arguments)
    assert result.exit_code == 1, result.output
    return result.output


def show(penstock: Penstock, sender: str) -> Any:
    return ask(penstock.state, "show", sender=sender)


def counted(folder: Path) -> list[str]:
    """The files of counts and of acquaintance in a folder."""
    return sorted(path.name for path in folder.glob("*") if path.suffix in (".bin", ".log", ".part"))


def test_the_service_that_starts_with_it_has_watched_all_the_time(penstock: Penstock, log: Path) -> None:
    result = run(penstock, log)
    assert result.exit_code == 0, result.output
    assert f"{penstock.state} knows 2 senders now, by 100 messages to 720 recipients." in result.stdout
    with running(penstock):
        month = show(penstock, ALICE)["counts"]["recipients"]["month"]
        status = ask(penstock.state, "status")
    assert month == 3 * DAYS
    assert time.time() - DAYS * DAY - 60 < _seconds(status["acquaintance"]["learning_since"]) < time.time()
    assert status["acquaintance"]["pairs"] > 0 and not status["problems"]


def test_what_would_have_been_stopped_teaches_nothing_and_nobody_is_paused(
    penstock: Penstock, log: Path
) -> None:
    penstock.configure('mode = "shadow"\n')
    said = run(penstock, log).stdout
    assert "Left out from when on they would have been paused" in said and f"  {BOB}, 20" in said
    with running(penstock):
        found = show(penstock, BOB)
        assert not ask(penstock.state, "incidents")["incidents"]
    assert found["standing"]["state"] == "open"
    assert 3 * (DAYS - 2) <= found["counts"]["recipients"]["month"] < 200, "of 660"


def test_what_is_counted_already_stays_unless_it_is_told_to_make_room(penstock: Penstock, log: Path) -> None:
    with running(penstock):
        penstock.cli("lock", BOB, "--reason", "a test")
    before = counted(penstock.state)
    assert "has counts already. With --anew" in failed(penstock, log)
    assert counted(penstock.state) == before
    told = json.loads(run(penstock, log, "--anew", "--json").stdout)
    assert counted(Path(told["before"])) == before
    assert (told["senders"], told["messages"]) == (2, 100)
    with running(penstock):
        assert show(penstock, ALICE)["counts"]["recipients"]["month"] == 3 * DAYS
        assert show(penstock, BOB)["standing"]["state"] == "locked", "decisions of people stay"


def test_not_beside_a_running_service(penstock: Penstock, log: Path) -> None:
    with running(penstock):
        assert "stop it first" in failed(penstock, log, "--anew")


def test_logs_without_mail_change_nothing(penstock: Penstock, tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_text("Jan  5 00:00:00 mx1 sshd[7]: hello\n")
    assert "no message of any sender in 1 line; 1 of other programs" in failed(
        penstock, tmp_path / "empty.log"
    )
    assert not counted(penstock.state)
    assert "no such file" in failed(penstock, tmp_path / "nowhere.log").lower()


def test_a_log_that_the_service_would_count_again(penstock: Penstock, log: Path) -> None:
    penstock.configure(f'[logs.mail]\nfile = "{log}"\nfrom_beginning = true\n')
    assert "logs.mail.from_beginning: the service would count the same mail again" in failed(penstock, log)


@pytest.mark.parametrize("anew", [False, True])
def test_a_full_disk_leaves_everything_as_it_was(
    penstock: Penstock, log: Path, anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if anew:
        with running(penstock):
            penstock.cli("lock", BOB, "--reason", "a test")
    before = counted(penstock.state)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(countfile, "write_part", full)
    assert "No space left on device" in failed(penstock, log, *(["--anew"] if anew else []))
    assert counted(penstock.state) == before
    assert not list(penstock.state.glob("before-*"))
    monkeypatch.undo()
    assert run(penstock, log, *(["--anew"] if anew else [])).exit_code == 0
    assert set(recover(penstock.state).senders) >= {ALICE, BOB}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_the_service(penstock: Penstock, log: Path) -> None:
    penstock.state.mkdir()
    os.chown(penstock.state, 65534, 65534)
    assert run(penstock, log).exit_code == 0
    assert len(counted(penstock.state)) == 2
    assert {path.stat().st_uid for path in penstock.state.iterdir()} == {65534}


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
