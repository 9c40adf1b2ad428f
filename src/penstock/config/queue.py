"""The keys of the MTA's queue: which one, how its helper is reached, how much may be held, how fast it goes
out.
"""

from __future__ import annotations

from pathlib import Path

from penstock.config.report import BadValue, Spot
from penstock.config.scalars import ARGV, number, string
from penstock.config.settings import QueueSettings
from penstock.config.table import Key, Kind, Section, Table
from penstock.config.toml import shown
from penstock.core.limits import BadLimit, Unit, parse_limit

MOST = 1_000_000_000
FASTEST = 60_000
NOWHERE: tuple[str, ...] = ()


def _one_of(*allowed: str) -> Kind[str]:
    words = " or ".join((", ".join(f'`"{each}"`' for each in allowed[:-1]), f'`"{allowed[-1]}"`'))

    def read(value: object, spot: Spot) -> str:
        if value not in allowed:
            raise BadValue(f"{shown(value)}: must be one of {', '.join(allowed)}")
        return str(value)

    return Kind(words, read, allowed[0])


def _whole_up_to(most: int) -> Kind[int]:
    def read(value: object, spot: Spot) -> int:
        found = number(value)
        if found != int(found) or not 1 <= found <= most:
            raise BadValue(f"{shown(value)}: must be a whole number from 1 to {most}")
        return int(found)

    return Kind(f"a whole number from 1 to {most}", read, 1)


def _size(value: object, spot: Spot) -> int:
    text = string(value)
    try:
        return parse_limit(f"{text}/h", Unit.BYTES).amount << 10  # limits count KiB
    except BadLimit:
        raise BadValue(f'{shown(text)}: must be a size such as "250MB" or "1GB"') from None


def _path(value: object) -> Path:
    text = string(value)
    if not text.startswith("/") or not text.isprintable():
        raise BadValue(f"{shown(text)}: must be an absolute path")
    return Path(text)


def _folders(value: object, spot: Spot) -> tuple[str, ...]:
    folders = value if isinstance(value, list) else [value]
    if not folders:
        raise BadValue("must name at least one folder")
    return tuple(str(_path(each)) for each in folders)


MTA = Key(
    "mta",
    _one_of("off", "postfix", "exim"),
    "Whose queue is looked after. `off`: mail of a paused sender that lies in the queue already goes out.",
)
CONFIG_DIRS = Key(
    "config_dirs",
    Kind("list of absolute paths", _folders, NOWHERE),
    "The configuration folders of Postfix's instances. The helper must have been given the same.",
)
SOCKET = Key(
    "helper",
    Kind("absolute path", lambda value, spot: _path(value), Path("/")),
    "Socket of the queue helper.",
)
COMMAND = Key(
    "helper_command",
    ARGV,
    "Instead of the socket: a command that runs the helper as root, for example with `sudo -n`.",
)
RATE = Key(
    "release_per_minute",
    _whole_up_to(FASTEST),
    "So many of a sender's held messages go out each minute once it may send again.",
)
MESSAGES = Key(
    "held_messages",
    _whole_up_to(MOST),
    "So many messages of one sender may be on hold; what would be held beyond that is refused.",
)
BYTES = Key(
    "held_bytes",
    Kind('size, such as `"250MB"`', _size, 1),
    "So many bytes of one sender may be on hold; what would be held beyond that is refused.",
)
COMPROMISED = Key(
    "compromised",
    _one_of("hold", "drop", "bounce"),
    "What becomes of a sender's held mail when an incident is judged `compromised`: `hold` keeps it for "
    "`penstock queue drop`, `drop` deletes it, `bounce` returns it to its envelope sender, which may be "
    "forged.",
)
QUEUE = Section(
    "queue",
    "The MTA's queue: a paused sender's mail in it is frozen, and released at a limited rate when it may "
    "send again. `mta`, `config_dirs` and the helper take effect at the next start.",
    (MTA, CONFIG_DIRS, SOCKET, COMMAND, RATE, MESSAGES, BYTES, COMPROMISED),
)


def queue_of(value: object, spot: Spot) -> QueueSettings:
    """The queue and its helper."""
    table = Table(value, spot, QUEUE)
    return QueueSettings(
        mta=table.get(MTA),
        config_dirs=table.get(CONFIG_DIRS),
        helper=table.get(SOCKET),
        helper_command=table.get(COMMAND),
        release_per_minute=table.get(RATE),
        held_messages=table.get(MESSAGES),
        held_bytes=table.get(BYTES),
        compromised=table.get(COMPROMISED),
    )
