"""A web server's access log → POSTs to scripts: ``combined`` of Apache and nginx, and ``vhost_combined``.

    [HOST[:PORT] ]ADDRESS IDENT USER [22/Nov/2026:05:05:53 +0000] "POST /x.php?y HTTP/1.1" 200 12 "…" "…"

Both servers write a quote inside a field as ``\\"`` or ``\\x22``, so the first ``[stamp] "`` begins the
request. A browser writes the URL, the user's name and, with nginx's ``$host``, the host: a path that leaves
its document root, or that names no script, is nobody's. Other methods are knowingly ignored. Apache's stamp
is the request's beginning, nginx's its end.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from penstock.core.events import Posted
from penstock.wire.maillog.kinds import IGNORED, Found
from penstock.wire.maillog.stamps import MONTHS

LONGEST: Final = 8192
"""Characters of a line that are looked at."""

LONGEST_PATH: Final = 1024

_REQUEST: Final = re.compile(r"\[([^\[\]\"]{20,32})\] \"([A-Z]{3,20}) (\S{1,4096}) HTTP/\d", re.ASCII)
_LINE: Final = re.compile(r"[^\[]{5,700} \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] \"", re.ASCII)
_STAMP: Final = re.compile(
    r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", re.ASCII
)
_HOST: Final = re.compile(r"([a-z0-9](?:[a-z0-9_-]|\.(?!\.)){0,252})(?::\d{1,5})?\.?", re.ASCII)
_ABSOLUTE: Final = re.compile(r"https?://[^/?#]{1,300}", re.IGNORECASE)
_SCRIPT: Final = re.compile(r"[^\0]*?\.(?:php\d?|phtml|cgi|fcgi|pl|py)(?=/|$)", re.IGNORECASE)
_INDEX: Final = "index.php"


@dataclass(frozen=True)
class Roots:
    """Document roots. ``by_host``: host → folder; ``usual``: of all others, in which ``{host}`` is the host;
    "" for none."""

    by_host: Mapping[str, str] = field(default_factory=dict)
    usual: str = ""

    def script(self, host: str, url: str) -> str:
        """The full path of the script that a request runs; "" when it cannot be told."""
        host = bare_host(host)
        root = self.by_host.get(host) or self._usual(host)
        path = script_of(url) if root else ""
        found = root.rstrip("/") + path if path else ""
        return found if len(found) <= LONGEST_PATH else ""

    def _usual(self, host: str) -> str:
        if "{host}" not in self.usual:
            return self.usual
        return self.usual.replace("{host}", host) if host else ""

    def __bool__(self) -> bool:
        return bool(self.by_host or self.usual)


def bare_host(host: str) -> str:
    """A host's name in small letters without its port; "" when it is none."""
    found = _HOST.fullmatch(host.lower())
    return found[1].rstrip(".") if found else ""


def script_of(url: str) -> str:
    """The path of the script below its document root: ``/a/x.php/info?q`` → ``/a/x.php``; "" for none."""
    path = _decoded(url)
    if not path.startswith("/") or not path.isprintable() or ".." in path.split("/"):
        return ""
    if path.endswith("/"):
        path += _INDEX
    found = _SCRIPT.match(posixpath.normpath("/" + path.lstrip("/")))
    return found[0] if found else ""


def is_line(line: str) -> bool:
    """Whether it looks like a line of an access log."""
    return _LINE.match(line[:LONGEST]) is not None


def parse(line: str, roots: Roots) -> Found:
    """A line without its end; it never raises."""
    line = line[:LONGEST]
    if '"POST ' not in line:
        return IGNORED if is_line(line) else None
    found = _REQUEST.search(line)
    if found is None:
        return IGNORED if is_line(line) else None
    at = _seconds(found[1])
    if at is None:
        return None
    if found[2] != "POST":
        return IGNORED
    host, address = _client(line[: found.start()])
    path = roots.script(host, found[3])
    return Posted(at, path, address) if path else IGNORED


def _client(head: str) -> tuple[str, str]:
    """Host ("" when the line tells none) and client address of what stands before the stamp."""
    parts = head.split(" ", 4)
    if len(parts) == 5 and parts[2] == "-" and parts[1] != "-":
        return parts[0], parts[1][:64]
    return "", parts[0][:64]


def _decoded(url: str) -> str:
    """The path of a request's URL; "" when it is no UTF-8."""
    path = _ABSOLUTE.sub("", url, count=1).partition("?")[0].partition("#")[0]
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        return ""


@lru_cache(maxsize=256)
def _seconds(stamp: str) -> float | None:
    """Seconds since the epoch; None for no stamp."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        zone = timezone(-offset if sign == "-" else offset)
        moment = datetime(int(year), MONTHS.get(month, 0), int(day), int(hour), int(minute), tzinfo=zone)
        return moment.astimezone(UTC).timestamp() + int(second)
    except (ValueError, OverflowError):
        return None
