"""Recipients are known at the time of acceptance, and everything stays in its order."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.events import Accepted, Bounced, Deferred, Delivered, Died, Event, LoggedIn, Message
from penstock.study import lookahead
from penstock.study.lookahead import PATIENCE, named_first

T0 = 1_700_000_000.0


def message(recipients: int, at: float = T0) -> Message:
    found = Message(at, "mx1", "4Xy1")
    found.recipients = recipients
    return found


def delivered(about: Message, recipient: str, at: float) -> Delivered:
    return Delivered(at, about, recipient, "mx.example.net[203.0.113.9]:25")


def named(events: Iterable[Event]) -> list[list[str]]:
    """Who was known of each acceptance when it came out."""
    return [list(names) for _, names in named_first(events) if names is not None]


def test_an_acceptance_knows_whom_the_lines_after_it_name() -> None:
    mail = message(3)
    events: list[Event] = [
        Accepted(T0, mail),
        delivered(mail, "a@example.net", T0 + 1),
        Bounced(T0 + 2, mail, "b@example.net", "", "", "550 5.1.1"),
        Deferred(T0 + 3, mail, "c@example.net", "", "", "450 4.2.1", True),
    ]
    assert named(events) == [["a@example.net", "b@example.net", "c@example.net"]]
    assert [event for event, _ in named_first(events)] == events


def test_a_recipient_is_named_once_whatever_becomes_of_it() -> None:
    mail = message(2)
    again = [Deferred(T0 + i, mail, "a@example.net", "", "", f"450 {i}", False) for i in range(5)]
    events = [Accepted(T0, mail), *again, delivered(mail, "b@example.net", T0 + 9)]
    assert named(events) == [["a@example.net", "b@example.net"]]


def test_only_acceptances_have_names() -> None:
    mail = message(1)
    events: list[Event] = [
        LoggedIn(T0, "alice", "192.0.2.7", "imap", True),
        Accepted(T0, mail),
        Died(T0 + 1, mail, "milter"),
        delivered(mail, "a@example.net", T0 + 2),
    ]
    assert [names is not None for _, names in named_first(events)] == [False, True, False, False]


def test_it_does_not_wait_for_ever() -> None:
    """What comes after patience has passed is too late; the rest of the log does not wait for it."""
    mail = message(2)
    events: list[Event] = [
        Accepted(T0, mail),
        delivered(mail, "a@example.net", T0 + 1),
        LoggedIn(T0 + PATIENCE + 1, "alice", "192.0.2.7", "imap", True),
        delivered(mail, "b@example.net", T0 + PATIENCE + 2),
    ]
    assert named(events) == [["a@example.net"]]


def test_it_reads_no_further_than_it_must() -> None:
    mail = message(1)
    read: list[Event] = []

    def log() -> Iterable[Event]:
        for event in (Accepted(T0, mail), delivered(mail, "a@example.net", T0 + 1), Died(T0 + 2, mail, "")):
            read.append(event)
            yield event

    event, names = next(iter(named_first(log())))
    assert type(event) is Accepted and names == {"a@example.net": None}
    assert len(read) == 2


def test_a_message_of_unknown_size_waits_until_patience_ends() -> None:
    mail = message(0)
    events: list[Event] = [Accepted(T0, mail), delivered(mail, "a@example.net", T0 + 5)]
    events += [delivered(mail, "b@example.net", T0 + 30), LoggedIn(T0 + 61, "x", "", "imap", True)]
    assert named(events) == [["a@example.net", "b@example.net"]]


def test_messages_wait_for_those_before_them() -> None:
    slow, quick = message(1), message(1, T0 + 1)
    events: list[Event] = [
        Accepted(T0, slow),
        Accepted(T0 + 1, quick),
        delivered(quick, "q@example.net", T0 + 2),
        delivered(slow, "s@example.net", T0 + 9),
    ]
    assert named(events) == [["s@example.net"], ["q@example.net"]]
    assert [event for event, _ in named_first(events)] == events


def test_the_end_of_the_log_ends_all_waiting() -> None:
    mail = message(9)
    assert named([Accepted(T0, mail)]) == [[]]
    assert named([]) == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still, and a message to half the world."""
    monkeypatch.setattr(lookahead, "MOST_WAITING", 10)
    monkeypatch.setattr(lookahead, "MOST_NAMED", 5)
    mail, given_out = message(1000), 0
    ahead = 0

    def log() -> Iterable[Event]:
        nonlocal ahead
        yield Accepted(T0, mail)
        for i in range(100):
            ahead = max(ahead, i - given_out)
            yield delivered(mail, f"r{i}@example.net", T0)

    found = []
    for event, names in named_first(log()):
        given_out += 1
        found.append((event, names))
    assert ahead <= 12
    assert found[0][1] is not None and len(found[0][1]) == 5
    assert len(found) == 101


steps = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from("ADDBFL"), st.integers(0, 4), st.integers(-5, 50)),
    max_size=60,
)


@given(steps)
@settings(max_examples=100, deadline=None)
def test_every_event_comes_out_once_and_in_order(steps: list[tuple[int, str, int, int]]) -> None:
    """Against the plain definition: those named before patience has passed for the first time."""
    messages = [message(n) for n in (0, 1, 1, 2, 3, 9)]
    events: list[Event] = []
    accepted: set[int] = set()
    at = T0
    for i, kind, n, gap in steps:
        at += gap
        mail, recipient = messages[i], f"r{n}@example.net"
        if kind == "A" and i not in accepted:
            accepted.add(i)
            events.append(Accepted(at, mail))
        elif kind == "D":
            events.append(delivered(mail, recipient, at))
        elif kind == "B":
            events.append(Bounced(at, mail, recipient, "", "", ""))
        elif kind == "F":
            events.append(Deferred(at, mail, recipient, "", "", "", True))
        else:
            events.append(LoggedIn(at, "alice", "", "imap", True))
    found = list(named_first(events))
    assert [event for event, _ in found] == events
    for position, (event, names) in enumerate(found):
        if names is not None:
            later = [e for e in events[position + 1 :] if getattr(e, "message", None) is event.message]  # type: ignore[union-attr]
            assert set(names) <= {e.recipient for e in later if isinstance(e, Delivered | Bounced | Deferred)}
