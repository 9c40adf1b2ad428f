"""Limits such as ``200/h``: what may flow from a sender in a sliding window.

The check reads every window first and records nothing; only when all agree is the attempt
charged, so a refusal consumes nothing. ``spare`` turns the check into one comparison: the
smallest room over all limits is also how many may pass before anyone has to look again,
because time alone only ever makes room.

A limit on outcomes (``unknown-user 25/h``, ``complaints 0.1%/d min 3``) is reached when that many came
back; then nothing more passes until the window has moved on. It is read again after each outcome.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_letters
from typing import Literal

from penstock.core.ledger import KEEP, Counter, Ledger

Mode = Literal["off", "shadow", "enforce"]
MODES: tuple[Mode, ...] = ("off", "shadow", "enforce")

UNLIMITED = 1 << 60
LONGEST_DURATION = 100 * 365 * 86400
"""Seconds."""

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SECONDS |= {"sec": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
_KIB = {"kb": 1, "kib": 1, "mb": 1024, "mib": 1024, "gb": 1024**2, "gib": 1024**2}
_LIMIT = re.compile(r"\s*(\d{1,12})\s*([a-z]*)\s*/\s*(\d{0,8})\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)
_OUTCOME = re.compile(
    r"\s*([a-z-]+)\s+(?:(\d{1,9})|(\d{1,3}(?:\.\d{1,6})?)\s*%)\s*/\s*(\d{0,8}\s*[a-z]+)(?:\s+min\s+(\d{1,9}))?\s*",
    re.IGNORECASE | re.ASCII,
)
_DURATION = re.compile(r"\s*(\d{1,9})\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)


class BadLimit(ValueError):
    """The text is no limit or duration; the message says what would be one."""


class Unit(StrEnum):
    """What a limit counts."""

    RECIPIENTS = "recipients"
    MESSAGES = "messages"
    BYTES = "bytes"
    REFUSED = "refused"
    BOUNCED = "bounced"
    UNKNOWN_USER = "unknown-user"
    INACTIVE_MAILBOX = "inactive-mailbox"
    MAILBOX_FULL = "mailbox-full"
    NO_SUCH_DOMAIN = "no-such-domain"
    NETWORK = "network"
    THROTTLED = "throttled"
    REPUTATION = "reputation"
    CONTENT = "content"
    POLICY = "policy"
    AUTHENTICATION = "authentication"
    TOO_BIG = "too-big"
    TEMPORARY = "temporary"
    OTHER = "other"
    COMPLAINTS = "complaints"

    @property
    def counter(self) -> Counter:
        """The ledger's counter behind the unit."""
        return _COUNTERS[self]


FLOW = (Unit.RECIPIENTS, Unit.MESSAGES, Unit.BYTES)
"""What a sender sends."""

OUTCOMES = frozenset(unit for unit in Unit if unit not in (*FLOW, Unit.REFUSED))
"""What comes back."""

_COUNTERS = {unit: Counter["KIB" if unit is Unit.BYTES else unit.name] for unit in Unit}


@dataclass(frozen=True)
class Limit:
    """At most ``amount`` (KiB when ``unit`` is bytes) in any ``window`` seconds.

    On outcomes, ``share`` (a fraction, above 0) limits them to a part of the recipients of the same
    window instead; ``amount`` is then the least number for which that is looked at. ``str`` leaves the
    unit out: ``f"{unit} {limit}"`` is what ``parse_outcome`` reads.
    """

    unit: Unit
    amount: int
    window: int
    mode: Mode = "enforce"
    share: float = 0.0

    def __str__(self) -> str:
        if self.share:
            percent = f"{self.share * 100:.6f}".rstrip("0").rstrip(".")
            return f"{percent}%/{spell_window(self.window)} min {self.amount}"
        return f"{spell_amount(self.unit, self.amount)}/{spell_window(self.window)}"

    def scaled(self, factor: float) -> int:
        """The amount under a growth or standing factor: at least 1 unless the limit is 0."""
        return max(round(self.amount * factor), min(self.amount, 1))

    def allowed(self, ledger: Ledger, at: int, window: int | None = None) -> int:
        """Of outcomes: the number at which this limit is reached (``window``: seconds, if shorter)."""
        if not self.share:
            return self.amount
        recipients = ledger.total(Counter.RECIPIENTS, at, self.window if window is None else window)
        return max(self.amount, math.ceil(round(self.share * recipients, 6)))


def parse_limit(text: str, unit: Unit, mode: Mode = "enforce") -> Limit:
    """``200/h``, ``30/10m``, ``500MB/d`` → Limit; raises BadLimit."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise BadLimit(f'"{text}": not a limit (write AMOUNT/WINDOW, for example "{_example(unit)}")')
    amount, scale, times, window_unit = found.groups()
    window = _window(text, times, window_unit)
    return Limit(unit, _amount(text, unit, amount, scale.lower()), window, mode)


def parse_outcome(text: str, mode: Mode = "enforce") -> Limit:
    """``unknown-user 25/h``, ``complaints 0.1 %/day min 3`` → Limit; raises BadLimit."""
    found = _OUTCOME.fullmatch(text)
    if found is None:
        raise BadLimit(
            f'"{text}": not a limit on outcomes (write "unknown-user 25/h" or "complaints 0.1%/d min 3")'
        )
    name, amount, percent, per, least = found.groups()
    if name.lower() not in OUTCOMES:
        raise BadLimit(
            f'"{text}": unknown outcome "{name}" ({", ".join(unit for unit in Unit if unit in OUTCOMES)})'
        )
    digits = per.rstrip(ascii_letters)
    window = _window(text, digits.strip(), per[len(digits) :])
    if percent is None:
        if least is not None:
            raise BadLimit(f'"{text}": "min" belongs to a share ("{name} 5%/d min {least}")')
        return Limit(Unit(name.lower()), _at_least_one(text, int(amount)), window, mode)
    if not 0 < float(percent) <= 100:
        raise BadLimit(f'"{text}": a share is above 0% and at most 100%')
    if least is None:
        raise BadLimit(f'"{text}": a share needs the number from which it holds, for example "min 3"')
    return Limit(
        Unit(name.lower()), _at_least_one(text, int(least)), window, mode, round(float(percent) / 100, 10)
    )


def _at_least_one(text: str, number: int) -> int:
    if not number:
        raise BadLimit(f'"{text}": 0 would stop everybody at once; the least is 1')
    return number


def _window(text: str, times: str, unit: str) -> int:
    per = _SECONDS.get(unit.lower())
    if per is None:
        raise BadLimit(f'"{text}": unknown unit "{unit}" (s, m, h, d, w)')
    window = per * (int(times) if times else 1)
    if not 1 <= window <= KEEP:
        raise BadLimit(f'"{text}": the window must be between 1 second and {KEEP // 86400} days')
    return window


def _amount(text: str, unit: Unit, digits: str, scale: str) -> int:
    if unit is not Unit.BYTES and scale:
        raise BadLimit(f'"{text}": {unit} are plain numbers (for example "{_example(unit)}")')
    if unit is Unit.BYTES and scale not in _KIB:
        raise BadLimit(f'"{text}": bytes need KB, MB or GB (for example "{_example(unit)}")')
    amount = int(digits) * _KIB.get(scale, 1)
    if amount > 1 << 30:
        raise BadLimit(f'"{text}": more than {1 << 30} is no limit; leave it out instead')
    return amount


def _example(unit: Unit) -> str:
    return "500MB/d" if unit is Unit.BYTES else "200/h"


def parse_duration(text: str) -> int:
    """``90s``, ``15m``, ``2h``, ``7d`` → seconds; raises BadLimit."""
    found = _DURATION.fullmatch(text)
    seconds = _SECONDS.get(found[2].lower()) if found else None
    if found is None or seconds is None or not int(found[1]):
        raise BadLimit(f'"{text}": not a duration (write a number and s, m, h, d or w, for example "2h")')
    if int(found[1]) * seconds > LONGEST_DURATION:
        raise BadLimit(f'"{text}": longer than {LONGEST_DURATION // 31536000} years')
    return int(found[1]) * seconds


def spell_window(seconds: int) -> str:
    """3600 → ``h``, 600 → ``10m``: the window as a limit writes it."""
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return unit if seconds == size else f"{seconds // size}{unit}"
    return "s" if seconds == 1 else f"{seconds}s"


def spell_amount(unit: Unit, amount: int) -> str:
    """The amount as a limit writes it: bytes with their unit."""
    if unit is not Unit.BYTES:
        return str(amount)
    for name, size in (("GB", 1024**2), ("MB", 1024)):
        if amount and amount % size == 0:
            return f"{amount // size}{name}"
    return f"{amount}KB"
