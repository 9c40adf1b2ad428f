"""A sender's standing: a small state machine in which every change says who, when and why.

``open`` sends within the limits; ``slowed`` and ``probation`` within a fraction of them;
``paused`` and ``locked`` not at all. A pause ends by itself when it has an end; a lock is
an administrator's word and only an administrator (or its own end) takes it back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a sender may do at present."""

    OPEN = "open"
    SLOWED = "slowed"
    PAUSED = "paused"
    PROBATION = "probation"
    LOCKED = "locked"


STOPPED = frozenset({State.PAUSED, State.LOCKED})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.OPEN: frozenset({State.SLOWED, State.PAUSED, State.PROBATION, State.LOCKED}),
    State.SLOWED: frozenset({State.OPEN, State.SLOWED, State.PAUSED, State.PROBATION, State.LOCKED}),
    State.PAUSED: frozenset({State.OPEN, State.PROBATION, State.PAUSED, State.LOCKED}),
    State.PROBATION: frozenset({State.OPEN, State.SLOWED, State.PAUSED, State.PROBATION, State.LOCKED}),
    State.LOCKED: frozenset({State.OPEN, State.PROBATION, State.PAUSED, State.LOCKED}),
}

ADMIN = "admin:"
"""Prefix of ``by`` for a person: ``admin:alice``. Everything else is Penstock itself."""


class IllegalChange(ValueError):
    """That change of standing is not allowed; the message says why."""


@dataclass(frozen=True)
class Standing:
    """One state with its history's last line. Times are seconds since the epoch.

    ``until`` is when it ends by itself (None: not before somebody says so), ``then`` the state
    that follows.
    """

    state: State = State.OPEN
    since: float = 0.0
    by: str = "penstock"
    why: str = ""
    until: float | None = None
    then: State = State.OPEN

    @property
    def stopped(self) -> bool:
        """Nothing passes."""
        return self.state in STOPPED


INITIAL = Standing()


def change(
    old: Standing,
    to: State,
    at: float,
    by: str,
    why: str,
    until: float | None = None,
    then: State = State.OPEN,
) -> Standing:
    """The standing after somebody's decision; raises IllegalChange."""
    if to not in TRANSITIONS[old.state]:
        raise IllegalChange(f"the sender is {old.state} already: it cannot become {to}")
    if not why.strip():
        raise IllegalChange(f"a change to {to} needs a reason")
    if not by.strip():
        raise IllegalChange(f"a change to {to} needs to say by whom")
    if until is not None and not at < until < math.inf:
        raise IllegalChange("the end of a standing must lie in the future")
    if until is None:
        then = State.OPEN
    if State.LOCKED in (old.state, to, then) and not by.startswith(ADMIN):
        raise IllegalChange("only an administrator can lock a sender or change that it is locked")
    return Standing(to, at, by, why.strip(), until, then)


def settle(standing: Standing, at: float, probation: float) -> Standing:
    """The standing at ``at``: a term that has ended is followed by its ``then``.

    A probation that follows a pause lasts ``probation`` seconds and leads to open.
    """
    while standing.until is not None and at >= standing.until:
        ended, then = standing.until, standing.then
        until = ended + probation if then is State.PROBATION else None
        why = f"the term of '{standing.state}' ended ({standing.why.removeprefix('the term of ')})"
        standing = Standing(then, ended, "penstock:term", why, until)
    return standing
