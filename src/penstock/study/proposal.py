"""The proposed policy: limits that the senders of these logs would hardly have noticed, each with its reason.

How: senders that look hijacked are left out, and so are those that regularly send far more than the
rest, which get an exception of their own. Of the others' sender-days at most 1 in 1,000 exceeds a
value; twice that, rounded up, is the limit, and never less than an ordinary busy day needs. Less than 1,000
sender-days are no ground to be stricter than the built-in policy, less than 100 none for any change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from penstock.core.explain import when
from penstock.core.limits import Limit, Unit, spell_window
from penstock.core.names import BadSender, Naming, parse_sender
from penstock.core.policy import Policy, Profile
from penstock.core.words import count
from penstock.study.findings import MEASURES, UNITS, WINDOW_NAMES, Group, Period
from penstock.study.judge import is_regular
from penstock.study.quantiles import Distribution
from penstock.study.survey import days_above
from penstock.study.tally import Tally, Track, histogram
from penstock.study.windows import WINDOWS

PROFILES: Final = {"logins": "personal", "scripts": "script", "addresses": "relay"}
"""Group → the profile that holds for it by default."""

ENOUGH: Final = 1_000
LEAST: Final = 100
"""Sender-days for limits of their own, and for looser ones than the built-in."""

HEADROOM: Final = 2
WIDE_HEADROOM: Final = 4
"""Times the value that 1 in 100 exceeds, where 1 in 1,000 cannot be told."""

FAR_MORE: Final = 10
"""Times the value that 3 in 4 sender-days do not exceed."""

BURST: Final = 0.5
"""Share of a day's mail within an hour from which a sender is a newsletter rather than an office."""

FLOORS: Final = {
    "logins": (50, 100, 200, 20, 50, 100),
    "scripts": (30, 100, 300, 30, 100, 300),
    "addresses": (100, 1_000, 5_000, 50, 500, 2_500),
}
"""The least limit for each measure: one message to a small club must pass."""

MOST_EXCEPTIONS: Final = 200
_STEPS: Final = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


@dataclass(frozen=True)
class Proposed:
    """One limit: how it came about, and whom of the senders without exception it would have touched."""

    limit: Limit
    reason: str
    days: int
    senders: int


@dataclass(frozen=True)
class Exemption:
    """A sender that regularly sends far more than the rest. ``limits`` where no profile is roomy enough."""

    sender: str
    profile: str
    limits: tuple[Limit, ...]
    why: str


@dataclass(frozen=True)
class Plan:
    """What is proposed for one group."""

    group: Group
    profile: Profile
    base_senders: int
    base_days: int
    left_out: tuple[str, ...]
    limits: tuple[Proposed, ...]
    exceptions: tuple[Exemption, ...]


def round_up(amount: float) -> int:
    """The next round number: 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 and their tenfolds."""
    power = 10
    while True:
        for step in _STEPS:
            if round(step * power) >= amount:
                return round(step * power)
        power *= 10


def plan_of(group: Group, tally: Tally, builtin: Policy) -> Plan:
    """What to propose for a group of senders."""
    hijacked = {one.sender for one in group.touched if one.guess == "hijacked?"}
    tracks = [track for track in tally.group(group.name) if track.key not in hijacked]
    heavy = _heavy(tracks, FLOORS[group.name]) if group.sender_days >= LEAST else []
    excepted = {track.key for track in heavy}
    base = [track for track in tracks if track.key not in excepted]
    charged = [track for track in tally.group(group.name) if track.key not in excepted]
    profile = builtin.profiles[PROFILES[group.name]]
    return Plan(
        group=group,
        profile=profile,
        base_senders=len(base),
        base_days=sum(len(track.dates()) for track in base),
        left_out=tuple(sorted(hijacked)),
        limits=tuple(_proposed(base, charged, profile, FLOORS[group.name])),
        exceptions=tuple(_exception(track, group.name, builtin) for track in heavy[:MOST_EXCEPTIONS]),
    )


# --- limits -----------------------------------------------------------------------------------


def _proposed(
    base: list[Track], charged: list[Track], profile: Profile, floors: Sequence[int]
) -> Iterator[Proposed]:
    drafts = [_draft(i, base, profile, floors[i]) for i in range(len(MEASURES))]
    if not any(reason for _, reason in drafts):
        return
    for first in range(0, len(drafts), len(WINDOWS)):
        _ascend(drafts, first)
    for i, (amount, reason) in enumerate(drafts):
        unit, window = MEASURES[i]
        counts = [sum(value > amount for value in track.figures(i)) for track in charged]
        yield Proposed(Limit(unit, amount, window), reason, sum(counts), sum(map(bool, counts)))


def _draft(measure: int, base: list[Track], profile: Profile, floor: int) -> tuple[int, str]:
    """An amount and its reason; no reason when there is too little data."""
    found = Distribution(histogram(base, measure))
    builtin = _builtin(profile, *MEASURES[measure]) or floor
    if found.total < LEAST:
        return builtin, ""
    if found.total < ENOUGH:
        value = found.touching(LEAST) or 0
        amount = round_up(WIDE_HEADROOM * value)
        said = f"1 in 100 of only {found.total:,} sender-days went above {value:,}"
        return (amount, f"{said}; four times that") if amount > builtin else (builtin, f"{said}; built-in")
    value = found.touching(ENOUGH) or 0
    amount = round_up(HEADROOM * value)
    if amount < floor:
        return floor, f"1 in 1,000 sender-days went above {value:,}; raised to what one busy day needs"
    return amount, f"1 in 1,000 sender-days went above {value:,}; twice that"


def _ascend(drafts: list[tuple[int, str]], first: int) -> None:
    """A longer window allows more than a shorter one, or the shorter one would never be reached."""
    for i, j in pairwise(range(first, first + len(WINDOWS))):
        if drafts[j][0] <= drafts[i][0]:
            drafts[j] = (
                round_up(drafts[i][0] * 1.2),
                f"above the limit of a {WINDOW_NAMES[WINDOWS[i - first]]}",
            )


def _builtin(profile: Profile, unit: Unit, window: int) -> int | None:
    return next((x.amount for x in profile.limits if (x.unit, x.window) == (unit, window)), None)


# --- exceptions -------------------------------------------------------------------------------


def _heavy(tracks: list[Track], floors: Sequence[int]) -> list[Track]:
    """Those that regularly send far more than the rest, the busiest first."""
    found: dict[str, Track] = {}
    for measure in range(len(WINDOWS)):
        usual = Distribution(histogram(tracks, measure)).touching(4) or 0
        far_more = max(FAR_MORE * usual, floors[measure])
        for track in tracks:
            if max(track.figures(measure)) > far_more and is_regular(days_above(track, measure, far_more)):
                found[track.key] = track
    return sorted(found.values(), key=lambda track: -track.recipients)


def _exception(track: Track, group: str, builtin: Policy) -> Exemption:
    most = [max(track.figures(measure)) for measure in range(len(MEASURES))]
    why = (
        f"study of past mail: up to {most[1]:,} recipients an hour and {most[2]:,} a day, "
        f"{len(track.dates())} active days"
    )
    for name in _suiting(track) if group == "logins" else ():
        if _is_roomy(builtin.profiles.get(name), most):
            return Exemption(track.key, name, (), why)
    limits = [
        Limit(unit, round_up(HEADROOM * amount), window)
        for (unit, window), amount in zip(MEASURES, most, strict=True)
    ]
    return Exemption(track.key, "", tuple(_rising(limits)), why)


def _suiting(track: Track) -> tuple[str, ...]:
    """Profiles for a busy login, the best first: newsletters leave within an hour, offices mail all day."""
    hours, days = track.figures(1), track.figures(2)
    busy = median(days)
    shares = [hour / day for hour, day in zip(hours, days, strict=True) if day >= max(busy, 1)]
    return ("newsletter", "professional") if median(shares) >= BURST else ("professional", "newsletter")


def _is_roomy(profile: Profile | None, most: Sequence[int]) -> bool:
    if profile is None:
        return False
    limits = (_builtin(profile, unit, window) for unit, window in MEASURES)
    return all(limit is None or limit >= amount for limit, amount in zip(limits, most, strict=True))


def _rising(limits: list[Limit]) -> Iterator[Limit]:
    """Without those that a shorter window's limit leaves without effect."""
    for unit in UNITS:
        before = 0
        for limit in (limit for limit in limits if limit.unit is unit):
            amount = limit.amount if limit.amount > before else round_up(before * 1.2)
            yield Limit(unit, amount, limit.window)
            before = amount


# --- text -------------------------------------------------------------------------------------


def policy_file(plans: Sequence[Plan], period: Period, naming: Naming) -> str:
    """The policy file, with the reason of each limit beside it."""
    lines = [*_head(period), *_names(naming)]
    for plan in plans:
        lines += _profile(plan)
    for plan in plans:
        for exception in plan.exceptions:
            lines += _sender(exception)
    return "\n".join(lines) + "\n"


def _head(period: Period) -> Iterator[str]:
    yield f"# Proposed by `penstock study` from mail between {when(period.begin)} and {when(period.end)}:"
    yield f"# {period.messages:,} messages to {period.recipients:,} recipients."
    yield "# What is not written here stays as the built-in policy has it. Check it with"
    yield "# `penstock config check FILE`, and try it on past mail with `penstock replay --policy FILE LOG`."
    yield ""
    yield "# Nothing is refused yet, only recorded. Delete this line when the right senders are recorded."
    yield 'mode = "shadow"'


def _names(naming: Naming) -> Iterator[str]:
    """The names by which senders were told apart."""
    if naming == Naming():
        return
    yield from ("", "[names]", f"default_realm = {_quoted(naming.default_realm)}")
    yield f"plus_tags = {'true' if naming.plus_tags else 'false'}"
    for key, pairs in (("realm_aliases", naming.realm_aliases), ("aliases", naming.aliases)):
        inner = ", ".join(f"{_quoted(name)} = {_quoted(to)}" for name, to in pairs.items())
        yield f"{key} = {{ {inner} }}" if inner else f"{key} = {{}}"


def _profile(plan: Plan) -> Iterator[str]:
    group = plan.group
    yield ""
    senders = count(plan.base_senders, "sender")
    yield f"# {group.name.capitalize()}: {count(plan.base_days, 'sender-day')} of {senders}."
    if plan.left_out:
        others = f" and {len(plan.left_out) - 5} more" if len(plan.left_out) > 5 else ""
        yield f"# Left out, because they look hijacked: {', '.join(plan.left_out[:5])}{others}."
    if plan.exceptions:
        yield f"# Left out, because they have exceptions below: {len(plan.exceptions)}."
    if not plan.limits:
        yield f"# Too few sender-days (less than {LEAST}) to propose limits: the built-in ones stay."
        return
    yield f"[profiles.{plan.profile.name}]"
    for unit in UNITS:
        yield f"{unit} = ["
        yield from (_limit_line(found) for found in plan.limits if found.limit.unit is unit)
        yield "]"
    yield from _parents(plan)


def _limit_line(found: Proposed) -> str:
    touched = "nobody"
    if found.days:
        touched = f"{count(found.days, 'sender-day')} of {count(found.senders, 'sender')}"
    return f'    "{found.limit}", # {found.reason}. Would have touched {touched}.'


def _parents(plan: Plan) -> Iterator[str]:
    """A customer's senders together must be allowed more than one of them."""
    own = {found.limit.window: found.limit.amount for found in plan.limits if found.limit.unit is UNITS[0]}
    shared = [limit for limit in plan.profile.parent_limits if limit.unit is UNITS[0]]
    if any(own.get(limit.window, 0) * 2 > limit.amount for limit in shared):
        limits = (f'"{round_up(own[window] * 4)}/{spell_window(window)}"' for window in WINDOWS[1:])
        yield f"parents = {{ recipients = [{', '.join(limits)}] }} # four times one sender's"


def _sender(exception: Exemption) -> Iterator[str]:
    if not _is_nameable(exception.sender):
        yield from ("", f"# {exception.sender} needs an exception, but has no name that a policy can hold.")
        return
    yield from ("", f"[senders.{_quoted(exception.sender)}]")
    if exception.profile:
        yield f"profile = {_quoted(exception.profile)}"
    for unit in UNITS:
        limits = [f'"{limit}"' for limit in exception.limits if limit.unit is unit]
        if limits:
            yield f"{unit} = [{', '.join(limits)}]"
    yield f"why = {_quoted(exception.why)}"


def _is_nameable(sender: str) -> bool:
    """Exim tells local users by name, a policy by number."""
    try:
        return parse_sender(sender) == sender
    except BadSender:
        return False


def _quoted(text: str) -> str:
    """A basic string. JSON escapes all that TOML wants escaped, and names hold no DEL."""
    return json.dumps(text, ensure_ascii=False)
