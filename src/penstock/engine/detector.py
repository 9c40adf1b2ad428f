"""Recognises a sender in a stranger's hands, and lets little out until it is sure.

A recipient to whom the sender has got mail through before passes at the cost of one look in a filter. The
others are counted; when enough has changed, the signals look at the counts. From ``slow_at`` on only
canaries pass: so many novel recipients under way at once whose outcomes are not known yet; good outcomes
speak for the sender and let more pass, bad ones against it. From ``pause_at`` on the sender is paused. Where
no outcomes are seen at all, nobody is slowed: who waits for them would wait for ever.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container
from functools import partial
from typing import Final

from penstock.core.acquaintance import Acquaintance
from penstock.core.events import Attempt, Message
from penstock.core.evidence import ALLEGED, Detection, Finding
from penstock.core.flight import Flight
from penstock.core.ledger import Counter, whole
from penstock.core.sender import Excess, Sender
from penstock.core.standing import State, change
from penstock.engine.book import Book
from penstock.engine.case import CALM, MOST_MET, UNCOUNTED, Case
from penstock.engine.familiar import DIED, REACHED, Familiar, is_at_home
from penstock.engine.providers import Providers
from penstock.engine.roster import Roster
from penstock.engine.weighing import Weighing
from penstock.signals.view import AT_ONCE, DAY, OF_A_DAY

LOOK_AGAIN: Final = 600.0
"""Seconds after which a sender with a case is looked at again when it sends."""

SWEEP: Final = 300.0
"""Seconds between two looks at the senders that have gone quiet."""

BLIND: Final = 6 * 3600
"""Seconds without any outcome after which none are expected."""

MOST_CASES: Final = 20_000
STRIDE: Final = 0.1
"""The signals look again when novel recipients have grown by this part."""

TESTED: Final = 7
"""New recipients of the day whose outcome must be known before what flows, and where from, can pause."""

UNDER_WAY: Final = 60
"""Seconds for which a recipient's outcome is not missed yet."""

ARRIVED: Final = 0.6
"""Of what is not under way: so much must have arrived."""

STRANGERS: Final = 0.2
HABITUAL: Final = 20.0
"""So many times further may go who writes to few strangers."""

LATELY: Final = (1 << 19) - 1
"""Pairs of late, one more than that, who are known without a look into the filters: 4 MiB. Their numbers are
of this process alone, Python's own hashes (keyed, SipHash)."""

ALL_BITS: Final = (1 << 64) - 1

BY: Final = "penstock:evidence"


class Detector:
    """The signals of one node at work. ``on_case`` hears of every case that is opened or has changed;
    ``read`` is told of each message that is complete."""

    def __init__(self, roster: Roster, book: Book, acquaintance: Acquaintance) -> None:
        self.mode = roster.policy.detection.mode
        self.cases: dict[str, Case] = {}
        self.on_case: Callable[[Case, Sender], None] = lambda case, sender: None
        self.acquaintance = acquaintance
        self._roster = roster
        self._book = book
        self._familiar = Familiar(roster, book, acquaintance, self.cases)
        self.texts = self._familiar.texts
        self.journeys = self._familiar.journeys
        self.read = partial(self.texts.read, self._look)
        self._providers = Providers()
        self._lately = array("Q", bytes(8 * (LATELY + 1)))
        self.weighing = Weighing(roster, self._familiar)
        self._outcome_at = self._sweep_at = self._midnight = 0.0

    @property
    def _rules(self) -> Detection:
        return self._roster.policy.detection

    # --- what is sent -----------------------------------------------------------------------

    def admit(self, a: Attempt, recipient: str, flight: Flight) -> Case | None:
        """None when the recipient may pass, else the case for which it must not. Counts it when it is new."""
        sender, known = flight.senders[0], self.acquaintance
        if not flight.charged and not flight.released:
            if hash((a.client_address, a.envelope_from)) == sender.origin and a.at < sender.origin_until:
                flight.foreign = sender.foreign
                if self.journeys.places is not None:
                    self.journeys.move(sender.key, a.client_address, a.at, bool(flight.foreign))
            else:
                self._arrive(sender, a, flight)
        address, own = recipient.lower(), sender.number or self._familiar.number_of(sender)
        pair = (hash(address) ^ own) & ALL_BITS
        if self._lately[pair & LATELY] != pair:
            number = known.number(address)
            if not known.knows(REACHED ^ own ^ number):
                return self._admit_novel(sender, address, number, a.at, flight)
            self._lately[pair & LATELY] = pair
        if flight.foreign:
            self._familiar.from_abroad(sender, flight.foreign, int(a.at), False)
        return None

    def _arrive(self, sender: Sender, a: Attempt, flight: Flight) -> None:
        """A message begins: where from, under which name? ``foreign``: the network if it is not its own."""
        case = self.cases.get(sender.key)
        if case is not None and max(a.at - LOOK_AGAIN, sender.standing.since) > case.looked_at:
            self._look(sender, a.at)
        flight.foreign = self._familiar.meet(sender, a.client_address, a.envelope_from, a.at)
        sender.novel_left = 0 if flight.foreign else sender.novel_left
        sender.origin, sender.foreign = hash((a.client_address, a.envelope_from)), flight.foreign
        if not self._midnight - DAY <= a.at < self._midnight:
            self._midnight = float(int(a.at) // DAY * DAY + DAY)  # one object for all
        sender.origin_until = 0.0 if sender.key in self.cases else self._midnight

    def _admit_novel(
        self, sender: Sender, address: str, number: int, at: float, flight: Flight
    ) -> Case | None:
        """A recipient to whom the sender has not got mail through yet."""
        familiar = self._familiar
        case = self.cases.get(sender.key)
        if case is not None and case.waits and at >= case.told_at:
            case = self._look(sender, at)
        enforced = self.mode == "enforce" and self._sighted(at)
        canaries = self._rules.canaries if enforced else UNCOUNTED
        if case is not None and case.slowed and not case.may_try(sender, address, flight, canaries, at):
            return case
        if familiar.begins(sender, int(at)) or (flight.strangers == AT_ONCE and sender.kind != "login"):
            sender.novel_left = 0
        if familiar.ask(sender, address, number, int(at)):
            flight.strangers += 1
            if flight.strangers == 1 and not flight.released and (case is None or not case.slowed):
                familiar.pace(sender, int(at))
            if flight.foreign:
                familiar.from_abroad(sender, flight.foreign, int(at), True)
        sender.novel_left -= 1
        if sender.novel_left < 0 or (case is not None and case.slowed):
            case = self._look(sender, at)
        if case is not None:
            if enforced and sender.standing.stopped:
                return case
            case.start(address, at)
        return None

    def _sighted(self, at: float) -> bool:
        """Whether outcomes are seen on this node."""
        return at - self._outcome_at <= BLIND

    def is_full(self, sender: Sender, at: float) -> bool:
        """Whether no further novel recipient of a slowed sender would pass now."""
        case = self.cases.get(sender.key)
        if case is None or not case.slowed or not self._sighted(at):
            return False
        return case.is_full("", self._rules.canaries, at)

    def withdrawn(self, flight: Flight) -> None:
        """A message was stopped as a whole: its canaries have not gone."""
        case = self.cases.get(flight.senders[0].key)
        if case is not None:
            case.withdraw(flight)

    def vouches(self, sender: Sender, excess: Excess, at: float) -> bool:
        """Whether a sender may go on beyond a limit: most of what it sent today has arrived. What it has just
        sent is still under way, and what waits for another host is not held against one who writes to few
        strangers; a sender under suspicion is held by its canaries."""
        factor = sender.profile.vouched
        if factor <= 1 or self.mode != "enforce" or not self._sighted(at):
            return False
        if sender.standing.state is not State.OPEN:
            return False
        now, day = sender.ledger.sums(int(at), (UNDER_WAY, whole(DAY, int(at))))
        expected = day[Counter.RECIPIENTS] - now[Counter.RECIPIENTS]
        if day[Counter.NOVEL] <= STRANGERS * day[Counter.RECIPIENTS]:
            expected -= day[Counter.DEFERRED]
            factor *= HABITUAL
        return day[Counter.DELIVERED] >= ARRIVED * expected and excess.used < excess.allowed * factor

    def accepted(self, sender: Sender, message: Message, at: float) -> None:
        """A message that nobody asked about was queued: where it came from, and under which name, is learned
        all the same."""
        if self.mode != "off":
            self._familiar.meet(sender, message.client_address, message.envelope_from, at)

    # --- what comes back --------------------------------------------------------------------

    def delivered(self, sender: Sender, recipient: str, relay: str, at: float) -> None:
        """A recipient has got it (from ``relay``, "" if nobody knows): they know each other now, or once the
        suspicion is over."""
        if self.mode == "off":
            return
        known, address, second = self.acquaintance, recipient.lower(), int(at)
        self._outcome_at = at
        self.weighing.count(Counter.DELIVERED, second)
        number = known.number(address)
        pair = REACHED ^ self._familiar.number_of(sender) ^ number
        case = self.cases.get(sender.key)
        if known.knows(pair):
            known.meet(pair)
            self._providers.reached(address.rpartition("@")[2], relay, sender.key, second, True, False)
            return
        self._familiar.ask(sender, address, number, second)
        landed = case is not None and case.landed(address)
        somebody = REACHED ^ number
        if case is None or not case.slowed:
            known.meet(pair)
            known.meet(somebody)
        elif pair in case.met:
            return
        elif len(case.met) < MOST_MET:
            case.met[pair] = somebody
        elif not _has_untold(sender, second):
            return
        home = is_at_home(sender, at)
        if not self._providers.reached(address.rpartition("@")[2], relay, sender.key, second, False, home):
            self._book.count(sender, int(Counter.PROVEN), second, 1)
        if case is not None and case.slowed and (landed or case.waits):
            self._look(sender, at)

    def dead(self, sender: Sender, recipient: str, relay: str, at: float, more: bool) -> None:
        """An address does not exist, says ``relay``. That counts when nobody here has ever got mail through
        to it. ``more``: of others of the message nothing is known yet."""
        if self.mode == "off":
            return
        known, address, second = self.acquaintance, recipient.lower(), int(at)
        self._outcome_at = at
        domain, number = address.rpartition("@")[2], known.number(address)
        if known.knows(REACHED ^ number):
            self._providers.vanished(domain, relay, sender.key, second)
        elif not self._providers.fails(domain, relay, sender.key, second, is_at_home(sender, at)):
            self._familiar.ask(sender, address, number, second)
            known.meet(DIED ^ number)
            if not known.meet(DIED ^ self._familiar.number_of(sender) ^ number):
                self._book.count(sender, int(Counter.NEWLY_DEAD), second, 1)
                self._landed_badly(sender, address, at, more)
                return
        self.excused(sender, address)

    def excused(self, sender: Sender, recipient: str) -> None:
        """What came back of it says nothing: it is no longer under way."""
        case = self.cases.get(sender.key)
        if case is not None:
            case.under_way.pop(recipient.lower(), None)

    def puts_off(self, sender: Sender, recipient: str, relay: str, at: float) -> bool:
        """Refused for our rate or our name, for now or for ever: whether ``relay`` says so to most of us."""
        if self.mode == "off":
            return False
        self._outcome_at = at
        return self._providers.puts_off(recipient.lower().rpartition("@")[2], relay, sender.key, int(at))

    def refused(self, sender: Sender, recipient: str, at: float) -> None:
        """Another host refuses us for content, reputation or rate."""
        if self.mode == "off":
            return
        self._outcome_at = at
        self.weighing.count(Counter.REPUTATION, int(at))
        self._landed_badly(sender, recipient.lower(), at, False)

    def complained(self, sender: Sender, at: float) -> None:
        """A recipient complains."""
        self._look(sender, at)

    def _landed_badly(self, sender: Sender, address: str, at: float, more: bool) -> None:
        case = self.cases.get(sender.key)
        if case is not None:
            case.came_back(address)
        self._look(sender, at, more)

    def heed(
        self, suspected: Callable[[str], tuple[float, float] | None], granted: Container[tuple[str, str]]
    ) -> None:
        """Who tells when a sender was under suspicion; (sender, wide network) whose own it is by a word."""
        self._familiar.suspected, self._familiar.granted = suspected, granted

    # --- looking ----------------------------------------------------------------------------

    def _look(self, sender: Sender, at: float, more: bool = False, quiet: bool = False) -> Case | None:
        """Look at the evidence, and act on it; the case, if there is one now. ``more``: others of the message
        that has come back in part are still to be told of; ``quiet``: nothing has happened, and what spoke
        for it may be over sooner than what spoke against it."""
        rules = self._rules
        if self.mode == "off":
            return None
        case = self.cases.get(sender.key)
        if case is None:
            sender.novel_left = self.weighing.calm_for(sender, at)
            if sender.novel_left >= 0:
                return None
        seen = self.weighing.view(sender, at)
        found, findings = self.weighing.judge(sender, at, seen)
        usual = int(OF_A_DAY * seen.usual_novel) - seen.hour[Counter.NOVEL]
        strange = seen.day[Counter.FOREIGN_NOVEL] > 0
        sender.novel_left = max(0 if strange else usual, int(STRIDE * seen.day[Counter.NOVEL]))
        if case is None:
            if found < rules.slow_at:
                return None
            case = self._open(sender, at)
        if found >= rules.slow_at:
            self._familiar.suspect(sender, at)
        if sender.standing.stopped:
            self._enrich(case, sender, found, findings)
            return case
        case.suspicion, case.findings, case.looked_at = found, findings, at
        case.campaign = case.campaign or self._familiar.campaign(sender, seen.alike.name, at)
        case.slowed = found >= rules.slow_at
        case.place(seen, findings)
        if case.slowed:
            case.seen_at = at
        else:
            self._acquit(case)
            if at >= case.seen_at + CALM:
                self._close(case, at)
                self.on_case(case, sender)
                return None
        case.waits = False
        bad = found >= rules.pause_at and not quiet and findings and self._tested(sender, findings, at)
        if bad and case.is_told(at, more):
            self._pause(case, sender, at)
        self.on_case(case, sender)
        return case

    def _enrich(self, case: Case, sender: Sender, found: float, findings: tuple[Finding, ...]) -> None:
        """What comes in about a stopped sender: the case keeps the worst that was seen."""
        if found > case.suspicion:
            case.suspicion, case.findings = found, findings
            self.on_case(case, sender)

    def _tested(self, sender: Sender, findings: tuple[Finding, ...], at: float) -> bool:
        """Whether enough has come back for a verdict, or something else than the flow and its origin speaks
        against the sender: who is only slowed loses minutes."""
        second, day = int(at), whole(DAY, int(at))
        outcomes = (Counter.PROVEN, Counter.NEWLY_DEAD)
        told = sum(sender.ledger.total(counter, second, day) for counter in outcomes)
        others = sum(one.weight for one in findings if one.group not in ALLEGED and one.weight > 0)
        return told >= TESTED or others >= (self._rules.pause_at - self._rules.prior) / 2

    def _open(self, sender: Sender, at: float) -> Case:
        if len(self.cases) >= MOST_CASES:
            del self.cases[next(iter(self.cases))]
        case = self.cases[sender.key] = Case(sender.key, at, 0.0, (), at)
        sender.origin_until = 0.0
        return case

    def _acquit(self, case: Case) -> None:
        """Whom it reached meanwhile it knows."""
        for digest in (*case.met, *case.met.values()):
            self.acquaintance.meet(digest)
        case.met.clear()

    def _close(self, case: Case, at: float) -> None:
        case.closed_at = at
        self.cases.pop(case.sender, None)

    def pardon(self, sender: Sender, at: float) -> None:
        """Somebody says that it was the owner: whom it reached it knows."""
        self._familiar.settle(sender)
        case = self.cases.get(sender.key)
        if case is not None:
            self._acquit(case)
            self._close(case, at)
            self.on_case(case, sender)

    def sweep(self, at: float) -> None:
        """Close the cases of senders that have gone quiet, as of when that was due: live and in replay."""
        if at < self._sweep_at:
            return
        self._sweep_at = at + SWEEP
        self._familiar.networks.forget(int(at))
        for case in [c for c in self.cases.values() if c.due_at <= at]:
            sender = self._roster.get(case.sender, at)
            if not sender.standing.stopped:
                self._look(sender, case.due_at, quiet=not case.waits)

    def _pause(self, case: Case, sender: Sender, at: float) -> None:
        rules = self._rules
        self._familiar.taint(sender, at)
        if self.mode != "enforce":
            return
        until = at + rules.lasts if rules.lasts is not None else None
        paused = change(sender.standing, State.PAUSED, at, BY, case.why, until, State.PROBATION)
        self._roster.set_standing(sender, paused)


def _has_untold(sender: Sender, second: int) -> bool:
    """Whether of some new ones of today nothing is known: others, beyond MOST_MET, may get it once more."""
    (day,) = sender.ledger.sums(second, (whole(DAY, second),))
    return day[Counter.PROVEN] + day[Counter.NEWLY_DEAD] < day[Counter.NOVEL]
