"""Senders in a stranger's hands, and honest ones who look alike for a while."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from penstock.core.events import Bounced, Delivered, Message, Reported
from penstock.core.evidence import Detection, Usual
from penstock.core.explain import refusal_sentence
from penstock.core.ledger import Counter
from penstock.core.policy import Policy, Verb
from penstock.core.replies import ReplyClass, Rule
from penstock.core.standing import State
from penstock.engine import detector
from penstock.engine.detector import CALM, PATIENCE, Case, networks_of
from support import ALICE, T0, FakeMemory, World, policy

DAY = 86400.0
HOME, AWAY = "192.0.2.7", "198.51.100.9"
RULES = (
    Rule("unknown", ReplyClass.UNKNOWN_USER, ("user unknown",)),
    Rule("spam", ReplyClass.CONTENT, ("spam",)),
)
UNKNOWN, SPAM = "550 5.1.1 user unknown", "554 5.7.1 spam"
FRIENDS = [f"friend{i}@example.org" for i in range(8)]


def rules(mode: str = "enforce", usual: Usual | None = None, **more: object) -> Policy:
    """No limits: detection alone."""
    plain = policy(usual=usual or Usual())
    return replace(plain, detection=Detection(mode, **more), replies=RULES)  # type: ignore[arg-type]


class Person:
    """Whoever sends under one login; what passes is told to the log by ``delivered`` and ``bounced``."""

    def __init__(self, world: World, login: str = "alice@example.com") -> None:
        self.world = world
        self.login = login
        self.key = f"login:{login}"

    def write(self, recipients: Iterable[str], address: str = HOME, gap: float = 1.0) -> list[str]:
        """One message to each, each from a process of its own; to whom it passed."""
        passed = []
        for recipient in recipients:
            smtpd = self.world.smtpd(self.login)
            smtpd.address = address
            if smtpd.rcpt(recipient) == [Verb.PASS]:
                smtpd.end(1)
                passed.append(recipient)
            self.world.wait(gap)
        return passed

    def message(self) -> Message:
        found = Message(self.world.at, "mx1", "4Xy1")
        found.kind, found.name, found.recipients = "login", self.login, 1
        return found

    def delivered(self, recipients: Iterable[str]) -> None:
        for recipient in recipients:
            self.world.engine.observe(
                Delivered(self.world.at, self.message(), recipient, "mx[203.0.113.9]:25")
            )

    def bounced(self, recipients: Iterable[str], reply: str = UNKNOWN) -> None:
        for recipient in recipients:
            relay = "mx[203.0.113.9]:25"
            self.world.engine.observe(Bounced(self.world.at, self.message(), recipient, relay, "", reply))

    def mail(self, recipients: Iterable[str], address: str = HOME) -> list[str]:
        """Write, and each that passed is delivered."""
        passed = self.write(recipients, address)
        self.delivered(passed)
        return passed

    def live(self, days: int = 10) -> Person:
        """So many days with a few letters to friends."""
        for _ in range(days):
            assert len(self.mail(FRIENDS)) == len(FRIENDS)
            self.world.wait(DAY - len(FRIENDS))
        return self

    @property
    def case(self) -> Case | None:
        return self.world.engine.detector.cases.get(self.key)

    @property
    def state(self) -> State:
        return self.world.sender(self.key).standing.state


def alice(mode: str = "enforce", **more: object) -> Person:
    """Alice with an ordinary fortnight behind her."""
    return Person(World(rules(mode, **more))).live()


def strangers(n: int, start: int = 0) -> list[str]:
    return [f"s{i}@example.net" for i in range(start, start + n)]


def flood(person: Person, n: int = 500, dead_of_ten: int = 4, address: str = AWAY) -> int:
    """A stranger's list; each that passes has its outcome after ten more attempts. How many passed."""
    waiting: list[str] = []
    passed = 0
    for i, recipient in enumerate(strangers(n)):
        found = person.write([recipient], address)
        waiting += found
        passed += len(found)
        if i % 10 == 9:
            person.bounced(r for j, r in enumerate(waiting) if j % 10 < dead_of_ten)
            person.delivered(r for j, r in enumerate(waiting) if j % 10 >= dead_of_ten)
            waiting.clear()
    return passed


# --- whoever is known -------------------------------------------------------------------------


def test_known_recipients_are_never_counted_as_new_nor_stopped() -> None:
    person = alice()
    novel = person.world.total(Counter.NOVEL)
    assert novel == len(FRIENDS)
    assert len(person.write(FRIENDS * 40, gap=0.1)) == 40 * len(FRIENDS)
    assert person.world.total(Counter.NOVEL) == novel and person.case is None


def test_a_slowed_sender_still_reaches_whom_it_knows() -> None:
    person = alice()
    person.write(strangers(200), AWAY)
    assert person.case is not None and person.case.slowed
    assert person.write(strangers(5, 900)) == []
    assert person.write(FRIENDS) == FRIENDS


def test_case_of_an_address_does_not_matter() -> None:
    person = alice()
    person.write([friend.upper() for friend in FRIENDS])
    assert person.world.total(Counter.NOVEL) == len(FRIENDS)


def test_what_is_counted_of_a_new_recipient() -> None:
    person = alice()
    bob = Person(person.world, "bob@example.com")
    bob.write(["gone@example.net"])
    bob.bounced(["gone@example.net"])
    bob.mail(["both@example.net"])
    person.write(["gone@example.net", "both@example.net", "new@gmail.com"])
    added = {c: person.world.total(c, window=3600) for c in Counter}
    assert added[Counter.NOVEL] == 3
    assert added[Counter.STRANGERS] == 2
    assert added[Counter.DEAD] == added[Counter.FREEMAIL] == 1
    bob.write(["gone@example.net"])
    assert person.world.total(Counter.DEAD, bob.key) == 0


def test_an_address_that_bounces_for_ever_is_dead_once() -> None:
    person = alice()
    for _ in range(50):
        person.bounced(["gone@example.net"])
    assert person.world.total(Counter.NEWLY_DEAD) == 1
    assert person.world.total(Counter.UNKNOWN_USER) == 50
    assert person.case is None


# --- floods -----------------------------------------------------------------------------------


def test_a_flood_is_slowed_within_dozens_and_paused_when_it_bounces() -> None:
    person = alice()
    assert flood(person) <= 40
    assert person.state is State.PAUSED
    standing = person.world.sender().standing
    assert standing.by == "penstock:evidence" and standing.until is None
    assert "never used before" in standing.why and "new to it" in standing.why
    assert person.write(FRIENDS) == []


def test_a_flood_of_whose_outcomes_nothing_is_known_is_slowed() -> None:
    person = alice()
    assert len(person.write(strangers(500), AWAY)) <= 40
    assert person.case is not None and person.case.slowed


def test_a_flood_from_home_is_slowed_too() -> None:
    """Without a new network it takes longer, but no list gets through."""
    person = alice()
    assert len(person.write(strangers(500), HOME)) <= 60
    assert person.case is not None and person.case.slowed


def test_a_pause_ends_when_the_policy_says_so() -> None:
    person = alice(lasts=6 * 3600)
    flood(person)
    assert person.state is State.PAUSED
    standing = person.world.sender().standing
    assert standing.until == standing.since + 6 * 3600 and standing.then is State.PROBATION


def test_who_is_paused_by_the_question_itself_is_answered_so() -> None:
    person = alice()
    person.world.engine.adopt(rules(false_pauses=1000, canaries=1000))
    smtpd = person.world.smtpd()
    answers = [smtpd.ask("RCPT", stranger) for stranger in strangers(100)]
    assert answers[-1].rule == "standing:paused" and person.state is State.PAUSED
    passed = sum(answer.verb is Verb.PASS for answer in answers)
    assert 0 < passed < 40 and person.world.total(Counter.RECIPIENTS, window=3600) == passed


def test_complaints_alone_slow_a_sender() -> None:
    person = alice()
    for _ in range(4):
        person.world.engine.observe(Reported(person.world.at, ALICE, "x@example.net", "", "", "abuse"))
    assert person.case is not None and "complaints" in person.case.why


def test_replies_about_us_are_found_and_alone_pause_nobody() -> None:
    person = alice()
    person.bounced(strangers(60), SPAM)
    world = person.world
    _, findings = world.engine.detector.weigh(world.sender(), world.at)
    assert "refusals" in {finding.signal for finding in findings if finding.weight > 1}
    assert person.state is State.OPEN


def test_what_everybody_here_meets_speaks_against_nobody() -> None:
    """We are on a block list: a provider refuses all of us."""
    people = company(6)
    for i, recipient in enumerate(strangers(120)):
        people[i % 6].bounced([recipient], SPAM)
    assert all(person.state is State.OPEN for person in people)
    world = people[0].world
    view = world.engine.detector.view(world.sender(people[0].key), world.at)
    assert view.refused_elsewhere > 0.5


def test_the_refusal_of_a_slowed_sender_has_a_name_and_a_reason() -> None:
    person = alice()
    person.write(strangers(200), AWAY)
    smtpd = person.world.smtpd()
    decision = smtpd.ask("RCPT", "one.more@example.net")
    assert (decision.verb, decision.rule) == (Verb.DEFER, "evidence:slowed")
    [refusal] = person.world.saved()
    assert refusal.reference == decision.reference
    assert "new to it" in str(refusal.figures)
    assert refusal_sentence(refusal)
    assert smtpd.ask("RCPT", "one.more@example.net") == decision
    assert refusal.recipients == person.world.total(Counter.STOPPED)


def test_what_was_refused_is_not_counted_as_sent_nor_as_new() -> None:
    person = alice()
    person.write(strangers(100), AWAY)
    before = person.world.counted(), person.world.total(Counter.NOVEL)
    assert person.write(strangers(50, 500), AWAY) == []
    assert (person.world.counted(), person.world.total(Counter.NOVEL)) == before


# --- canaries ---------------------------------------------------------------------------------


def test_so_many_canaries_are_under_way_and_good_outcomes_let_the_next_ones_pass() -> None:
    person = alice(canaries=5)
    person.write(strangers(100), AWAY)
    assert person.case is not None and len(person.case.under_way) == 5
    person.delivered(list(person.case.under_way)[:2])
    assert len(person.case.under_way) == 3
    assert len(person.write(strangers(20, 500), AWAY)) == 2
    assert len(person.case.under_way) == 5


def test_a_canary_of_whom_nobody_tells_counts_as_landed_after_a_while() -> None:
    person = alice(canaries=3)
    person.write(strangers(100), AWAY)
    assert person.write(strangers(1, 500), AWAY) == []
    person.world.wait(PATIENCE)
    assert len(person.write(strangers(10, 500), AWAY)) == 3


def test_a_canary_that_comes_back_makes_room_too_but_speaks_against_the_sender() -> None:
    person = alice(canaries=3)
    person.write(strangers(100), AWAY)
    assert person.case is not None
    before = person.case.suspicion
    person.bounced(list(person.case.under_way)[:1])
    assert person.case.suspicion > before


# --- honest people ----------------------------------------------------------------------------


def letters(person: Person, recipients: list[str], retry: float = 300.0, address: str = HOME) -> int:
    """A queue that tries each deferred recipient again; everything that passes is delivered. The number of
    rounds until all have got it."""
    waiting, rounds = recipients, 0
    while waiting and rounds < 1000:
        passed = set(person.mail(waiting, address))
        waiting = [r for r in waiting if r not in passed]
        person.world.wait(retry)
        rounds += 1
    return rounds


def test_an_honest_burst_is_delayed_at_most_and_never_paused() -> None:
    person = alice()
    rounds = letters(person, strangers(60))
    assert person.state is State.OPEN
    assert rounds < 40


def test_a_few_new_people_a_day_slow_nobody() -> None:
    person = alice()
    for day in range(20):
        assert len(person.mail(strangers(4, 100 * day))) == 4
        assert person.case is None
        person.world.wait(DAY)


def test_a_traveller_with_a_few_letters_is_left_in_peace() -> None:
    person = alice()
    for i, address in enumerate(("198.51.100.9", "203.0.113.4")):
        assert len(person.mail([*FRIENDS, *strangers(2, 10 * i)], address)) == len(FRIENDS) + 2
        person.world.wait(DAY)
    assert person.case is None


def test_a_new_customer_on_the_first_day() -> None:
    person = Person(World(rules()), "new@example.com")
    assert len(person.mail(strangers(6))) == 6
    assert person.case is None


def test_while_an_installation_is_new_more_is_taken_for_usual() -> None:
    """Everybody's old friends are strangers to it."""
    fresh = Person(World(rules(), memory=FakeMemory(installed_at=T0)))
    assert len(fresh.mail(strangers(20))) == 20
    assert fresh.case is None


def test_a_class_of_senders_has_its_own_floor() -> None:
    news = Person(World(rules(usual=Usual(3000, 5000, 20))))
    assert len(news.write(strangers(1500), gap=0.1)) == 1500
    assert news.case is None


def test_one_complaint_or_one_spam_reply_pauses_nobody() -> None:
    person = alice()
    person.mail(strangers(3))
    person.bounced(strangers(1), SPAM)
    person.world.engine.observe(Reported(person.world.at, ALICE, "x@example.net", "", "", "abuse"))
    assert person.state is State.OPEN


# --- learning ---------------------------------------------------------------------------------


def test_who_has_got_mail_is_known_from_then_on() -> None:
    person = alice()
    person.mail(["new@example.net"])
    novel = person.world.total(Counter.NOVEL)
    person.mail(["new@example.net"])
    assert person.world.total(Counter.NOVEL) == novel


def test_nobody_is_learned_of_before_mail_got_through() -> None:
    person = alice()
    person.write(["new@example.net"])
    person.write(["new@example.net"])
    assert person.world.total(Counter.NOVEL, window=3600) == 2


def test_nothing_is_learned_under_suspicion() -> None:
    person = alice()
    passed = person.write(strangers(100), AWAY)
    assert person.case is not None
    canaries = list(person.case.under_way)
    person.delivered(canaries)
    acquaintance = person.world.acquaintance
    for recipient in canaries:
        assert not acquaintance.knows(acquaintance.digest("r", ALICE, recipient))
        assert not acquaintance.knows(acquaintance.digest("r", "", recipient))
    assert set(canaries) <= set(passed)


def test_a_network_becomes_usual_on_the_next_day() -> None:
    person = alice()
    person.mail(FRIENDS, AWAY)
    assert person.world.total(Counter.NETWORKS, window=3600) == 1
    person.mail(FRIENDS, AWAY)
    assert person.world.total(Counter.NETWORKS, window=3600) == 1
    person.world.wait(DAY)
    person.mail(FRIENDS, AWAY)
    assert person.world.total(Counter.NETWORKS, window=3600) == 0


def test_a_network_does_not_become_usual_under_suspicion() -> None:
    person = alice()
    person.write(strangers(100), AWAY)
    assert person.case is not None
    person.world.wait(DAY)
    person.write(FRIENDS, AWAY)
    assert person.world.total(Counter.NETWORKS, window=3600) == 1


def test_a_network_is_wide_enough_for_an_address_that_changes() -> None:
    person = alice()
    person.write(FRIENDS, "198.51.100.9")
    person.write(FRIENDS, "198.51.7.200")
    assert person.world.total(Counter.NETWORKS, window=3600) == 1


def test_suspicion_fades_with_the_counts_and_the_case_is_closed() -> None:
    person = alice()
    person.write(strangers(100), AWAY)
    assert person.case is not None
    for _ in range(4):
        person.world.wait(DAY)
        person.mail([*FRIENDS, f"later{person.world.at}@example.net"])
    person.world.wait(CALM)
    assert person.case is None and person.state is State.OPEN


# --- many accounts ----------------------------------------------------------------------------


def company(n: int, mode: str = "enforce") -> list[Person]:
    """So many people on one platform, each with a past."""
    world = World(rules(mode))
    people = [Person(world, f"user{i}@example.com") for i in range(n)]
    for _ in range(6):
        for person in people:
            person.mail(FRIENDS[:3], f"192.0.{person.login[4]}.7")
        world.wait(DAY - 3 * n)
    return people


def shared(person: Person) -> int:
    world = person.world
    return world.engine.detector.view(world.sender(person.key), world.at).shared


def test_accounts_used_from_one_new_network_are_seen_together() -> None:
    people = company(4)
    for i, person in enumerate(people):
        person.write([f"x{i}@example.net"], f"198.51.100.{i + 1}")
    assert [shared(person) for person in people] == [4, 4, 4, 4]


def test_a_network_that_they_have_used_before_is_no_campaign() -> None:
    people = company(4)
    for _ in range(3):
        for i, person in enumerate(people):
            person.mail(FRIENDS[:2], f"198.51.100.{i + 1}")
        people[0].world.wait(DAY)
    assert {shared(person) for person in people} <= {0}


def test_what_was_shared_yesterday_is_not_shared_today() -> None:
    people = company(4)
    for i, person in enumerate(people):
        person.write([f"x{i}@example.net"], f"198.51.100.{i + 1}")
    people[0].world.wait(DAY)
    assert shared(people[0]) == 0
    late = Person(people[0].world, "late@example.com")
    late.write(["x@example.net"], "198.51.100.9")
    assert shared(late) == 1


def test_a_campaign_leaks_less_of_each_account_than_one_account_alone() -> None:
    """Each sends a slice too thin to be told from a busy day, all from one bot's network."""
    people = company(6)
    leaks = []
    for i, person in enumerate(people):
        mine = [f"c{i}.{j}@example.net" for j in range(40)]
        leaks.append(len(person.write(mine, "198.51.100.50")))
    assert leaks[-1] < leaks[0] and leaks[-1] <= 10


def test_the_network_of_a_paused_sender_speaks_against_the_next_one() -> None:
    people = company(3)
    assert flood(people[0], address="198.51.100.50") <= 40
    assert people[0].state is State.PAUSED
    people[1].write(["one@example.net"], "198.51.100.51")
    world = people[1].world
    assert world.engine.detector.view(world.sender(people[1].key), world.at).tainted
    assert not world.engine.detector.view(world.sender(people[2].key), world.at).tainted


# --- modes ------------------------------------------------------------------------------------


def test_shadow_mode_stops_nobody_and_tells_all() -> None:
    told: list[Case] = []
    person = alice("shadow")
    person.world.engine.detector.on_case = lambda case, sender: told.append(case)
    assert flood(person) == 500
    assert person.state is State.OPEN and person.world.records.standings == []
    assert person.case is not None and person.case.suspicion > Detection().pause_at
    assert told and {case.sender for case in told} == {ALICE}
    assert person.world.total(Counter.STOPPED) == 0


def test_off_does_nothing() -> None:
    person = alice("off")
    assert flood(person) == 500
    assert person.case is None and person.state is State.OPEN
    counted = {counter for _, counter, _, _ in person.world.counts.rows}
    assert not counted & {Counter.NOVEL, Counter.NETWORKS, Counter.ENVELOPES, Counter.NEWLY_DEAD}


def test_the_mode_can_be_changed_while_it_runs() -> None:
    person = alice("shadow")
    person.world.engine.adopt(rules("enforce"))
    assert flood(person) <= 40 and person.state is State.PAUSED
    person.world.engine.adopt(rules("off"))
    bob = Person(person.world, "bob@example.com")
    assert flood(bob) == 500


# --- bounds -----------------------------------------------------------------------------------


def test_tables_of_networks_and_cases_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "MOST_NETWORKS", 20)
    monkeypatch.setattr(detector, "MOST_ACCOUNTS", 3)
    monkeypatch.setattr(detector, "MOST_CASES", 5)
    world = World(rules())
    for i in range(60):
        person = Person(world, f"user{i}@example.com")
        person.write(strangers(40, 100 * i), f"10.{i}.0.1", gap=0.1)
        person.write(["shared@example.net"], "203.0.113.9")
    found = world.engine.detector
    assert len(found._networks) <= 20
    assert max(len(accounts) for _, accounts in found._networks.values()) <= 3
    assert 0 < len(found.cases) <= 5


def test_an_attacker_with_thousands_of_recipients_and_networks_is_one_small_sender() -> None:
    person = alice()
    for i in range(3000):
        person.write(strangers(1, i), f"10.{i % 200}.{i // 200}.1", gap=0.1)
    assert person.case is not None and len(person.case.under_way) <= Detection().canaries
    assert len(person.world.sender().ledger.pack()) < 4096


@pytest.mark.parametrize(
    ("address", "wide", "narrow"),
    [
        ("192.0.2.7", "192.0", "192.0.2"),
        ("2001:db8:1:2::3", "2001:db8", "2001:db8:1"),
        ("unknown", "", ""),
        ("", "", ""),
    ],
)
def test_networks_of_an_address(address: str, wide: str, narrow: str) -> None:
    assert networks_of(address) == (wide, narrow)


# --- the same again ---------------------------------------------------------------------------


def story(seed: int) -> tuple[object, ...]:
    """A platform's odd week; all that detection made of it."""
    told: list[tuple[str, float, float, str]] = []
    drawn = random.Random(seed)
    world = World(rules())
    world.engine.detector.on_case = lambda case, sender: told.append(
        (case.sender, case.opened_at, case.suspicion, case.why)
    )
    people = [Person(world, f"user{i}@example.com") for i in range(5)]
    for _ in range(400):
        person = drawn.choice(people)
        address = f"10.{drawn.randrange(4)}.0.1"
        passed = person.write(strangers(drawn.choice((1, 2, 20)), drawn.randrange(5000)), address)
        drawn.choice((person.delivered, person.delivered, person.bounced))(passed)
        world.wait(drawn.expovariate(1 / 1800))
    standings = [(key, new) for key, _, new in world.records.standings]
    return told, standings, world.counts.rows, world.acquaintance.pack()


def test_the_same_events_give_the_same_cases() -> None:
    first, again = story(1), story(1)
    assert first == again
    assert first[0] and first[1]
    assert story(2) != first
