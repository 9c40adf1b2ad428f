"""What isn't documented turns red: the committed references are what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock.app.metrics import METRICS
from penstock.cli import COMMANDS, main

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("what", ["commands", "metrics"])
def test_the_committed_reference_is_current(what: str) -> None:
    """In a process of its own: click remembers how a command's help was asked for first."""
    command = [sys.executable, "-m", "penstock", "reference", what]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (DOCS / f"{what}.md").read_text() == printed, "run: make docs"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_helps(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"], catch_exceptions=False)
    assert shown.exit_code == 0 and "Usage:" in shown.output
    assert f"## penstock {name}" in (DOCS / "commands.md").read_text()


def test_metric_names_are_unique_and_explained() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.text for metric in METRICS)
