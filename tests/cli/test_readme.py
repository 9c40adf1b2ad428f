"""What the README tells people to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock.cli import main
from rig.penstock import Penstock

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
INLINE = [command for command in re.findall(r"`penstock ([^`]+)`", README) if "REFERENCE" not in command]


def test_the_readme_names_commands() -> None:
    assert len(INLINE) >= 4


@pytest.mark.parametrize("command", INLINE)
def test_a_command_of_the_readme_runs(command: str) -> None:
    with Penstock() as penstock:
        with penstock.client() as client:
            client.ask(sasl_username="alice@example.com")
        done = penstock.run(*shlex.split(command), "--state", str(penstock.state))
        assert done.returncode == 0, done.stderr


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
