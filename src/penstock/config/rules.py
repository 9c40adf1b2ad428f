"""Kinds of rules: limits, growth steps, pause rules. Each is a list; a single item may stand alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations, pairwise
from typing import TypeVar

from penstock.config.report import BadValue, Spot
from penstock.config.scalars import DURATION, FACTOR, MODE, days_up_to, string
from penstock.config.table import Key, Kind, Section, Table
from penstock.config.toml import shown
from penstock.core.limits import MODES, Limit, Mode, Unit, parse_limit, parse_outcome
from penstock.core.policy import PauseRule, Step

T = TypeVar("T")


def _read_by(parse: Callable[[str], Limit], words: str, neutral: Limit) -> Kind[Limit]:
    def read(value: object, spot: Spot) -> Limit:
        try:
            return parse(string(value))
        except BadValue:
            raise
        except ValueError as wrong:
            raise BadValue(str(wrong)) from None

    return Kind(words, read, neutral)


def _limit_kind(unit: Unit, words: str) -> Kind[Limit]:
    return _read_by(lambda text: parse_limit(text, unit), words, Limit(unit, 0, 1, "off"))


_OUTCOME_WORDS = 'limit on outcomes, such as `"unknown-user 25/h"`'
_OUTCOME = _read_by(parse_outcome, _OUTCOME_WORDS, Limit(Unit.OTHER, 1, 1, "off"))


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
    return _plain_or_table(value, limit_section(unit), spot)


def _plain_or_table(value: object, section: Section, spot: Spot) -> Limit:
    limit, mode = section.keys
    if not isinstance(value, dict):
        plain: Limit = limit.kind.take(value, spot)
        return plain
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
OUTCOME_SECTION = Section(
    "profiles.NAME.outcomes[]",
    "A limit on outcomes with a mode of its own.",
    (Key("limit", _OUTCOME, "The limit, as the short form writes it.", True), _MODE),
)
OUTCOME_LIMITS: Kind[tuple[Limit, ...]] = Kind(
    'list of limits on outcomes, such as `"unknown-user 25/h"`, `"complaints 0.1%/d min 3"`',
    lambda value, spot: tuple(
        _each(value, spot, lambda item, at: _plain_or_table(item, OUTCOME_SECTION, at))
    ),
    (),
)


def _outcome_exception(value: object, spot: Spot) -> tuple[Limit, ...]:
    before = len(spot.report.problems)
    found = OUTCOME_LIMITS.read(value, spot)
    units = {limit.unit for limit in found if limit.mode != "off"}
    lost = next((limit.unit for limit in found if limit.unit not in units), None)
    if len(spot.report.problems) == before and (lost is not None or not found):
        raise BadValue(
            f"{shown(value)}: leaves nothing in place of the profile's limit; "
            f'write a high one to lift it, for example "{lost or Unit.UNKNOWN_USER} 100000/h"'
        )
    return found


OUTCOME_EXCEPTIONS: Kind[tuple[Limit, ...]] = Kind(OUTCOME_LIMITS.words, _outcome_exception, ())
"""Limits that replace a profile's: for each outcome that is named there must be one."""
OUTCOME_LIMITS_KEY = Key(
    "outcomes",
    OUTCOME_LIMITS,
    "What came back: bounces by class (see `penstock classify`) and complaints. When a limit is "
    "reached nothing more passes until its window has moved on. It does not grow.",
)
UNIT_KEYS = (RECIPIENTS, MESSAGES, BYTES, OUTCOME_LIMITS_KEY)
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
)
OUTCOME = Key("outcome", _OUTCOME, "So many bounces of a class, or complaints, pause the sender.")
FOR = Key("for", DURATION, "How long the pause lasts; probation follows. Without it, until somebody resumes.")
PAUSE_SECTION = Section(
    "profiles.NAME.pause[]",
    "A rule that pauses a sender: it has either `refused` or `outcome`.",
    (REFUSED, OUTCOME, FOR, _MODE),
)


def _pause(value: object, spot: Spot) -> PauseRule:
    table = Table(value, spot, PAUSE_SECTION)
    if isinstance(value, dict) and table.has(REFUSED) == table.has(OUTCOME):
        spot.wrong('must have either "refused" or "outcome"')
    limit = table.get(OUTCOME if table.has(OUTCOME) else REFUSED)
    lasts = table.get(FOR) if table.has(FOR) else None
    return PauseRule(replace(limit, mode=table.get(_MODE)), lasts)


PAUSES: Kind[tuple[PauseRule, ...]] = Kind(
    'list of rules, such as `{ refused = "500/h", for = "12h" }`',
    lambda value, spot: tuple(_each(value, spot, _pause)),
    (),
)
