"""The field's rules beside Penstock, over the same mail. A rule that fires has stopped its sender for good:
what the sender sends after that is not let through, and its outcomes are not seen."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.detection.draw import DAY, HOUR
from bench.detection.mail import Mail
from bench.detection.postfix_log import Seen


class Window:
    """How much within the last ``seconds``."""

    __slots__ = ("entries", "seconds", "total")

    def __init__(self, seconds: float) -> None:
        self.seconds, self.total = seconds, 0
        self.entries: deque[tuple[float, int]] = deque()

    def add(self, at: float, n: int) -> int:
        """The sum with this one."""
        self.entries.append((at, n))
        self.total += n
        while self.entries[0][0] <= at - self.seconds:
            self.total -= self.entries.popleft()[1]
        return self.total


class State:
    """What a rule keeps of one sender. Returned numbers: how many of a message's recipients pass; fewer than
    all mean that the rule fires. An outcome's ``True`` means that it fires."""

    def accepted(self, seen: Seen) -> int:
        return len(seen.mail.recipients)

    def outcome(self, seen: Seen) -> bool:
        return False


class Rate(State):
    """So many recipients per time."""

    def __init__(self, *limits: tuple[int, float]) -> None:
        self._windows = [(most, Window(seconds)) for most, seconds in limits]

    def accepted(self, seen: Seen) -> int:
        n = len(seen.mail.recipients)
        return max(0, min(n, *(n + most - w.add(seen.at, n) for most, w in self._windows)))


class Bounces(State):
    """So many bounces of some kinds per time."""

    def __init__(self, most: int, seconds: float, kinds: tuple[str, ...]) -> None:
        self._most, self._window, self._kinds = most, Window(seconds), kinds

    def outcome(self, seen: Seen) -> bool:
        return seen.kind in self._kinds and self._window.add(seen.at, 1) >= self._most


class FailedShare(State):
    """cPanel: more than 30 % of an hour's recipients failed or deferred, and at least 5 of them."""

    def __init__(self) -> None:
        self._sent, self._failed = Window(HOUR), Window(HOUR)

    def accepted(self, seen: Seen) -> int:
        self._sent.add(seen.at, len(seen.mail.recipients))
        return len(seen.mail.recipients)

    def outcome(self, seen: Seen) -> bool:
        if seen.kind == "sent":
            return False
        failed = self._failed.add(seen.at, 1)
        return failed >= 5 and failed > 0.3 * self._sent.add(seen.at, 0)


class Networks(State):
    """More than 5 networks (/24, /48) within a day."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def accepted(self, seen: Seen) -> int:
        ip = seen.mail.ip
        n = len(seen.mail.recipients)
        if not ip:
            return n
        self._last[":".join(ip.split(":")[:3]) if ":" in ip else ip.rpartition(".")[0]] = seen.at
        if len(self._last) > 5:
            self._last = {net: at for net, at in self._last.items() if at > seen.at - DAY}
        return 0 if len(self._last) > 5 else n


class NewRecipients(State):
    """30 recipients within an hour to whom this sender has never written."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._window = Window(HOUR)

    def accepted(self, seen: Seen) -> int:
        new = {hash(to.text) for to in seen.mail.recipients} - self._known
        self._known |= new
        n = len(seen.mail.recipients)
        return n if not new else max(0, n - max(0, self._window.add(seen.at, len(new)) - 30))


class Sprt(State):
    """Wald over outcomes alone (Duan: θ0 .02, θ1 .30, α 1e-6, β .01); "honest" starts it again."""

    UP, DOWN = math.log(0.99 / 1e-6), math.log(0.01 / (1 - 1e-6))
    BOUNCED, SENT = math.log(0.30 / 0.02), math.log(0.70 / 0.98)

    def __init__(self) -> None:
        self._sum = 0.0

    def outcome(self, seen: Seen) -> bool:
        if seen.kind == "deferred":
            return False
        self._sum += self.BOUNCED if seen.kind == "unknown" else self.SENT
        if self._sum <= self.DOWN:
            self._sum = 0.0
        return self._sum >= self.UP


HARD = ("unknown", "refused")
RULES: dict[str, Callable[[], State]] = {
    "100 recipients/h": lambda: Rate((100, HOUR)),
    "250 recipients/h": lambda: Rate((250, HOUR)),
    "500 recipients/h": lambda: Rate((500, HOUR)),
    "policyd-rate-limit 10/min + 150/day": lambda: Rate((10, 60.0), (150, DAY)),
    "BlockCracking 100 unknown/h": lambda: Bounces(100, HOUR, ("unknown",)),
    "25 hard bounces/h": lambda: Bounces(25, HOUR, HARD),
    "50 bounces/day": lambda: Bounces(50, DAY, HARD),
    "cPanel 30 % failed": FailedShare,
    "> 5 networks/day": Networks,
    "30 new recipients/h": NewRecipients,
    "Wald on bounces alone": Sprt,
}


@dataclass
class Verdicts:
    """What one way of judging did. ``stopped``: sender → first time, seconds of the corpus. ``passed``: case
    number → recipients of the attack that were let through."""

    name: str
    stopped: dict[str, float] = field(default_factory=dict)
    passed: dict[int, int] = field(default_factory=dict)

    def let_through(self, mail: Mail, n: int) -> None:
        """Count a message of an attack."""
        if mail.case is not None and mail.case.malicious:
            self.passed[mail.case.number] = self.passed.get(mail.case.number, 0) + n


class Comparators:
    """All rules over one corpus."""

    def __init__(self) -> None:
        self.verdicts = {name: Verdicts(name) for name in RULES}
        self._states: dict[str, dict[str, State]] = {name: {} for name in RULES}

    def watch(self, seen: Seen) -> None:
        """An acceptance or an outcome, in the order of time."""
        key = seen.mail.account.key
        for name, verdicts in self.verdicts.items():
            if key not in verdicts.stopped:
                states = self._states[name]
                state = states.get(key) or states.setdefault(key, RULES[name]())
                if _judge(state, verdicts, seen):
                    verdicts.stopped[key] = seen.at
                    del states[key]


def _judge(state: State, verdicts: Verdicts, seen: Seen) -> bool:
    if seen.to is not None:
        return state.outcome(seen)
    n = state.accepted(seen)
    verdicts.let_through(seen.mail, n)
    return n < len(seen.mail.recipients)
