"""Lines of our sendmail wrapper (``penstock/sendmail.py``) → who called it.

    penstock-sendmail[PID]: uid=1033 cwd=/srv/www/a script=/srv/www/a/x.php argv=… url=… addr=192.0.2.7

Values are percent-encoded, so a line has one meaning. Any local process can write such a line to syslog: the
user that it names counts only if the kernel's word (pickup) agrees.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final
from urllib.parse import unquote

from penstock.core.events import Submitted
from penstock.wire.maillog.kinds import Found

PROGRAM: Final = "penstock-sendmail"
LONGEST: Final = 1024

_UID: Final = re.compile(r"\d{1,10}", re.ASCII)
_INTERPRETED: Final = re.compile(r"[^\0]*\.(?:php\d?|phtml|cgi|fcgi|pl|py|sh|rb)", re.IGNORECASE)


def parse(at: float, scope: str, text: str) -> Found:
    """What follows ``penstock-sendmail[pid]: ``."""
    told = dict(pair.partition("=")[::2] for pair in text[: 16 * LONGEST].split(" ")[:16])
    uid = told.get("uid", "")
    if not _UID.fullmatch(uid):
        return None
    folder = _path(told, "cwd")
    script = _path(told, "script") or _called(told.get("argv", ""), folder)
    return Submitted(at, str(int(uid)), script, folder, _text(told, "url"), _text(told, "addr"))


def _text(told: dict[str, str], name: str) -> str:
    found = unquote(told.get(name, ""), errors="backslashreplace")[:LONGEST]
    return found if found.isprintable() else ""


def _path(told: dict[str, str], name: str) -> str:
    """A full path in its plain form, "" when it is none."""
    found = _text(told, name)
    return posixpath.normpath("/" + found.lstrip("/")) if found.startswith("/") else ""


def _called(argv: str, folder: str) -> str:
    """The script among the words of the process that called: ``php -q cron.php`` → its path."""
    for word in argv.split("%00")[:8]:
        name = unquote(word, errors="backslashreplace")
        if not name.startswith("-") and name.isprintable() and _INTERPRETED.fullmatch(name):
            path = posixpath.join(folder or "/", name)
            return posixpath.normpath("/" + path.lstrip("/"))[:LONGEST]
    return ""
