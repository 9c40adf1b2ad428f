"""What the README tells people to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock.cli import main
from rig.penstock import Penstock
from study.support import weeks
from wire.reports.samples import SAMPLES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
INLINE = [
    command
    for command in re.findall(r"`penstock ([^`]+)`", README)
    if not {"REFERENCE", "INCIDENT"} & set(command.split())
]


def test_the_readme_names_commands() -> None:
    assert len(INLINE) >= 4


OFFLINE = ("baseline", "classify", "report", "replay", "study")
"""Commands that ask no running service."""


@pytest.mark.parametrize("command", [c for c in INLINE if c.split()[0] not in OFFLINE])
def test_a_command_of_the_readme_runs(command: str) -> None:
    with Penstock() as penstock:
        with penstock.client() as client:
            client.ask(sasl_username="alice@example.com")
        done = penstock.run(*shlex.split(command), "--state", str(penstock.state))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in INLINE if c.split()[0] in OFFLINE])
def test_a_command_about_files_of_the_readme_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_STATE", str(tmp_path / "state"))
    (tmp_path / "FILE").write_bytes(next(iter(SAMPLES.values())).raw())
    (tmp_path / "policy.toml").write_text("")
    weeks(3, 5).write(tmp_path / "mail.log")
    words = shlex.split(command.replace("/var/log/mail.log*", "mail.log"))
    if "--propose" in words:
        (tmp_path / "policy.toml").unlink()
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output


def test_its_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_make_targets_it_names_exist() -> None:
    targets = re.findall(r"^make (\S+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_an_unknown_command_is_told() -> None:
    assert "No such command" in CliRunner().invoke(main, ["pausee"]).output
