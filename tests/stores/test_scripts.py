"""Whose scripts are, over a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from penstock.core.events import ScriptMailed
from penstock.core.witness import Claim, Witness
from penstock.engine.origins import Origins
from penstock.stores.scripts import ScriptFile

PATH = "/srv/a/mailer.php"
HEADER = (Claim(Witness.HEADER, "1033", "mailer.php"),)


def origins() -> Origins:
    return Origins(lambda key, under, at: None)


def learned() -> Origins:
    found = origins()
    found.picked_up("q", "1033")
    found.hear(ScriptMailed(1.0, PATH, 1, 1))
    found.at_gate("q", HEADER, 1.0)
    return found


def saved(path: Path, what: Origins) -> ScriptFile:
    file = ScriptFile(path, what)
    asyncio.run(file.close())
    return file


def test_a_path_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "scripts.json"
    saved(path, learned())
    assert path.stat().st_mode & 0o777 == 0o600
    later = origins()
    ScriptFile(path, later).load(0.0)
    later.picked_up("r", "1033")
    assert later.at_gate("r", HEADER, 1e6).key == f"script:{PATH}"
    assert later.owners() == {PATH: "1033"}


def test_nothing_learned_nothing_written(tmp_path: Path) -> None:
    path = tmp_path / "scripts.json"
    saved(path, origins())
    assert not path.exists()
    ScriptFile(path, origins()).load(0.0)


@pytest.mark.parametrize("text", ["", "[]", "1", "{", "nul\0"])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_put_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scripts.json"
    path.write_text(text)
    file = ScriptFile(path, learned())
    file.load(1e9)
    assert not path.exists() and len(list(tmp_path.iterdir())) == 1


def test_what_makes_no_sense_in_it_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "scripts.json"
    path.write_text('{"/a.php": 5, "/b.php": "33"}')
    found = origins()
    ScriptFile(path, found).load(0.0)
    assert found.owners() == {"/b.php": "33"}


def test_a_disk_that_fails_is_said(tmp_path: Path) -> None:
    file = saved(tmp_path / "none" / "scripts.json", learned())
    assert "No such file" in file.problem
