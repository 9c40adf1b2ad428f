"""One sender as the engine keeps it: its counts, its standing, and how much room it has left."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.core.decision import Refusal
from penstock.core.habit import Habit
from penstock.core.ledger import Counter, Ledger
from penstock.core.limits import FLOW, OUTCOMES, UNLIMITED, Limit, Unit
from penstock.core.policy import Entry, Override, Policy, Profile, Step, merged_limits, step_factor
from penstock.core.standing import INITIAL, Standing, State, settle

PLAN_LASTS = 1800
"""Seconds after which a sender's limits are worked out again (age, directory, history)."""

DAY = 86400.0

UNNOTICED = 3
"""Novel recipients of a client address before the signals look for the first time."""


@dataclass(slots=True)
class Watch:
    """What the signals remember of one sender between two looks. ``network``: the newest that is new to
    it; ``suspected_at``: when it last looked suspicious; ``doubted_since``: since when it
    has, with less than a week between two such looks."""

    habit: Habit
    network: str = ""
    suspected_at: float = float("-inf")
    doubted_since: float = float("inf")


class Sender:
    """Whoever mail is charged to.

    ``spare_*``: how much may pass before the limits must be read again; -1 forces a look even when
    nothing more is asked for.
    ``replan_at``: when the limits themselves must be worked out again. ``blocked_until``: up to
    then the refusal ``blocked`` repeats without a look; ``halted`` is the refusal of a sender that is
    paused or locked. ``first_seen``: seconds since the epoch.
    ``log_id``/``log_segment``: this sender's number in that segment of the count log (-1: in none).
    ``origin``: hash of the client address and envelope sender last seen, nothing new about them until
    ``origin_until``; ``foreign``: that client's network if it is not the sender's own. ``number``: of its key
    among acquaintances, 0 until it is needed.
    ``under``: key of the user whose script it is, "" when nobody has told.
    ``novel_left``: novel recipients until the signals look again; ``watch``: what they remember, None for
    most.
    """

    __slots__ = (
        "blocked",
        "blocked_unit",
        "blocked_until",
        "entry",
        "factor",
        "first_seen",
        "foreign",
        "halted",
        "key",
        "ledger",
        "limits",
        "log_id",
        "log_segment",
        "novel_left",
        "number",
        "origin",
        "origin_until",
        "override",
        "parent",
        "profile",
        "refusals",
        "replan_at",
        "spare_kib",
        "spare_messages",
        "spare_recipients",
        "spare_refused",
        "standing",
        "ticket",
        "under",
        "watch",
    )

    def __init__(self, key: str, profile: Profile, first_seen: int, ledger: Ledger) -> None:
        self.key = key
        self.profile = profile
        self.first_seen = first_seen
        self.ledger = ledger
        self.entry: Entry | None = None
        self.override: Override | None = None
        self.parent: Sender | None = None
        self.under = ""
        self.standing: Standing = INITIAL
        self.ticket = 0
        self.limits: tuple[Limit, ...] = ()
        self.factor = 1.0
        self.replan_at = 0.0
        self.spare_recipients = 0
        self.spare_messages = 0
        self.spare_kib = 0
        self.spare_refused = 0
        self.blocked: Refusal | None = None
        self.blocked_unit: Unit | None = None
        self.blocked_until = 0.0
        self.halted: Refusal | None = None
        self.refusals: dict[str, Refusal] | None = None
        self.log_id = 0
        self.log_segment = -1
        self.novel_left = UNNOTICED
        self.watch: Watch | None = None
        self.number = 0
        self.origin = 0
        self.foreign = ""
        self.origin_until = 0.0

    @property
    def kind(self) -> str:
        """``login``, ``uid``, ``script``, ``ip`` or ``customer``."""
        return self.key.partition(":")[0]

    def lineage(self) -> list[Sender]:
        """The sender and its parents, nearest first."""
        found = [self]
        while found[-1].parent is not None:
            found.append(found[-1].parent)
        return found

    def look_again(self) -> None:
        """Forget cached room and refusal: something changed for the better or the worse."""
        self.replan_at = 0.0
        self.spare_recipients = self.spare_messages = self.spare_kib = self.spare_refused = -1
        self.blocked_until = 0.0
        self.halted = None


def plan(sender: Sender, policy: Policy, watching_since: float, at: float) -> None:
    """Work out which limits hold for the sender now, and until when that is sure."""
    override = sender.override
    if override is not None and override.until is not None and at >= override.until:
        sender.override = override = None
    kind = sender.kind
    profile = sender.profile = profile_of(sender, policy)
    base = profile.parent_limits if kind == "customer" else profile.limits
    before, factor = sender.limits, sender.factor
    sender.limits = merged_limits(base, override.limits) if override is not None else base
    sender.factor = 1.0
    if override is None or not any(limit.unit in FLOW for limit in override.limits):
        sender.factor = growth(sender, profile, policy, watching_since, at)[0]
    sender.factor *= _standing_factor(sender.standing, profile)
    ends = [at + PLAN_LASTS, sender.standing.until, override.until if override is not None else None]
    if sender.limits is not before or sender.factor != factor or any(x.share for x in sender.limits):
        sender.look_again()
    sender.replan_at = min(end for end in ends if end is not None)


def profile_of(sender: Sender, policy: Policy) -> Profile:
    """The exception's profile, else the directory's, else the default of the sender's kind."""
    named = sender.override.profile if sender.override is not None else None
    if not named and sender.entry is not None:
        named = sender.entry.profile
    return policy.profile(named or "", sender.kind)


def growth(
    sender: Sender, profile: Profile, policy: Policy, watching_since: float, at: float
) -> tuple[float, str]:
    """The factor that age and clean history give, and the reason in words ("" when it is 1)."""
    born = _born(sender, policy, watching_since)
    if born is not None and profile.newcomer:
        days = max(0.0, (at - born) / DAY)
        factor = step_factor(profile.newcomer, days)
        if factor != 1.0:
            return factor, f"lowered because it is new ({days:.0f} days)"
    return _trust(sender, profile.trusted, at)


def _born(sender: Sender, policy: Policy, watching_since: float) -> float | None:
    """When the sender came to be; None when it may well be older than this installation."""
    if sender.entry is not None and sender.entry.created_at is not None:
        return sender.entry.created_at
    if sender.kind == "customer" or sender.first_seen < watching_since + policy.newcomer_watch:
        return None
    return float(sender.first_seen)


def _trust(sender: Sender, steps: tuple[Step, ...], at: float) -> tuple[float, str]:
    if not steps or sender.standing.state is not State.OPEN or at - sender.standing.since < 30 * DAY:
        return 1.0, ""
    if at - sender.first_seen < (steps[0].days - 1) * DAY:
        return 1.0, ""
    days = sender.ledger.active_days(Counter.RECIPIENTS, int(at))
    factor = step_factor(steps, days)
    return factor, f"raised for {days} clean active days" if factor != 1.0 else ""


def _standing_factor(standing: Standing, profile: Profile) -> float:
    if standing.state is State.SLOWED:
        return profile.slowed
    return profile.probation if standing.state is State.PROBATION else 1.0


def settled(sender: Sender, at: float) -> Standing | None:
    """The standing that follows when the present one's term has ended, else None."""
    now = settle(sender.standing, at, sender.profile.probation_for)
    return now if now is not sender.standing else None


@dataclass(frozen=True)
class Excess:
    """A limit that the attempt would exceed: ``used`` of ``allowed`` in its window already."""

    limit: Limit
    allowed: int
    used: int


def check(sender: Sender, at: int, recipients: int, messages: int, kib: int) -> list[Excess]:
    """The limits that this much more would exceed; records nothing but the room it found.

    While a limit on outcomes is reached there is no room, so each attempt looks again. A share may also be
    reached because recipients have left the window: that is seen when the sender is next planned.
    """
    wanted = {Unit.RECIPIENTS: recipients, Unit.MESSAGES: messages, Unit.BYTES: kib}
    spare = dict.fromkeys(wanted, UNLIMITED)
    reached = _outcomes(sender, at)
    found = list(reached) if recipients + messages else []
    factor = sender.factor
    flow = [limit for limit in sender.limits if limit.unit in wanted]
    windows = sorted({limit.window for limit in flow})
    sums = dict(zip(windows, sender.ledger.sums(at, windows), strict=True))
    for limit in flow:
        unit = limit.unit
        used = sums[limit.window][unit.counter]
        allowed = limit.scaled(factor) if factor != 1.0 else limit.amount
        room = allowed - used
        if room < spare[unit]:
            spare[unit] = room if room > 0 else 0
        if 0 < wanted[unit] > room:
            found.append(Excess(limit, allowed, used))
    if reached:
        spare = dict.fromkeys(wanted, -1)
    sender.spare_recipients = spare[Unit.RECIPIENTS]
    sender.spare_messages = spare[Unit.MESSAGES]
    sender.spare_kib = spare[Unit.BYTES]
    return found


def _outcomes(sender: Sender, at: int) -> list[Excess]:
    """The limits on outcomes that are reached."""
    found = []
    for limit in sender.limits:
        if limit.unit in OUTCOMES:
            reached = reach(sender, limit, at)
            if reached is not None:
                found.append(reached)
    return found


def reach(sender: Sender, limit: Limit, at: int, window: int | None = None) -> Excess | None:
    """A limit on outcomes if it is reached (``window``: seconds, if shorter than the limit's)."""
    window = limit.window if window is None else window
    used = sender.ledger.total(limit.unit.counter, at, window)
    if used < limit.amount:
        return None
    allowed = limit.allowed(sender.ledger, at, window)
    return Excess(limit, allowed, used) if used >= allowed else None


def block(sender: Sender, excess: Excess, refusal: Refusal, at: int) -> None:
    """Remember that nothing more can pass before the window has moved on."""
    limit = excess.limit
    sender.blocked, sender.blocked_unit = refusal, limit.unit
    counter, most = limit.unit.counter, excess.allowed - 1
    sender.blocked_until = (
        min(sender.ledger.room_at(counter, at, limit.window, most), at + PLAN_LASTS)
        if limit.unit is not Unit.BYTES and excess.used >= excess.allowed
        else 0.0
    )
