"""Professional customers: whose mail a tag makes it, and what is worth an administrator's notice.

A notice is an incident that nobody was stopped for: tags that are missing, wrong or somebody else's again
and again, and complaints beyond what a customer was told (a clean one has 1 in 200,000).
Cost: a few figures for each customer, one entry for each sender of bad tags in the last day, at most
``MOST_BAD``.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from penstock.core.evidence import Finding
from penstock.core.incident import Incident
from penstock.core.ledger import Counter, window_since
from penstock.core.limits import Limit, spell_window
from penstock.core.sender import Sender, reach
from penstock.core.tags import Judged, Result, TagRule, Tags
from penstock.engine.incidents import Incidents
from penstock.engine.roster import Roster
from penstock.wire.milter.smarthost import Orders

REPEATS: Final = 5
"""Bad tags of one sender within a day that make an incident."""

DAY: Final = 86400.0
MOST_BAD: Final = 10_000
SWEEP_EVERY: Final = 60.0
NOBODY: Final = "-"
"""Instead of a customer, in figures: whoever is nobody's client."""


@dataclass(frozen=True)
class Professional:
    """One customer: its tag, what is done to its mail, and from which complaints on there is a notice."""

    tag: TagRule
    orders: Orders
    notice: tuple[Limit, ...] = ()


class Professionals:
    """All professional customers of a node. ``figures``: (what, customer, detail) → messages."""

    def __init__(self, roster: Roster, incidents: Incidents, key: bytes) -> None:
        self._roster = roster
        self._incidents = incidents
        self._key = key
        self._bad: dict[str, tuple[float, int]] = {}
        self._swept_at = 0.0
        self.figures: Tally[tuple[str, str, str]] = Tally()
        self.by_name: Mapping[str, Professional] = {}
        self.tags = Tags((), key)

    def adopt(self, professionals: Mapping[str, Professional]) -> None:
        """Take over those of a new policy."""
        self.by_name = professionals
        self.tags = Tags((one.tag for one in professionals.values()), self._key)

    def judged(self, judged: Judged) -> None:
        """Count what became of a message's tag."""
        if judged.result is not Result.NONE:
            self.count("tag", judged.customer, judged.result)

    def count(self, what: str, customer: str, detail: str) -> None:
        """One more message."""
        self.figures[what, customer or NOBODY, detail] += 1

    def of(self, what: str) -> Iterable[tuple[str, str, int]]:
        """(customer, detail, messages) of one kind of figures."""
        return [(customer, detail, n) for (kind, customer, detail), n in self.figures.items() if kind == what]

    # --- notices ----------------------------------------------------------------------------

    def suspicious(self, key: str, judged: Judged, at: float) -> tuple[int, str]:
        """A sender's tag was bad: the how manieth time, and the ID of the incident when it is one by now."""
        since, before = self._bad.pop(key, (at, 0))
        last = self._incidents.of(key)
        if at - since > DAY or (last is not None and last.verdict_at > since):
            since, before = at, 0
        if len(self._bad) >= MOST_BAD:
            del self._bad[next(iter(self._bad))]
        self._bad[key] = since, before + 1
        if before + 1 < REPEATS:
            return before + 1, ""
        text = _WORDS[judged.result].format(n=before + 1, customer=judged.customer or "nobody")
        sender = self._roster.get(key, at)
        return before + 1, self._incidents.notice(sender, Finding("tag", 0.0, text), at).id

    def sweep(self, at: float) -> None:
        """Look at the customers' complaints."""
        if at - self._swept_at < SWEEP_EVERY:
            return
        self._swept_at = at
        for name, professional in self.by_name.items():
            if professional.notice:
                self._look(self._roster.get(f"customer:{name}", at), professional.notice, at)

    def _look(self, sender: Sender, limits: Iterable[Limit], at: float) -> None:
        """A notice when a limit is reached; one that stands is not told again until more has come, one that
        somebody has seen to, or nobody within its time, not until the limit is reached anew."""
        last = self._incidents.of(sender.key)
        for limit in limits:
            signal, window = f"{limit.unit}-ratio", limit.window
            told = _told(last, sender.key, signal)
            if last is not None and told and (last.verdict is not None or last.closed_at is not None):
                since = max(last.verdict_at, last.closed_at or 0.0)
                window = max(1, min(window, window_since(since, int(at))))
            excess = reach(sender, limit, int(at), window)
            if excess is None or (window == limit.window and told.startswith(f"{excess.used} ")):
                continue
            sent = sender.ledger.total(Counter.RECIPIENTS, int(at), window)
            text = (
                f"{excess.used} {limit.unit} about {sent:,} recipients in {spell_window(limit.window)}, "
                f"told to look at from {limit}"
            )
            self._incidents.notice(sender, Finding(signal, 0.0, text), at)


def _told(incident: Incident | None, key: str, signal: str) -> str:
    """What a notice says of that signal, "" for nothing."""
    findings = incident.suspects[key].findings if incident is not None else ()
    return next((finding.text for finding in findings if finding.signal == signal), "")


_WORDS: Final = {
    Result.MISSING: "{n} messages in a day without the tag of customer {customer}, whose client it is",
    Result.WRONG: "{n} messages in a day with a tag that is not right (client of: {customer})",
    Result.FOREIGN: "{n} messages in a day with the tag of customer {customer}, whose client it is not",
}
