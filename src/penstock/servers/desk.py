"""What an administrator can ask of the running service: the commands behind the control socket."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from penstock.core import explain
from penstock.core.decision import read_reference
from penstock.core.limits import FLOW, BadLimit, Limit, parse_limit, parse_outcome
from penstock.core.names import BadSender, parse_sender
from penstock.core.note import headline
from penstock.core.policy import Override, Policy
from penstock.core.sender import Sender
from penstock.core.standing import IllegalChange, State
from penstock.engine import Engine, UnknownSender
from penstock.servers.control import Arguments, Command, CommandError
from penstock.servers.values import (
    busiest,
    details_of,
    override_of,
    refusal_from,
    refusal_of,
    row_of,
    standing_of,
)

LONGEST_TERM = 100 * 365 * 86400.0


class Archive(Protocol):
    """What the desk needs of the records."""

    degraded_since: float

    def durably(self, ticket: int) -> Awaitable[bool]:
        """Wait until a ticket is durable; False when it is only in memory."""
        ...

    def history(self, sender: str) -> Future[list[dict[str, Any]]]:
        """Latest changes of a sender."""
        ...

    def refusals(self, sender: str) -> Future[list[dict[str, Any]]]:
        """Latest refusals of a sender."""
        ...

    def refusal(self, reference: str) -> Future[list[dict[str, Any]]]:
        """One refusal."""
        ...


class Desk:
    """The commands. ``status`` and ``reload`` come from the composition root, which knows more."""

    def __init__(
        self,
        engine: Engine,
        archive: Archive,
        sleeping: Callable[[], Mapping[str, bytes]],
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._archive = archive
        self._sleeping = sleeping
        self._clock = clock

    def commands(self) -> dict[str, Command]:
        """Command name → handler."""
        return {
            "standing": self.standing,
            "limit": self.limit,
            "senders": self.senders,
            "show": self.show,
            "explain": self.explain,
        }

    @property
    def _policy(self) -> Policy:
        return self._engine.roster.policy

    # --- changes ----------------------------------------------------------------------------

    async def standing(self, asked: Arguments, who: str) -> dict[str, Any]:
        """Put a sender in a standing: sender, to, reason, for (seconds), then."""
        key, at = self._key(asked), self._clock()
        until, why = _until(asked, at), _reason(asked)
        try:
            to, then = State(str(asked.get("to"))), State(asked.get("then", "open"))
            ticket = self._engine.roster.change_standing(key, to, at, who, why, until, then)
        except (IllegalChange, ValueError) as error:
            raise CommandError(str(error)) from None
        sender = self._engine.roster.get(key, at)
        return {"sender": key, "durable": await self._archive.durably(ticket)} | standing_of(sender)

    async def limit(self, asked: Arguments, who: str) -> dict[str, Any]:
        """Give a sender an exception (profile, limits by unit, for, reason), or take it back."""
        key, at, roster = self._key(asked), self._clock(), self._engine.roster
        try:
            if asked.get("default"):
                ticket = roster.drop_override(key, at, who)
                return {"sender": key, "override": None, "durable": await self._archive.durably(ticket)}
            override = self._override(key, asked, who, at)
        except (BadLimit, UnknownSender) as error:
            raise CommandError(str(error)) from None
        ticket = roster.set_override(override, at)
        return {
            "sender": key,
            "override": override_of(override),
            "durable": await self._archive.durably(ticket),
        }

    def _override(self, key: str, asked: Arguments, who: str, at: float) -> Override:
        profile = asked.get("profile")
        if profile and profile not in self._policy.profiles:
            raise CommandError(f"no profile {profile!r}: there are {', '.join(self._policy.profiles)}")
        limits: list[Limit] = []
        for unit in FLOW:
            limits += [parse_limit(str(text), unit) for text in asked.get(str(unit)) or ()]
        limits += [parse_outcome(str(text)) for text in asked.get("outcomes") or ()]
        if not limits and not profile:
            raise CommandError("say a limit or a profile, for example --recipients 1000/h")
        why = _reason(asked)
        if not why:
            raise CommandError("an exception needs a reason")
        return Override(key, profile or None, tuple(limits), _until(asked, at), who, why)

    # --- questions --------------------------------------------------------------------------

    async def senders(self, asked: Arguments, who: str) -> dict[str, Any]:
        """Senders by what they sent in the last hour or day; ``state`` and ``match`` narrow it."""
        del who
        at, most = self._clock(), _number(asked, "limit", 50)
        state, match = asked.get("state"), str(asked.get("match") or "").lower()
        rows = []
        for number, sender in enumerate(list(self._engine.roster.senders.values())):
            if number % 1000 == 999:
                await asyncio.sleep(0)
            self._settle(sender, at)
            if match in sender.key.lower() and state in (None, str(sender.standing.state)):
                rows.append(row_of(sender, int(at)))
        return {
            "senders": heapq.nlargest(most, rows, key=busiest),
            "matching": len(rows),
            "known": len(self._engine.roster.senders) + len(self._sleeping()),
        }

    async def show(self, asked: Arguments, who: str) -> dict[str, Any]:
        """All about one sender."""
        del who
        key, at = self._key(asked), self._clock()
        try:
            sender = self._engine.roster.find(key)
        except UnknownSender as error:
            raise CommandError(str(error)) from None
        self._settle(sender, at)
        self._engine.roster.replan(sender, at)
        history = await asyncio.wrap_future(self._archive.history(key))
        stored = await asyncio.wrap_future(self._archive.refusals(key))
        known = self._engine.refusals.by_reference
        refusals = {row["reference"]: refusal_from(row) for row in stored}
        refusals |= {refusal.reference: refusal for refusal in (sender.refusals or {}).values()}
        latest = sorted(refusals, key=lambda code: refusals[code].last_at, reverse=True)
        incident = self._engine.casework.incidents.of(key)
        about = {"id": incident.id, "headline": headline(incident)} if incident is not None else None
        return details_of(sender, int(at)) | {
            "origin": self._engine.origins.why(key),
            "incident": about,
            "history": history,
            "refusals": [refusal_of(known.get(code) or refusals[code]) for code in latest[:20]],
        }

    async def explain(self, asked: Arguments, who: str) -> dict[str, Any]:
        """The stretch of refusals behind a reference."""
        del who
        reference = read_reference(str(asked.get("reference") or ""))
        refusal = self._engine.refusals.by_reference.get(reference)
        if refusal is None:
            rows = await asyncio.wrap_future(self._archive.refusal(reference))
            if not rows:
                raise CommandError(f"no refusal has the reference {reference} (they are kept for 90 days)")
            refusal = refusal_from(rows[0])
        sender = self._engine.roster.senders.get(refusal.sender)
        now = {"standing_now": explain.standing_sentence(sender.standing)} if sender is not None else {}
        return refusal_of(refusal) | now

    def _key(self, asked: Arguments) -> str:
        """The sender meant: a key that is known as it stands, else what was typed made canonical."""
        typed = str(asked.get("sender") or "").strip()
        known = typed in self._engine.roster.senders
        if known or (typed in self._sleeping() and not typed.startswith("login:")):
            return typed
        try:
            return parse_sender(typed, self._policy.naming)
        except BadSender as error:
            raise CommandError(str(error)) from None

    def _settle(self, sender: Sender, at: float) -> None:
        until = sender.standing.until
        if until is not None and at >= until:
            self._engine.roster.replan(sender, at)


# --- arguments ------------------------------------------------------------------------------


def _reason(asked: Arguments) -> str:
    """Why; a terminal that does not speak UTF-8 must not get in the way."""
    return str(asked.get("reason") or "").strip().encode("utf-8", "backslashreplace").decode()


def _number(asked: Arguments, name: str, usual: int) -> int:
    """A whole number above zero."""
    found = asked.get(name)
    if found is None:
        return usual
    if not isinstance(found, int) or found < 1:
        raise CommandError(f"{name}: a number above zero, not {found!r}")
    return found


def _until(asked: Arguments, at: float) -> float | None:
    """The end of a term of ``for`` seconds."""
    seconds = asked.get("for")
    if seconds is None:
        return None
    try:
        term = float(seconds)
    except (TypeError, ValueError):
        term = 0.0
    if not 0 < term <= LONGEST_TERM:
        raise CommandError(f"a term of {seconds!r} seconds: between 1 second and 100 years; none is for good")
    return at + term
