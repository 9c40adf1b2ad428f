"""Recognises a sender in a stranger's hands, and lets little out until it is sure.

A recipient to whom the sender has got mail through before passes at the cost of one look in a filter. The
others are counted; when enough has changed, the signals look at the counts. From ``slow_at`` on only
canaries pass: so many novel recipients under way at once whose outcomes are not known yet; good outcomes
speak for the sender and let more pass, bad ones against it. From ``pause_at`` on the sender is paused. Where
no outcomes are seen at all, nobody is slowed: who waits for them would wait for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from penstock.core.acquaintance import Acquaintance
from penstock.core.events import Attempt
from penstock.core.evidence import ALLEGED, Detection, Finding, Usual, suspicion
from penstock.core.flight import Flight
from penstock.core.freemail import FREEMAIL
from penstock.core.habit import LASTS, habit_of
from penstock.core.ledger import Counter, Ledger, window_since
from penstock.core.policy import WHOLE_MESSAGE
from penstock.core.sender import Excess, Sender, Watch
from penstock.core.standing import State, change
from penstock.engine.book import Book
from penstock.engine.networks import Networks, networks_of
from penstock.engine.providers import Providers
from penstock.engine.roster import Roster
from penstock.signals import look
from penstock.signals.view import WINDOWS, View

DAY: Final = 86400
PATIENCE: Final = 900.0
"""Seconds after which a canary whose outcome nobody has told counts as landed."""

CALM: Final = 6 * 3600.0
"""Seconds below ``slow_at`` after which a case is closed."""

LOOK_AGAIN: Final = 600.0
"""Seconds after which a sender with a case is looked at again when it sends."""

YOUNG: Final = 7 * DAY
"""Seconds of an installation in which networks are their senders' own when they are first seen."""

COLD: Final = 14.0
"""Days in which an installation learns who writes to whom, and a new customer brings its
correspondents."""

COLD_FACTOR: Final = 6.0
NEW_FACTOR: Final = 2.0
BLIND: Final = 6 * 3600
"""Seconds without any outcome after which none are expected."""

MOST_CASES: Final = 20_000
MOST_MET: Final = 1000
MOST_UNDER_WAY: Final = 200
STRIDE: Final = 0.1
"""The signals look again when novel recipients have grown by this part."""

UNREMARKABLE: Final = 0.4
"""Up to this part of a usual day, the novel recipients of an hour are nothing to look at."""

GOOD: Final = 2
BAD: Final = 14
"""So many canaries more for each that has landed, fewer for each that comes back: up to one in eight may, and
more and more still pass."""

AT_HOME: Final = 8
"""So many times as many canaries for a login that speaks up from its own networks."""

TESTED: Final = 7
"""New recipients of the day whose outcome must be known before what flows, and where from, pauses a sender."""

UNDER_WAY: Final = 60
"""Seconds for which a recipient's outcome is not missed yet."""

ARRIVED: Final = 0.6
"""Of what is not under way: so much must have arrived."""

STRANGERS: Final = 0.2
HABITUAL: Final = 20.0
"""So many times further may go who writes to few strangers."""

MOST_OF_TRIAL: Final = 50
"""New recipients of a message that goes as a whole."""

BY: Final = "penstock:evidence"


@dataclass(slots=True)
class Case:
    """A sender under suspicion. ``slowed``: only canaries pass; ``under_way``: canaries → when they passed.
    ``good``: how many more than ``canaries`` may be under way; ``met``: who got mail meanwhile (digests),
    known once the case is closed; ``leak``: novel recipients let through since it was opened; ``campaign``:
    shared by the senders of one campaign. Times are seconds since the epoch; ``seen_at``: when it was last
    found suspicious."""

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
    under_way: dict[str, float] = field(default_factory=dict)
    met: set[int] = field(default_factory=set)

    @property
    def why(self) -> str:
        """What speaks against the sender, the heaviest first, as an administrator reads it."""
        return "; ".join([finding.text for finding in self.findings if finding.weight > 0][:4])


class Detector:
    """The signals of one node at work. ``on_case`` hears of every case that is opened or has changed;
    ``adjust`` applies what administrators have taught to a sender's findings."""

    def __init__(self, roster: Roster, book: Book, acquaintance: Acquaintance) -> None:
        self.mode = roster.policy.detection.mode
        self.cases: dict[str, Case] = {}
        self.weights: dict[str, float] = {}
        self.on_case: Callable[[Case, Sender], None] = lambda case, sender: None
        self.adjust: Callable[[Sender, float, list[Finding]], list[Finding]] = lambda sender, at, found: found
        self.acquaintance = acquaintance
        self._roster = roster
        self._book = book
        self._networks = Networks()
        self._providers = Providers()
        self._node = Ledger()
        self._outcome_at = 0.0

    @property
    def _rules(self) -> Detection:
        return self._roster.policy.detection

    # --- what is sent -----------------------------------------------------------------------

    def arrive(self, sender: Sender, a: Attempt, flight: Flight) -> None:
        """A message begins: where from, under which name? ``foreign``: the network if it is not its own."""
        case = self.cases.get(sender.key)
        origin = f"{a.client_address} {a.envelope_from}"
        if case is None and origin == sender.origin and a.at < sender.origin_until:
            return
        if case is not None and a.at - case.looked_at > LOOK_AGAIN:
            self._look(sender, a.at)
        usual = not a.envelope_from or self._sign(
            sender, a.envelope_from.rpartition("@")[2].lower(), int(a.at)
        )
        if a.client_address and sender.kind == "login":
            flight.foreign = self._come_from(sender, a.client_address, a.at)
        if usual and not flight.foreign:
            sender.origin, sender.origin_until = origin, float(int(a.at) // DAY * DAY + DAY)

    def _sign(self, sender: Sender, name: str, second: int) -> bool:
        """Whether the domain of an envelope sender is usual: from the day after its first use on, if that was
        without suspicion."""
        known, day = self.acquaintance, second // DAY
        usual = known.digest("e", sender.key, name)
        if known.knows(usual) or (
            sender.key not in self.cases and self._used_before("e", sender.key, name, day, 1)
        ):
            known.meet(usual)
            return True
        if not known.meet(known.digest("e", sender.key, f"{name}\0{day}")):
            self._book.count(sender, int(Counter.ENVELOPES), second, 1)
        return False

    def _used_before(self, kind: str, key: str, what: str, day: int, most: int, least: int = 1) -> bool:
        """Whether it was used on ``least`` of the ``most`` days before."""
        known = self.acquaintance
        days = (known.knows(known.digest(kind, key, f"{what}\0{day - ago}")) for ago in range(1, most + 1))
        return sum(days) >= least

    def _come_from(self, sender: Sender, address: str, at: float) -> str:
        wide, narrow = networks_of(address)
        if not wide:
            return ""
        known = self.acquaintance
        own = known.digest("n", sender.key, wide)
        if known.knows(own):
            known.meet(own)
            return ""
        home, day = known.digest("h", sender.key, ""), int(at) // DAY
        young = at - self._watching_since < YOUNG
        if not known.meet(home) or (
            sender.key not in self.cases and (young or self._used_before("f", sender.key, wide, day, 7, 3))
        ):
            known.meet(own)
            return ""
        self._watch(sender, int(at)).network = narrow
        if not known.meet(known.digest("f", sender.key, f"{wide}\0{day}")):
            self._book.count(sender, int(Counter.NETWORKS), int(at), 1)
        return narrow

    def _born(self, sender: Sender) -> float:
        return max(float(sender.first_seen), self._watching_since)

    @property
    def _watching_since(self) -> float:
        """Since when this node learns who writes to whom."""
        return max(self._roster.watching_since, self.acquaintance.since)

    def admit(self, sender: Sender, recipient: str, at: float, flight: Flight) -> Case | None:
        """None when the recipient may pass, else the case for which it must not. Counts it when it is new."""
        known = self.acquaintance
        address = recipient.lower()
        if known.knows(known.digest("r", sender.key, address)):
            if flight.foreign:
                self._from_abroad(sender, flight.foreign, int(at), False)
            return None
        case = self.cases.get(sender.key)
        enforced = self.mode == "enforce" and self._sighted(at)
        if (
            case is not None
            and case.slowed
            and enforced
            and not self._may_try(case, sender, address, flight, at)
        ):
            return case
        if not known.meet(known.digest("a", sender.key, address)):
            self._count_novel(sender, address, int(at))
            flight.strangers += 1
            if flight.foreign:
                self._from_abroad(sender, flight.foreign, int(at), True)
        sender.novel_left -= 1
        if sender.novel_left < 0 or case is not None or flight.foreign:
            case = self._look(sender, at)
        if case is not None:
            if enforced and sender.standing.stopped:
                return case
            case.leak += 1
            if len(case.under_way) < MOST_UNDER_WAY:
                case.under_way[address] = at
        return None

    def _from_abroad(self, sender: Sender, narrow: str, second: int, novel: bool) -> None:
        """A recipient of mail from a network that is not the sender's own, or not yet."""
        self._networks.used(narrow, sender.key, second, novel)
        self._book.count(sender, int(Counter.FOREIGN), second, 1)
        if novel:
            self._book.count(sender, int(Counter.FOREIGN_NOVEL), second, 1)
            return
        known, day, wide = self.acquaintance, second // DAY, _wide(narrow)
        if self._used_before("k", sender.key, wide, day, 7):
            known.meet(known.digest("n", sender.key, wide))
        known.meet(known.digest("k", sender.key, f"{wide}\0{day}"))

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

    def _sighted(self, at: float) -> bool:
        """Whether outcomes are seen on this node."""
        return at - self._outcome_at <= BLIND

    def _may_try(self, case: Case, sender: Sender, address: str, flight: Flight, at: float) -> bool:
        """Whether a canary may go. Where a refusal stops a whole message, one whole message goes when
        no other is under way."""
        full = self._full(case, address, at)
        if sender.profile.over_limit.verb in WHOLE_MESSAGE and not case.under_way:
            case.trial = flight.key
        return not full or (case.trial == flight.key and flight.strangers < MOST_OF_TRIAL)

    def withdrawn(self, flight: Flight) -> None:
        """A message was stopped as a whole: its canaries have not gone."""
        case = self.cases.get(flight.senders[0].key)
        if case is not None:
            for recipient in flight.recipients:
                case.under_way.pop(recipient.lower(), None)

    def _full(self, case: Case, address: str, at: float) -> bool:
        """Whether all canaries are under way, this one not among them."""
        if address in case.under_way:
            return False
        for other in [a for a, since in case.under_way.items() if since + PATIENCE <= at]:
            del case.under_way[other]
        return len(case.under_way) >= self._rules.canaries * (AT_HOME if case.at_home else 1) + case.good

    def is_full(self, sender: Sender, at: float) -> bool:
        """Whether no further novel recipient of a slowed sender would pass now."""
        case = self.cases.get(sender.key)
        return case is not None and case.slowed and self._sighted(at) and self._full(case, "", at)

    def vouches(self, sender: Sender, excess: Excess, at: float) -> bool:
        """Whether a sender may go on beyond a limit: most of what it sent today has arrived. What it has just
        sent is still under way; a sender under suspicion is held by its canaries."""
        factor = sender.profile.vouched
        if factor <= 1 or self.mode != "enforce" or not self._sighted(at):
            return False
        if sender.standing.state is not State.OPEN:
            return False
        now, day = sender.ledger.sums(int(at), (UNDER_WAY, DAY))
        sent = day[Counter.RECIPIENTS] - now[Counter.RECIPIENTS]
        if day[Counter.DELIVERED] < ARRIVED * sent:
            return False
        if day[Counter.NOVEL] <= STRANGERS * day[Counter.RECIPIENTS]:
            factor *= HABITUAL
        return excess.used < excess.allowed * factor

    # --- what comes back --------------------------------------------------------------------

    def delivered(self, sender: Sender, recipient: str, at: float) -> None:
        """A recipient has got it: they know each other now, or once the suspicion is over."""
        if self.mode == "off":
            return
        known, address, second = self.acquaintance, recipient.lower(), int(at)
        self._outcome_at = at
        self._node.add(int(Counter.DELIVERED), second, 1)
        pair = known.digest("r", sender.key, address)
        case = self.cases.get(sender.key)
        if known.knows(pair):
            known.meet(pair)
            self._providers.reached(address.rpartition("@")[2], second, True)
            return
        self._unasked(sender, address, second)
        if case is None or not case.slowed:
            known.meet(pair)
            known.meet(known.digest("r", "", address))
        elif pair in case.met:
            return
        elif len(case.met) < MOST_MET:
            case.met.add(pair)
        self._book.count(sender, int(Counter.PROVEN), second, 1)
        self._providers.reached(address.rpartition("@")[2], second, False)
        if case is not None and case.under_way.pop(address, None) is not None:
            case.good += GOOD if sender.key.startswith("login:") else 1
            self._look(sender, at)

    def _unasked(self, sender: Sender, address: str, second: int) -> None:
        """Nobody was asked about this recipient (local mail that only the log tells of)."""
        if not self.acquaintance.meet(self.acquaintance.digest("a", sender.key, address)):
            self._count_novel(sender, address, second)

    def dead(self, sender: Sender, recipient: str, at: float) -> None:
        """An address does not exist. That counts when nobody here has ever got mail through to it."""
        if self.mode == "off":
            return
        known, address, second = self.acquaintance, recipient.lower(), int(at)
        self._outcome_at = at
        domain = address.rpartition("@")[2]
        if known.knows(known.digest("r", "", address)):
            self._providers.vanished(domain, sender.key, second)
        elif not self._providers.fails(domain, sender.key, second):
            self._unasked(sender, address, second)
            known.meet(known.digest("d", "", address))
            if not known.meet(known.digest("d", sender.key, address)):
                self._book.count(sender, int(Counter.NEWLY_DEAD), second, 1)
                self._landed_badly(sender, address, at)
                return
        case = self.cases.get(sender.key)
        if case is not None:
            case.under_way.pop(address, None)

    def refused(self, sender: Sender, recipient: str, at: float) -> None:
        """Another host refuses us for content, reputation or rate."""
        if self.mode == "off":
            return
        self._outcome_at = at
        self._node.add(int(Counter.REPUTATION), int(at), 1)
        self._landed_badly(sender, recipient.lower(), at)

    def complained(self, sender: Sender, at: float) -> None:
        """A recipient complains."""
        self._look(sender, at)

    def _landed_badly(self, sender: Sender, address: str, at: float) -> None:
        case = self.cases.get(sender.key)
        if case is not None:
            case.under_way.pop(address, None)
            case.good = max(0, case.good - BAD)
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
        """What the signals see of a sender: nothing from before somebody last decided about it."""
        second, since = int(at), sender.standing.since
        watch = self._watch(sender, second)
        windows = [
            max(1, min(window, window_since(since, second))) if since else window for window in WINDOWS
        ]
        now, hour, day, week = sender.ledger.sums(second, windows)
        found = self._networks.today(watch.network, second) if day[Counter.FOREIGN] else None
        return View(
            second,
            sender.kind,
            self._usual(sender, at),
            watch.habit,
            now,
            hour,
            day,
            week,
            seen=self._seen(sender, at),
            shared=len(found.accounts) if found is not None else 0,
            shared_known=found.known if found is not None else 0,
            shared_novel=found.novel if found is not None else 0,
            tainted=found is not None and self._networks.is_tainted(watch.network, since, at),
            refused_elsewhere=self._elsewhere(hour, second),
        )

    def _seen(self, sender: Sender, at: float) -> float:
        """How much is known of whom the sender writes to: a stranger may be one who writes seldom."""
        here, itself = (
            min(1.0, (at - since) / DAY / COLD) for since in (self._watching_since, self._born(sender))
        )
        return here * (0.75 + 0.25 * itself) if sender.kind == "login" else here

    def _usual(self, sender: Sender, at: float) -> Usual:
        """The profile's floors; higher while nobody knows yet whom the sender writes to."""
        usual = sender.profile.usual
        days = (at - self._watching_since) / DAY
        age = (at - self._born(sender)) / DAY
        cold, new = (max(0.0, 1 - time / COLD) for time in (days, age))
        factor = 1 + (COLD_FACTOR - 1) * cold
        if sender.kind == "login":
            factor = max(factor, 1 + (NEW_FACTOR - 1) * new)
        return usual if factor <= 1 else replace(usual, novel=int(usual.novel * factor))

    def _elsewhere(self, own: list[int], second: int) -> float:
        """The share of refusals about us that other senders meet within the hour."""
        refused = self._node.total(Counter.REPUTATION, second, 3600)
        landed = self._node.total(Counter.DELIVERED, second, 3600)
        others = max(0, refused - own[Counter.REPUTATION] - own[Counter.CONTENT] - own[Counter.THROTTLED])
        return others / max(1, others + landed - own[Counter.DELIVERED]) if others > 2 else 0.0

    def weigh(self, sender: Sender, at: float) -> tuple[float, tuple[Finding, ...]]:
        """Suspicion and its findings, the heaviest first."""
        return self._judge(sender, at, self.view(sender, at))

    def _judge(self, sender: Sender, at: float, seen: View) -> tuple[float, tuple[Finding, ...]]:
        findings = self.adjust(sender, at, look(seen, self.weights))
        findings.sort(key=lambda finding: -abs(finding.weight))
        return suspicion(self._rules.prior, findings), tuple(findings)

    def _look(self, sender: Sender, at: float) -> Case | None:
        """Look at the evidence, and act on it; the case, if there is one now."""
        rules = self._rules
        if self.mode == "off":
            return None
        seen = self.view(sender, at)
        found, findings = self._judge(sender, at, seen)
        usual = int(UNREMARKABLE * seen.usual_novel) - seen.hour[Counter.NOVEL]
        sender.novel_left = max(usual, int(STRIDE * seen.day[Counter.NOVEL]))
        case = self.cases.get(sender.key)
        if case is None:
            if found < rules.slow_at:
                return None
            case = self._open(sender, at)
        case.suspicion, case.findings, case.looked_at = found, findings, at
        case.slowed = found >= rules.slow_at
        case.at_home = any(one.signal == "networks" and one.weight < -1 for one in findings)
        if case.slowed:
            case.seen_at = at
        elif not sender.standing.stopped:
            self._acquit(case)
            if at - case.seen_at > CALM:
                self._close(case, at)
                self.on_case(case, sender)
                return None
        if found >= rules.pause_at and not sender.standing.stopped and self._tested(sender, findings, at):
            self._pause(case, sender, at)
        self.on_case(case, sender)
        return case

    def _tested(self, sender: Sender, findings: tuple[Finding, ...], at: float) -> bool:
        """Whether enough has come back for a verdict, or something else than the flow and its origin speaks
        against the sender: who is only slowed loses minutes."""
        told = sender.ledger.total(Counter.PROVEN, int(at), DAY)
        told += sender.ledger.total(Counter.NEWLY_DEAD, int(at), DAY)
        others = sum(one.weight for one in findings if one.group not in ALLEGED and one.weight > 0)
        return told >= TESTED or others >= (self._rules.pause_at - self._rules.prior) / 2

    def _open(self, sender: Sender, at: float) -> Case:
        if len(self.cases) >= MOST_CASES:
            del self.cases[next(iter(self.cases))]
        case = self.cases[sender.key] = Case(sender.key, at, 0.0, (), at)
        watch = sender.watch
        shared = self._networks.today(watch.network, int(at)) if watch is not None else None
        if watch is not None and shared is not None and len(shared.accounts) > 1:
            case.campaign = f"net:{watch.network}"
        return case

    def _acquit(self, case: Case) -> None:
        """Whom it reached meanwhile it knows."""
        for pair in case.met:
            self.acquaintance.meet(pair)
        case.met.clear()

    def _close(self, case: Case, at: float) -> None:
        case.closed_at = at
        self.cases.pop(case.sender, None)

    def pardon(self, sender: Sender, at: float) -> None:
        """Somebody says that it was the owner: whom it reached it knows, and where it came from is its own."""
        watch, known = sender.watch, self.acquaintance
        if watch is not None and watch.network:
            self._networks.clear(watch.network)
            known.meet(known.digest("n", sender.key, _wide(watch.network)))
        case = self.cases.get(sender.key)
        if case is not None:
            self._acquit(case)
            self._close(case, at)
            self.on_case(case, sender)

    def sweep(self, at: float) -> None:
        """Close the cases of senders that have gone quiet."""
        self._networks.forget(int(at))
        for case in [c for c in self.cases.values() if at - c.seen_at > CALM and at - c.looked_at > CALM]:
            sender = self._roster.get(case.sender, at)
            if not sender.standing.stopped:
                self._look(sender, at)

    def _pause(self, case: Case, sender: Sender, at: float) -> None:
        rules = self._rules
        if sender.watch is not None and sender.watch.network:
            self._networks.taint(sender.watch.network, at)
        if self.mode != "enforce":
            return
        until = at + rules.lasts if rules.lasts is not None else None
        paused = change(sender.standing, State.PAUSED, at, BY, case.why, until, State.PROBATION)
        self._roster.set_standing(sender, paused)


def _wide(narrow: str) -> str:
    """The wider network around a narrow one."""
    mark = "." if "." in narrow else ":"
    return narrow.rpartition(mark)[0]
