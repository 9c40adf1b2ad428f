"""Postfix's configuration, read and written by its own tool ``postconf``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:/usr/local/sbin"
"""An ordinary user's PATH often lacks the folder of postconf."""

_PORTS = {"smtp": 25, "smtps": 465, "submissions": 465, "urd": 465, "submission": 587}


class PostfixError(Exception):
    """Postfix is missing, broken, or said no. ``hint``: what to do about it."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True)
class Service:
    """An SMTP server (smtpd) of master.cf. ``options`` as written with -o, ``expanded`` without macros."""

    name: str
    chroot: bool
    options: Mapping[str, str] = field(default_factory=dict)
    expanded: Mapping[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """Its TCP port; 25 for the smtpd behind postscreen; 0 if only /etc/services knows."""
        address, _, kind = self.name.rpartition("/")
        port = address.rpartition(":")[2]
        return 25 if kind == "pass" else int(port) if port.isdecimal() else _PORTS.get(port, 0)

    @property
    def reinjects(self) -> bool:
        """It takes mail back from a content filter: it alone switches the filter off."""
        return any(self.options.get(name) == "" for name in ("content_filter", "smtpd_proxy_filter"))


@dataclass(frozen=True)
class Config:
    """What Postfix is configured to do now. ``main`` as written, ``expanded`` without macros.

    ``services``: SMTP servers; ``clients``: SMTP clients; ``others``: all that are no servers, each with its
    program. ``cleanup_chroot``: the daemon that asks milters about local mail runs in the queue directory.
    ``lookup``: what a table answers, as `Postfix.lookup`.
    """

    version: str
    main: Mapping[str, str]
    expanded: Mapping[str, str]
    services: tuple[Service, ...]
    others: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    cleanup_chroot: bool = False
    clients: tuple[Service, ...] = ()
    lookup: Callable[[str, Sequence[str]], dict[str, str]] = field(
        default=lambda _table, _keys: {}, repr=False, compare=False
    )

    @property
    def daemons(self) -> tuple[Service, ...]:
        """SMTP servers and clients."""
        return self.services + self.clients

    @property
    def queue(self) -> str:
        """The queue directory; also the root of chrooted services."""
        return self.expanded["queue_directory"]

    def written(self, service: Service | None, name: str) -> str:
        """The value that holds for a service (None: for main.cf), as written."""
        return (
            self.main.get(name, "") if service is None else service.options.get(name, self.main.get(name, ""))
        )

    def value(self, service: Service | None, name: str) -> str:
        """The value that holds for a service (None: for main.cf), macros expanded."""
        shared = self.expanded.get(name, "")
        return shared if service is None else service.expanded.get(name, shared)

    def yes(self, service: Service | None, name: str) -> bool:
        """Whether a setting is on."""
        return self.value(service, name).strip().lower() == "yes"


@dataclass(frozen=True)
class Edit:
    """One change of main.cf (a parameter) or master.cf (SERVICE/TYPE/parameter, or SERVICE/TYPE for its whole
    entry); value None: taken out."""

    name: str
    value: str | None
    why: str = ""

    @property
    def in_master(self) -> bool:
        """Whether it changes master.cf."""
        return "/" in self.name

    def arguments(self) -> list[str]:
        """What postconf is given."""
        if self.name.count("/") == 1:
            return ["-MX", self.name] if self.value is None else ["-M", f"{self.name}={self.value}"]
        if self.value is None:
            return ["-PX" if self.in_master else "-X", self.name]
        if self.in_master:
            return ["-P", f"{self.name}={self.value}"]
        return ["-e", f"{self.name} = {self.value}"]


class Postfix:
    """The Postfix instance of a configuration folder (None: the machine's own)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.chosen = folder.absolute() if folder else None

    def command(self, program: str, *arguments: str) -> list[str]:
        """A command line for this instance."""
        where = ["-c", str(self.chosen)] if self.chosen else []
        return [program, *where, *arguments]

    def line(self, program: str, *arguments: str) -> str:
        """The same for a shell."""
        return shlex.join(self.command(program, *arguments))

    def run(
        self, program: str, *arguments: str, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Postfix's programs; ``given``: what it reads. PostfixError if it is missing or hangs."""
        path = shutil.which(program, path=SEARCH)
        if path is None:
            raise PostfixError(f"{program} not found: Postfix is not installed here, or not in PATH.")
        command = [path, *self.command(program, *arguments)[1:]]
        environment = {**os.environ, "PATH": SEARCH, "LC_ALL": "C"}
        try:
            return subprocess.run(
                command,
                env=environment,
                input=given,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=60,
            )
        except subprocess.TimeoutExpired:
            raise PostfixError(f"{self.line(program, *arguments)} did not end within 60 s.") from None

    def postconf(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run postconf; PostfixError with its own words when it fails."""
        done = self.run("postconf", *arguments)
        if done.returncode:
            said = done.stderr.strip() or f"exit status {done.returncode}"
            raise PostfixError(f"{self.line('postconf', *arguments)}: {said}", _hint(said))
        return done

    @property
    def folder(self) -> Path:
        """The folder of main.cf and master.cf."""
        said = self.chosen or self.postconf("-d", "-h", "config_directory").stdout.strip()
        return Path(said)

    def version(self) -> str:
        """Postfix's version; needs no main.cf."""
        return self.run("postconf", "-d", "-h", "mail_version").stdout.strip()

    def read(self) -> Config:
        """The present configuration."""
        plain = self.postconf()
        main, expanded = _pairs(plain.stdout), _pairs(self.postconf("-x").stdout)
        fields = _by_service(self.postconf("-F").stdout)
        written, full = (_by_service(self.postconf(flag).stdout) for flag in ("-P", "-Px"))
        smtpds = [name for name, each in fields.items() if _program(each) == "smtpd"]
        clients = [name for name, each in fields.items() if _program(each) == "smtp"]

        def service(name: str) -> Service:
            return Service(name, _chrooted(fields[name], expanded), written.get(name, {}), full.get(name, {}))

        return Config(
            version=main.get("mail_version", ""),
            main=main,
            expanded=expanded,
            services=tuple(service(name) for name in smtpds if not name.endswith("/unix")),
            others=tuple(f"{name} {_program(each)}" for name, each in fields.items() if name not in smtpds),
            warnings=tuple(plain.stderr.strip().splitlines()),
            cleanup_chroot="cleanup/unix" in fields and _chrooted(fields["cleanup/unix"], expanded),
            clients=tuple(map(service, clients)),
            lookup=self.lookup,
        )

    def lookup(self, table: str, keys: Sequence[str]) -> dict[str, str]:
        """What a table answers to keys (without tab or line feed), where it does; nothing if it cannot be
        read."""
        said = self.run("postmap", "-q", "-", table, given="".join(f"{key}\n" for key in keys))
        lines = (line.partition("\t") for line in said.stdout.splitlines())
        return {key: answer for key, _, answer in lines}

    def check(self) -> None:
        """Have Postfix check itself; PostfixError when it is not content."""
        self.postconf("-n")
        done = self.run("postfix", "check")
        if done.returncode:
            said = done.stderr.strip() or "it has written the reason to the mail log"
            raise PostfixError(f"{self.line('postfix', 'check')} failed: {said}")

    def running(self) -> bool:
        """Whether its master process is there."""
        return self.run("postfix", "status").returncode == 0

    def reload(self) -> bool:
        """Have the configuration read again, if Postfix runs; whether it does."""
        if not self.running():
            return False
        done = self.run("postfix", "reload")
        if done.returncode:
            raise PostfixError(f"{self.line('postfix', 'reload')} failed: {done.stderr.strip()}")
        return True


def _hint(said: str) -> str:
    if "main.cf: No such file" in said:
        return "Is Postfix set up on this machine? Name its configuration folder with --config-dir."
    if "missing '='" in said or "main.cf, line" in said:
        return "main.cf is broken: mend the line it names first. Nothing has been changed."
    return ""


def _pairs(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in lines}


def _by_service(text: str) -> dict[str, dict[str, str]]:
    """``service/type/name = value`` lines, by ``service/type``."""
    found: dict[str, dict[str, str]] = {}
    for full, value in _pairs(text).items():
        service, _, name = full.rpartition("/")
        found.setdefault(service, {})[name] = value
    return found


def _program(fields: Mapping[str, str]) -> str:
    return (fields.get("command", "").split() or [""])[0]


def _chrooted(fields: Mapping[str, str], main: Mapping[str, str]) -> bool:
    """``-`` means yes for compatibility levels below 1 and no from there on."""
    said = fields.get("chroot", "-")
    return said == "y" or (said == "-" and main.get("compatibility_level", "0").partition(".")[0] == "0")
