"""The keys of detection: how much is risked, and what is usual for a class of senders."""

from __future__ import annotations

from pathlib import Path

from penstock.config.report import BadValue, Spot, meant
from penstock.config.scalars import DURATION_OR_OFF, MODE, between, number, string
from penstock.config.table import Key, Kind, Section, Table
from penstock.config.toml import shown
from penstock.core.evidence import ORDINARY, Detection, Usual
from penstock.signals import SIGNALS


def _whole(value: object, spot: Spot) -> int:
    found = number(value)
    if found != int(found) or not 1 <= found <= 10_000_000:
        raise BadValue(f"{shown(value)}: must be a whole number from 1 to 10000000")
    return int(found)


def _signal(value: object, spot: Spot) -> str:
    name, known = string(value), [name for name, _, _ in SIGNALS]
    if name not in known:
        raise BadValue(f"{shown(name)}: no such signal{meant(name, known)}")
    return name


def _signals(value: object, spot: Spot) -> tuple[str, ...]:
    if not isinstance(value, list):
        return (_signal(value, spot),)
    one = Kind("", _signal, "")
    return tuple(one.take(item, spot.item(i)) for i, item in enumerate(value))


def _risk(most: float) -> Kind[float]:
    """A number above zero, by so much that its logarithm says something."""
    return between(1e-7, most, f"a number above 0.0000001, up to {most:g}")


def _mailboxes(value: object, spot: Spot) -> frozenset[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, str) and "@" in one for one in found):
        raise BadValue(f"{shown(value)}: must be a list of mail addresses, as USER@DOMAIN")
    return frozenset(one.strip().lower() for one in found)


def _geo(value: object, spot: Spot) -> str:
    """The path of a file that can be used: what is wrong with it is told here, not at night."""
    from penstock.stores.places import BadPlaces, check

    text = string(value)
    if text and (not text.startswith("/") or not text.isprintable()):
        raise BadValue(f"{shown(text)}: must be an absolute path, or empty")
    try:
        if text and spot.report.opens:
            check(Path(text))
    except BadPlaces as wrong:
        raise BadValue(f"{shown(text)}: {wrong}") from None
    return text


WHOLE = Kind("a whole number from 1", _whole, 1)
DETECTION_MODE = Key(
    "mode",
    MODE,
    "`shadow` opens incidents and stops nobody. The file's own mode holds too: the weaker of the two.",
)
FALSE_PAUSES = Key(
    "false_pauses",
    _risk(1000),
    "How many honest senders in 10,000 sender-days may be paused.",
)
MISSED = Key("missed", _risk(0.5), "The share of compromises that may slip.")
COMPROMISED = Key(
    "compromised",
    _risk(1000),
    "How many of 10,000 sender-days see a sender compromised: the prior.",
)
CANARIES = Key(
    "canaries",
    WHOLE,
    "Recipients new to a slowed sender that may be under way at once, of a script or a client address three "
    "at most to begin with; the others are deferred until it is known what became of these.",
)
LASTS = Key("lasts", DURATION_OR_OFF, "How long a pause lasts; `off`: until somebody resumes.")
SIGNAL_NAMES: Kind[tuple[str, ...]] = Kind('list of names of signals, such as `"campaign"`', _signals, ())
SILENT = Key(
    "silent",
    SIGNAL_NAMES,
    "Signals that do not count, for trying what each is worth.",
)
MAILBOXES: Kind[frozenset[str]] = Kind("list of mail addresses", _mailboxes, frozenset())
TRAPS = Key(
    "traps",
    MAILBOXES,
    "Addresses of yours that nobody has a reason to write to: whoever writes to one has a bought list.",
)
GEO = Key(
    "geo",
    Kind('absolute path; `""`: none', _geo, ""),
    "A file in MaxMind's format that tells in which city a client address is, such as GeoLite2-City.mmdb, "
    "for the signal `journey`. Needs the Python package `maxminddb`; a newer file is read at `penstock "
    "reload`.",
)
DETECTION = Section(
    "detection",
    "Recognising a sender in a stranger's hands: by the evidence, it is slowed, then paused.",
    (DETECTION_MODE, FALSE_PAUSES, MISSED, COMPROMISED, CANARIES, LASTS, SILENT, TRAPS, GEO),
)

NOVEL = Key("novel", WHOLE, "Recipients a day to whom the sender has never got mail through.")
RECIPIENTS = Key("recipients", WHOLE, "Recipients a day.")
ENVELOPES = Key("envelopes", WHOLE, "Envelope senders a day.")
USUAL_SECTION = Section(
    "profiles.NAME.usual",
    "What is nothing special in a day of such a sender, even without a past. The table is replaced as a "
    "whole.",
    (NOVEL, RECIPIENTS, ENVELOPES),
)


def _usual(value: object, spot: Spot) -> Usual:
    table = Table(value, spot, USUAL_SECTION)
    found = [table.get(key) if table.has(key) else getattr(ORDINARY, key.name) for key in USUAL_SECTION.keys]
    return Usual(*found)


USUAL = Key(
    "usual", Kind("table (below)", _usual, ORDINARY), "What detection takes for nothing special in a day."
)


def detection_of(value: object, spot: Spot, file_mode: str) -> Detection:
    """What is risked; the weaker of both modes holds."""
    table = Table(value, spot, DETECTION)
    order = ("off", "shadow", "enforce")
    mode = min(table.get(DETECTION_MODE), file_mode, key=order.index)
    return Detection(
        mode=mode,
        false_pauses=table.get(FALSE_PAUSES),
        missed=table.get(MISSED),
        compromised=table.get(COMPROMISED),
        canaries=table.get(CANARIES),
        lasts=table.get(LASTS) or None,
        silent=table.get(SILENT),
        traps=table.get(TRAPS),
        geo=table.get(GEO),
    )
