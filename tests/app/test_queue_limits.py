"""What the MTA does to mail that lies long, as a person is told."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from penstock.app.queue_limits import Limits
from penstock.mta.queue import Door, MailQueue
from penstock.wire.eximqueue import EXIM

DAY = 86400
AT = 1_700_000_000


@pytest.mark.parametrize(
    ("said", "days", "fate"),
    [
        ("timeout_frozen_after = 0s\nauto_thaw = 0s\n", 400, ""),
        ("timeout_frozen_after = 1w\nauto_thaw = 0s\n", 5, ""),
        ("timeout_frozen_after = 1w\nauto_thaw = 0s\n", 6, "Exim returns frozen mail 7 days after it came"),
        ("timeout_frozen_after = 0s\nauto_thaw = 6h\n", 0, "Exim delivers frozen mail by itself"),
        ("", 400, ""),
    ],
)
def test_exims_limits(tmp_path: Path, said: str, days: int, fate: str) -> None:
    (tmp_path / "exim4").write_text(f"#!{sys.executable}\nprint({said!r}, end='')\n")
    (tmp_path / "exim4").chmod(0o755)
    helper = (sys.executable, "-m", "penstock.mta.queue_helper", "--mta", "exim", "--programs", str(tmp_path))
    limits = Limits(MailQueue("exim", (EXIM,), Door(command=helper)))
    asyncio.run(limits.learn(0.0))
    told = limits.fate({EXIM: AT}, AT + days * DAY)
    assert (fate in told and told.startswith("the oldest held mail came 2023-11-14")) if fate else told == ""
