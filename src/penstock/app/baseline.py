"""The state of a service that has watched from the first line of past logs on: counts, who has met whom, and
whose scripts are. It is laid down before the service starts.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from penstock.app.state import LOCK, StateFolder
from penstock.config import Settings
from penstock.core.acquaintance import Acquaintance
from penstock.core.sender import Sender
from penstock.engine.origins import Origins
from penstock.stores import acquaintances, countfile, scripts

KEY_BYTES: Final = 32


class Occupied(Exception):
    """The state folder has counts already."""


def watching(settings: Settings) -> Settings:
    """With detection that is in force: what a thief did is nobody's habit, also where nothing is stopped
    yet."""
    detection = settings.policy.detection
    if detection.mode == "shadow":
        detection = replace(detection, mode="enforce")
    return replace(settings, policy=replace(settings.policy, detection=detection))


class Baseline:
    """A state folder that takes a baseline; raises ``Occupied``, ``InUse``, OSError. It is locked until
    ``close``. ``anew``: what is there makes room, in a folder inside of it. ``known``: learns who has met
    whom."""

    def __init__(self, folder: Path, anew: bool, now: float) -> None:
        self._state = StateFolder(folder)
        if self._state.problem:
            raise OSError(self._state.problem)
        self.folder = folder
        self._now = now
        self._old = list(_counted(folder))
        if self._old and not anew:
            self.close()
            raise Occupied(str(folder))
        self.known = Acquaintance(secrets.token_bytes(KEY_BYTES))

    def lay_down(
        self, senders: Mapping[str, Sender], origins: Origins, first_at: float, last_at: float
    ) -> Path | None:
        """Write it all, or nothing: raises OSError. ``first_at``, ``last_at``: of the first and the last
        message. Returns where the counts are that made room."""
        self.known.since = first_at
        for sender in senders.values():
            sender.ledger.coarsen(int(last_at))
        aside = self._make_room() if self._old else None
        try:
            self._write(senders, origins)
        except OSError:
            self._take_back(aside)
            raise
        self._hand_over(aside)
        return aside

    def close(self) -> None:
        """Let the service in."""
        self._state.close()

    def _make_room(self) -> Path:
        stamp = datetime.fromtimestamp(self._now, UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = self.folder / f"before-{stamp}"
        aside.mkdir(mode=0o750)
        for path in self._old:
            path.rename(aside / path.name)
        return aside

    def _take_back(self, aside: Path | None) -> None:
        for path in _counted(self.folder):
            path.unlink()
        if aside is not None:
            for path in aside.iterdir():
                path.rename(self.folder / path.name)
            aside.rmdir()

    def _write(self, senders: Mapping[str, Sender], origins: Origins) -> None:
        acquaintances.write(self.folder / acquaintances.NAME, self.known, self._now)
        owners = scripts.ScriptFile(self.folder / scripts.NAME, origins)
        asyncio.run(owners.save())
        if owners.problem:
            raise OSError(owners.problem)
        target = countfile.snapshot_path(self.folder, 1)
        countfile.write_part(target, partial(_pack, senders)).replace(target)
        acquaintances.sync_folder(self.folder)

    def _hand_over(self, aside: Path | None) -> None:
        """What root has written belongs to whom the folder belongs to."""
        owner = self.folder.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            for path in (*_counted(self.folder), self.folder / LOCK, *([aside] if aside is not None else [])):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _pack(senders: Mapping[str, Sender], writer: countfile.SnapshotWriter) -> None:
    for sender in senders.values():
        if len(sender.ledger):
            writer.add(sender.first_seen, sender.key, sender.ledger.pack())


def _counted(folder: Path) -> Iterator[Path]:
    """The files that a baseline replaces."""
    for _, path in (*countfile.segments(folder), *countfile.snapshots(folder)):
        yield path
    for name in (acquaintances.NAME, scripts.NAME):
        if (folder / name).exists():
            yield folder / name
