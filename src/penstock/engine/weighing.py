"""What the signals see of a sender, and what it adds up to."""

from __future__ import annotations

from collections.abc import Callable

from penstock.core.evidence import Finding, suspicion
from penstock.core.ledger import Counter, Ledger, whole, window_since
from penstock.core.sender import Sender
from penstock.engine.familiar import Familiar
from penstock.engine.roster import Roster
from penstock.signals import look
from penstock.signals.view import (
    ALONE,
    HOUR,
    RECENT,
    WINDOWS,
    View,
    at_one_go,
    busiest_hour,
    calm_for,
    hours_of_day,
    times_of_day,
)

Adjust = Callable[[Sender, float, list[Finding]], list[Finding]]


class Weighing:
    """The evidence of one node. ``weights``: factors learned for signals; ``adjust`` applies what
    administrators have taught to a sender's findings."""

    def __init__(self, roster: Roster, familiar: Familiar) -> None:
        self.weights: dict[str, float] = {}
        self.adjust: Adjust = lambda sender, at, found: found
        self._roster = roster
        self._familiar = familiar
        self._node = Ledger()

    def count(self, counter: Counter, second: int) -> None:
        """An outcome of anybody's mail: what one sender meets is held against what all meet."""
        self._node.add(int(counter), second, 1)

    def calm_for(self, sender: Sender, at: float) -> int:
        """How many more new recipients need no look, negative when this one does: most looks end here, at a
        tenth of the price."""
        judged = at - sender.standing.since < WINDOWS[-1]
        if judged or sender.kind == "script" or self._familiar.texts.alike(sender, at) is not ALONE:
            return -1
        hour, day, week = sender.ledger.sums(int(at), [whole(window, int(at)) for window in WINDOWS[1:]])
        return calm_for(sender.profile.usual, hour, day, week)

    def view(self, sender: Sender, at: float) -> View:
        """What the signals see of a sender: nothing from before somebody last decided about it."""
        second, since, familiar = int(at), sender.standing.since, self._familiar
        watch = familiar.watch(sender, second)
        windows = [whole(window, second) for window in (*WINDOWS, RECENT)]
        if since:
            windows = [max(1, min(window, window_since(since, second))) for window in windows]
        recent = windows.pop()
        now, hour, day, week = sender.ledger.sums(second, windows)
        found = familiar.networks.today(watch.network, second) if day[Counter.FOREIGN] else None
        kind, _, name = sender.key.partition(":")
        usual = familiar.usual(sender, at)
        return View(
            second,
            kind,
            usual,
            watch.habit,
            now,
            hour,
            day,
            week,
            busiest=busiest_hour(sender.ledger, week, second, recent),
            at_one_go=at_one_go(sender.ledger, week, second, windows[3]),
            hours=hours_of_day(sender.ledger, day, second),
            times=times_of_day(sender.ledger, day, usual, second, windows[2]),
            seen=familiar.seen(sender, at),
            shared=len(found.accounts) if found is not None else 0,
            shared_known=found.known if found is not None else 0,
            shared_novel=found.novel if found is not None else 0,
            tainted=found is not None and familiar.networks.is_tainted(watch.network, since, at),
            refused_elsewhere=self._elsewhere(hour, second),
            alike=familiar.texts.alike(sender, at),
            script=name if kind == "script" else "",
            travel=familiar.journeys.today(sender.key, since, at),
        )

    def _elsewhere(self, own: list[int], second: int) -> float:
        """The share of refusals about us that other senders meet within the hour."""
        refused = own[Counter.REPUTATION] + own[Counter.CONTENT] + own[Counter.THROTTLED]
        if not refused:
            return 0.0
        landed = self._node.total(Counter.DELIVERED, second, HOUR)
        others = max(0, self._node.total(Counter.REPUTATION, second, HOUR) - refused)
        return others / max(1, others + landed - own[Counter.DELIVERED]) if others > 2 else 0.0

    def judge(self, sender: Sender, at: float, seen: View) -> tuple[float, tuple[Finding, ...]]:
        """Suspicion and its findings, the heaviest first."""
        rules = self._roster.policy.detection
        heard = [finding for finding in look(seen, self.weights) if finding.signal not in rules.silent]
        findings = self.adjust(sender, at, heard)
        findings.sort(key=lambda finding: -abs(finding.weight))
        return suspicion(rules.prior, findings), tuple(findings)
