"""Kinds of rules: limits, growth steps, pause rules. Each is a list; a single item may stand alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations, pairwise
from typing import TypeVar

from penstock.config.report import BadValue, Spot
from penstock.config.scalars import DURATION, FACTOR, MODE, days_up_to, string
from penstock.config.table import Key, Kind, Section, Table, as_table
from penstock.config.toml import shown
from penstock.core.limits import MODES, Limit, Mode, Unit, parse_limit
from penstock.core.policy import PauseRule, Step

T = TypeVar("T")


def _limit_kind(unit: Unit, words: str) -> Kind[Limit]:
    def read(value: object, spot: Spot) -> Limit:
        try:
            return parse_limit(string(value), unit)
        except BadValue:
            raise
        except ValueError as wrong:
            raise BadValue(str(wrong)) from None

    return Kind(words, read, Limit(unit, 0, 1, "off"))


_MODE = Key("mode", MODE, "`shadow` counts and records what the rule would have done; `off` drops it.")


def limit_section(unit: Unit) -> Section:
    """A limit written as a table."""
    limit = Key("limit", _limit_kind(unit, "limit"), "The limit, as the short form writes it.", True)
    return Section(
        f"profiles.NAME.{unit}[]",
        "A limit with a mode of its own; likewise for messages and bytes.",
        (limit, _MODE),
    )


def _each(value: object, spot: Spot, read: Callable[[object, Spot], T]) -> list[T]:
    if not isinstance(value, list):
        return [read(value, spot)]
    return [read(item, spot.item(i)) for i, item in enumerate(value)]


def _limit(value: object, unit: Unit, spot: Spot) -> Limit:
    section = limit_section(unit)
    limit, mode = section.keys
    if not isinstance(value, dict):
        return _limit_kind(unit, "limit").take(value, spot)
    table = Table(value, spot, section)
    found: Limit = table.get(limit)
    return replace(found, mode=table.get(mode) if table.has(limit) else "off")


def limits_of(unit: Unit) -> Kind[tuple[Limit, ...]]:
    """The limits of one unit over several windows."""

    def read(value: object, spot: Spot) -> tuple[Limit, ...]:
        found = tuple(_each(value, spot, lambda item, at: _limit(item, unit, at)))
        _contradictions(found, spot)
        return found

    example = '`"500MB/d"`' if unit is Unit.BYTES else '`"200/h"`'
    return Kind(f"list of limits, such as {example}", read, ())


def exception_of(unit: Unit) -> Kind[tuple[Limit, ...]]:
    """Limits that replace a profile's: there must be one, or nothing would be replaced."""
    kind = limits_of(unit)

    def read(value: object, spot: Spot) -> tuple[Limit, ...]:
        high = "900GB/h" if unit is Unit.BYTES else "1000000/h"
        before = len(spot.report.problems)
        found = kind.read(value, spot)
        if len(spot.report.problems) == before and not any(limit.mode != "off" for limit in found):
            raise BadValue(
                f"{shown(value)}: leaves nothing in place of the profile's {unit}; "
                f'write a high limit to lift it, for example "{high}"'
            )
        return found

    return Kind(kind.words, read, ())


def _contradictions(limits: Iterable[Limit], spot: Spot) -> None:
    """Warn about limits that another one leaves without effect."""
    for one, other in combinations(sorted(limits, key=lambda limit: limit.window), 2):
        if one.mode != other.mode or one.mode == "off":
            continue
        if one.window == other.window:
            spot.warn(f'"{one}" and "{other}" limit the same window: the smaller one holds')
        elif one.amount >= other.amount > 0:
            spot.warn(f'"{other}" allows no more than "{one}" does, which is therefore never reached')


def weaker(*modes: Mode) -> Mode:
    """The weakest of the modes."""
    return min(modes, key=MODES.index)


def under(limits: tuple[Limit, ...], *modes: Mode) -> tuple[Limit, ...]:
    """The limits as the modes around them leave them; those that are off are gone."""
    found = (replace(limit, mode=weaker(limit.mode, *modes)) for limit in limits)
    return tuple(limit for limit in found if limit.mode != "off")


RECIPIENTS = Key("recipients", limits_of(Unit.RECIPIENTS), "Recipients, each of a message counted.")
MESSAGES = Key("messages", limits_of(Unit.MESSAGES), "Messages, whatever their number of recipients.")
BYTES = Key("bytes", limits_of(Unit.BYTES), "Size of the messages, each counted once (KB, MB or GB).")
UNIT_KEYS = (RECIPIENTS, MESSAGES, BYTES)
PARENTS_SECTION = Section(
    "profiles.NAME.parents",
    "Limits for all senders of one customer together. A customer with senders of several profiles "
    "has the roomiest of them. The table is inherited and replaced as a whole.",
    UNIT_KEYS,
)


def unit_limits(table: Table, keys: Iterable[Key[tuple[Limit, ...]]] = UNIT_KEYS) -> tuple[Limit, ...]:
    """The limits of all units in a table."""
    return tuple(limit for key in keys for limit in table.get(key))


def _parents(value: object, spot: Spot) -> tuple[Limit, ...]:
    return unit_limits(Table(value, spot, PARENTS_SECTION))


PARENTS: Kind[tuple[Limit, ...]] = Kind("table of limits (below)", _parents, ())


# --- growth ---------------------------------------------------------------------------------


def step_section(name: str, most: int) -> Section:
    """A growth step."""
    days = Key("days", days_up_to(most), "The step is reached after so many days.", True)
    factor = Key("factor", FACTOR, "All limits are multiplied by this.", True)
    return Section(f"profiles.NAME.{name}[]", "One step.", (days, factor))


def steps_of(name: str, most: int) -> Kind[tuple[Step, ...]]:
    """Growth steps in rising order of days."""
    section = step_section(name, most)
    days, factor = section.keys

    def one(value: object, spot: Spot) -> Step:
        table = Table(value, spot, section)
        return Step(table.get(days), table.get(factor))

    def read(value: object, spot: Spot) -> tuple[Step, ...]:
        before = len(spot.report.problems)
        found = tuple(_each(value, spot, one))
        if len(spot.report.problems) == before:
            for i, (earlier, later) in enumerate(pairwise(found), 1):
                if later.days <= earlier.days:
                    spot.item(i).wrong(
                        f"days = {later.days:g}: must be more than the {earlier.days:g} before"
                    )
        return found

    return Kind("list of steps, such as `{ days = 3, factor = 0.5 }`", read, ())


def check_newcomer(steps: tuple[Step, ...], spot: Spot) -> None:
    """Warn about steps that leave the first days open or never end."""
    if steps and steps[0].days > 0 and steps[0].factor < 1:
        spot.warn(f"before day {steps[0].days:g} the full limits hold; begin with days = 0")
    if steps and steps[-1].factor < 1:
        spot.warn("the last step stays below 1: these senders never reach their limits")


# --- pauses ---------------------------------------------------------------------------------

REFUSED = Key(
    "refused",
    _limit_kind(Unit.REFUSED, 'limit, such as `"500/h"`'),
    "More recipients than this refused for being over a limit pause the sender.",
    True,
)
FOR = Key("for", DURATION, "How long the pause lasts; probation follows. Without it, until somebody resumes.")
PAUSE_SECTION = Section("profiles.NAME.pause[]", "A rule that pauses a sender.", (REFUSED, FOR, _MODE))


def _pause(value: object, spot: Spot) -> PauseRule:
    if not isinstance(value, dict):
        as_table(value, spot)
        value = {"refused": "0/s"}
    table = Table(value, spot, PAUSE_SECTION)
    lasts = table.get(FOR) if table.has(FOR) else None
    return PauseRule(replace(table.get(REFUSED), mode=table.get(_MODE)), lasts)


PAUSES: Kind[tuple[PauseRule, ...]] = Kind(
    'list of rules, such as `{ refused = "500/h", for = "12h" }`',
    lambda value, spot: tuple(_each(value, spot, _pause)),
    (),
)
