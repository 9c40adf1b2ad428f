"""Senders in a stranger's hands are slowed and paused; who is known, or alike for a while, is not."""

from __future__ import annotations

import random

import pytest

from engine.people import AWAY, DAY, HOME
from engine.suspects import (
    FRIENDS,
    SPAM,
    Person,
    alice,
    company,
    flood,
    newcomer,
    rules,
    strangers,
)
from penstock.core.events import Reported
from penstock.core.evidence import Detection, Usual
from penstock.core.explain import refusal_sentence
from penstock.core.ledger import Counter
from penstock.core.policy import Action, Verb
from penstock.core.standing import State
from penstock.engine import detector
from penstock.engine.case import (
    AT_HOME,
    BAD,
    CALM,
    EVEN,
    FEW,
    GOOD,
    MOST_OF_TRIAL,
    MOST_UNDER_WAY,
    OF_SCRIPT,
    PATIENCE,
    SOME,
    Case,
)
from penstock.engine.detector import BLIND, TESTED
from support import ALICE, World, passed

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
    bob.send(["both@example.net"])
    person.write(["gone@example.net", "both@example.net", "new@gmail.com"])
    added = {c: person.world.total(c, window=3600) for c in Counter}
    assert added[Counter.NOVEL] == 3
    assert added[Counter.STRANGERS] == 2
    assert added[Counter.DEAD] == added[Counter.FREEMAIL] == 1
    bob.write(["gone@example.net"])
    assert person.world.total(Counter.DEAD, bob.key) == 0


def test_a_novel_recipient_that_is_tried_again_counts_once() -> None:
    """A deferred letter, a second one before the first has arrived."""
    person = alice()
    for _ in range(5):
        person.write(["new@example.net", "NEW@example.net"], AWAY)
        person.world.wait(600)
    counted = {c: person.world.total(c, window=7200) for c in (Counter.NOVEL, Counter.FOREIGN_NOVEL)}
    assert set(counted.values()) == {1}
    person.delivered(["new@example.net"])
    person.write(["new@example.net"])
    assert person.world.total(Counter.NOVEL, window=7200) == 1


def test_who_asks_and_sends_nothing_has_asked_for_new_recipients_all_the_same() -> None:
    """Or a list could be made known by asking for it first."""
    person = alice(days=3)
    before = person.world.total(Counter.NOVEL)
    for i in range(5):
        smtpd = person.world.smtpd()
        smtpd.rcpt(f"probe{i}@example.net")
        smtpd.hang_up()
        person.world.wait(3600)
        person.world.sweep()
    assert person.world.total(Counter.NOVEL) == before + 5
    assert person.view.habit.novel_share <= 1


def sign(person: Person, domain: str) -> None:
    """A letter to a friend under some name."""
    smtpd = person.world.smtpd()
    smtpd.envelope = f"alice@{domain}"
    smtpd.rcpt(FRIENDS[0])
    smtpd.end(1)


def test_a_name_is_new_on_its_first_day_and_counted_once_on_it() -> None:
    person = alice()
    for domain in ("Two.example.com", "example.com", "two.example.com", ""):
        sign(person, domain)
    assert person.world.total(Counter.ENVELOPES, window=3600) == 1
    person.world.wait(DAY)
    sign(person, "two.example.com")
    assert person.world.total(Counter.ENVELOPES, window=3600) == 0


def test_a_suspect_s_names_stay_new() -> None:
    person = alice()
    sign(person, "two.example.com")
    person.world.wait(DAY)
    person.complain(4)
    assert person.case is not None
    sign(person, "two.example.com")
    assert person.world.total(Counter.ENVELOPES, window=3600) == 1


# --- floods -----------------------------------------------------------------------------------


def test_a_flood_is_slowed_within_dozens_and_paused_when_it_bounces() -> None:
    person = alice()
    assert flood(person) <= 40
    assert person.state is State.PAUSED
    standing = person.world.sender().standing
    assert standing.by == "penstock:evidence" and standing.until is None
    assert "do not exist" in standing.why and "networks that are not its own" in standing.why
    assert person.write(FRIENDS) == []


def test_a_flood_of_whose_outcomes_nothing_is_known_is_slowed_and_not_paused() -> None:
    person = alice()
    assert len(person.write(strangers(500), AWAY)) <= 40
    assert person.case is not None and person.case.slowed
    assert person.state is State.OPEN


def test_a_flood_from_home_is_slowed_too() -> None:
    """Without a foreign network more is under way before an outcome is known, but no list gets through."""
    person = alice()
    assert len(person.write(strangers(500), HOME)) <= AT_HOME * Detection().canaries + 20
    assert person.case is not None and person.case.slowed


def test_under_other_names_nobody_is_at_home() -> None:
    """A bot on the owner's own machine signs as somebody else."""
    person = alice()
    assert len(person.write(strangers(500), HOME, envelope="win@lottery.example")) <= 40


def test_once_a_stranger_is_likelier_than_the_owner_canaries_go_few_by_few() -> None:
    person, case = slowed()
    case.suspicion = EVEN - 0.1
    person.delivered(list(case.under_way)[:1])
    assert case.good == GOOD
    case.suspicion = EVEN
    person.delivered(list(case.under_way)[:1])
    assert case.good == GOOD + FEW


def test_a_bought_list_from_home_is_paused_by_what_comes_back() -> None:
    person = alice()
    assert flood(person, address=HOME) <= 80
    assert person.state is State.PAUSED


def test_flow_and_origin_pause_nobody_before_some_outcomes_are_known() -> None:
    """Whatever is risked: who is only slowed loses minutes."""
    person = alice(false_pauses=10, canaries=1000)
    gone = person.write(strangers(60), AWAY)
    rules_ = person.world.engine.roster.policy.detection
    assert person.case is not None and person.case.suspicion >= rules_.pause_at
    assert person.state is State.OPEN
    person.delivered(gone[: TESTED - 1])
    assert person.state is State.OPEN
    person.delivered(gone[TESTED - 1 : TESTED])
    assert person.world.sender().standing.stopped


def test_a_pause_ends_when_the_policy_says_so() -> None:
    person = alice(lasts=6 * 3600)
    flood(person)
    assert person.state is State.PAUSED
    standing = person.world.sender().standing
    assert standing.until == standing.since + 6 * 3600 and standing.then is State.PROBATION


def test_who_is_paused_by_the_question_itself_is_answered_so() -> None:
    usual = Usual(novel=20)
    person = alice(usual=usual)
    person.delivered(strangers(TESTED, 5000))
    person.world.engine.adopt(rules(usual=usual, false_pauses=100, canaries=1000))
    smtpd = person.world.smtpd()
    smtpd.address = AWAY
    answers = [smtpd.ask("RCPT", stranger) for stranger in strangers(100)]
    assert answers[-1].rule == "standing:paused" and person.state is State.PAUSED
    n = sum(answer.verb is Verb.PASS for answer in answers)
    assert 0 < n < 40 and person.world.total(Counter.RECIPIENTS, window=3600) == n


def test_complaints_alone_slow_a_sender() -> None:
    person = alice()
    for _ in range(4):
        person.world.engine.observe(Reported(person.world.at, ALICE, "x@example.net", "", "", "abuse"))
    assert person.case is not None and "complaints" in person.case.why
    assert person.state is State.OPEN


def test_replies_about_us_are_found_and_alone_pause_nobody() -> None:
    person = alice()
    person.bounced(strangers(60), SPAM)
    assert person.findings["refusals"].weight > 1
    assert person.state is State.OPEN


def test_what_everybody_here_meets_speaks_against_nobody() -> None:
    """We are on a block list: a provider refuses all of us."""
    people = company(6)
    for i, recipient in enumerate(strangers(120)):
        people[i % 6].bounced([recipient], SPAM)
    assert all(person.state is State.OPEN for person in people)
    assert people[0].view.refused_elsewhere > 0.5
    assert "refusals" not in people[0].findings


def test_the_refusal_of_a_slowed_sender_has_a_name_and_a_reason() -> None:
    person = alice()
    person.write(strangers(200), AWAY)
    smtpd = person.world.smtpd()
    decision = smtpd.ask("RCPT", "one.more@example.net")
    assert (decision.verb, decision.rule) == (Verb.DEFER, "evidence:slowed")
    [refusal] = person.world.saved()
    assert refusal.reference == decision.reference
    assert "networks that are not its own" in str(refusal.figures)
    assert refusal_sentence(refusal)
    assert smtpd.ask("RCPT", "one.more@example.net") == decision
    assert refusal.recipients == person.world.total(Counter.STOPPED)


def test_what_was_refused_is_not_counted_as_sent_nor_as_new() -> None:
    person = alice()
    person.write(strangers(100), AWAY)
    before = person.world.counted(), person.world.total(Counter.NOVEL)
    assert person.write(strangers(50, 500), AWAY) == []
    assert (person.world.counted(), person.world.total(Counter.NOVEL)) == before


# --- where outcomes are seen ------------------------------------------------------------------


def test_where_no_outcome_was_ever_seen_nobody_is_slowed() -> None:
    """No log is followed: who waits for outcomes would wait for ever."""
    person = Person(World(rules()))
    for _ in range(10):
        person.write(FRIENDS)
        person.world.wait(DAY)
    assert len(person.write(strangers(300), AWAY)) == 300
    assert person.case is not None and person.case.slowed
    assert not person.world.engine.detector.is_full(person.world.sender(), person.world.at)
    assert person.state is State.OPEN


def test_outcomes_that_stop_are_waited_for_some_hours() -> None:
    person = alice()
    person.send(FRIENDS)
    begun = person.world.at
    person.write(strangers(100), AWAY)
    assert person.write(strangers(5, 900), AWAY) == []
    person.world.wait(begun + BLIND - 100 - person.world.at)
    assert len(person.write(strangers(20, 1000), AWAY)) == Detection().canaries
    person.world.wait(200)
    assert len(person.write(strangers(20, 2000), AWAY)) == 20


@pytest.mark.parametrize("told", ["delivered", "bounced", "refused"])
def test_any_outcome_of_anybody_shows_that_outcomes_are_seen(told: str) -> None:
    person = Person(World(rules()))
    bob = Person(person.world, "bob@example.com")
    person.write(FRIENDS)
    person.world.wait(DAY)
    most = AT_HOME * Detection().canaries + 20
    assert len(person.write(strangers(most), AWAY)) == most
    {
        "delivered": lambda: bob.delivered(["x@example.org"]),
        "bounced": lambda: bob.bounced(["x@example.org"]),
        "refused": lambda: bob.bounced(["x@example.org"], SPAM),
    }[told]()
    assert len(person.write(strangers(100, 1000), AWAY)) <= Detection().canaries


# --- canaries ---------------------------------------------------------------------------------


def slowed(**more: object) -> tuple[Person, Case]:
    """Alice under suspicion, and her case."""
    person = alice(**more)
    person.write(strangers(100), AWAY)
    assert person.case is not None and person.case.slowed
    return person, person.case


def test_so_many_canaries_are_under_way_and_good_outcomes_let_more_and_more_pass() -> None:
    person, case = slowed(canaries=5)
    assert len(case.under_way) == 5
    assert person.write(strangers(5, 300), AWAY) == []
    case.suspicion = EVEN - 1
    person.delivered(list(case.under_way)[:1])
    case.suspicion = EVEN - 1
    person.delivered(list(case.under_way)[:1])
    assert len(case.under_way) == 3 and case.good == 2 * GOOD
    assert len(person.write(strangers(50, 500), AWAY)) == 2 + 2 * GOOD
    assert len(case.under_way) == 5 + 2 * GOOD


def test_a_script_begins_with_fewer_canaries_and_gets_fewer_more() -> None:
    """Nothing tells whose it is but what comes back."""
    case = Case("uid:1001", 0.0, EVEN - 1, (), 0.0)
    for number, recipient in enumerate(strangers(OF_SCRIPT)):
        assert case.is_full(recipient, number, 0.0) and not case.is_full(recipient, 5, 0.0)
        case.start(recipient, 0.0)
    assert case.is_full("next@example.net", 5, 0.0)
    assert case.landed(strangers(1)[0]) and case.good == SOME
    for recipient in strangers(SOME + 1, 100):
        assert not case.is_full(recipient, 5, 0.0)
        case.start(recipient, 0.0)
    assert case.is_full("next@example.net", 5, 0.0)


def test_a_canary_that_comes_back_costs_several_and_speaks_against_the_sender() -> None:
    person, case = slowed(canaries=3)
    person.delivered(list(case.under_way)[:2])
    assert case.good == 2 * GOOD < BAD
    canaries = person.write(strangers(20, 500), AWAY)
    before = case.suspicion
    person.bounced(canaries[:1])
    assert case.suspicion > before and case.good == 0
    person.bounced(canaries[1:2], SPAM)
    assert case.good == 0


def test_for_a_canary_of_which_nobody_tells_another_goes_after_a_while() -> None:
    person, case = slowed(canaries=3)
    last = max(case.under_way.values())
    assert person.write(strangers(1, 500), AWAY) == []
    person.world.wait(last + PATIENCE - person.world.at)
    assert len(person.write(strangers(10, 600), AWAY)) == 3
    assert case.good == 0


def test_a_canary_that_is_under_way_may_be_tried_again() -> None:
    """Its first letter was deferred by the other side."""
    person, case = slowed(canaries=3)
    assert len(person.write(list(case.under_way), AWAY)) == 3
    assert len(case.under_way) == 3


def test_a_second_letter_to_a_canary_that_has_landed_gives_its_place_back_too() -> None:
    person, case = slowed(canaries=3)
    landed = list(case.under_way)
    person.delivered(landed)
    assert person.write(landed, AWAY) == landed
    person.delivered(landed)
    assert case.under_way == {}


def test_what_nobody_tells_the_outcome_of_lets_less_and_less_through() -> None:
    """A provider puts the list off for hours: what landed before is used up, and patience doubles."""
    person, case = slowed(canaries=3)
    person.delivered(list(case.under_way)[:1])
    assert case.good == GOOD
    passed = []
    for number in range(8):
        passed.append(len(person.write(strangers(40, 1000 + 100 * number), AWAY, gap=0.01)))
        person.world.wait(PATIENCE + 1)
    assert passed == [GOOD + 1, 3, 0, 3, 0, 0, 0, 3]


def test_so_many_are_under_way_at_most_whatever_landed_before() -> None:
    person, case = slowed(canaries=5)
    for number in range(MOST_UNDER_WAY):
        case.start(f"more{number}@example.net", person.world.at)
        case.landed(f"more{number}@example.net")
    passed = person.write(strangers(500, 1000), AWAY, gap=0.1)
    assert len(passed) > 100 and len(case.under_way) == MOST_UNDER_WAY
    assert person.write(strangers(9, 2000), AWAY, gap=0.1) == []


def test_a_login_that_writes_from_home_has_more_canaries() -> None:
    person = alice(days=20)
    person.write(strangers(200), HOME)
    assert person.case is not None and person.case.slowed and person.case.at_home
    assert len(person.case.under_way) == AT_HOME * Detection().canaries


def test_a_case_says_how_much_has_leaked_since_it_was_opened() -> None:
    person, case = slowed(canaries=3)
    leak = case.leak
    person.delivered(list(case.under_way))
    more = person.write(strangers(30, 500), AWAY)
    assert more and case.leak == leak + len(more)


# --- one message on trial ---------------------------------------------------------------------


def held() -> tuple[Person, Case]:
    """Under suspicion with nothing under way, where a refusal stops the whole message."""
    person = alice(over_limit=Action(Verb.HOLD), canaries=3)
    person.write(strangers(100), AWAY)
    assert person.case is not None and person.case.slowed
    person.world.wait(PATIENCE)
    return person, person.case


def test_where_a_refusal_stops_a_whole_message_one_goes_when_nothing_is_under_way() -> None:
    """Or a letter to ten new people would never go: it has more recipients than there are canaries."""
    person, case = held()
    trial = person.world.smtpd()
    trial.address = AWAY
    assert trial.many(MOST_OF_TRIAL, 1000) == MOST_OF_TRIAL
    trial.end(MOST_OF_TRIAL)
    assert len(case.under_way) == MOST_OF_TRIAL
    other = person.world.smtpd()
    assert other.rcpt("one@example.net") == [Verb.HOLD]
    person.delivered(f"r{i}@example.net" for i in range(1000, 1000 + MOST_OF_TRIAL))
    assert case.under_way == {}
    assert person.world.smtpd().many(10, 2000) == 10


def test_a_trial_has_an_end() -> None:
    person, _ = held()
    trial = person.world.smtpd()
    assert passed(trial.rcpt(*strangers(MOST_OF_TRIAL + 5, 1000)))[MOST_OF_TRIAL:] == "HHHHH"


def test_where_recipients_are_refused_one_by_one_there_is_no_trial() -> None:
    person, case = slowed()
    person.world.wait(PATIENCE)
    assert person.world.smtpd().many(20, 1000) == Detection().canaries
    assert len(case.under_way) == Detection().canaries


def test_canaries_of_a_message_that_was_stopped_have_not_gone() -> None:
    person, case = held()
    person.write(["first@example.net"], AWAY)
    assert set(case.under_way) == {"first@example.net"}
    message = person.world.smtpd()
    assert passed(message.rcpt("Two@example.net", "three@example.net", "four@example.net")) == "PPH"
    assert set(case.under_way) == {"first@example.net"}


# --- honest people ----------------------------------------------------------------------------


def letters(person: Person, recipients: list[str], retry: float = 300.0) -> int:
    """A queue that tries each deferred recipient again; everything that passes is delivered. The number of
    rounds until all have got it."""
    waiting, rounds = recipients, 0
    while waiting and rounds < 1000:
        gone = set(person.send(waiting))
        waiting = [r for r in waiting if r not in gone]
        person.world.wait(retry)
        rounds += 1
    return rounds


def test_an_honest_burst_is_delayed_at_most_and_never_paused() -> None:
    person = alice()
    assert letters(person, strangers(150)) <= 4
    assert person.state is State.OPEN


def test_a_few_new_people_a_day_slow_nobody() -> None:
    person = alice()
    for day in range(20):
        assert len(person.send(strangers(4, 100 * day))) == 4
        assert person.case is None
        person.world.wait(DAY)


def test_a_traveller_with_a_few_letters_is_left_in_peace() -> None:
    person = alice()
    for i, address in enumerate(("198.51.100.9", "203.0.113.4")):
        assert len(person.send([*FRIENDS, *strangers(2, 10 * i)], address)) == len(FRIENDS) + 2
        person.world.wait(DAY)
    assert person.case is None


def test_a_new_customer_on_the_first_day() -> None:
    person = Person(World(rules()), "new@example.com")
    assert len(person.send(strangers(6))) == 6
    assert person.case is None


def test_while_an_installation_is_new_more_is_taken_for_usual() -> None:
    """Everybody's old friends are strangers to it."""
    fresh = newcomer()
    assert len(fresh.send(strangers(40))) == 40
    assert fresh.case is None


def test_a_new_login_has_twice_the_room_at_first() -> None:
    world = World(rules())
    new, old = Person(world, "new@example.com"), Person(world, "old@example.com")
    old.live(15)
    new.send(FRIENDS)
    assert (old.view.usual.novel, new.view.usual.novel) == (4, 7)
    assert old.view.seen == 1 and 0.75 <= new.view.seen < 0.76


def test_a_class_of_senders_has_its_own_floor() -> None:
    news = Person(World(rules(usual=Usual(3000, 5000, 20))))
    news.delivered(["somebody@example.org"])
    assert len(news.write(strangers(1500), gap=0.1)) == 1500
    assert news.case is None


def test_one_complaint_or_one_spam_reply_pauses_nobody() -> None:
    person = alice()
    person.send(strangers(3))
    person.bounced(strangers(1), SPAM)
    person.world.engine.observe(Reported(person.world.at, ALICE, "x@example.net", "", "", "abuse"))
    assert person.state is State.OPEN


def test_suspicion_fades_with_the_counts_and_the_case_is_closed() -> None:
    person, _ = slowed()
    for _ in range(9):
        person.world.wait(DAY)
        person.send([*FRIENDS, f"later{person.world.at}@example.net"])
    person.world.wait(CALM)
    person.world.sweep()
    assert person.case is None and person.state is State.OPEN


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
    assert not counted & {c for c in Counter if c >= Counter.NOVEL}


def test_the_mode_can_be_changed_while_it_runs() -> None:
    person = alice("shadow")
    person.world.engine.adopt(rules("enforce"))
    assert flood(person) <= 40 and person.state is State.PAUSED
    person.world.engine.adopt(rules("off"))
    bob = Person(person.world, "bob@example.com")
    assert flood(bob) == 500


# --- bounds -----------------------------------------------------------------------------------


def test_the_table_of_cases_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "MOST_CASES", 5)
    people = company(12, days=1)
    for i, person in enumerate(people):
        person.write(strangers(40, 100 * i), f"10.{i}.0.1", gap=0.1)
    assert list(people[0].world.engine.detector.cases) == [person.key for person in people[-5:]]


def test_an_attacker_with_thousands_of_recipients_and_networks_is_one_small_sender() -> None:
    person = alice()
    for i in range(3000):
        person.write(strangers(1, i), f"10.{i % 200}.{i // 200}.1", gap=0.1)
    assert person.case is not None and len(person.case.under_way) <= Detection().canaries
    assert len(person.world.sender().ledger.pack()) < 4096


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
    for _ in range(300):
        person = drawn.choice(people)
        address = f"10.{drawn.randrange(4)}.0.1"
        gone = person.write(strangers(drawn.choice((1, 2, 20)), drawn.randrange(5000)), address)
        drawn.choice((person.delivered, person.delivered, person.bounced))(gone)
        world.wait(drawn.expovariate(1 / 1800))
    standings = [(key, new) for key, _, new in world.records.standings]
    return told, standings, world.counts.rows, [bytes(f) for f in world.acquaintance.pack()[:2]]


def test_the_same_events_give_the_same_cases() -> None:
    first, again = story(1), story(1)
    assert first == again
    assert first[0] and first[1]
    assert story(2) != first
