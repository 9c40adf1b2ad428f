"""PHP's ``mail.log`` → which script mailed (php.ini ``mail.log``, PHP 5.3 and later).

``mail() on [/srv/www/x.php:12]: To: a@example.org -- Headers: … -- Subject: …``, in a file of its own behind
``[27-Jan-2026 06:36:56 Europe/Berlin] ``, or in syslog (before PHP 7.1 with that stamp, too). The subject
came with PHP 7.1. PHP writes path and line first; To, headers and subject are the script's, and may look
like anything, so only what stands before them is trusted. A script that runs itself through ``eval`` has
``(12) : eval()'d code`` behind its path: the path is what was called.
"""

from __future__ import annotations

import re

from penstock.core.events import ScriptMailed
from penstock.wire.maillog.kinds import IGNORED, Found, Kind

_FAULT = "PHP's own error log"
IGNORES = {"PHP ": _FAULT, "Stack trace:": _FAULT, "#": _FAULT, "  thrown in ": _FAULT}
KINDS = tuple(Kind("php", prefix, why) for prefix, why in IGNORES.items())

_MAILED = re.compile(r"(?:\[[^\]]{11,70}\] )?mail\(\) on \[([^\n]*?):(\d{1,9})\]: To: ?")
EVALED = re.compile(r"\(\d+\) : (?:eval\(\)'d code|runtime-created function|regexp code|assert code).*")
_PIECE = re.compile(r'[,;]|(?:[^",;(]|"(?:[^"\\]|\\.)*+(?:"|\\?$)|\([^()]*\)?)++', re.DOTALL)
_IGNORES = tuple(IGNORES)


def parse(at: float, scope: str, text: str) -> Found:
    """A line without the stamp of its file."""
    found = _MAILED.match(text)
    if found is None:
        return IGNORED if text.startswith(_IGNORES) or not text.strip() else None
    to = text[found.end() :].partition(" -- Headers: ")[0]
    path = EVALED.sub("", found[1])
    return ScriptMailed(at, path, int(found[2]), _count(to))


def _count(to: str) -> int:
    """How many addresses a To header has: commas and semicolons in quotes or comments separate none."""
    return sum(1 for piece in _PIECE.findall(to) if piece not in (",", ";") and piece.strip())
