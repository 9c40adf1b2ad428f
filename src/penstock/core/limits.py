"""Limits such as ``200/h``: what may flow from a sender in a sliding window.

The check reads every window first and records nothing; only when all agree is the attempt
charged, so a refusal consumes nothing. ``spare`` turns the check into one comparison: the
smallest room over all limits is also how many may pass before anyone has to look again,
because time alone only ever makes room.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from penstock.core.ledger import KEEP, Counter

Mode = Literal["off", "shadow", "enforce"]
MODES: tuple[Mode, ...] = ("off", "shadow", "enforce")

UNLIMITED = 1 << 60
LONGEST_DURATION = 100 * 365 * 86400
"""Seconds."""

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SECONDS |= {"sec": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
_KIB = {"kb": 1, "kib": 1, "mb": 1024, "mib": 1024, "gb": 1024**2, "gib": 1024**2}
_LIMIT = re.compile(r"\s*(\d{1,12})\s*([a-z]*)\s*/\s*(\d{0,8})\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"\s*(\d{1,9})\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)


class BadLimit(ValueError):
    """The text is no limit or duration; the message says what would be one."""


class Unit(StrEnum):
    """What a limit counts."""

    RECIPIENTS = "recipients"
    MESSAGES = "messages"
    BYTES = "bytes"
    REFUSED = "refused"

    @property
    def counter(self) -> Counter:
        """The ledger's counter behind the unit."""
        return _COUNTERS[self]


_COUNTERS = {
    Unit.RECIPIENTS: Counter.RECIPIENTS,
    Unit.MESSAGES: Counter.MESSAGES,
    Unit.BYTES: Counter.KIB,
    Unit.REFUSED: Counter.REFUSED,
}


@dataclass(frozen=True)
class Limit:
    """At most ``amount`` (KiB when ``unit`` is bytes) in any ``window`` seconds."""

    unit: Unit
    amount: int
    window: int
    mode: Mode = "enforce"

    def __str__(self) -> str:
        return f"{spell_amount(self.unit, self.amount)}/{spell_window(self.window)}"

    def scaled(self, factor: float) -> int:
        """The amount under a growth or standing factor: at least 1 unless the limit is 0."""
        return max(round(self.amount * factor), min(self.amount, 1))


def parse_limit(text: str, unit: Unit, mode: Mode = "enforce") -> Limit:
    """``200/h``, ``30/10m``, ``500MB/d`` → Limit; raises BadLimit."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise BadLimit(f'"{text}": not a limit (write AMOUNT/WINDOW, for example "{_example(unit)}")')
    amount, scale, times, window_unit = found.groups()
    per = _SECONDS.get(window_unit.lower())
    if per is None:
        raise BadLimit(f'"{text}": unknown unit "{window_unit}" (s, m, h, d, w)')
    window = per * (int(times) if times else 1)
    if not 1 <= window <= KEEP:
        raise BadLimit(f'"{text}": the window must be between 1 second and {KEEP // 86400} days')
    return Limit(unit, _amount(text, unit, amount, scale.lower()), window, mode)


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
