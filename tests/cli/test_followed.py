"""What ``show`` and ``status`` say on a service that follows a log: it must be read rightly at 3 a.m."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from penstock.cli import main
from penstock.cli.common import ask
from rig.base import wait_until
from rig.penstock import Penstock
from study.support import Platform


@pytest.fixture(scope="module")
def penstock() -> Iterator[Penstock]:
    """A service that has read a log: mail of today, one strange line, no log of Exim yet."""
    made, now = Platform(), time.time()
    for i in range(5):
        made.message(now - 60 * i, "alice@example.com", made.people(3), bounced=1)
    running = Penstock("")
    folder = running.folder.path
    made.write(folder / "mail.log", dated=True)
    with (folder / "mail.log").open("a") as file:
        file.write("2026-01-05T00:00:00+00:00 mx1 postfix/qmgr[3]: something new\n")
    running.configure(
        f'[logs.mail]\nfile = "{folder}/mail.log"\nfrom_beginning = true\ncounted = "all"\n'
        f'[logs.exim]\nfile = "{folder}/exim.log"\n[reports]\nlisten = "unix:{folder}/reports.sock"\n'
    )
    with running:
        wait_until(lambda: ask(running.state, "status")["logs"][0]["lines"] == 36, what="the log")
        wait_until(lambda: ask(running.state, "status")["problems"], what="the missing log")
        yield running


def told(penstock: Penstock, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--state", str(penstock.state)], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_status_tells_what_is_read_and_what_is_not(penstock: Penstock) -> None:
    said, folder = told(penstock, "status"), penstock.folder.path
    for line in (
        f"log mail ({folder}/mail.log): last line ",
        "; since the start 36 lines, 35 about mail, 0 of other programs\n",
        "  0 messages under way; its mail is counted for: everybody\n",
        "  qmgr: 1 line not understood, for example: 2026-01-05T00:00:00+00:00 mx1 postfix/qmgr[3]: ",
        f"log exim ({folder}/exim.log): no line yet; ",
        "reports since the start: 0 mails taken, none kept, 0 refused; 0 bounces and 0 complaints counted",
        f"PROBLEM: log exim: {folder}/exim.log: no such file: waiting for it",
    ):
        assert line in said


def test_show_tells_a_week_within_80_columns(penstock: Penstock) -> None:
    said = told(penstock, "show", "login:alice@example.com")
    assert max(map(len, said.splitlines())) <= 80
    heading = next(line for line in said.splitlines() if line.startswith("day (UTC)"))
    columns = ("day (UTC)", "recipients", "delivered", "deferred", "bounced", "logins", "came back as")
    assert " ".join(heading.split()) == " ".join(columns)
    assert "unknown-user" in said and f"\n{time.strftime('%Y-')}" in said
    assert "complaints" not in heading, "a column without anything is left out"
