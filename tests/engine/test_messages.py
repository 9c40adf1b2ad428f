"""Messages and what they cost: one smtpd process is one channel, each test tells one story.

The letters are the answers: P pass, D defer, H hold, R reject.
"""

from __future__ import annotations

import pytest

from penstock.core.flight import IDLE
from penstock.core.ledger import Counter
from penstock.core.policy import Action, Entry, Profile, Verb
from penstock.core.standing import State
from support import ALICE, T0, World, limits, passed, policy, policy_of

R, M, K = Counter.RECIPIENTS, Counter.MESSAGES, Counter.KIB
UNKNOWN = ""
"""The context of a set-up that says nothing about END-OF-MESSAGE."""

GENEROUS = policy("1000/h")


# --- recipients of a message that dies ---------------------------------------------------------


def test_quit_after_three_recipients_gives_them_back_with_the_next_message() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd()
    assert smtpd.many(3) == 3
    assert world.counted() == (3, 1)
    smtpd.mail().many(1)
    assert world.counted() == (1, 1)
    assert world.counts.net(ALICE, R) == 1
    assert world.counts.net(ALICE, M) == 1


def test_without_knowledge_of_end_of_message_nothing_is_given_back() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd(context=UNKNOWN)
    smtpd.many(3)
    smtpd.mail().many(2)
    smtpd.mail().many(1)
    world.wait(3600)
    world.sweep()
    smtpd.hang_up()
    world.wait(3600)
    world.sweep()
    assert world.counted() == (6, 3)


def test_a_channel_that_turns_out_to_ask_at_the_end_gives_back_its_earlier_dead_messages() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd(context=UNKNOWN)
    smtpd.many(3)
    smtpd.mail().many(2)
    smtpd.mail().many(4)
    assert world.counted() == (9, 3)
    assert smtpd.end(4, 1000) is Verb.PASS
    assert world.counted() == (4, 1)
    smtpd.mail().many(5)
    smtpd.mail().many(1)
    assert world.counted() == (5, 2)


def test_an_idle_message_is_given_back_by_the_sweep_and_only_then() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.many(3)
    world.wait(IDLE - 1)
    world.sweep()
    assert world.counted() == (3, 1)
    world.wait(2)
    world.sweep()
    assert world.counted() == (0, 0)
    world.sweep()
    assert world.counted() == (0, 0)


def test_a_message_of_a_closed_connection_is_given_back_by_the_sweep() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.many(3)
    smtpd.hang_up()
    world.wait(31)
    world.sweep()
    assert world.counted() == (0, 0)


def test_a_finished_message_is_never_given_back() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.many(3)
    smtpd.end(3, 1000)
    smtpd.mail().many(1)
    world.wait(100)
    world.sweep()
    smtpd.hang_up()
    world.wait(1000)
    world.sweep()
    assert world.counted() == (3, 1)


def test_thousands_of_dead_messages_count_nothing() -> None:
    world = World(policy("50/h"))
    smtpd = world.smtpd()
    for _ in range(2000):
        assert smtpd.mail().many(2) == 2
        world.wait(0.3)
    world.wait(31)
    world.sweep()
    assert world.counted() == (0, 0)
    assert world.counts.net(ALICE, R) == 0


def test_a_message_that_lasts_minutes_and_dies_counts_nothing() -> None:
    """Recipients arrive over three minutes, in slots that are merged meanwhile; then the client is gone."""
    world = World(GENEROUS)
    other = world.smtpd()
    slow = world.smtpd()
    for i in range(60):
        slow.rcpt(f"r{i}@example.net")
        other.mail().many(1)
        other.end(1, 2000)
        world.wait(4)
    assert world.counted() == (120, 61)
    slow.mail()
    slow.many(1, 900)
    assert world.counted() == (61, 61)


# --- the end ----------------------------------------------------------------------------------


def test_fewer_recipients_at_the_end_than_reserved() -> None:
    """Postfix refused two after us."""
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.many(5)
    assert smtpd.end(3, 5000) is Verb.PASS
    assert world.counted() == (3, 1)
    assert world.total(K) == 5


def test_fifty_recipients_are_counted_once_at_rcpt_data_and_end() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd()
    assert smtpd.many(50) == 50
    assert smtpd.data(50) is Verb.PASS
    assert smtpd.end(50, 100_000) is Verb.PASS
    assert smtpd.end(50, 100_000) is Verb.PASS
    assert world.counted() == (50, 1)
    assert world.total(K) == 98


def test_the_same_recipient_twice_in_one_mail_is_charged_once() -> None:
    """Postfix asks twice with one instance and counts both at the end, but delivers once."""
    world = World(GENEROUS)
    smtpd = world.smtpd()
    assert smtpd.rcpt("a@example.net", "b@example.net", "a@example.net") == [Verb.PASS] * 3
    smtpd.data(3)
    smtpd.end(3, 100)
    assert world.counted() == (2, 1)
    smtpd.mail().rcpt("a@example.net")
    assert world.counted() == (3, 2)


def test_a_repeat_and_a_recipient_that_postfix_refused_are_never_counted_short() -> None:
    """a was repeated: whether by the client or after a lost answer, nobody can tell from the count."""
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.rcpt("a@example.net", "a@example.net", "b@example.net", "c@example.net")
    smtpd.end(3, 100)
    assert world.counted()[0] in (2, 3)


def test_a_question_repeated_on_another_connection_is_no_second_recipient() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.rcpt("a@example.net", "b@example.net")
    smtpd.hang_up()
    assert smtpd.rcpt("b@example.net", "c@example.net") == [Verb.PASS, Verb.PASS]
    assert world.counted() == (3, 1)
    assert smtpd.end(3, 100) is Verb.PASS
    assert world.counted() == (3, 1)


def test_a_repeated_question_after_a_refusal_gets_the_same_answer_and_counts_nothing() -> None:
    world = World(policy("2/h"))
    smtpd = world.smtpd()
    assert passed(smtpd.rcpt("a@example.net", "b@example.net", "c@example.net")) == "PPD"
    first = smtpd.ask("RCPT", "c@example.net")
    smtpd.hang_up()
    again = smtpd.ask("RCPT", "c@example.net")
    assert again.reference == first.reference
    assert world.total(Counter.REFUSED) == 1


def test_the_same_instance_on_two_hosts_is_two_messages() -> None:
    world = World(GENEROUS)
    one, two = world.smtpd(host="mx1"), world.smtpd(host="mx2")
    two.instance = one.instance
    one.rcpt("a@example.net")
    two.rcpt("a@example.net")
    assert world.counted() == (2, 2)


def test_a_slow_upload_revives_after_the_sweep() -> None:
    world = World(policy("5/h"))
    smtpd = world.smtpd()
    smtpd.many(3)
    world.wait(40)
    world.sweep()
    assert world.counted() == (0, 0)
    assert smtpd.end(3, 10_000) is Verb.PASS
    assert world.counted() == (3, 1)
    assert world.total(K) == 10


def test_a_slow_upload_is_refused_whole_when_others_have_used_the_room() -> None:
    world = World(policy("5/h"))
    slow, quick = world.smtpd(), world.smtpd()
    slow.many(3)
    world.wait(40)
    world.sweep()
    quick.many(4)
    quick.end(4, 10)
    assert slow.end(3, 10_000) is Verb.DEFER
    assert world.counted() == (4, 1)


def test_a_revival_that_is_refused_is_counted_once_however_often_it_is_asked() -> None:
    world = World(policy("5/h"))
    slow, quick = world.smtpd(), world.smtpd()
    slow.many(3)
    world.wait(40)
    world.sweep()
    quick.many(4)
    quick.end(4, 10)
    slow.end(3, 10_000)
    refused = world.total(Counter.REFUSED)
    slow.hang_up()
    slow.end(3, 10_000)
    assert world.total(Counter.REFUSED) == refused


def test_more_recipients_arrive_after_a_sweep() -> None:
    world = World(policy("5/h"))
    smtpd = world.smtpd()
    smtpd.many(3)
    world.wait(40)
    world.sweep()
    assert smtpd.many(3, 10) == 2
    assert world.counted() == (5, 1)
    assert smtpd.end(5, 10) is Verb.PASS
    assert world.counted() == (5, 1)


# --- other set-ups -----------------------------------------------------------------------------


def test_end_of_message_only() -> None:
    world = World(policy("10/h"))
    smtpd = world.smtpd(context=UNKNOWN)
    assert smtpd.end(4, 3000) is Verb.PASS
    assert smtpd.mail().end(5, 3000) is Verb.PASS
    assert world.counted() == (9, 2)
    assert smtpd.mail().end(2, 3000) is Verb.DEFER
    assert smtpd.end(2, 3000) is Verb.DEFER
    assert world.counted() == (9, 2)
    assert world.total(K) == 6


@pytest.mark.parametrize("stages", ["data", "end", "data end"])
def test_one_recipient_messages_where_nobody_asks_at_rcpt(stages: str) -> None:
    """At DATA and END-OF-MESSAGE Postfix names the recipient when there is only one."""
    world = World(GENEROUS)
    smtpd = world.smtpd(context=UNKNOWN)
    for i in range(3):
        smtpd.mail()
        if "data" in stages:
            smtpd.data(1, f"r{i}@example.net")
        if "end" in stages:
            smtpd.end(1, 500, f"r{i}@example.net")
    smtpd.mail()
    if "data" in stages:
        smtpd.data(7)
    if "end" in stages:
        smtpd.end(7, 500)
    assert world.counted() == (10, 4)


def test_data_only() -> None:
    world = World(policy("10/h"))
    smtpd = world.smtpd(context=UNKNOWN)
    assert smtpd.data(6) is Verb.PASS
    assert smtpd.data(6) is Verb.PASS
    assert smtpd.mail().data(5) is Verb.DEFER
    assert smtpd.mail().data(4) is Verb.PASS
    assert world.counted() == (10, 2)


def test_data_and_end_count_once() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd(context=UNKNOWN)
    smtpd.data(6)
    smtpd.end(6, 1000)
    smtpd.mail().data(3)
    smtpd.mail().data(2)
    smtpd.end(2, 1000)
    assert world.counted() == (8, 2)


def test_a_message_begun_before_this_process_is_charged_already() -> None:
    """It was asked about at RCPT before the restart: END-OF-MESSAGE must not charge it again."""
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.instance = f"77.{int(T0) - 5:x}.0.0"
    world.wait(10)
    assert smtpd.end(40, 1000) is Verb.PASS
    assert world.counted() == (0, 0)


def test_a_message_begun_before_this_process_whose_last_recipients_come_after_it() -> None:
    """Two recipients were charged (and logged) before the restart, one is asked about after it."""
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.instance = f"77.{int(T0) - 5:x}.0.0"
    world.wait(2)
    smtpd.rcpt("c@example.net")
    assert smtpd.end(3, 1000) is Verb.PASS
    assert world.counted()[0] == 1


def test_other_stages_charge_nobody() -> None:
    world = World(policy("0/h"))
    smtpd = world.smtpd()
    smtpd.instance = ""
    for stage in ("CONNECT", "EHLO", "HELO", "MAIL", "VRFY", "ETRN", "", "NONSENSE"):
        assert smtpd.ask(stage, "a@example.net").verb is Verb.PASS
    assert world.counts.rows == []


@pytest.mark.parametrize("logins", [("alice@example.com", "bob@example.com"), ("alice@example.com",) * 2])
def test_questions_without_an_instance_are_not_one_endless_message(logins: tuple[str, str]) -> None:
    """Another MTA, or an old one: an absent instance must not merge the mail of everybody."""
    world = World(GENEROUS)
    for login in logins:
        smtpd = world.smtpd(login)
        smtpd.instance = ""
        smtpd.rcpt("x@example.net")
    assert sum(world.counted(f"login:{login}")[0] for login in set(logins)) == 2


def test_without_an_instance_one_refused_sender_does_not_stop_another() -> None:
    rules = policy_of(
        Profile("plain", limits("100/h")), Profile("tight", limits("0/h"), over_limit=Action(Verb.HOLD))
    )
    world = World(rules, {ALICE: Entry(profile="tight")})
    alice, bob = world.smtpd(), world.smtpd("bob@example.com")
    alice.instance = bob.instance = ""
    assert alice.rcpt("x@example.net") == [Verb.HOLD]
    assert bob.rcpt("x@example.net") == [Verb.PASS]


# --- whole-message verbs -----------------------------------------------------------------------


def test_hold_applies_to_the_whole_message_and_costs_nothing() -> None:
    world = World(policy("3/h", over_limit=Action(Verb.HOLD)))
    smtpd = world.smtpd()
    assert passed(smtpd.rcpt(*"abcdef")) == "PPPHHH"
    assert world.counted() == (0, 0)
    assert smtpd.data(6) is Verb.HOLD
    assert smtpd.end(6, 1000) is Verb.HOLD
    assert world.counted() == (0, 0)
    assert world.total(Counter.REFUSED) == 1
    assert passed(smtpd.mail().rcpt(*"abc")) == "PPP"


def test_discard_at_rcpt_is_the_last_question_of_its_message() -> None:
    world = World(policy("3/h", over_limit=Action(Verb.DISCARD)))
    smtpd = world.smtpd()
    assert smtpd.rcpt(*"abcd")[-1] is Verb.DISCARD
    assert world.counted() == (0, 0)
    assert smtpd.mail().rcpt(*"abc") == [Verb.PASS] * 3
    smtpd.end(3, 10)
    assert world.counted() == (3, 1)


def test_reroute_carries_its_argument() -> None:
    world = World(policy("0/h", over_limit=Action(Verb.REROUTE, "smtp:[192.0.2.9]:25")))
    decision = world.smtpd().ask("RCPT", "a@example.net")
    assert (decision.verb, decision.argument) == (Verb.REROUTE, "smtp:[192.0.2.9]:25")


# --- messages and bytes ------------------------------------------------------------------------


def test_a_limit_in_messages_does_not_stop_the_message_that_has_begun() -> None:
    world = World(policy("messages 2/h"))
    smtpd = world.smtpd()
    assert smtpd.many(30) == 30
    smtpd.end(30, 10)
    smtpd.mail()
    assert smtpd.many(2) == 2
    smtpd.end(2, 10)
    smtpd.mail()
    assert smtpd.many(2) == 0
    world.wait(3610)
    assert smtpd.mail().many(2) == 2


def test_a_message_open_while_another_uses_up_the_messages_goes_on() -> None:
    world = World(policy("messages 2/h"))
    one, two, three = world.smtpd(), world.smtpd(), world.smtpd()
    assert one.many(1) == 1
    assert two.many(1) == 1
    assert three.many(1) == 0
    assert one.many(3, 5) == 3
    assert one.end(4, 10) is Verb.PASS


def test_bytes_are_charged_at_the_end_and_refused_there() -> None:
    world = World(policy("bytes 100KB/h"))
    smtpd = world.smtpd()
    smtpd.many(2)
    assert smtpd.end(2, 60 * 1024) is Verb.PASS
    smtpd.mail().many(2)
    assert smtpd.end(2, 50 * 1024) is Verb.DEFER
    assert world.counted() == (2, 1)
    assert world.total(K) == 60
    smtpd.mail().many(1)
    assert smtpd.end(1, 40 * 1024) is Verb.PASS
    assert world.total(K) == 100


def test_bytes_that_are_claimed_at_rcpt_are_checked_and_not_charged() -> None:
    world = World(policy("bytes 100KB/h"))
    smtpd = world.smtpd()
    smtpd.size = 200 * 1024
    assert smtpd.many(1) == 0
    smtpd.size = 90 * 1024
    assert smtpd.mail().many(3) == 3
    assert world.total(K) == 0


def test_a_full_recipient_limit_is_no_reason_to_refuse_bytes_at_the_end() -> None:
    """The third recipient is refused and remembered as blocked; the two that were accepted go out,
    since the bytes of the last minute are gone from their window."""
    world = World(policy("3/h", "bytes 100KB/m"))
    smtpd = world.smtpd()
    smtpd.many(1)
    smtpd.end(1, 90 * 1024)
    world.wait(1)
    smtpd.mail()
    assert smtpd.many(3) == 2
    world.wait(90)
    assert smtpd.end(2, 50 * 1024) is Verb.PASS
    assert world.counted() == (3, 2)


def test_a_refusal_for_bytes_is_not_blamed_on_the_recipients() -> None:
    world = World(policy("2/h", "bytes 100KB/h"))
    smtpd = world.smtpd()
    assert smtpd.many(3) == 2
    decision = smtpd.ask("END-OF-MESSAGE", "", 2, 200 * 1024)
    assert decision.verb is Verb.DEFER
    assert decision.rule == "limit:bytes 100KB/h"


def test_recipients_that_only_the_end_named_are_given_back_too() -> None:
    """One was asked about, nine only appear in the count at the end, and the bytes refuse them all."""
    world = World(policy("1000/h", "bytes 10KB/h"))
    smtpd = world.smtpd()
    smtpd.many(1)
    world.wait(20)
    assert smtpd.end(10, 500_000) is Verb.DEFER
    assert world.counted() == (0, 0)
    assert world.counts.net(ALICE, R) == 0


def test_recipients_that_only_the_end_named_are_checked_too() -> None:
    """An access table let the other nine in before we were asked: they are no way round the limit."""
    world = World(policy("5/h"))
    smtpd = world.smtpd()
    assert smtpd.many(1) == 1
    assert smtpd.end(10, 100) is Verb.DEFER
    assert world.counted() == (0, 0)


def test_a_pause_in_the_middle_of_a_message_stops_it_at_the_end() -> None:
    world = World(GENEROUS)
    smtpd = world.smtpd()
    smtpd.many(5)
    roster = world.engine.roster
    roster.change_standing(ALICE, State.PAUSED, world.at, "admin:a", "spam", None, State.OPEN)
    assert smtpd.many(1, 50) == 0
    assert smtpd.end(5, 100) is Verb.DEFER
    assert world.counted() == (0, 0)
    assert smtpd.end(5, 100) is Verb.DEFER


def test_senders_without_a_login_are_charged_by_their_network() -> None:
    world = World(GENEROUS)
    for address in ("2001:db8::1", "2001:db8::dead:beef"):
        smtpd = world.smtpd("")
        smtpd.address = address
        smtpd.many(2)
    assert world.counted("ip:2001:db8::/64") == (4, 2)


def test_spellings_of_one_login_share_one_quota() -> None:
    world = World(policy("3/h"))
    verbs = [
        world.smtpd(login).rcpt("x@example.net")[0]
        for login in ("alice@example.com", "ALICE@example.com", "alice+x@example.com", "Alice@Example.Com")
    ]
    assert passed(verbs) == "PPPD"


def test_a_recipient_list_of_fifty_thousand_and_more_is_bounded_and_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("penstock.engine.gate.MOST_RECIPIENTS", 20)
    world = World(GENEROUS)
    smtpd = world.smtpd()
    for i in range(30):
        smtpd.rcpt(f"r{i}@example.net")
        world.wait(1)
    assert world.counted() == (30, 1)
    smtpd.mail().many(1)
    assert world.counted() == (1, 1)


def test_fifty_messages_asked_about_again_on_the_same_connection_count_once() -> None:
    """A proxy, or a client that repeats all it has asked, is not one smtpd: nothing counts twice."""
    world = World(policy("1000/h"))
    smtpd = world.smtpd()
    instances = []
    for _ in range(50):
        smtpd.mail()
        instances.append(smtpd.instance)
        smtpd.ask("RCPT", "x@example.net")
    for instance in instances:
        smtpd.instance = instance
        smtpd.ask("RCPT", "x@example.net")
    assert world.total(Counter.RECIPIENTS) == world.total(Counter.MESSAGES) == 50
