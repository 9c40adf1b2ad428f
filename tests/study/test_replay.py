"""A policy over past mail: what it would have stopped, and what then would not have happened."""

from __future__ import annotations

import gc
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from penstock.config import parse
from penstock.core.events import Accepted, Event, Message, Reported
from penstock.core.policy import Action, Entry, Policy, Profile, Verb, enforced
from penstock.engine.book import MOST_AT_ONCE
from penstock.study.reading import Reading
from penstock.study.replay import Replay
from penstock.study.sources import open_sources
from penstock.study.summary import summary_of
from penstock.wire.maillog.join import Join
from study.replaying import ALICE, BOB, CUSTOMER, GONE, HOUR, Done, message, pause, people, ruled
from study.support import DAY, MONDAY, Platform, mail, outcomes
from support import FakeDirectory, limits, policy_of

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


# --- limits ---------------------------------------------------------------------------------------


def test_a_limit_bites_at_the_right_recipient() -> None:
    done = Done(ruled("5/h", **GONE), *(message(MONDAY + i) for i in range(8)))
    assert done.limited == [(ALICE, "recipients 5/h", 3)]
    assert [line["at"] for line in done.decisions] == [f"2026-01-05T00:00:0{i}Z" for i in (5, 6, 7)]
    tally = done.replay.tally
    assert (tally.messages, tally.recipients, tally.refused) == (8, 8, 3)


def test_of_a_message_the_recipients_above_the_limit_are_refused() -> None:
    done = Done(ruled("5/h"), message(MONDAY, 3), message(MONDAY + 1, 4, start=3))
    assert done.limited == [(ALICE, "recipients 5/h", 2)]
    assert [(line["recipients"], line["decision"]) for line in done.decisions] == [(2, "defer")]


def test_the_window_moves_on_with_the_lines() -> None:
    done = Done(
        ruled("5/h"), message(MONDAY, 5), message(MONDAY + HOUR - 60), message(MONDAY + HOUR + 60, start=9)
    )
    assert done.limited == [(ALICE, "recipients 5/h", 1)]


def test_messages_and_bytes_are_limited_too() -> None:
    big = mail(MONDAY + 5, ALICE)
    big.message.size = 3_000_000
    done = Done(ruled("messages 3/h", "bytes 2MB/d"), *(message(MONDAY + i, 2) for i in range(2)), [big])
    assert [(limit, n) for _, limit, n in done.limited] == [("bytes 2MB/d", 1)]
    done = Done(ruled("messages 3/h"), *(message(MONDAY + i, 2, start=2 * i) for i in range(5)))
    assert [(limit, n) for _, limit, n in done.limited] == [("messages 3/h", 4)]


def test_a_whole_message_verb_stops_the_whole_message() -> None:
    rules = ruled("5/h", over_limit=Action(Verb.HOLD))
    done = Done(rules, message(MONDAY, 4), message(MONDAY + 1, 4, start=4), message(MONDAY + 2, start=8))
    assert [(line["decision"], line["recipients"]) for line in done.decisions] == [("hold", 4)]
    assert (done.replay.tally.refused, done.replay.tally.delayed) == (0, 4)


# --- what is refused has not happened -------------------------------------------------------------


def test_bounces_of_what_was_refused_are_not_counted() -> None:
    """Two of the ten pass; eight bounces that would have made it paused did not happen."""
    stopped = ruled("2/h", pauses=pause("unknown-user 5/d"), **GONE)
    free = ruled("1000/h", pauses=pause("unknown-user 5/d"))

    def sent() -> list[Event]:
        return [event for i in range(10) for event in message(MONDAY + 10 * i, fate="bounced", start=i)]

    assert Done(stopped, sent()).incidents == []
    assert [one["sender"] for one in Done(free, sent()).incidents] == [ALICE]


def test_of_a_message_refused_in_part_only_its_other_recipients_bounce() -> None:
    rules = ruled("4/h", pauses=pause("unknown-user 5/d"), **GONE)
    assert Done(rules, message(MONDAY, 10, "bounced")).incidents == []
    rules = ruled("4/h", pauses=pause("unknown-user 4/d"), **GONE)
    assert len(Done(rules, message(MONDAY, 10, "bounced")).incidents) == 1


def test_limits_on_outcomes_bite() -> None:
    rules = ruled("unknown-user 3/h")
    sent = [message(MONDAY + 10 * i, fate="bounced" if i < 3 else "delivered", start=i) for i in range(5)]
    assert Done(rules, *sent).limited == [(ALICE, "unknown-user 3/h", 2)]


# --- pauses ---------------------------------------------------------------------------------------


def test_a_pause_its_figures_and_its_end() -> None:
    rules = ruled("10/h", pauses=pause("refused 5/h", lasts=HOUR), probation_for=HOUR, **GONE)
    flood = [message(MONDAY + 10 * i, start=i) for i in range(30)]
    [one] = Done(rules, *flood, message(MONDAY + 3 * HOUR, start=99)).incidents
    assert one["sender"] == ALICE
    assert one["opened_at"] == "2026-01-05T00:01:40Z", "the first that was refused"
    assert one["paused_at"] == "2026-01-05T00:02:30Z", "the sixth that was refused"
    assert one["released_at"] == "2026-01-05T01:02:30Z"
    assert (one["recipients_before_pause"], one["recipients_after_pause"]) == (10, 14)


def test_a_pause_that_ends_before_the_log_does_is_released_even_if_nothing_is_sent_any_more() -> None:
    rules = ruled("10/h", pauses=pause("refused 5/h", lasts=HOUR), **GONE)
    flood = [message(MONDAY + 10 * i, start=i) for i in range(30)]
    [one] = Done(rules, *flood, message(MONDAY + DAY, sender=BOB)).incidents
    assert one["released_at"] == "2026-01-05T01:02:30Z"


def test_a_pause_that_the_log_does_not_outlast_is_not_released() -> None:
    for lasts in (86400, None):
        rules = ruled("10/h", pauses=pause("refused 5/h", lasts=lasts))
        [one] = Done(rules, *(message(MONDAY + 10 * i, start=i) for i in range(30))).incidents
        assert one["released_at"] is None


def test_bounces_pause_and_the_rest_is_stopped() -> None:
    rules = ruled("1000/h", pauses=pause("unknown-user 5/d", lasts=None))
    sent = [message(MONDAY + 10 * i, fate="bounced", start=i) for i in range(20)]
    [one] = Done(rules, *sent).incidents
    assert (one["recipients_before_pause"], one["recipients_after_pause"]) == (5, 15)
    assert "5 of its recipients came back as unknown-user" in one["reasons"][0]["text"]


def test_a_second_pause_is_a_second_incident() -> None:
    rules = ruled("10/h", pauses=pause("refused 5/h", lasts=HOUR), probation_for=HOUR, **GONE)
    days = [message(MONDAY + day * DAY + 10 * i, start=i) for day in range(2) for i in range(30)]
    assert [one["paused_at"][:10] for one in Done(rules, *days).incidents] == ["2026-01-05", "2026-01-06"]


# --- customers, profiles, exceptions --------------------------------------------------------------


def test_a_customer_s_senders_share_its_limits() -> None:
    profile = Profile("plain", limits("10/h"), parent_limits=limits("12/h"))
    entries = dict.fromkeys((ALICE, BOB), Entry(customer="1"))
    done = Done(policy_of(profile), message(MONDAY, 8), message(MONDAY + 1, 8, sender=BOB), entries=entries)
    assert done.limited == [(CUSTOMER, "recipients 12/h", 4)]
    assert done.replay.tally.senders == {ALICE, BOB}


def test_the_directory_s_profile_counts() -> None:
    rules = policy_of(Profile("plain", limits("5/h")), Profile("roomy", limits("50/h")))
    done = Done(
        rules, message(MONDAY, 20), message(MONDAY, 20, sender=BOB), entries={BOB: Entry(profile="roomy")}
    )
    assert done.limited == [(ALICE, "recipients 5/h", 15)]


def test_an_exception_in_the_policy_file_counts() -> None:
    text = '[senders."login:bob@example.com"]\nrecipients = ["2/h"]\n'
    done = Done(parse(text).policy, message(MONDAY, 5), message(MONDAY, 5, sender=BOB))
    assert done.limited == [(BOB, "recipients 2/h", 3)]


# --- shadow ---------------------------------------------------------------------------------------


def test_shadow_notes_and_stops_nothing() -> None:
    rules = ruled("shadow 5/h", pauses=pause("shadow unknown-user 3/d"))
    sent = [message(MONDAY + 10 * i, fate="bounced", start=i) for i in range(10)]
    done = Done(rules, *sent)
    assert done.replay.tally.refused == 0 and done.decisions == [] and done.incidents == []
    assert {(one["limit"], one["shadow"]) for one in done.found["limited"]} == {
        ("recipients 5/h", True),
        ("unknown-user 3/d", True),
    }
    enforcing = Done(enforced(rules), *sent)
    assert enforcing.replay.tally.refused > 0
    assert [one["sender"] for one in enforcing.incidents] == [ALICE]
    assert not any(one["shadow"] for one in enforcing.found["limited"])


# --- who is not charged ---------------------------------------------------------------------------


def test_notices_and_strangers_are_nobody_s() -> None:
    notice = mail(MONDAY, ":")
    stranger = mail(MONDAY, "ip:198.51.100.7", 50)
    done = Done(ruled("5/h"), [notice], [stranger])
    assert (done.replay.tally.messages, done.limited, done.found["from"]) == (0, [], None)


def test_a_complaint_that_comes_in_later_counts() -> None:
    told = [Reported(MONDAY + i, ALICE, f"r{i}@example.net", "", "", "abuse") for i in range(1, 4)]
    done = Done(ruled("complaints 3/d"), message(MONDAY), told, message(MONDAY + 60, start=1))
    assert done.limited == [(ALICE, "complaints 3/d", 1)]


# --- the summary ----------------------------------------------------------------------------------


def replayed(platform: Platform, path: Path, rules: Policy) -> dict[str, Any]:
    """The summary of a log."""
    reading = Reading(open_sources([str(platform.write(path))]), UTC, 2026, MONDAY + 40 * DAY)
    replay = Replay(rules, FakeDirectory())
    replay.feed(reading.events(Join()))
    replay.finish()
    return summary_of(reading, replay, reading.sources.warnings, 0.25)


def test_the_summary_is_as_documented(tmp_path: Path) -> None:
    platform = Platform()
    for i in range(40):
        platform.message(MONDAY + 10 * i, "alice@example.com", platform.people(2), bounced=1)
    platform.message(MONDAY + 2 * HOUR, "bob@example.com", platform.people(1))
    rules = ruled("60/h", pauses=pause("refused 5/h"), **GONE)
    found = json.loads(json.dumps(replayed(platform, tmp_path / "mail.log", rules)))
    assert (found["from"], found["to"]) == ("2026-01-05T00:00:00Z", "2026-01-05T02:00:00Z")
    assert (found["lines"], found["lines_understood"]) == (245, 245)
    assert (found["messages"], found["recipients"], found["senders"], found["seconds"]) == (41, 81, 2, 0.25)
    [incident], [stretch] = found["incidents"], found["limited"]
    assert {
        "sender", "opened_at", "paused_at", "released_at", "recipients_before_pause",
        "recipients_after_pause", "suspicion", "reasons",
    } <= set(incident)  # fmt: skip
    assert {"signal", "weight", "text"} <= set(incident["reasons"][0])
    assert isinstance(incident["suspicion"], float) and isinstance(incident["reasons"][0]["weight"], float)
    assert {"sender", "limit", "from", "to", "recipients_refused"} <= set(stretch)
    for moment in (incident["opened_at"], incident["paused_at"], stretch["from"], stretch["to"]):
        assert RFC3339.fullmatch(moment)
    assert stretch["recipients_refused"] + incident["recipients_after_pause"] == 20
    assert found["recipients_refused"] == 20


def test_each_message_that_did_not_pass_is_a_line(tmp_path: Path) -> None:
    done = Done(ruled("2/h", **GONE), message(MONDAY, 3), message(MONDAY + 5, start=3))
    assert len(done.decisions) == 2
    first = done.decisions[0]
    assert {key: first[key] for key in ("at", "queue_id", "sender", "decision", "recipients", "until")} == {
        "at": "2026-01-05T00:00:00Z",
        "queue_id": "4F00",
        "sender": ALICE,
        "decision": "reject",
        "recipients": 1,
        "until": None,
    }


def test_an_empty_log_is_an_empty_summary() -> None:
    found = Done(ruled("5/h")).found
    assert (found["from"], found["to"], found["messages"], found["incidents"], found["limited"]) == (
        None, None, 0, [], [],
    )  # fmt: skip


def test_a_small_platform_s_weeks(platform: Platform, tmp_path: Path) -> None:
    """The hijacked account stands out; nobody else is stopped."""
    rules = ruled("250/h", "2000/d", pauses=pause("refused 200/h", lasts=None))
    found = replayed(platform, tmp_path / "mail.log", rules)
    assert found["messages"] == len(platform.sent) + 19 * 24
    assert {one["sender"] for one in found["incidents"]} == {
        "login:user042@example.com",
        "login:news@shop.example",
    }
    hijacked = found["incidents"][
        [one["sender"] for one in found["incidents"]].index("login:user042@example.com")
    ]
    assert 250 <= hijacked["recipients_before_pause"] < 260, "the limit, and what the user had sent that day"
    again = replayed(platform, tmp_path / "mail.log", rules)
    assert again == found, "the same log and policy tell the same"


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
def test_a_log_that_lies_about_the_number_of_recipients_is_not_believed() -> None:
    """Nine digits are read (Postfix writes nrcpt, but who wrote this file?); the gate believes a million."""
    accepted = mail(MONDAY, ALICE, MOST_AT_ONCE + 200_000)
    done = Done(ruled("100000/h"), [accepted, *outcomes(accepted, people(3))], message(MONDAY + 5))
    assert done.replay.tally.messages == 2
    assert done.replay.tally.recipients <= MOST_AT_ONCE + 1


def reachable(root: object) -> int:
    """Objects that something keeps, and the places in its containers."""
    seen: set[int] = set()
    waiting, places = [root], 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, ModuleType | type):
            continue
        seen.add(id(one))
        if isinstance(one, dict | list | set | frozenset | tuple):
            places += len(one)
        waiting += [x for x in gc.get_referents(one) if not callable(x) or hasattr(x, "__self__")]
    return places + len(seen)


def many(n: int, senders: int, begin: float) -> Iterator[Event]:
    """Messages to ever new recipients."""
    for i in range(n):
        at = begin + i * 20.0
        one = Message(at, "mx1/postfix", f"{i:X}")
        one.kind, one.name, one.recipients, one.size = "login", f"user{i % senders}@example.com", 1, 5000
        one.client_address, one.envelope_from = f"192.0.2.{i % 7}", "a@example.com"
        accepted = Accepted(at, one)
        yield accepted
        fate = "bounced" if i % 100 == 0 else "delivered"
        yield from outcomes(accepted, [f"{begin:.0f}.{i}@d{i % 1000}.example"], fate)


@pytest.mark.timeout(240)
def test_memory_grows_with_senders_not_with_lines() -> None:
    """The caches are full after the first half; the second half adds next to nothing."""
    replay = Replay(ruled("1000/h", "unknown-user 1000/d"), FakeDirectory())
    half = 50_000
    replay.feed(many(half, 20, MONDAY))
    first = reachable(replay)
    replay.feed(many(half, 20, MONDAY + half * 20.0))
    assert replay.tally.messages == 2 * half
    assert reachable(replay) < 1.1 * first
    assert sys.getsizeof(replay.tally.senders) < 10_000
