"""A sender under suspicion, and its canaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from penstock.core.evidence import Finding
from penstock.core.flight import Flight
from penstock.core.policy import WHOLE_MESSAGE
from penstock.core.sender import Sender
from penstock.signals.view import View

UNCOUNTED: Final = 1 << 30
"""Canaries where nobody is stopped."""

CALM: Final = 6 * 3600.0
"""Seconds below ``slow_at`` after which a case is closed."""

PATIENCE, MOST_PATIENCE = 900.0, 4 * 3600.0
"""Seconds after which another goes for a canary whose outcome nobody has told; twice as many each time, until
one is told: a provider that puts a list off for hours says nothing good about it."""

GOOD, SOME, FEW = 24, 4, 2
BAD: Final = 60
"""So many canaries more for each that has landed, fewer for each that comes back: of a login's up to one in
four may, and more and more still pass. Some more for what is no login, a few once a stranger is likelier."""

OF_SCRIPT: Final = 3
"""Canaries that a script begins with, or a client address: nothing tells whose it is but what comes back."""

EVEN: Final = 0.0
"""Suspicion from which a stranger is likelier than the owner."""

AT_HOME: Final = 30
"""So many times as many canaries for a login against which only its flow speaks, and dead addresses: what
a stolen password sends comes from elsewhere or under other names, and the outcomes of a letter to everybody
are known in seconds."""

SETTLED: Final = 0.7
"""How well one must be known (``View.seen``) for that: a young installation knows nobody's networks."""

TELLS, TELLS_AGAIN = 3.0, 10.0
"""Seconds for which nobody is paused for what came back of a message of which more is to be told, and from
then on until that may be so again: a server names the dead before it has taken the mail for the others."""

MOST_OF_TRIAL: Final = 50
"""New recipients of a message that goes as a whole."""

MOST_MET: Final = 1000
MOST_UNDER_WAY: Final = 300


@dataclass(slots=True)
class Case:
    """A sender under suspicion. ``slowed``: only canaries pass; ``under_way``: canaries → when they passed.
    ``good``: how many more than ``canaries`` may be under way; ``met``: who got mail meanwhile (digest of the
    pair → of the recipient with anybody here), known once the suspicion is over; ``leak``: novel recipients
    let through since it was opened; ``at_home``: only its flow speaks against it, and dead addresses;
    ``trial``: the message that goes as a whole; ``campaign``: shared by the senders of one campaign;
    ``waits``: it would be paused, but more is told of a message until ``told_at``. Times are seconds since
    the epoch; ``seen_at``: when it was last found suspicious."""

    sender: str
    opened_at: float
    suspicion: float
    findings: tuple[Finding, ...]
    seen_at: float
    slowed: bool = True
    looked_at: float = 0.0
    closed_at: float | None = None
    campaign: str = ""
    leak: int = 0
    at_home: bool = False
    trial: str = ""
    good: int = 0
    patience: float = PATIENCE
    waits: bool = False
    told_at: float = float("-inf")
    under_way: dict[str, float] = field(default_factory=dict)
    met: dict[int, int] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """What speaks against the sender, the heaviest first, as an administrator reads it."""
        return "; ".join([finding.text for finding in self.findings if finding.weight > 0][:4])

    @property
    def due_at(self) -> float:
        """When a look is due at one that nothing is heard of."""
        return self.told_at if self.waits else max(self.seen_at, self.looked_at) + CALM

    def is_told(self, at: float, more: bool) -> bool:
        """Whether what came back may pause it; else it waits a little, if it is at home. ``more``: others of
        that message are still to be told of."""
        if more and self.at_home and at >= self.told_at + TELLS_AGAIN:
            self.told_at = at + TELLS
        self.waits = at < self.told_at
        return not self.waits

    def place(self, seen: View, findings: tuple[Finding, ...]) -> None:
        """Whether it is at home: but for its flow, and dead addresses, nothing speaks against it."""
        away = any(one.weight > 0 and one.group != "flow" and one.signal != "bounces" for one in findings)
        self.at_home = seen.kind == "login" and seen.seen >= SETTLED and not away

    def start(self, address: str, at: float) -> None:
        """A new recipient has been let through."""
        self.leak += 1
        if len(self.under_way) < MOST_UNDER_WAY:
            self.under_way[address] = at

    def landed(self, address: str) -> bool:
        """Somebody got it; whether it was a canary that was under way."""
        if self.under_way.pop(address, None) is None:
            return False
        self.patience = PATIENCE
        more = FEW if self.suspicion >= EVEN else GOOD if self._is_login else SOME
        self.good = min(self.good + more, MOST_UNDER_WAY)
        return True

    def came_back(self, address: str) -> None:
        """Somebody did not get it."""
        self.under_way.pop(address, None)
        self.good, self.patience = max(0, self.good - BAD), PATIENCE

    def withdraw(self, flight: Flight) -> None:
        """A message was stopped as a whole: its canaries have not gone."""
        for recipient in flight.recipients:
            if self.under_way.pop(recipient.lower(), None) is not None:
                self.leak -= 1

    def is_full(self, address: str, canaries: int, at: float) -> bool:
        """Whether all canaries are under way, this one not among them; none goes while it waits."""
        if canaries == UNCOUNTED:
            return False
        if self.waits:
            return True
        if address in self.under_way:
            return False
        self._give_up(at)
        if self.at_home:
            canaries *= AT_HOME
        elif not self._is_login:
            canaries = min(canaries, OF_SCRIPT)
        return len(self.under_way) >= min(canaries + self.good, MOST_UNDER_WAY)

    @property
    def _is_login(self) -> bool:
        return self.sender.startswith("login:")

    def _give_up(self, at: float) -> None:
        """Wait no longer for what has been under way for too long: it was no good outcome."""
        silent = [one for one, since in self.under_way.items() if since + self.patience <= at]
        for address in silent:
            del self.under_way[address]
        if silent:
            self.good = max(0, self.good - len(silent))
            self.patience = min(2 * self.patience, MOST_PATIENCE)

    def may_try(self, sender: Sender, address: str, flight: Flight, canaries: int, at: float) -> bool:
        """Whether a canary may go. Where a refusal stops a whole message, one whole message goes when no
        other is under way."""
        full = self.is_full(address, canaries, at)
        if sender.profile.over_limit.verb in WHOLE_MESSAGE and not self.under_way:
            self.trial = flight.key
        is_trial = self.trial == flight.key and not self.waits
        return not full or (is_trial and flight.strangers < MOST_OF_TRIAL)
