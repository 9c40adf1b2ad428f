"""The policy as plain frozen values: what the engine runs on, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from penstock.core.evidence import NO_DETECTION, ORDINARY, Detection, Usual
from penstock.core.limits import Limit, Unit
from penstock.core.names import Naming
from penstock.core.replies import Rule
from penstock.core.standing import State


class Verb(StrEnum):
    """What the MTA is told to do."""

    PASS = "pass"
    MARK = "mark"
    DEFER = "defer"
    HOLD = "hold"
    REJECT = "reject"
    DISCARD = "discard"
    REROUTE = "reroute"


WHOLE_MESSAGE = frozenset({Verb.HOLD, Verb.DISCARD, Verb.REROUTE})
"""Verbs that Postfix applies to the message and all its recipients (access(5))."""


@dataclass(frozen=True)
class Action:
    """A verb and, for ``reroute`` (transport:nexthop) and ``mark`` (a header line), its argument."""

    verb: Verb
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.argument}" if self.argument else str(self.verb)


DEFER = Action(Verb.DEFER)
HOLD = Action(Verb.HOLD)
REJECT = Action(Verb.REJECT)
PASS_ON = Action(Verb.PASS)


@dataclass(frozen=True)
class Step:
    """From ``days`` on, limits are multiplied by ``factor``."""

    days: float
    factor: float


@dataclass(frozen=True)
class PauseRule:
    """More refusals than ``limit`` pause the sender for ``lasts`` seconds, then probation."""

    limit: Limit
    lasts: int | None


@dataclass(frozen=True)
class Profile:
    """A class of senders: its limits, how they grow, and what happens beyond them.

    ``limits`` hold for each sender, ``parent_limits`` for a customer's senders together.
    ``newcomer`` steps count days since the sender exists, ``trusted`` steps its clean active
    days among the last 30. ``slowed`` and ``probation`` are the fractions of the limits that
    those standings leave; ``probation_for`` is in seconds. ``vouched``: how many times its limits a
    sender may send while evidence speaks for it.
    """

    name: str
    limits: tuple[Limit, ...] = ()
    parent_limits: tuple[Limit, ...] = ()
    newcomer: tuple[Step, ...] = ()
    trusted: tuple[Step, ...] = ()
    slowed: float = 0.1
    probation: float = 0.25
    probation_for: int = 86400
    vouched: float = 1.0
    over_limit: Action = DEFER
    paused: Action = DEFER
    locked: Action = REJECT
    pauses: tuple[PauseRule, ...] = ()
    usual: Usual = ORDINARY


@dataclass(frozen=True)
class Override:
    """An exception for one sender: another profile, other limits, both; until when, by whom, why.

    ``limits`` replace the profile's limits of the same units.
    """

    sender: str
    profile: str | None = None
    limits: tuple[Limit, ...] = ()
    until: float | None = None
    by: str = "policy file"
    why: str = ""


@dataclass(frozen=True)
class Entry:
    """What the directory knows about a sender. ``created_at``: seconds since the epoch."""

    customer: str = ""
    profile: str = ""
    language: str = ""
    contact: str = ""
    created_at: float | None = None


@dataclass(frozen=True)
class Texts:
    """What the client reads (ASCII, one line); the reference is appended. Never a figure."""

    over_limit: str = "Too many recipients in a short time, please try again later"
    paused: str = "Sending is paused for this account, please contact support"
    locked: str = "Sending is disabled for this account, please contact support"


DEFAULT_PROFILES: Mapping[str, str] = MappingProxyType(
    {"login": "personal", "ip": "relay", "uid": "script", "script": "script", "customer": "personal"}
)


@dataclass(frozen=True)
class Policy:
    """All rules. ``newcomer_watch`` (seconds): how long an installation must have been watching
    before a sender that it has never seen counts as new. ``replies``: rules for the replies of other
    hosts, the operator's own first."""

    profiles: Mapping[str, Profile]
    defaults: Mapping[str, str] = field(default_factory=lambda: DEFAULT_PROFILES)
    overrides: Mapping[str, Override] = field(default_factory=dict)
    naming: Naming = field(default_factory=Naming)
    texts: Mapping[str, Texts] = field(default_factory=lambda: {"en": Texts()})
    language: str = "en"
    on_error: Action = PASS_ON
    newcomer_watch: float = 14 * 86400.0
    replies: tuple[Rule, ...] = ()
    detection: Detection = NO_DETECTION

    def profile(self, name: str, kind: str) -> Profile:
        """The named profile, else the default of that kind of sender."""
        found = self.profiles.get(name)
        return found if found is not None else self.profiles[self.defaults[kind]]

    def text(self, situation: str, language: str) -> str:
        """The client's text for over_limit, paused or locked in the language, else the default's."""
        texts = self.texts.get(language) or self.texts[self.language]
        text: str = getattr(texts, situation)
        return text


def enforced(policy: Policy) -> Policy:
    """The policy as if neither its rules nor its detection were in shadow mode; what is off stays off."""
    profiles = {
        name: replace(
            profile,
            limits=_enforced(profile.limits),
            parent_limits=_enforced(profile.parent_limits),
            pauses=tuple(replace(r, limit=replace(r.limit, mode="enforce")) for r in profile.pauses),
        )
        for name, profile in policy.profiles.items()
    }
    overrides = {key: replace(o, limits=_enforced(o.limits)) for key, o in policy.overrides.items()}
    detection = policy.detection
    if detection.mode == "shadow":
        detection = replace(detection, mode="enforce")
    return replace(policy, profiles=profiles, overrides=overrides, detection=detection)


def _enforced(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    return tuple(replace(limit, mode="enforce") for limit in limits)


def merged_limits(base: tuple[Limit, ...], replacing: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """``base`` with all limits of the units that ``replacing`` names exchanged."""
    units: set[Unit] = {limit.unit for limit in replacing}
    return tuple(limit for limit in base if limit.unit not in units) + replacing


def step_factor(steps: tuple[Step, ...], days: float) -> float:
    """The factor of the last step reached; 1.0 before the first."""
    factor = 1.0
    for step in steps:
        if days >= step.days:
            factor = step.factor
    return factor


def situation_of(state: State) -> str:
    """Which text and action a stopped state asks for."""
    return "locked" if state is State.LOCKED else "paused"
