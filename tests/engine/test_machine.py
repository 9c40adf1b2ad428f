"""Any interleaving of senders, parents, messages, repeats, hang-ups and pauses of the clock.

What must hold whatever happens: no window ever holds more than its limit allows, a refusal
consumes nothing, a repeated question gets its answer again and counts nothing, a message that
ended counts exactly its accepted recipients, a dead one counts nothing, and the log of counts
says what the ledgers say. Outcomes come in at any time, also late: while a limit on them is reached
nothing new passes, and what died in the queue is given back once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from penstock.core.events import Accepted, Bounced, Died, Message, Reported
from penstock.core.flight import ASKS_END, CRASHES_WITHIN
from penstock.core.ledger import KEEP, Counter
from penstock.core.limits import FLOW
from penstock.core.policy import Action, Entry, PauseRule, Policy, Profile, Verb
from penstock.core.sender import Sender
from support import ALICE, Smtpd, World, limits, policy_of

BOB = "login:bob@example.com"
KEYS = (ALICE, BOB, "ip:192.0.2.7", "customer:1")
OWN = (
    "5/m",
    "8/10m",
    "messages 4/m",
    "bytes 40KB/10m",
    "shadow 6/h",
    "bounced 4/10m",
    "complaints 50%/h min 2",
)
PARENT = ("6/m", "9/10m", "bounced 5/10m", "bytes 60KB/10m", "shadow bounced 2/h")
COUNTED = (Counter.RECIPIENTS, Counter.MESSAGES, Counter.KIB)
recipients = st.integers(0, 11).map("r{}@example.net".format)


@dataclass
class Mail:
    """One message as its client sees it."""

    owner: str
    accepted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    closed: bool = False
    ended: int = 0
    kib: int = 0
    ended_at: float = 0.0


class Traffic(RuleBasedStateMachine):
    """Three smtpd processes of two logins with one customer and a client without a login."""

    over_limit = Action(Verb.DEFER)

    @initialize()
    def start(self) -> None:
        own, parent = limits(*OWN), limits(*PARENT)
        pauses = (
            PauseRule(limits("refused 25/h")[0], 120),
            PauseRule(limits("bounced 9/h")[0], 200),
            PauseRule(limits("shadow complaints 1/h")[0], None),
        )
        rules: Policy = policy_of(Profile("plain", own, parent, over_limit=self.over_limit, pauses=pauses))
        self.world = World(rules, dict.fromkeys((ALICE, BOB, "uid:33"), Entry("1")))
        self.smtpds = [self.world.smtpd(login) for login in ("alice@example.com", "bob@example.com", "")]
        self.mails = [Mail(key) for key in KEYS[:3]]
        self.all = list(self.mails)
        self.asked = [self.world.at] * 3
        self.local: list[tuple[int, int]] = []
        self.landed: dict[str, Mail] = {}

    def reached(self, owner: str) -> bool:
        """A limit on outcomes of the sender or its customer is reached: what the ledgers say, by hand."""
        ledgers = [(self.world.sender(owner).ledger, 4)]
        if owner in (ALICE, BOB):
            ledgers.append((self.world.sender("customer:1").ledger, 5))
        now = int(self.world.at)
        complaints = ledgers[0][0].total(Counter.COMPLAINTS, now, 3600)
        share = max(2, ledgers[0][0].total(Counter.RECIPIENTS, now, 3600) / 2)
        return complaints >= share or any(
            ledger.total(Counter.BOUNCED, now, 600) >= most for ledger, most in ledgers
        )

    def totals(self) -> list[int]:
        return [self.world.total(counter, key) for key in KEYS for counter in COUNTED]

    def within_limits(self, smtpd: Smtpd) -> None:
        """Straight after a charge: every enforced limit of everybody concerned."""
        sender: Sender | None = self.world.sender(self.mails[self.smtpds.index(smtpd)].owner)
        while sender is not None:
            for limit in limits(*(PARENT if sender.kind == "customer" else OWN)):
                if limit.mode == "enforce" and limit.unit in FLOW:
                    used = sender.ledger.total(limit.unit.counter, int(self.world.at), limit.window)
                    assert used <= limit.amount, (sender.key, str(limit), used)
            sender = sender.parent

    @rule(i=st.integers(0, 2), address=recipients)
    def rcpt(self, i: int, address: str) -> None:
        smtpd, mail = self.smtpds[i], self.mails[i]
        if mail.closed:
            return
        before = self.totals()
        self.asked[i] = self.world.at
        flight = self.world.engine.flights.get(f"{smtpd.host} {smtpd.instance}")
        came_back = flight is not None and not flight.live
        new, reached = address not in mail.accepted or came_back, self.reached(mail.owner)
        decision = smtpd.ask("RCPT", address)
        if decision.verb is Verb.PASS:
            assert not (new and reached), "nothing new passes while a limit on outcomes is reached"
            mail.accepted.add(address)
            mail.refused.discard(address)
            if self.totals() != before:
                self.within_limits(smtpd)
            return
        assert decision.rule and decision.text and decision.reference
        assert decision.reference in self.world.engine.refusals.by_reference
        grew = any(now > then for now, then in zip(self.totals(), before, strict=True))
        assert not grew or came_back, "a refusal consumes nothing; only a message that goes on does"
        mail.refused.add(address)
        if decision.verb is Verb.HOLD:
            mail.closed = True

    @rule(i=st.integers(0, 2), first=st.integers(0, 8), n=st.integers(2, 6))
    def burst(self, i: int, first: int, n: int) -> None:
        for one in range(first, first + n):
            self.rcpt(i, f"r{one}@example.net")

    @rule(i=st.integers(0, 2), address=recipients, again=st.booleans())
    def rcpt_twice(self, i: int, address: str, again: bool) -> None:
        """The connection broke before the answer: the same question, perhaps on a new connection."""
        smtpd, mail = self.smtpds[i], self.mails[i]
        if mail.closed:
            return
        self.asked[i] = self.world.at
        first = smtpd.ask("RCPT", address)
        counters = (*COUNTED, Counter.REFUSED, Counter.STOPPED)
        before = [self.world.total(c, key) for key in KEYS for c in counters]
        if again:
            smtpd.hang_up()
        second = smtpd.ask("RCPT", address)
        assert (second.verb, second.reference) == (first.verb, first.reference)
        flight = self.world.engine.flights.get(f"{smtpd.host} {smtpd.instance}")
        if flight is not None and (flight.live or flight.verdict is not None):
            assert before == [self.world.total(c, key) for key in KEYS for c in counters]
        if first.verb is Verb.PASS:
            mail.accepted.add(address)
        elif first.verb is Verb.HOLD:
            mail.closed = True

    @rule(i=st.integers(0, 2), fewer=st.integers(0, 3), kib=st.sampled_from([0, 1, 5, 30]))
    def end(self, i: int, fewer: int, kib: int) -> None:
        smtpd, mail = self.smtpds[i], self.mails[i]
        accepted = max(1, len(mail.accepted) - fewer)
        if not mail.closed and mail.accepted:
            smtpd.queue_id = f"4X{len(self.all) % 3}"
            verb = smtpd.end(accepted, kib * 1024)
            if verb is Verb.PASS:
                mail.ended, mail.kib, mail.ended_at = accepted, kib, self.world.at
                self.landed[smtpd.queue_id] = mail
                self.within_limits(smtpd)
            assert smtpd.end(accepted, kib * 1024) is verb or verb is not Verb.PASS
            mail.closed = True
        self.next_mail(i)

    @rule(i=st.integers(0, 2))
    def next_mail(self, i: int) -> None:
        self.asked[i] = self.world.at
        self.smtpds[i].mail()
        self.mails[i] = Mail(KEYS[i])
        self.all.append(self.mails[i])

    def message(self, i: int) -> Message:
        kind, _, name = KEYS[i].partition(":")
        found = Message(self.world.at, "mx1", "")
        found.kind, found.name = kind, name
        return found

    @rule(i=st.integers(0, 2), n=st.integers(1, 5), late=st.sampled_from([0, 0, 0, 3, 500, 40_000]))
    def bounce(self, i: int, n: int, late: int) -> None:
        for _ in range(n):
            at = self.world.at - late
            self.world.engine.observe(Bounced(at, self.message(i), "r@example.net", "", "", "550 no"))

    @rule(i=st.integers(0, 1))
    def complain(self, i: int) -> None:
        self.world.engine.observe(Reported(self.world.at, KEYS[i], "r@example.net", "", "", "abuse"))

    @rule(recipients=st.integers(0, 3), kib=st.sampled_from([0, 7, 30]))
    def submit(self, recipients: int, kib: int) -> None:
        """Local mail, which the gate never sees, takes room from the customer's logins."""
        local = self.message(0)
        local.kind, local.name, local.recipients, local.size = "uid", "33", recipients, kib * 1024
        ledger, now = self.world.sender("customer:1").ledger, int(self.world.at)
        used = [ledger.total(counter, now, 600) for counter in (Counter.RECIPIENTS, Counter.KIB)]
        if used[0] + recipients <= 6 and used[1] + kib <= 60:
            self.world.engine.observe(Accepted(self.world.at, local))
            self.local.append((recipients, kib))

    @rule(queue=st.integers(0, 2), times=st.integers(1, 2))
    def die(self, queue: int, times: int) -> None:
        """The MTA refuses the latest message of that queue id after all, and the log may say so twice."""
        dead = self.message(0)
        dead.queue_id = f"4X{queue}"
        for _ in range(times):
            self.world.engine.observe(Died(self.world.at, dead, "milter-reject"))
        mail = self.landed.get(dead.queue_id)
        if mail is not None and self.world.at - int(mail.ended_at) <= CRASHES_WITHIN:
            mail.ended = mail.kib = 0

    @rule(i=st.integers(0, 2))
    def data(self, i: int) -> None:
        mail = self.mails[i]
        if mail.accepted and not mail.closed:
            before = self.totals()
            if self.smtpds[i].data(len(mail.accepted)) is not Verb.PASS:
                assert all(now <= then for now, then in zip(self.totals(), before, strict=True))

    @rule(i=st.integers(0, 2))
    def hang_up(self, i: int) -> None:
        self.smtpds[i].hang_up()

    @rule(seconds=st.sampled_from([0.4, 1, 4, 12, 31, 61, 200, 601]))
    def wait(self, seconds: float) -> None:
        """A client that is silent for five minutes has lost its message (smtpd_timeout)."""
        self.world.wait(seconds)
        for i in range(3):
            if self.world.at - self.asked[i] >= 300:
                self.next_mail(i)

    @precondition(lambda self: self.world.engine.flights)
    @rule()
    def sweep(self) -> None:
        self.world.sweep()

    @rule(i=st.integers(0, 2))
    def reload(self, i: int) -> None:
        """Nothing changes, everything is looked at again."""
        self.world.engine.roster.adopt(self.world.engine.roster.policy)
        self.world.engine.roster.refresh(KEYS[i])

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for smtpd in self.smtpds:
            smtpd.hang_up()
        self.world.wait(40)
        self.world.sweep()
        landed = [mail for mail in self.all if mail.ended]
        for key in KEYS:
            mine = [m for m in landed if m.owner == key or (key == "customer:1" and m.owner in (ALICE, BOB))]
            real = [sum(m.ended for m in mine), len(mine), sum(m.kib for m in mine)]
            if key == "customer:1":
                submitted = [
                    sum(n for n, _ in self.local),
                    len(self.local),
                    sum(kib for _, kib in self.local),
                ]
                real = [one + other for one, other in zip(real, submitted, strict=True)]
            assert [self.world.total(c, key, KEEP) for c in COUNTED] == real, key
            assert [self.world.counts.net(key, c) for c in COUNTED] == real, key
        for _, old, new in self.world.records.standings:
            assert new.by and new.why and new.since
            assert old != new


class HeldTraffic(Traffic):
    """Beyond its limits a message is held: whole, and for nothing."""

    over_limit = Action(Verb.HOLD)


@pytest.mark.parametrize("machine", [Traffic, HeldTraffic])
def test_any_traffic(machine: type[Traffic]) -> None:
    case = machine.TestCase
    case.settings = settings(
        max_examples=60, stateful_step_count=40, deadline=None, report_multiple_bugs=False
    )
    case("runTest").runTest()


def script(world: World) -> list[tuple[str, str, str]]:
    """A fixed hour of traffic; what was answered."""
    answers = []
    smtpds = [
        world.smtpd(login, context)
        for login in ("alice@example.com", "bob@example.com", "")
        for context in (ASKS_END, "")
    ]
    for minute in range(60):
        for n, smtpd in enumerate(smtpds):
            smtpd.mail()
            for i in range((minute * 7 + n) % 6):
                decision = smtpd.ask("RCPT", f"r{i}@example.net")
                answers.append((decision.verb.value, decision.reference, decision.rule))
            if (minute + n) % 3:
                decision = smtpd.ask("END-OF-MESSAGE", "", 2, 3000)
                answers.append((decision.verb.value, decision.reference, decision.rule))
        world.wait(60)
        world.sweep()
    return answers


def test_the_same_events_give_the_same_decisions_and_references() -> None:
    def run() -> list[tuple[str, str, str]]:
        pauses = (PauseRule(limits("refused 100/h")[0], 300),)
        rules = policy_of(Profile("plain", limits("9/5m", "bytes 90KB/h"), limits("30/h"), pauses=pauses))
        return script(World(rules, {ALICE: Entry("1"), BOB: Entry("1")}))

    first = run()
    assert first == run()
    assert {verb for verb, _, _ in first} == {"pass", "defer"}
    assert len({reference for _, reference, _ in first}) > 5
    assert all(reference and rule for verb, reference, rule in first if verb != "pass")
