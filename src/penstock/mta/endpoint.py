"""Where a policy service is asked: as operators write it, as Postfix does, and whether both mean the same."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

_INET = re.compile(r"(?:inet:)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):(\d{1,5})")
_EVERY = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Endpoint:
    """``host`` and ``port``, or the ``path`` of a Unix socket (relative: to Postfix's queue directory)."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """From ``HOST:PORT``, ``[IPV6]:PORT`` ``unix:PATH``, ``inet:`` before or not; or ValueError."""
        if text.startswith("unix:") and re.fullmatch(r"[^\s,{}$]+", text[5:]):
            return cls(path=text[5:])
        found = _INET.fullmatch(text)
        if found is None or not 0 < int(found[2]) <= 65535:
            raise ValueError(f"{text!r}: write HOST:PORT, [IPV6]:PORT or unix:/PATH")
        return cls(found[1].strip("[]"), int(found[2]))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def asked(self, queue: str) -> str:
        """As Postfix writes it. A path below the queue directory is made relative: true in a chroot too."""
        if self.path:
            return f"unix:{self.path.removeprefix(queue.rstrip('/') + '/')}"
        return f"inet:{Endpoint(self._host, self.port)}"

    @property
    def _host(self) -> str:
        return _EVERY.get(self.host, self.host)

    @property
    def everywhere(self) -> bool:
        """A listener on all of the machine's addresses."""
        return not self.path and self.host in _EVERY

    def same(self, listening: Endpoint, queue: str) -> bool:
        """Whether who asks here reaches that listener."""
        if self.path or listening.path:
            return self.absolute(queue) == listening.absolute(queue) != Path()
        if self.port != listening.port:
            return False
        return (
            listening.everywhere or self._host == listening._host or {self._host, listening._host} <= _LOCAL
        )

    def absolute(self, queue: str) -> Path:
        """The socket's path outside of any chroot; empty for TCP."""
        return Path(queue, self.path) if self.path else Path()

    def answers(self, queue: str) -> bool:
        """Whether something accepts connections there now."""
        try:
            if self.path:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(1)
                    probe.connect(str(self.absolute(queue)))
            else:
                socket.create_connection((self._host, self.port), 1).close()
        except OSError:
            return False
        return True
