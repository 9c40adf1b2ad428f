"""Recognises a sender in a stranger's hands, and lets little out until it is sure.

A recipient to whom the sender has got mail through before passes at the cost of one look in a filter. The
others are counted; when enough has changed, the signals look at the counts. From ``slow_at`` on only
canaries pass: so many novel recipients under way at once whose outcomes are not known yet; good outcomes
speak for the sender, bad ones against it. From ``pause_at`` on the sender is paused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from penstock.core.acquaintance import Acquaintance
from penstock.core.events import Attempt
from penstock.core.evidence import Detection, Finding, Usual, suspicion
from penstock.core.freemail import FREEMAIL
from penstock.core.habit import LASTS, habit_of
from penstock.core.ledger import Counter, Ledger
from penstock.core.sender import Sender, Watch
from penstock.core.standing import State, change
from penstock.engine.book import Book
from penstock.engine.roster import Roster
from penstock.signals import look
from penstock.signals.view import WINDOWS, View

DAY: Final = 86400
PATIENCE: Final = 900.0
"""Seconds after which a canary whose outcome nobody has told counts as landed."""

CALM: Final = 6 * 3600.0
"""Seconds below ``slow_at`` after which a case is closed."""

COLD: Final = 14 * 86400.0
"""Seconds in which an installation learns who writes to whom; until then floors are higher."""

GOOD_FOR_ONE: Final = 4
"""So many canaries that got through make room for one more at once."""

COLD_FACTOR: Final = 6.0
MOST_NETWORKS: Final = 50_000
MOST_ACCOUNTS: Final = 16
MOST_CASES: Final = 20_000
STRIDE: Final = 0.1
"""The signals look again when novel recipients have grown by this part."""

BY: Final = "penstock:evidence"


@dataclass(slots=True)
class Case:
    """A sender under suspicion. ``slowed``: only canaries pass; ``under_way``: canaries → when they passed.
    ``good``: of these, how many have got through since one did not; ``seen_at``: when it was last found
    suspicious. Times are seconds since the epoch."""

    sender: str
    opened_at: float
    suspicion: float
    findings: tuple[Finding, ...]
    seen_at: float
    slowed: bool = True
    under_way: dict[str, float] = field(default_factory=dict)
    good: int = 0

    @property
    def why(self) -> str:
        """What speaks against the sender, the heaviest first, as an administrator reads it."""
        return "; ".join([finding.text for finding in self.findings if finding.weight > 0][:4])


class Detector:
    """The signals of one node at work. ``on_case`` hears of every case that is opened or has changed."""

    def __init__(self, roster: Roster, book: Book, acquaintance: Acquaintance) -> None:
        self.mode = roster.policy.detection.mode
        self.cases: dict[str, Case] = {}
        self.weights: dict[str, float] = {}
        self.on_case: Callable[[Case, Sender], None] = lambda case, sender: None
        self.acquaintance = acquaintance
        self._roster = roster
        self._book = book
        self._networks: dict[str, tuple[int, set[str]]] = {}
        self._tainted: dict[str, float] = {}
        self._node = Ledger()

    @property
    def _rules(self) -> Detection:
        return self._roster.policy.detection

    # --- what is sent -----------------------------------------------------------------------

    def arrive(self, sender: Sender, a: Attempt) -> None:
        """A message begins: where from, under which name?"""
        second = int(a.at)
        if a.client_address and sender.key.startswith("login:"):
            self._come_from(sender, a.client_address, second)
        if a.envelope_from and self._is_new("e", sender.key, a.envelope_from.lower(), second):
            self._book.count(sender, int(Counter.ENVELOPES), second, 1)

    def _come_from(self, sender: Sender, address: str, second: int) -> None:
        wide, narrow = networks_of(address)
        if not wide or not self._is_new("n", sender.key, wide, second):
            return
        self._book.count(sender, int(Counter.NETWORKS), second, 1)
        self._watch(sender, second).network = narrow
        sender.novel_left = 0
        day, accounts = self._networks.get(narrow, (0, set()))
        if day != second // DAY:
            accounts = set()
        if len(accounts) < MOST_ACCOUNTS:
            accounts.add(sender.key)
        if len(self._networks) >= MOST_NETWORKS:
            del self._networks[next(iter(self._networks))]
        self._networks[narrow] = second // DAY, accounts

    def _is_new(self, kind: str, key: str, what: str, second: int) -> bool:
        """Whether this is the first time today of something that the sender has not used on an earlier day.

        What was used on one day becomes usual on the next, unless the sender is under suspicion."""
        known = self.acquaintance
        usual = known.digest(kind, key, what)
        if known.knows(usual):
            known.meet(usual)
            return False
        day = second // DAY
        today = known.digest(kind, key, f"{what}\0{day}")
        for before in range(1, 4):
            if key not in self.cases and known.knows(known.digest(kind, key, f"{what}\0{day - before}")):
                known.meet(usual)
                return False
        return not known.meet(today)

    def admit(self, sender: Sender, recipient: str, at: float) -> Case | None:
        """None when the recipient may pass, else the case for which it must not. Counts it when it is new."""
        known, second = self.acquaintance, int(at)
        address = recipient.lower()
        pair = known.digest("r", sender.key, address)
        if known.knows(pair):
            return None
        case, enforced = self.cases.get(sender.key), self.mode == "enforce"
        if case is not None and case.slowed and enforced and self._full(case, at):
            return case
        self._count_novel(sender, address, second)
        sender.novel_left -= 1
        if sender.novel_left < 0 or case is not None:
            case = self._look(sender, at)
        if case is not None and enforced:
            if sender.standing.stopped:
                return case
            case.under_way[address] = at
        return None

    def _count_novel(self, sender: Sender, address: str, second: int) -> None:
        known, count = self.acquaintance, self._book.count
        count(sender, int(Counter.NOVEL), second, 1)
        if not known.knows(known.digest("r", "", address)):
            count(sender, int(Counter.STRANGERS), second, 1)
        if known.knows(known.digest("d", "", address)) and not known.knows(
            known.digest("d", sender.key, address)
        ):
            count(sender, int(Counter.DEAD), second, 1)
        if address.rpartition("@")[2] in FREEMAIL:
            count(sender, int(Counter.FREEMAIL), second, 1)

    def _full(self, case: Case, at: float) -> bool:
        """Whether all canaries are under way."""
        for address in [a for a, since in case.under_way.items() if since + PATIENCE <= at]:
            del case.under_way[address]
        return len(case.under_way) >= self._rules.canaries + case.good // GOOD_FOR_ONE

    def is_full(self, sender: Sender, at: float) -> bool:
        """Whether no further novel recipient of a slowed sender would pass now."""
        case = self.cases.get(sender.key)
        return case is not None and case.slowed and self._full(case, at)

    # --- what comes back --------------------------------------------------------------------

    def delivered(self, sender: Sender, recipient: str, at: float) -> None:
        """A recipient has got it: they know each other now, unless the sender is under suspicion."""
        if self.mode == "off":
            return
        known, address = self.acquaintance, recipient.lower()
        self._node.add(int(Counter.DELIVERED), int(at), 1)
        case = self.cases.get(sender.key)
        if case is None:
            known.meet(known.digest("r", sender.key, address))
            known.meet(known.digest("r", "", address))
        elif case.under_way.pop(address, None) is not None:
            case.good += 1
            self._look(sender, at)

    def dead(self, sender: Sender, recipient: str, at: float) -> None:
        """An address does not exist."""
        if self.mode == "off":
            return
        known, address = self.acquaintance, recipient.lower()
        known.meet(known.digest("d", "", address))
        if not known.meet(known.digest("d", sender.key, address)):
            self._book.count(sender, int(Counter.NEWLY_DEAD), int(at), 1)
        self._landed_badly(sender, address, at)

    def refused(self, sender: Sender, recipient: str, at: float) -> None:
        """Another host refuses us for content, reputation or rate."""
        if self.mode == "off":
            return
        self._node.add(int(Counter.REPUTATION), int(at), 1)
        self._landed_badly(sender, recipient.lower(), at)

    def complained(self, sender: Sender, at: float) -> None:
        """A recipient complains."""
        self._look(sender, at)

    def _landed_badly(self, sender: Sender, address: str, at: float) -> None:
        case = self.cases.get(sender.key)
        if case is not None:
            case.under_way.pop(address, None)
            case.good = 0
        self._look(sender, at)

    # --- looking ----------------------------------------------------------------------------

    def _watch(self, sender: Sender, second: int) -> Watch:
        watch = sender.watch
        if watch is None:
            watch = sender.watch = Watch(habit_of(sender.ledger, sender.first_seen, second))
        elif second - watch.habit.at >= LASTS:
            watch.habit = habit_of(sender.ledger, sender.first_seen, second)
        return watch

    def view(self, sender: Sender, at: float) -> View:
        """What the signals see of a sender."""
        second = int(at)
        watch = self._watch(sender, second)
        hour, day, week = sender.ledger.sums(second, WINDOWS)
        network = self._networks.get(watch.network)
        shared = len(network[1]) if network is not None and network[0] == second // DAY else 0
        tainted = watch.network in self._tainted and day[Counter.NETWORKS] > 0
        usual = self._usual(sender, at)
        return View(
            second,
            sender.kind,
            usual,
            watch.habit,
            day,
            week,
            shared,
            tainted,
            self._elsewhere(hour, second),
        )

    def _usual(self, sender: Sender, at: float) -> Usual:
        """The profile's floors; higher while the installation does not know who writes to whom."""
        usual = sender.profile.usual
        warm = min(1.0, max(0.0, (at - self._roster.watching_since) / COLD))
        factor = 1 + (COLD_FACTOR - 1) * (1 - warm)
        return usual if factor <= 1 else replace(usual, novel=int(usual.novel * factor))

    def _elsewhere(self, own: list[int], second: int) -> float:
        """The share of refusals about us that other senders meet within the hour."""
        refused = self._node.total(Counter.REPUTATION, second, 3600)
        landed = self._node.total(Counter.DELIVERED, second, 3600)
        others = max(0, refused - own[Counter.REPUTATION] - own[Counter.CONTENT] - own[Counter.THROTTLED])
        return others / max(1, others + landed - own[Counter.DELIVERED]) if others > 2 else 0.0

    def weigh(self, sender: Sender, at: float) -> tuple[float, tuple[Finding, ...]]:
        """Suspicion and its findings, the heaviest first."""
        findings = look(self.view(sender, at), self.weights)
        findings.sort(key=lambda finding: -abs(finding.weight))
        return suspicion(self._rules.prior, findings), tuple(findings)

    def _look(self, sender: Sender, at: float) -> Case | None:
        """Look at the evidence, and act on it; the case, if there is one now."""
        rules = self._rules
        if self.mode == "off":
            return None
        found, findings = self.weigh(sender, at)
        sender.novel_left = int(STRIDE * sender.ledger.total(Counter.NOVEL, int(at), DAY))
        case = self.cases.get(sender.key)
        if case is None:
            if found < rules.slow_at:
                return None
            case = self._open(sender, at)
        case.suspicion, case.findings = found, findings
        case.slowed = found >= rules.slow_at
        if case.slowed:
            case.seen_at = at
        elif at - case.seen_at > CALM:
            del self.cases[sender.key]
            return None
        if found >= rules.pause_at and not sender.standing.stopped:
            self._pause(case, sender, at)
        self.on_case(case, sender)
        return case

    def _open(self, sender: Sender, at: float) -> Case:
        if len(self.cases) >= MOST_CASES:
            del self.cases[next(iter(self.cases))]
        case = self.cases[sender.key] = Case(sender.key, at, 0.0, (), at)
        return case

    def _pause(self, case: Case, sender: Sender, at: float) -> None:
        rules = self._rules
        if sender.watch is not None and sender.watch.network:
            self._tainted[sender.watch.network] = at
            if len(self._tainted) > MOST_NETWORKS:
                del self._tainted[next(iter(self._tainted))]
        if self.mode != "enforce":
            return
        until = at + rules.lasts if rules.lasts is not None else None
        why = case.why
        paused = change(sender.standing, State.PAUSED, at, BY, why, until, State.PROBATION)
        self._roster.set_standing(sender, paused)


def networks_of(address: str) -> tuple[str, str]:
    """(/16, /24) of an IPv4 address, (/32, /48) of an IPv6 one; ("", "") of what is neither."""
    parts = address.split(".")
    if len(parts) == 4:
        return f"{parts[0]}.{parts[1]}", f"{parts[0]}.{parts[1]}.{parts[2]}"
    groups = address.split(":")
    if len(groups) > 2:
        return ":".join(groups[:2]), ":".join(groups[:3])
    return "", ""
