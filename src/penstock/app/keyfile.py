"""Secrets in the state folder, made when there are none."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

KEY_BYTES: Final = 32


def lasting_key(path: Path) -> bytes:
    """The key in a file, which is made (mode 0600) if there is none, whole or not at all; raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    key, fresh = secrets.token_bytes(KEY_BYTES), path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    return key
