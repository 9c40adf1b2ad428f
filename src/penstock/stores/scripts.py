"""Whose a script is, kept over restarts: ``scripts.json``, path → user, written when something was learned.

Without it a script that only its header names would go by its short name after a restart, until a harder
witness tells the path again, and a pause of the path would not stop it. A kill -9 loses ``EVERY`` seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import structlog

from penstock.stores.damage import put_aside

log = structlog.get_logger()

EVERY: Final = 60.0

NAME: Final = "scripts.json"


class Learner(Protocol):
    """What learns whose a script is."""

    learned: int
    """Grows with each path."""

    def owners(self) -> Mapping[str, str]:
        """Path → user."""
        ...

    def recall(self, owners: Mapping[str, str]) -> None:
        """Know these from before."""
        ...


class ScriptFile:
    """The file of one node. ``problem``: why it cannot be written, "" when it can."""

    def __init__(self, path: Path, learner: Learner) -> None:
        self.path = path
        self.problem = ""
        self._learner = learner
        self._saved = 0
        self._task: asyncio.Task[None] | None = None

    def load(self, now: float) -> None:
        """What an earlier run has learned; a file that makes no sense is put aside. ``now``: since 1970."""
        try:
            found = json.loads(self.path.read_text())
            self._learner.recall({path: user for path, user in found.items() if isinstance(user, str)})
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError) as error:
            log.warning("whose scripts are has to be learned again", file=str(self.path), why=str(error))
            with contextlib.suppress(OSError):
                put_aside(self.path, now)

    def start(self) -> None:
        """Save now and then, inside a running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.save()

    async def close(self) -> None:
        """Stop, and save what is new."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.save()

    async def save(self) -> None:
        """Write the file if something was learned since."""
        learned = self._learner.learned
        if learned == self._saved:
            return
        text = json.dumps(dict(self._learner.owners()))
        try:
            await asyncio.to_thread(self._write, text)
        except OSError as error:
            if not self.problem:
                log.error("whose scripts are cannot be saved", file=str(self.path), why=str(error))
            self.problem = f"{self.path}: {error.strerror or error}"
            return
        self.problem, self._saved = "", learned

    def _write(self, text: str) -> None:
        beside = self.path.with_suffix(".new")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
