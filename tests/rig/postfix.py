"""A private Postfix: own configuration, queue and log in a temporary folder, on loopback ports.

Runs as root only (Postfix's own rule); its daemons run as the account `postfix`. Everything it takes
goes to `relay`, the port of a sink; names are never looked up.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rig.base import PATH, Daemon, answers, free_port, wait_until
from rig.smtp import Client

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/mail.log
myhostname = mx.example.test
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8, 192.0.2.0/24
relayhost = [127.0.0.1]:{relay}
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_sasl_auth_enable = yes
smtpd_relay_restrictions = permit_sasl_authenticated, permit_mynetworks, reject
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_soft_error_limit = 1000
smtpd_recipient_limit = 5000
default_destination_recipient_limit = 200
enable_long_queue_ids = yes
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
"""

MASTER = """
127.0.0.1:{port} inet n - n - 100 smtpd{options}
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

CONFIGURATION = Path("/etc/postfix")
MASTER_PROGRAM = "/usr/lib/postfix/sbin/master"
QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private")
FOLDERS = [
    ("data", "postfix", 0o700),
    *((f"queue/{name}", "postfix", 0o700) for name in (*QUEUES, "saved", "trace", "pid")),
    ("queue/maildrop", "postdrop", 0o1730),
    ("queue/public", "postdrop", 0o2710),
]


def asks(port: int, options: str = "default_action=DUNNO") -> dict[str, str]:
    """Settings by which every RCPT, DATA and END-OF-MESSAGE is asked of a policy service.

    The same text in all lists, so that they share one connection.
    """
    entry = f"check_policy_service {{ inet:127.0.0.1:{port}, {options} }}"
    return {
        "smtpd_recipient_restrictions": entry,
        "smtpd_data_restrictions": entry,
        "smtpd_end_of_data_restrictions": entry,
    }


class Postfix(Daemon):
    """A running Postfix with one SMTP server on `port`.

    `settings` go to main.cf and override the rig's own; `options` become `-o { name = value }` of that
    SMTP server in master.cf; `services` are further lines of master.cf.
    """

    name = "postfix"

    def __init__(
        self,
        relay: int,
        settings: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        services: str = "",
    ) -> None:
        super().__init__()
        self.port = free_port()
        self.relay = relay
        self._write(settings or {}, options or {}, services)

    def _write(self, settings: Mapping[str, str], options: Mapping[str, str], services: str) -> None:
        folder = self.folder.path
        (folder / "queue").mkdir()
        self.config.mkdir()
        for name, group, mode in FOLDERS:
            path = folder / name
            path.mkdir()
            shutil.chown(path, "postfix", group)
            path.chmod(mode)
        for name in ("dynamicmaps.cf", "postfix-files"):
            shutil.copy(CONFIGURATION / name, self.config)
        own = _parse(MAIN.format(folder=folder, relay=self.relay))
        self._main(own | dict(settings))
        extra = "".join(f"\n  -o {{ {name} = {value} }}" for name, value in options.items())
        _write_old(self.config / "master.cf", MASTER.format(port=self.port, options=extra) + services)

    def _main(self, settings: Mapping[str, str]) -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        _write_old(self.config / "main.cf", lines)

    @property
    def config(self) -> Path:
        """The folder of main.cf and master.cf."""
        return self.folder.path / "etc"

    def start(self) -> None:
        self.launch([MASTER_PROGRAM, "-c", self.config, "-s"])
        self.ready(self._greets)

    def _greets(self) -> bool:
        """Whether the SMTP server says 220; a restriction list it cannot read is fatal to it."""
        if "fatal:" in self.log():
            raise RuntimeError(self.log())
        if not answers(self.port):
            return False
        with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
            try:
                return probe.recv(4) == b"220 "
            except TimeoutError:
                return False

    def log(self) -> str:
        path = self.folder.path / "mail.log"
        return super().log() + (path.read_text(errors="replace") if path.exists() else "")

    def command(self, name: str, *arguments: str) -> str:
        """Run one of Postfix's commands on this instance; what it printed."""
        done = subprocess.run(
            [name, "-c", self.config, *arguments],
            env={**os.environ, "PATH": PATH},
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(f"{name} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def client(self, login: str = "", address: str = "", name: str = "") -> Client:
        """An SMTP session to this instance."""
        return Client(self.port, login, address, name)

    def queue(self) -> list[dict[str, Any]]:
        """The queue as `postqueue -j` shows it."""
        return [json.loads(line) for line in self.command("postqueue", "-j").splitlines()]

    def held(self) -> list[str]:
        """The ids of the held messages."""
        return [item["queue_id"] for item in self.queue() if item["queue_name"] == "hold"]

    def flush(self) -> None:
        """Try everything deferred now."""
        self.command("postqueue", "-f")

    def release(self, queue_id: str) -> None:
        """Take a message off hold and have it delivered now."""
        self.command("postsuper", "-H", queue_id)
        self.flush()

    def set(self, **settings: str) -> None:
        """Change settings of main.cf and have them read."""
        own = _parse((self.config / "main.cf").read_text())
        self._main(own | settings)
        self.reload()

    def reload(self) -> None:
        """Have the configuration read again; new SMTP sessions use it. An smtpd that idled before would take
        one with the old."""
        before, old = self.log().count(": reload -- version"), self._smtpds()
        self.command("postfix", "reload")
        self.wait_for(lambda: self.log().count(": reload -- version") > before)
        self.wait_for(lambda: not old & self._smtpds())

    def _smtpds(self) -> set[str]:
        """Process ids of the SMTP servers."""
        assert self.process is not None
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return {pid for pid in children if _command_of(pid) == "smtpd"}

    def wait_for(self, what: str | Callable[[], bool], seconds: float = 20) -> None:
        """Wait for a text in the log, or for a predicate."""
        if isinstance(what, str):
            text = what
            wait_until(lambda: text in self.log(), seconds, f"{text!r} in Postfix's log")
        else:
            wait_until(what, seconds, "what was expected of Postfix")

    def wait_empty(self, seconds: float = 30) -> None:
        """Wait until the queue is empty."""
        wait_until(lambda: not self.queue(), seconds, "an empty queue")


def _write_old(path: Path, text: str) -> None:
    """Write a file that looks a minute old: every Postfix process waits 1.5 s for a fresh one to settle."""
    path.write_text(text)
    then = time.time() - 60
    os.utime(path, (then, then))


def _parse(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _command_of(pid: str) -> str:
    """The name of a process, "" when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
