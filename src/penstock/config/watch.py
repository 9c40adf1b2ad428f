"""What comes back: the keys of logs, reports by mail and rules for replies, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from penstock.config.local import KIND, ROOT, ROOTS, roots_of
from penstock.config.report import BadValue, Spot
from penstock.config.scalars import ADDRESSES, BOOL, DURATION_OR_OFF, string
from penstock.config.settings import LogSource, ReportSettings
from penstock.config.table import Key, Kind, Section, Table, as_table
from penstock.config.toml import shown
from penstock.core.replies import ReplyClass
from penstock.zones import zone_of

_SOURCE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_LONGEST_PHRASE = 200


def _strings(words: str, least: int = 0) -> Kind[tuple[str, ...]]:
    def read(value: object, spot: Spot) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        if len(items) < least:
            raise BadValue(f"{shown(value)}: must name at least {least}")
        return tuple(_text(item) for item in items)

    return Kind(words, read, ())


def _text(value: object) -> str:
    text = string(value).strip()
    if not text or len(text) > _LONGEST_PHRASE:
        raise BadValue(f"{shown(value)}: must have 1 to {_LONGEST_PHRASE} characters")
    return text


def _file(value: object, spot: Spot) -> Path | None:
    path = Path(string(value))
    if not path.is_absolute():
        raise BadValue(f"{shown(value)}: must be an absolute path")
    return path


def _counted(value: object, spot: Spot) -> str:
    if value not in ("local", "all", "none"):
        raise BadValue(f'{shown(value)}: must be "local", "all" or "none"')
    return str(value)


def _zone(value: object, spot: Spot) -> str:
    name = string(value)
    try:
        zone_of(name)
    except ValueError as wrong:
        raise BadValue(str(wrong)) from None
    return name


FILE = Key(
    "file",
    Kind("absolute path", _file, None),
    "A mail log as syslog writes it (Postfix, Exim, Dovecot, saslauthd, all in one), Exim's main log, or "
    "PHP's `mail.log`; with `kind`, a web server's access log. Rotation is followed.",
)
JOURNAL = Key(
    "journal",
    _strings('list of systemd units, such as `"postfix@-.service"`', 1),
    "Instead of a file: units whose messages are read from the journal.",
)
COUNTED = Key(
    "counted",
    Kind('`"local"`, `"all"` or `"none"`', _counted, "local"),
    "Whose mail is counted from this log: `local`: what scripts and local users submit, because the policy "
    "listener never sees it; `all`: everybody's, where there is no policy listener, as with Exim.",
)
ZONE = Key("time_zone", Kind("time zone name", _zone, ""), "Of stamps without one. Otherwise: the machine's.")
BEGINNING = Key("from_beginning", BOOL, "On the first start, read what is in the file already.")
LOG_SILENCE = Key("silence", DURATION_OR_OFF, "Without a line for so long, an alarm is raised.")
LOG = Section(
    "logs.NAME",
    'A log to follow, under a name of your own, for example `[logs.mail]` with `file = "/var/log/mail.log"`. '
    "Each line is counted once, also over a crash. A change takes effect at the next start.",
    (FILE, JOURNAL, KIND, ROOT, ROOTS, COUNTED, ZONE, BEGINNING, LOG_SILENCE),
)

LISTEN = Key(
    "listen",
    ADDRESSES,
    "Where reports are taken in by LMTP, for example from a Postfix `transport` for the address that bounces "
    "and complaints are sent to. A change takes effect at the next start.",
)
RECIPIENTS = Key(
    "recipients", _strings("list of mail addresses"), "The addresses that it takes mail for; empty: all."
)
HEADER = Key(
    "header",
    BOOL,
    "Add `X-Penstock-Ref` to mail that passes: an opaque signed reference by which a bounce or complaint is "
    "led back to its sender even when nothing else is left.",
)
REPORTS = Section(
    "reports",
    "Bounces (RFC 3464) and complaints (RFC 5965) that come in by mail.",
    (LISTEN, RECIPIENTS, HEADER),
)


def _class(value: object, spot: Spot) -> str:
    if value not in tuple(ReplyClass):
        raise BadValue(f"{shown(value)}: must be one of {', '.join(ReplyClass)}")
    return str(value)


NAME = Key("name", Kind("text", lambda value, spot: _text(value), ""), "Named in explanations.", True)
CLASS = Key("class", Kind("class of reply", _class, "other"), "What such a reply means.", True)
PHRASES = Key(
    "phrases",
    _strings("list of texts"),
    "Words of the reply; case and spacing do not matter, `*` is any text, `#` any number.",
)
PROVIDERS = Key("providers", _strings("list of domains"), "Only for hosts in these domains.")
CODES = Key(
    "codes",
    _strings('list of codes, such as `"550"`, `"5.7"`, `"x.7.1"`'),
    "Only with a code that begins so.",
)
PERMANENT = Key("permanent", BOOL, "Whether it is for good. Otherwise the reply's own code tells (5xx).")
REPLY = Section(
    "replies[]",
    "A rule for the replies of other hosts. Your rules come before the built-in ones, in their order.",
    (NAME, CLASS, PHRASES, PROVIDERS, CODES, PERMANENT),
)


def logs(value: object, spot: Spot) -> dict[str, LogSource]:
    """The logs to follow, by name."""
    found: dict[str, LogSource] = {}
    read: dict[object, str] = {}
    for name, written in as_table(value, spot).items():
        here = spot.key(name)
        if not _SOURCE_NAME.fullmatch(name):
            here.wrong("a name is up to 32 small letters, digits, '-' and '_', and begins with a letter")
        table = Table(written, here, LOG)
        if isinstance(written, dict) and table.has(FILE) == table.has(JOURNAL):
            here.wrong('must have either "file" or "journal"')
        found[name] = _log(table)
        for what in (found[name].file, *found[name].journal):
            if what is not None and read.setdefault(what, name) != name:
                here.wrong(f"{shown(str(what))}: is read as logs.{read[what]} already, and would count twice")
    return found


def _log(table: Table) -> LogSource:
    return LogSource(
        file=table.get(FILE),
        journal=table.get(JOURNAL),
        counted=table.get(COUNTED),
        time_zone=table.get(ZONE),
        from_beginning=table.get(BEGINNING),
        silence=table.get(LOG_SILENCE),
        roots=roots_of(table),
    )


def reports(value: object, spot: Spot) -> ReportSettings:
    """The intake of reports."""
    table = Table(value, spot, REPORTS)
    recipients = tuple(address.lower() for address in table.get(RECIPIENTS))
    for address in recipients:
        if "@" not in address:
            table.spot(RECIPIENTS).wrong(
                f'{shown(address)}: must be a mail address such as "bounces@example.com"'
            )
    return ReportSettings(table.get(LISTEN), recipients, table.get(HEADER))


def check_replies(value: object, spot: Spot) -> list[Mapping[str, object]]:
    """The operator's rules for replies, each checked; what is wrong is reported."""
    if not isinstance(value, list):
        spot.wrong("must be a list of tables, each written as [[replies]]")
        return []
    found: list[Mapping[str, object]] = []
    for i, written in enumerate(value):
        here = spot.item(i)
        table = Table(written, here, REPLY)
        for key in REPLY.keys:
            table.get(key)
        if isinstance(written, dict):
            if not any(written.get(key.name) for key in (PHRASES, CODES)):
                here.wrong('must have "phrases" or "codes"')
            found.append(written)
    return found
