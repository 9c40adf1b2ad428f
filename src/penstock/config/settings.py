"""What the policy file comes to: plain frozen values for the composition root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from penstock.core.limits import Limit, Mode
from penstock.core.policy import Entry, Policy
from penstock.core.tags import TagRule
from penstock.wire.dkim.sign import Signer
from penstock.wire.weblog import Roots

_SECRET = re.compile(r"(://[^:@/]*:).+@|(?<=[?&])(password=)[^&]+", re.IGNORECASE)


def masked(url: str) -> str:
    """A database URL with its password blotted out."""
    return _SECRET.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", url)


@dataclass(frozen=True)
class Address:
    """Where a listener listens: ``host`` and ``port``, or the ``path`` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Listen:
    """The listeners: for Postfix, and for metrics and health (None: not wanted).

    ``milter``: for mail that is handed in on this machine; ``milter_smtp``: for SMTP clients;
    ``milter_smarthost``: for professional customers.
    """

    policy: tuple[Address, ...]
    http: Address | None
    milter: tuple[Address, ...] = ()
    milter_smtp: tuple[Address, ...] = ()
    milter_smarthost: tuple[Address, ...] = ()


@dataclass(frozen=True)
class SqlSource:
    """Logins from a database. ``ttl`` and ``timeout`` are seconds. The URL may hold a password."""

    url: str = field(repr=False)
    query: str
    ttl: int
    timeout: int


@dataclass(frozen=True)
class CommandSource:
    """Logins from a command. ``ttl`` and ``timeout`` are seconds."""

    argv: tuple[str, ...]
    ttl: int
    timeout: int


@dataclass(frozen=True)
class DirectorySettings:
    """Who senders are. ``logins``: canonical key (``login:…``) → entry; ``networks``: CIDR → entry."""

    logins: Mapping[str, Entry] = field(default_factory=dict)
    networks: Mapping[str, Entry] = field(default_factory=dict)
    sql: SqlSource | None = None
    command: CommandSource | None = None


@dataclass(frozen=True)
class LogSource:
    """A log to follow: a ``file``, or the ``journal``'s units. ``counted``: local, all or none. ``roots``: of
    a web server's log; falsy for logs of mail.

    ``time_zone``: of stamps without one, "" for the machine's. ``silence``: seconds, 0 for never.
    """

    file: Path | None
    journal: tuple[str, ...] = ()
    counted: str = "local"
    time_zone: str = ""
    from_beginning: bool = False
    silence: int = 0
    roots: Roots = field(default_factory=Roots)


@dataclass(frozen=True)
class LocalSettings:
    """Mail that is handed in on machines. ``shared_users``: as whom many customers' scripts run; ``relays``:
    our web servers that send theirs by SMTP."""

    shared_users: tuple[str, ...] = ()
    relays: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True)
class ReportSettings:
    """Where reports by mail come in, for which addresses, and whether mail gets a reference for them."""

    listen: tuple[Address, ...] = ()
    recipients: tuple[str, ...] = ()
    header: bool = False


@dataclass(frozen=True)
class QueueSettings:
    """The MTA's queue: ``mta`` is off, postfix or exim. ``helper``: its socket; ``helper_command`` comes
    before it.
    ``held_bytes`` and ``held_messages`` are what one sender may have on hold.
    """

    mta: str = "off"
    config_dirs: tuple[str, ...] = ("/etc/postfix",)
    helper: Path = Path("/run/penstock-queue.sock")
    helper_command: tuple[str, ...] = ()
    release_per_minute: int = 60
    held_messages: int = 1000
    held_bytes: int = 250 << 20
    compromised: str = "hold"


@dataclass(frozen=True)
class ProfessionalSettings:
    """A professional customer. ``profile``: of the sender ``customer:NAME``."""

    tag: TagRule
    profile: str = "professional"
    signers: tuple[Signer, ...] = field(default=(), repr=False)
    feedback_id: str = ""
    cfbl_address: str = ""
    pool: str = ""
    notice: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class ContentSettings:
    """What is read of mail that the milter is shown. ``score_header``: in small letters, "" for none."""

    fingerprints: bool = True
    clients: bool = False
    score_header: str = ""
    score_limit: float = 10.0


@dataclass(frozen=True)
class Settings:
    """Everything that the policy file decides.

    ``silence``: seconds without a question after which an alarm is raised, 0 for never.
    ``mode`` is folded into the policy's limits already. ``document``: the effective policy as
    the file would write it, built-in values included. ``file``: None when there was none.
    """

    policy: Policy
    listen: Listen
    state: Path
    silence: int
    mode: Mode
    directory: DirectorySettings
    logs: Mapping[str, LogSource] = field(default_factory=dict)
    local: LocalSettings = LocalSettings()
    reports: ReportSettings = ReportSettings()
    queue: QueueSettings = QueueSettings()
    content: ContentSettings = ContentSettings()
    professional: Mapping[str, ProfessionalSettings] = field(default_factory=dict)
    file: Path | None = None
    warnings: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def roots(self) -> Roots:
        """The document roots of all access logs together."""
        found = [source.roots for source in self.logs.values() if source.roots]
        hosts = {host: folder for roots in found for host, folder in roots.by_host.items()}
        return Roots(hosts, next((roots.usual for roots in found if roots.usual), ""))

    def without_secrets(self) -> dict[str, Any]:
        """The document with the database's password blotted out."""
        found = dict(self.document)
        sql = found["directory"].get("sql")
        if sql is not None:
            found["directory"] = {**found["directory"], "sql": {**sql, "url": masked(sql["url"])}}
        return found
