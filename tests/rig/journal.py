"""A real journal in a folder, written by systemd-journal-remote and read by journalctl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from rig.base import PATH

_REMOTE = "systemd-journal-remote"
_MACHINE = "3d1219c7c4c5404aaa1f6d2a48adfda4"
EARLIER_BOOT = "00000000000000000000000000000001"


def missing() -> str:
    """What must be installed for this, "" when all is there."""
    tools = {"journalctl": "systemd", _REMOTE: _REMOTE}
    return ", ".join(package for tool, package in tools.items() if _find(tool) is None)


def _find(tool: str) -> str | None:
    return shutil.which(tool, path=f"{PATH}:/lib/systemd:/usr/lib/systemd")


class Journal:
    """Entries go into one file of the folder; its sequence numbers go on from write to write.

    ``since``: the time of the first entry (seconds)."""

    def __init__(self, folder: Path, since: int = 1_700_000_000) -> None:
        self.folder = folder
        self.boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        self._at = since * 1_000_000

    def write(self, *texts: str | bytes, program: str = "postfix/smtpd", unit: str = "") -> None:
        """One entry for each text."""
        entries = b"".join(self._entry(text, program, unit) for text in texts)
        remote = _find(_REMOTE)
        assert remote is not None
        target = self.folder / "remote.journal"
        subprocess.run(
            [remote, f"--output={target}", "-"],
            input=entries,
            check=True,
            capture_output=True,
        )

    def _entry(self, text: str | bytes, program: str, unit: str) -> bytes:
        self._at += 1000
        fields = {
            "__REALTIME_TIMESTAMP": self._at,
            "__MONOTONIC_TIMESTAMP": self._at - 1_600_000_000_000_000,
            "_BOOT_ID": self.boot,
            "_MACHINE_ID": _MACHINE,
            "_HOSTNAME": "mail",
            "SYSLOG_IDENTIFIER": program,
            "PRIORITY": 6,
        }
        if unit:
            fields["_SYSTEMD_UNIT"] = unit
        plain = "".join(f"{name}={value}\n" for name, value in fields.items()).encode()
        data = text if isinstance(text, bytes) else text.encode()
        return plain + b"MESSAGE\n" + len(data).to_bytes(8, "little") + data + b"\n\n"
