"""Unix sockets in folders of any depth: the kernel takes 107 bytes, state folders may be longer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LONGEST: Final = 107


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name by which the kernel finds the socket, for bind or connect within the block."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
