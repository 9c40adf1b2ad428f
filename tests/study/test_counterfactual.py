"""What a policy stops has not happened; what it delays happens later; what comes again is asked again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo import BERLIN, LAGOS
from penstock.core.decision import Decision
from penstock.core.events import Bounced, Event
from penstock.core.evidence import Detection
from penstock.core.ledger import Counter
from penstock.core.policy import Action, Entry, Policy, Verb, enforced
from penstock.core.sender import Sender
from penstock.study.lookahead import PATIENCE
from penstock.study.waiting import MOST_WAITING, RETRY, Waiting
from study.replaying import ALICE, BOB, GONE, HOLD, HOUR, Done, message, pause, people, ruled
from study.support import DAY, MONDAY, mail, outcomes

RELAY = "ip:192.0.2.7"


def later(done: Done) -> list[str | None]:
    """The time of day at which each message was let go."""
    return [line["until"] and line["until"][11:19] for line in done.decisions]


def counted(done: Done, counter: Counter, key: str = ALICE) -> int:
    ledger = done.replay._engine.roster.find(key).ledger
    return ledger.total(counter, int(MONDAY + 25 * DAY), 31 * 86400)


# --- what is deferred -----------------------------------------------------------------------------


def test_what_a_limit_defers_is_tried_again_and_passes() -> None:
    done = Done(ruled("1/m"), message(MONDAY), message(MONDAY + 1, start=1))
    assert (done.flow, later(done)) == ((0, 1), ["00:05:01"])
    assert counted(done, Counter.RECIPIENTS) == 2


def test_tries_get_rarer_as_a_mail_server_s_do() -> None:
    waiting = Waiting(mail(0.0, ALICE).message, _sender(), 0.0, 1, ["r"], _DEFER, _DEFER)
    tries = [RETRY]
    while len(tries) < 7:
        tries.append(waiting.next_try(tries[-1], 0.0))
    assert tries == [300, 600, 1200, 2400, 4800, 8800, 12800]
    assert waiting.next_try(300, 5000.0) == 8800, "the first that makes sense"


@pytest.mark.parametrize(("sender", "passes"), [(ALICE, False), (RELAY, True)])
def test_people_give_up_after_a_day_and_servers_after_five(sender: str, passes: bool) -> None:
    sent = [message(MONDAY + i, sender=sender, start=i) for i in range(2)]
    done = Done(
        ruled("1/d"), *sent, message(MONDAY + 3 * DAY, sender=BOB), entries={RELAY: Entry(profile="plain")}
    )
    assert done.flow == ((0, 1) if passes else (1, 0))
    assert (done.decisions[0]["until"] is not None) is passes


def test_tries_that_fail_count_as_refusals_and_may_pause() -> None:
    """Ten messages at the fourth try: that is what a limit on refusals sees in production, too."""
    rules = ruled("1/d", pauses=pause("refused 30/h", lasts=None))
    done = Done(rules, *(message(MONDAY + i, start=i) for i in range(11)), message(MONDAY + DAY, sender=BOB))
    assert [one["paused_at"] for one in done.incidents] == ["2026-01-05T00:20:01Z"]
    assert done.limited == [(ALICE, "recipients 1/d", 10)], "each recipient once, however often it is tried"
    assert done.flow == (10, 0)


def test_what_is_rejected_or_discarded_is_gone() -> None:
    for verb in (Verb.REJECT, Verb.DISCARD):
        done = Done(
            ruled("1/m", over_limit=Action(verb)),
            message(MONDAY),
            message(MONDAY + 1, start=1),
            message(MONDAY + HOUR, start=2),
        )
        assert (done.flow, later(done)) == ((1, 0), [None])
        assert done.decisions[0]["decision"] == str(verb)


def test_of_a_message_only_those_that_had_to_wait_are_told() -> None:
    done = Done(ruled("4/h"), message(MONDAY, 50), message(MONDAY + 5 * HOUR, sender=BOB))
    [line] = done.decisions
    assert (line["recipients"], line["decision"], line["queue_id"]) == (46, "defer", "4F00")
    assert (line["until"], line["never"]) == ("2026-01-05T13:33:20Z", 0), "four an hour, by a server's tries"
    assert done.flow == (0, 46)


def test_memory_is_bounded_for_each_sender() -> None:
    sent = [message(MONDAY + i * 0.001, start=i) for i in range(MOST_WAITING + 50)]
    done = Done(ruled("1/d"), *sent, message(MONDAY + 2, sender=BOB), message(MONDAY + 3, sender=BOB))
    assert len(done.decisions) == MOST_WAITING + 50
    assert [line["sender"] for line in done.decisions[:49]] == [ALICE] * 49


# --- what is held ---------------------------------------------------------------------------------


def test_what_a_limit_holds_goes_out_as_soon_as_there_is_room() -> None:
    sent = [message(MONDAY + i, start=i) for i in range(4)]
    done = Done(ruled("2/m", **HOLD), *sent)
    assert [line["decision"] for line in done.decisions] == ["hold", "hold"]
    assert all("00:01:00" <= str(until) <= "00:01:20" for until in later(done))
    assert counted(done, Counter.REFUSED) == 2, "nobody asks again for what lies in the queue here"


def test_what_is_too_big_for_its_limit_holds_up_nothing_else() -> None:
    done = Done(ruled("5/m", **HOLD), message(MONDAY, 9), message(MONDAY + 1, 5, start=20))
    assert done.flow == (9, 0)
    waits = Done(
        ruled("5/m", **HOLD), *(message(MONDAY + i, 9 if i == 1 else 5, start=20 * i) for i in range(3))
    )
    assert waits.flow == (9, 5)


def test_what_is_held_during_a_pause_goes_out_after_it() -> None:
    rules = ruled("1000/h", pauses=pause("unknown-user 2/d"), probation_for=HOUR, **HOLD)
    bad = [message(MONDAY + i, fate="bounced", start=i) for i in range(2)]
    done = Done(rules, *bad, message(MONDAY + 60, 3, start=9), message(MONDAY + DAY, sender=BOB))
    assert (done.flow, [line["recipients"] for line in done.decisions]) == ((0, 3), [3])
    assert "01:00:02" <= str(later(done)[0]) <= "01:00:12"


def test_who_is_not_there_when_held_mail_goes_out_does_not_come_from_there() -> None:
    """At home at 10 o'clock, ten hours later abroad (held), at 6 at home: what is released at 7 says nothing
    of where anybody is."""
    home, abroad, start = "192.0.2.7", "198.51.100.9", MONDAY + 10 * DAY + 10 * HOUR
    life = [message(MONDAY + day * DAY, 1, start=day % 3) for day in range(10)]
    day = [mail(start, ALICE, 4, home), mail(start + 10 * HOUR, ALICE, 4, abroad)]
    back = [mail(start + 20 * HOUR, ALICE, 1, home)]
    rules = replace(ruled("5/21h", **HOLD), detection=Detection("shadow"))
    done = Done(rules, *life, day, back, places={home: BERLIN, abroad: LAGOS})
    assert done.flow == (0, 4) and "07:00:00" <= str(later(done)[0]) <= "07:20:00"
    assert done.replay.journeys.today(ALICE, 0.0, start + 22 * HOUR).jumps == 0
    assert counted(done, Counter.NETWORKS) == 1, "of the day on which it came, not of the next as well"


def test_the_pace_at_which_held_mail_goes_out_is_not_its_sender_s() -> None:
    """Letters of an hour's pause, all released at its end."""
    bad = [message(MONDAY + i, fate="bounced", start=i) for i in range(2)]
    burst = [message(MONDAY + 60 + 9 * i * i, start=9 + i) for i in range(12)]
    rules = ruled("1000/h", pauses=pause("unknown-user 2/d"), probation_for=HOUR, **HOLD)
    done = Done(
        replace(rules, detection=Detection("shadow")), *bad, *burst, message(MONDAY + DAY, sender=BOB)
    )
    assert done.flow == (0, 12)
    assert counted(done, Counter.STEADY) == 0


# --- pauses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("verbs", [{}, HOLD, GONE])
def test_whom_nobody_judges_stays_paused_to_the_end(verbs: dict[str, Action]) -> None:
    rules = ruled("1000/h", pauses=pause("unknown-user 2/d", lasts=None), **verbs)
    bad = [message(MONDAY + i, fate="bounced", start=i) for i in range(2)]
    after = [message(MONDAY + day * DAY, 5, start=10) for day in range(1, 9)]
    done = Done(rules, *bad, *after)
    assert (done.flow, later(done)) == ((40, 0), [None] * 8)
    [one] = done.incidents
    assert (one["released_at"], one["recipients_before_pause"], one["recipients_after_pause"]) == (
        None,
        2,
        40,
    )


def test_deferred_mail_comes_again_after_a_pause_with_an_end() -> None:
    rules = ruled("1000/h", pauses=pause("unknown-user 2/d"), probation_for=HOUR)
    bad = [message(MONDAY + i, fate="bounced", start=i) for i in range(2)]
    done = Done(rules, *bad, message(MONDAY + 60, 3, start=9), message(MONDAY + DAY, sender=BOB))
    assert (done.flow, later(done)) == ((0, 3), ["01:21:00"]), "4,800 s after it was sent"
    assert done.incidents[0]["released_at"] == "2026-01-05T01:00:02Z"


# --- outcomes -------------------------------------------------------------------------------------


def test_an_outcome_comes_as_much_later_as_its_mail() -> None:
    """Once that lies in the log before the release, and one that the log tells only after it."""
    late = mail(MONDAY + 1, ALICE, 2)
    tells: list[Event] = [
        late,
        Bounced(MONDAY + 3, late.message, "a@example.net", "", "5.1.1", "unknown"),
        Bounced(MONDAY + 400, late.message, "b@example.net", "", "5.1.1", "unknown"),
    ]
    rules = ruled("2/m", pauses=pause("unknown-user 2/d", lasts=None))
    done = Done(rules, message(MONDAY, 2), tells, message(MONDAY + HOUR, start=9))
    assert later(done) == ["00:05:01", None]
    assert done.incidents[0]["paused_at"] == "2026-01-05T00:11:40Z", "100 s and 300 s after"


def test_recipients_that_the_log_names_late_are_told_apart_by_their_number() -> None:
    """Of three the first passes; who the others are comes out when everybody has waited long enough."""
    one = mail(MONDAY, ALICE, 3)
    tells = [
        Bounced(MONDAY + PATIENCE + 40 * i, one.message, person, "", "5.1.1", "unknown")
        for i, person in enumerate(people(3))
    ]
    for allowed, bounced in (("1/h", 1), ("2/h", 2), ("9/h", 3)):
        done = Done(ruled(allowed, **GONE), [one], tells, message(MONDAY + HOUR / 2, sender=BOB))
        one.message.stopped = None
        assert counted(done, Counter.BOUNCED) == bounced


def test_deferrals_and_deliveries_of_what_was_stopped_do_not_happen() -> None:
    sent = [message(MONDAY + i, 5, fate, start=9 * i) for i, fate in enumerate(("deferred", "delivered"))]
    done = Done(ruled("3/h", **GONE), *sent)
    assert (counted(done, Counter.DEFERRED), counted(done, Counter.DELIVERED)) == (3, 0)


# --- the evidence ---------------------------------------------------------------------------------


def detecting(mode: str = "enforce") -> Policy:
    """No limits: the evidence alone."""
    return replace(ruled(), detection=Detection(mode))


def hijacked() -> list[Event]:
    """Three weeks of a person's mail to three friends, then 120 messages to strangers, every third dead."""
    found = [event for day in range(21) for event in message(MONDAY + day * DAY + HOUR, 1, start=day % 3)]
    for i in range(120):
        accepted = mail(MONDAY + 21 * DAY + 20 * i, ALICE, 5, client=f"198.51.{i % 9}.7")
        names = [f"x{5 * i + k}@d{k}.example" for k in range(5)]
        found += [accepted, *outcomes(accepted, names[:3]), *outcomes(accepted, names[3:], "bounced")]
    return found


def test_a_hijacked_account_is_stopped_and_stays_so() -> None:
    done = Done(detecting(), hijacked())
    [one] = done.incidents
    assert one["sender"] == ALICE and one["opened_at"] <= one["paused_at"] and one["released_at"] is None
    assert 5 <= one["recipients_before_pause"] <= 60
    assert one["suspicion"] > Detection().slow_at and one["reasons"][0]["text"]
    refused, delayed = done.flow
    passed = 600 - refused
    assert passed == one["recipients_before_pause"], "all that got out that day, late or at once"
    assert delayed == sum(line["recipients"] - line["never"] for line in done.decisions)
    assert counted(done, Counter.RECIPIENTS) == 21 + passed


def test_shadow_detects_and_stops_nothing_unless_enforced() -> None:
    shadow = detecting("shadow")
    watching, stopping = Done(shadow, hijacked()), Done(enforced(shadow), hijacked())
    assert watching.decisions == [] and watching.flow == (0, 0)
    assert [one["sender"] for one in watching.incidents] == [ALICE]
    assert stopping.found == Done(detecting(), hijacked()).found
    assert enforced(detecting("off")).detection.mode == "off"


def test_limits_defer_as_ever_while_detection_only_watches() -> None:
    rules = replace(ruled("200/h"), detection=Detection("shadow"))
    done = Done(rules, hijacked())
    assert done.flow[1] > 0, "who is suspected in shadow mode is not slowed"


def test_a_held_message_of_a_slowed_sender_goes_out_when_its_canaries_have_landed() -> None:
    """An honest burst of single letters: it is held for minutes, not for hours."""
    quiet = [message(MONDAY + day * DAY, 1, start=day % 3) for day in range(21)]
    burst = [message(MONDAY + 21 * DAY + 2 * i, 1, start=100 + i) for i in range(60)]
    done = Done(replace(ruled(**HOLD), detection=Detection("enforce")), *quiet, *burst)
    assert done.flow[0] == 0 and all(line["decision"] == "hold" for line in done.decisions)
    assert all(one["paused_at"] is None for one in done.incidents)
    ends = [str(line["until"]) for line in done.decisions]
    assert all(end < "2026-01-26T00:30:00Z" for end in ends)


def test_a_suspicion_ends_by_the_clock_though_the_log_is_silent() -> None:
    quiet = [message(MONDAY + day * DAY, 1, start=day % 3) for day in range(21)]
    burst = [message(MONDAY + 21 * DAY + 2 * i, 1, start=100 + i) for i in range(60)]
    done = Done(detecting(), *quiet, *burst, message(MONDAY + 90 * DAY, sender=BOB))
    assert done.incidents
    assert all(one["released_at"] < "2026-01-28T00:00:00Z" for one in done.incidents)


def test_the_same_events_tell_the_same() -> None:
    one, two = (Done(detecting(), hijacked()) for _ in range(2))
    assert (one.found, one.text) == (two.found, two.text)


def _sender() -> Sender:
    done = Done(ruled("1/m"), message(MONDAY))
    return done.replay._engine.roster.find(ALICE)


_DEFER = Decision(Verb.DEFER)
