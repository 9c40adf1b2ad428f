"""Files that only their owner may read, as a policy file names them; made anew for each run of the tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import geo
from penstock.wire.dkim.keys import generate

FOLDER = Path(tempfile.mkdtemp(prefix="penstock-private-"))
SECRET = "a-secret-of-acme-2026"


def write(name: str, data: bytes, mode: int = 0o600) -> Path:
    """A file with these rights."""
    path = FOLDER / name
    path.write_bytes(data)
    path.chmod(mode)
    return path


def _remove(made_by: int = os.getpid()) -> None:
    if os.getpid() == made_by:
        shutil.rmtree(FOLDER, ignore_errors=True)


atexit.register(_remove)
TAGS = write("acme", f"# two at once\n{SECRET}\n\na-secret-of-acme-2025\n".encode())
RSA = generate("rsa")
KEY = write("acme.pem", RSA.pem())
GEO = geo.write(FOLDER / "City.mmdb")
