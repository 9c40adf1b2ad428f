"""What became of the mail: every event, charged to whom it belongs, and what limits make of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from penstock.core.events import (
    Accepted,
    Bounced,
    Deferred,
    Delivered,
    Died,
    Event,
    LoggedIn,
    Message,
    Rejected,
    Reported,
    ScriptMailed,
)
from penstock.core.explain import refusal_sentence
from penstock.core.ledger import KEEP, MOST_ENTRIES, Counter
from penstock.core.policy import Entry, Override, PauseRule, Policy, Profile, Verb
from penstock.core.replies import ReplyClass, Rule
from penstock.core.standing import State
from penstock.engine import EVERYBODY
from support import ALICE, T0, FakeMemory, Smtpd, World, limits, passed, policy, policy_of

CUSTOMER = "customer:1"
RULES = (
    Rule("unknown", ReplyClass.UNKNOWN_USER, ("user unknown",)),
    Rule("domain", ReplyClass.NO_SUCH_DOMAIN, ("domain not found",)),
    Rule("spam", ReplyClass.REPUTATION, ("spam",)),
    Rule("full", ReplyClass.MAILBOX_FULL, ("quota",)),
)
UNKNOWN = "550 5.1.1 user unknown"


def ruled(*texts: str, **more: object) -> Policy:
    """A policy of these limits with the rules for replies above."""
    return replace(policy(*texts, **more), replies=RULES)


def family(*texts: str, **more: object) -> World:
    """Alice, Bob and uid 33 belong to one customer."""
    entries = dict.fromkeys((ALICE, "login:bob@example.com", "uid:33"), Entry(customer="1"))
    return World(ruled(*texts, **more), entries)


def message(at: float = T0, kind: str = "login", name: str = "alice@example.com") -> Message:
    """As the log has it."""
    found = Message(at, "mx1", "4Xy1")
    found.kind, found.name = kind, name
    found.message_id = "1@example.com"
    found.recipients, found.size = 3, 5000
    return found


def bounced(at: float, reply: str = UNKNOWN, about: Message | None = None) -> Bounced:
    return Bounced(at, about or message(), "r@example.net", "mx.example.net[192.0.2.9]:25", "", reply)


def deferred(at: float, reply: str, first: bool = True) -> Deferred:
    return Deferred(at, message(), "r@example.net", "mx.example.net[192.0.2.9]:25", "", reply, first)


def complaint(at: float, feedback_type: str = "abuse", sender: str = ALICE) -> Reported:
    return Reported(at, sender, "r@example.net", "", "", feedback_type)


def came_back(world: World, n: int) -> None:
    """So many unknown users now."""
    for _ in range(n):
        world.engine.observe(bounced(world.at))


def counts(world: World, key: str = ALICE) -> dict[str, int]:
    """What the ledger holds; the log of counts says the same."""
    ledger = world.sender(key).ledger
    found = {c.name: ledger.total(c, int(world.at), KEEP) for c in Counter}
    assert found == {c.name: world.counts.net(key, c) for c in Counter}
    return {name: n for name, n in found.items() if n}


# --- each event ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event, expected",
    [
        (Delivered(T0, message(), "r@example.net", "mx.example.net"), {"DELIVERED": 1}),
        (bounced(T0), {"BOUNCED": 1, "UNKNOWN_USER": 1}),
        (bounced(T0, "552 over quota"), {"BOUNCED": 1, "MAILBOX_FULL": 1}),
        (bounced(T0, "no rule knows this"), {"BOUNCED": 1, "OTHER": 1}),
        (deferred(T0, "450 user unknown"), {"DEFERRED": 1}),
        (deferred(T0, "451 spam"), {"DEFERRED": 1, "REPUTATION": 1}),
        (deferred(T0, "451 try again", first=False), {}),
        (deferred(T0, "451 spam", first=False), {"REPUTATION": 1}),
        (complaint(T0), {"COMPLAINTS": 1}),
        (complaint(T0, "fraud"), {"COMPLAINTS": 1}),
        (complaint(T0, "not-spam"), {}),
        (
            Reported(T0, ALICE, "r@example.net", "5.1.1", "user unknown", ""),
            {"BOUNCED": 1, "UNKNOWN_USER": 1},
        ),
        (ScriptMailed(T0, "/srv/www/contact.php", 7, 1), {}),
    ],
)
def test_an_event_is_counted_once_for_the_sender_and_its_customer(
    event: Event, expected: dict[str, int]
) -> None:
    world = family()
    world.sender()
    world.engine.observe(event)
    assert counts(world) == expected
    assert counts(world, CUSTOMER) == expected
    assert counts(world, "login:bob@example.com") == {}


def test_two_senders_of_a_customer_add_up_with_it() -> None:
    world = family()
    world.engine.observe(bounced(T0))
    world.engine.observe(bounced(T0, about=message(kind="uid", name="33")))
    assert counts(world, CUSTOMER)["UNKNOWN_USER"] == 2
    assert counts(world, "uid:33")["UNKNOWN_USER"] == counts(world)["UNKNOWN_USER"] == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda m: Accepted(T0, m),
        lambda m: Delivered(T0, m, "r@example.net", ""),
        lambda m: bounced(T0, about=m),
        lambda m: Deferred(T0, m, "r@example.net", "", "", "451 spam", True),
        lambda m: Died(T0, m, "milter-reject"),
        lambda m: Reported(T0, "", "r@example.net", "", "", "abuse"),
        lambda m: Rejected(T0, "mx1", "", "192.0.2.7", "r@example.net", UNKNOWN),
    ],
)
def test_what_nobody_is_charged_for_touches_nothing(make: Callable[[Message], Event]) -> None:
    world = World(ruled())
    world.engine.observe(make(message(kind="", name="")), EVERYBODY)
    assert not world.engine.roster.senders and not world.counts.rows and not world.sent.by_message_id


@pytest.mark.parametrize("at", [-1.0, -1e12, math.inf, -math.inf, math.nan, 1e12, 2.7e9])
def test_a_time_that_cannot_be_counted_passes_by(at: float) -> None:
    world = World(ruled("unknown-user 1/h"))
    for event in (bounced(at), Accepted(at, message(at)), LoggedIn(at, "alice", "", "imap", True)):
        world.engine.observe(event, EVERYBODY)
    assert not world.counts.rows
    assert world.smtpd().many(1) == 1


def test_times_run_backwards_and_far_without_harm() -> None:
    world = World(ruled("unknown-user 100/h", pauses=(PauseRule(limits("unknown-user 60/d")[0], 3600),)))
    for at in (0.0, T0, T0 - 40 * 86400, T0 + 86400, T0 - 1, 5.0, T0 + 1):
        world.engine.observe(bounced(at))
        world.engine.observe(LoggedIn(at, "alice@example.com", "", "imap", True))
    assert all(n >= 0 for _, _, n in world.sender().ledger.counts())
    assert world.smtpd().many(3) == 3


# --- logins and clients -------------------------------------------------------------------------


def test_logins_are_counted_in_steps_and_tried_names_make_no_sender() -> None:
    world = World(ruled())
    for minute in range(600):
        world.engine.observe(LoggedIn(T0 + minute * 60, "Alice@example.com", "192.0.2.7", "imap", True))
    world.at += 36_000
    assert counts(world) == {"LOGINS": 600}
    assert len(world.sender().ledger) <= 3
    for n in range(50):
        world.engine.observe(LoggedIn(world.at, f"root{n}@example.com", "192.0.2.66", "smtp", False))
        world.engine.observe(LoggedIn(world.at, "alice@example.com", "192.0.2.66", "smtp", False))
    assert list(world.engine.roster.senders) == [ALICE]
    assert counts(world) == {"LOGINS": 600, "LOGIN_FAILURES": 50}


def test_a_failed_login_finds_the_sender_of_an_earlier_run() -> None:
    world = World(ruled(), earlier={ALICE: (int(T0) - 86400, b"")})
    world.engine.observe(LoggedIn(T0, "alice@example.com", "192.0.2.66", "smtp", False))
    assert world.total(Counter.LOGIN_FAILURES) == 1


def test_an_address_is_a_sender_only_if_it_is_known() -> None:
    world = World(ruled(), {"ip:192.0.2.8": Entry(customer="1")})
    for address in ("192.0.2.7", "192.0.2.8", "nonsense", "2001:db8::1"):
        world.engine.observe(bounced(T0, about=message(kind="ip", name=address)))
    assert set(world.engine.roster.senders) == {"ip:192.0.2.8", CUSTOMER}
    world.smtpd("").many(1)
    world.engine.observe(bounced(T0, about=message(kind="ip", name="192.0.2.7")))
    assert counts(world, "ip:192.0.2.7") == {"RECIPIENTS": 1, "MESSAGES": 1, "BOUNCED": 1, "UNKNOWN_USER": 1}


def test_a_client_that_tries_unknown_recipients_is_counted_by_its_login_alone() -> None:
    """Our own MTA's other refusals are its policy, and without login a stranger is at the door."""
    world = family()
    world.sender()

    def rejected(login: str, reply: str) -> None:
        world.engine.observe(Rejected(T0, "mx1", login, "192.0.2.7", "r@example.net", reply))

    for reply in (UNKNOWN, "550 5.1.2 domain not found", "554 5.7.1 spam", "450 greylisted"):
        rejected("alice@example.com", reply)
        rejected("", reply)
        rejected("never-seen@example.com", reply)
    assert counts(world) == counts(world, CUSTOMER) == {"UNKNOWN_USER": 1, "NO_SUCH_DOMAIN": 1}
    assert set(world.engine.roster.senders) == {ALICE, CUSTOMER}


# --- what the MTA accepted ----------------------------------------------------------------------


@pytest.mark.parametrize("kind, name, key", [("uid", "33", "uid:33"), ("login", "alice@example.com", ALICE)])
def test_local_mail_is_counted_from_the_log_and_logins_only_where_asked(
    kind: str, name: str, key: str
) -> None:
    charged = {"RECIPIENTS": 3, "MESSAGES": 1, "KIB": 5}
    world = family()
    world.engine.observe(Accepted(T0, message(kind=kind, name=name)))
    assert counts(world, key) == counts(world, CUSTOMER) == (charged if kind == "uid" else {})
    assert world.sent.by_message_id == {"1@example.com": key}
    world = family()
    world.engine.observe(Accepted(T0, message(kind=kind, name=name)), EVERYBODY)
    assert counts(world, key) == counts(world, CUSTOMER) == charged
    world = family()
    world.engine.observe(Accepted(T0, message(kind=kind, name=name)), frozenset())
    assert counts(world, key) == {} and world.sent.by_message_id


def test_local_mail_takes_room_from_the_customers_logins() -> None:
    """Also of bytes: the room that was found before must not be used twice."""
    world = family(parent_limits=limits("10/h", "bytes 20KB/h"))
    smtpd = world.smtpd()
    assert smtpd.many(2) == 2 and smtpd.end(2, 8 * 1024) is Verb.PASS
    big = message(kind="uid", name="33")
    big.size = 10 * 1024
    world.engine.observe(Accepted(T0, big))
    smtpd.mail().many(1)
    assert smtpd.end(1, 3 * 1024) is Verb.DEFER
    assert smtpd.mail().many(9) == 5


def test_a_hostile_number_of_recipients_is_bounded() -> None:
    world = World(ruled())
    many = message(kind="uid", name="33")
    many.recipients, many.size = 10**30, 10**40
    world.engine.observe(Accepted(T0, many))
    assert world.total(Counter.RECIPIENTS, "uid:33") == 1_000_000
    assert world.total(Counter.KIB, "uid:33") == (1 << 29) - 1


def test_a_sender_that_no_gate_asks_about_has_its_customer_and_profile() -> None:
    """The directory answers late, the policy is changed, and nobody asks the gate about uid 33."""
    strict = Profile("strict", pauses=(PauseRule(limits("unknown-user 2/d")[0], 600),))
    rules = replace(policy_of(Profile("plain"), strict), replies=RULES)
    world = World(rules)
    script = message(kind="uid", name="33")
    world.engine.observe(bounced(T0, about=script))
    world.directory.entries["uid:33"] = Entry(customer="1", profile="strict")
    world.engine.roster.refresh("uid:33")
    world.engine.observe(bounced(T0 + 1, about=script))
    assert world.total(Counter.BOUNCED, CUSTOMER) == 1
    assert world.sender("uid:33").standing.state is State.PAUSED
    world.engine.observe(bounced(T0 + 2000, about=script))
    assert world.sender("uid:33").standing.state is State.PROBATION


# --- a message that died ------------------------------------------------------------------------


def landed(world: World, queue_id: str = "4Xy1", recipients: int = 3) -> Smtpd:
    """A message of Alice's that was committed under that queue id."""
    smtpd = world.smtpd()
    smtpd.many(recipients)
    smtpd.queue_id = queue_id
    assert smtpd.end(recipients, 5000) is Verb.PASS
    return smtpd


def died(world: World, queue_id: str = "4Xy1", at: float | None = None) -> None:
    about = message()
    about.queue_id = queue_id
    world.engine.observe(Died(world.at if at is None else at, about, "milter-reject"))


def test_a_message_that_died_gives_back_all_of_it_once() -> None:
    world = family("3/h", parent_limits=limits("3/h"))
    smtpd = landed(world)
    assert counts(world, CUSTOMER) == counts(world) == {"RECIPIENTS": 3, "MESSAGES": 1, "KIB": 5}
    assert passed(world.smtpd().rcpt("a@example.net")) == "D"
    for _ in range(3):
        died(world)
    flow = (Counter.RECIPIENTS, Counter.MESSAGES, Counter.KIB)
    assert [world.total(c, key) for c in flow for key in (ALICE, CUSTOMER)] == [0] * 6
    assert [world.counts.net(key, c) for c in flow for key in (ALICE, CUSTOMER)] == [0] * 6
    assert smtpd.mail().many(4) == 3, "the refusal that was remembered no longer holds"


def test_a_queue_id_that_recurs_means_the_latest_message() -> None:
    world = World(ruled())
    landed(world, recipients=3)
    world.wait(4000)
    landed(world, recipients=2)
    died(world, at=T0)
    assert world.counted() == (5, 2), "an old line, read late, is not about the new message"
    died(world)
    died(world)
    assert world.counted() == (3, 1)


def test_a_message_that_nobody_remembers_gives_nothing_back() -> None:
    world = World(ruled())
    landed(world)
    died(world, "4Other")
    world.wait(4000)
    world.sweep()
    died(world)
    assert world.counted() == (3, 1)
    assert not world.engine.flights.crash("4Xy1", T0), "nor is it kept for ever"


# --- limits on outcomes -------------------------------------------------------------------------


def test_once_25_came_back_nothing_passes_until_the_window_has_moved() -> None:
    world = World(ruled("unknown-user 25/h"))
    smtpd = world.smtpd()
    came_back(world, 24)
    assert smtpd.many(3) == 3
    world.wait(100)
    came_back(world, 1)
    assert smtpd.many(3, start=3) == 0
    assert smtpd.end(3) is Verb.PASS, "what was accepted is taken"
    assert smtpd.mail().many(3) == 0
    world.at = T0 + 3599
    assert smtpd.mail().many(1) == 0
    world.at = T0 + 3606
    assert smtpd.mail().many(30) == 30
    came_back(world, 24)
    assert smtpd.mail().many(1) == 0


def test_the_end_of_a_message_does_not_open_the_door_again() -> None:
    """The outcome comes between RCPT and END-OF-MESSAGE, whose look at the bytes must not cover it up."""
    world = World(ruled("unknown-user 2/h", "100/h", "bytes 1GB/h"))
    smtpd = world.smtpd()
    assert smtpd.many(1) == 1
    came_back(world, 2)
    assert smtpd.end(1, 5000) is Verb.PASS
    assert smtpd.mail().many(1) == 0


def test_the_refusal_reads_well_and_tells_the_client_no_figure() -> None:
    world = family("unknown-user 2/h", "complaints 1%/d min 1", parent_limits=limits("bounced 3/d"))
    came_back(world, 2)
    decision = world.smtpd().ask("RCPT", "r@example.net")
    assert decision.rule == "limit:unknown-user 2/h" and not any(c.isdigit() for c in decision.text)
    came_back(world, 1)
    world.smtpd("bob@example.com").many(2)
    world.at += 86400 + 3700
    for n in range(5):
        world.smtpd("carol@example.com").rcpt(f"{n}@example.net")
    world.engine.observe(complaint(world.at, sender="login:carol@example.com"))
    world.smtpd("carol@example.com").many(1)
    assert [refusal_sentence(refusal) for refusal in world.saved()] == [
        "1 recipient of login:alice@example.com was deferred at 2023-11-14T22:13:20Z: 2 of its recipients "
        "came back as unknown-user within an hour; profile plain stops at 2 (2/h).",
        "2 recipients of customer:1 were deferred at 2023-11-14T22:13:20Z: 3 of its recipients came back "
        "within a day; profile plain stops at 3 (3/d).",
        "1 recipient of login:carol@example.com was deferred at 2023-11-15T23:15:00Z: 1 complaint about its "
        "mail came in within a day; profile plain stops at 1 of 5 recipients (1%/d min 1).",
    ]


def test_a_customer_over_its_limit_stops_all_its_senders_and_nobody_else() -> None:
    world = family(parent_limits=limits("complaints 2/d"))
    world.engine.observe(complaint(T0))
    world.engine.observe(complaint(T0, sender="login:bob@example.com"))
    assert world.smtpd().many(1) == world.smtpd("bob@example.com").many(1) == 0
    assert world.smtpd("carol@example.com").many(1) == 1


def test_shadow_mode_counts_each_recipient_and_refuses_none() -> None:
    world = World(ruled("shadow unknown-user 2/h", "6/h"))
    came_back(world, 5)
    smtpd = world.smtpd()
    assert smtpd.many(4) == 4 and smtpd.end(4, 1000) is Verb.PASS
    assert smtpd.mail().many(4) == 2, "the other limits hold as ever"
    shadow, real = sorted(world.saved(), key=lambda refusal: refusal.shadow, reverse=True)
    assert (shadow.rule, shadow.shadow, shadow.recipients) == ("limit:unknown-user 2/h", True, 7)
    assert (real.rule, real.shadow, real.recipients) == ("limit:recipients 6/h", False, 2)
    assert world.total(Counter.SHADOWED) == 7 and world.total(Counter.REFUSED) == 2
    assert "would have been deferred" in refusal_sentence(shadow)


def test_an_exception_replaces_the_outcome_that_it_names() -> None:
    world = World(ruled("unknown-user 2/h", "complaints 1/d"))
    world.engine.roster.set_override(Override(ALICE, None, limits("unknown-user 50/h"), by="admin:a"), T0)
    came_back(world, 49)
    assert world.smtpd().many(1) == 1
    came_back(world, 1)
    assert world.smtpd().many(1) == 0
    [refusal] = world.saved()
    assert "the exception for this sender stops at 50 (50/h)" in refusal_sentence(refusal)


def test_new_rules_for_replies_hold_at_once() -> None:
    world = World(ruled("unknown-user 1/h"))
    world.engine.observe(bounced(T0, "550 nobody by that name"))
    assert world.smtpd().many(1) == 1
    own = Rule("ours", ReplyClass.UNKNOWN_USER, ("nobody by that name",))
    world.engine.adopt(replace(ruled("unknown-user 1/h"), replies=(own, *RULES)))
    world.engine.observe(bounced(T0, "550 nobody by that name"))
    assert world.smtpd().many(1) == 0


# --- pauses -------------------------------------------------------------------------------------


def pausing(*rules: str, lasts: int | None = 12 * 3600, **more: object) -> dict[str, object]:
    return {"pauses": tuple(PauseRule(limit, lasts) for limit in limits(*rules)), **more}


def test_too_much_that_came_back_pauses_the_sender_and_says_why() -> None:
    world = World(ruled(**pausing("unknown-user 3/d")))
    came_back(world, 2)
    assert world.sender().standing.state is State.OPEN
    came_back(world, 1)
    standing = world.sender().standing
    assert (standing.state, standing.by, standing.since) == (State.PAUSED, "penstock:limits", T0)
    assert standing.until == T0 + 12 * 3600
    assert standing.why == (
        "3 of its recipients came back as unknown-user within a day; the rule pauses at 3 (3/d)"
    )
    came_back(world, 10)
    assert len(world.records.standings) == 1
    assert world.smtpd().many(1) == 0


def test_a_share_and_complaints_pause_too() -> None:
    world = World(ruled(**pausing("bounced 10%/d min 3", "complaints 2/d")))
    world.smtpd().many(40)
    came_back(world, 3)
    assert world.sender().standing.state is State.OPEN
    came_back(world, 1)
    assert "the rule pauses at 4 (10%/d min 3)" in world.sender().standing.why
    world.engine.observe(complaint(T0, sender="login:bob@example.com"))
    world.engine.observe(complaint(T0, "not-spam", "login:bob@example.com"))
    assert world.sender("login:bob@example.com").standing.state is State.OPEN
    world.engine.observe(complaint(T0, sender="login:bob@example.com"))
    assert world.sender("login:bob@example.com").standing.why.startswith(
        "2 complaints about its mail came in"
    )


def test_a_pause_rule_in_shadow_mode_only_tells() -> None:
    world = World(ruled(**pausing("shadow unknown-user 2/d")))
    came_back(world, 3)
    assert world.sender().standing.state is State.OPEN and world.total(Counter.SHADOWED) == 0
    [refusal] = world.saved()
    assert refusal_sentence(refusal) == (
        "login:alice@example.com would have been paused at 2023-11-14T22:13:20Z: 2 of its recipients came "
        "back as unknown-user within a day; profile plain stops at 2 (2/d)."
    )


def test_the_rules_for_a_sender_never_pause_its_customer() -> None:
    """Five senders with one unknown user each are no hijacked account."""
    logins = [f"u{n}@example.com" for n in range(5)]
    rules = ruled(**pausing("unknown-user 3/d"))
    world = World(rules, {f"login:{login}": Entry(customer="1") for login in logins})
    for login in logins:
        world.engine.observe(bounced(T0, about=message(name=login)))
    assert world.sender(CUSTOMER).standing.state is State.OPEN
    assert world.smtpd(logins[0]).many(1) == 1


def test_a_paused_customer_stops_all_its_senders() -> None:
    world = family()
    assert world.smtpd().many(1) == 1
    world.engine.roster.change_standing(CUSTOMER, State.PAUSED, T0, "admin:a", "invoice", None, State.OPEN)
    assert world.smtpd().many(1) == world.smtpd("bob@example.com").many(1) == 0
    world.engine.roster.change_standing(CUSTOMER, State.OPEN, T0, "admin:a", "paid", None, State.OPEN)
    assert world.smtpd().many(1) == 1


def test_nobody_is_paused_twice_for_the_same_outcomes() -> None:
    world = World(ruled(**pausing("unknown-user 60/d", probation_for=86400)))
    came_back(world, 61)
    world.wait(12 * 3600)
    assert world.smtpd().many(1) == 1 and world.sender().standing.state is State.PROBATION
    came_back(world, 30)
    assert world.sender().standing.state is State.PROBATION
    world.wait(1200)
    came_back(world, 60)
    assert world.sender().standing.state is State.PAUSED


def test_whom_an_administrator_lets_go_on_is_not_stopped_by_the_bounces_of_before() -> None:
    world = World(ruled(**pausing("unknown-user 60/d")))
    came_back(world, 61)
    for hours in (0.0, 1.0, 3.0, 23.0):
        world.at = T0 + 60 + hours * 3600
        if not hours:
            world.engine.roster.change_standing(
                ALICE, State.OPEN, world.at, "admin:a", "known", None, State.OPEN
            )
        came_back(world, 10)
        assert world.sender().standing.by == "admin:a", hours


def test_old_lines_read_late_begin_no_pause_that_would_be_over() -> None:
    world = World(ruled(**pausing("unknown-user 5/d", lasts=3600)))
    world.sweep()
    world.at = T0 - 4000
    came_back(world, 9)
    assert world.sender().standing.state is State.OPEN and not world.records.standings
    world.at = T0 - 600
    came_back(world, 9)
    standing = world.sender().standing
    assert (standing.state, standing.since, standing.until) == (State.PAUSED, T0 - 600, T0 + 3000)


def test_a_decision_made_since_is_not_overruled_by_old_lines() -> None:
    world = World(ruled(**pausing("unknown-user 5/d", lasts=None)))
    world.engine.roster.change_standing(ALICE, State.SLOWED, T0, "admin:a", "watch", None, State.OPEN)
    world.at = T0 - 4000
    came_back(world, 9)
    assert world.sender().standing.by == "admin:a" and len(world.records.standings) == 1


def test_old_outcomes_are_counted_where_they_belong() -> None:
    """Three hours late: they are part of the day, and of no hour that counts now."""
    world = World(ruled("unknown-user 2/h", "bounced 4/d"))
    smtpd = world.smtpd()
    assert smtpd.many(1) == 1
    for n in range(3):
        world.engine.observe(bounced(T0 - 3 * 3600 + n))
    assert smtpd.mail().many(1) == 1
    world.engine.observe(bounced(T0 - 3 * 3600))
    assert smtpd.mail().many(1) == 0


def test_outcomes_outlive_rest_and_restart() -> None:
    world = World(ruled("bounced 2/w"))
    came_back(world, 2)
    world.wait(7 * 3600)
    for _ in range(2):
        world.engine.roster.put_to_rest(world.at, 10)
    assert not world.engine.roster.senders
    assert world.smtpd().many(1) == 0


def test_a_hostile_log_fills_no_memory() -> None:
    """A flood of outcomes of one sender in random order of time; logins that nobody has."""
    world = World(ruled(**pausing("shadow unknown-user 5/d")), memory=FakeMemory())
    replies: Iterable[str] = (f"550 {n} {'x' * (n % 50)}" for n in range(3000))
    for n, reply in enumerate(replies):
        world.engine.observe(bounced(T0 - (n * 7919) % (32 * 86400), reply))
        world.engine.observe(LoggedIn(T0 + n, f"guess{n}", "192.0.2.66", "imap", False))
    assert set(world.engine.roster.senders) == {ALICE}
    assert len(world.sender().ledger) <= MOST_ENTRIES + 256
