"""What a check of an MTA says, and whether its account may connect to a socket of ours."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``ok`` None: neither good nor bad, but worth knowing. ``hint``: what to do."""

    name: str
    ok: bool | None
    text: str
    hint: str = ""


def reachable(name: str, path: Path, owner: str) -> Check:
    """Whether Postfix's account may connect to a socket."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return Check("socket", False, f"{name} asks {path}, which is no socket.")
        closed = _closed(path, owner)
    except PermissionError:
        return Check("socket", None, f"{name}: cannot look at {path}.", "Ask again as root.")
    except OSError:
        return Check("socket", False, f"{name} asks {path}, which does not exist.", "Is penstock running?")
    if closed:
        text = f"{name}: the account {owner} cannot connect to {path}: {closed} is closed to it."
        return Check("socket", False, text, f"Give {owner} access, for instance by a common group.")
    return Check("socket", True, f"{name}: the account {owner} can connect to {path}.")


def _closed(path: Path, owner: str) -> Path | None:
    """The folder (no x) or socket (no w) that keeps an account out, by modes alone; None if nothing does."""
    import grp
    import pwd

    try:
        account = pwd.getpwnam(owner)
    except KeyError:
        return None
    groups = {account.pw_gid, *(each.gr_gid for each in grp.getgrall() if owner in each.gr_mem)}
    for part in [*reversed(path.parents), path]:
        about, bit = part.stat(), os.W_OK if part == path else os.X_OK
        mine = about.st_uid == account.pw_uid
        shift = 6 if mine else 3 if about.st_gid in groups else 0
        if not about.st_mode >> shift & bit:
            return part
    return None
