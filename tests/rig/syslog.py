"""A syslog daemon as far as a test needs one: datagrams of a Unix socket become lines of a file."""

from __future__ import annotations

import re
import socket
import threading

from rig.base import Folder, Server

_FRAME = re.compile(rb"<\d+>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (.*)", re.DOTALL)


class Syslog(Server):
    """Listens on `socket` and appends to `file`, with a host's name, as rsyslog does."""

    name = "syslog"

    def __init__(self) -> None:
        self.folder = Folder(self.name)
        self.socket = self.folder.path / "log"
        self.file = self.folder.path / "mail.log"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def start(self) -> None:
        self.file.touch()
        self._listener.bind(str(self.socket))
        self.socket.chmod(0o666)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while frame := self._listener.recv(65536):
            found = _FRAME.fullmatch(frame)
            with self.file.open("ab") as file:
                file.write(b"%s web1 %s\n" % found.groups() if found else frame + b"\n")

    def stop(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.socket))
        self._thread.join(10)
        self._listener.close()

    def close(self) -> None:
        self.folder.remove()

    def log(self) -> str:
        return self.file.read_text(errors="replace")
