"""A configuration folder of Postfix, read by the real postconf; no server is started."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.mta.postconf import Postfix

MAIN = "compatibility_level = 3.6\nmyhostname = mx.example.test\nmynetworks = 127.0.0.0/8, 192.0.2.0/24\n"
Write = Callable[..., Postfix]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes master.cf (and lines of main.cf); the Postfix of that folder."""

    def postfix(master: str, main: str = "") -> Postfix:
        folder = tmp_path / "etc"
        folder.mkdir(exist_ok=True)
        _write_old(folder / "main.cf", MAIN + f"queue_directory = {tmp_path}/queue\n" + main)
        _write_old(folder / "master.cf", master)
        return Postfix(folder)

    return postfix


def _write_old(path: Path, text: str) -> None:
    """Write a file that looks a minute old: postconf waits 1.5 s for a fresh one to settle."""
    path.write_text(text)
    then = time.time() - 60
    os.utime(path, (then, then))
