"""Whole lives of messages, interleaved at random as the lines of a busy log are.

Every message must be accepted once and each recipient must end once, on the right account, whatever is
restarted or read twice on the way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.events import Accepted, Bounced, Deferred, Delivered, Died, Event, Message
from penstock.wire.maillog.facts import (
    Client,
    Expired,
    Fact,
    Named,
    Outcome,
    PickedUp,
    Queued,
    Refused,
    Removed,
)
from penstock.wire.maillog.join import Join

HOST = "mail/postfix"
SPOOL = "127.0.0.1[127.0.0.1]:10024"
AWAY = "mx.example.net[192.0.2.25]:25"

Step = list[Fact]
"""Lines that come together: what stands between them in a real log takes milliseconds."""


@dataclass
class Life:
    steps: list[Step] = field(default_factory=list)
    truth: Counter[tuple[str, ...]] = field(default_factory=Counter)


def end(draw: st.DrawFn, life: Life, queue_id: str, recipient: str, who: str) -> Outcome | None:
    """Appends a recipient's deferrals; gives the line of its end, None when it waits until it expires."""
    line = Outcome(0, HOST, queue_id, "smtp", recipient, "", AWAY, "sent", "", "250 ok")
    deferrals = draw(st.integers(0, 2))
    for n in range(deferrals):
        deferred = line._replace(status="deferred", reply=f"450 later, {n}")
        life.steps.append([Queued(0, HOST, queue_id, "a@example.com", 500, 1), deferred])
    if deferrals:
        life.truth["deferred", who, recipient] += 1
    status = draw(st.sampled_from(["sent", "bounced", "expires"] if deferrals else ["sent", "bounced"]))
    life.truth["delivered" if status == "sent" else "bounced", who, recipient] += 1
    return None if status == "expires" else line._replace(status=status)


def transport(draw: st.DrawFn, life: Life, queue_id: str, recipients: list[str], who: str) -> None:
    ends = [end(draw, life, queue_id, recipient, who) for recipient in recipients]
    life.steps += [[line] for line in ends if line is not None]
    if None in ends:
        life.steps.append([Expired(0, HOST, queue_id)])


def start(draw: st.DrawFn, number: int, queue_id: str) -> tuple[Fact, str]:
    sort = draw(st.sampled_from(["login", "uid", "ip"]))
    if sort == "uid":
        return PickedUp(0, HOST, queue_id, number, "a"), f"uid:{number}"
    login = f"user{number}" if sort == "login" else ""
    address = f"198.51.100.{number}"
    return Client(0, HOST, queue_id, address, login, ""), f"{sort}:{login or address}"


def through_filter(draw: st.DrawFn, life: Life, first: str, second: str, recipients: list[str]) -> None:
    """As amavis does: the first id is handed over while the second is being queued."""
    handed = Outcome(0, HOST, first, "smtp", "", "", SPOOL, "sent", "", f"250 Ok: queued as {second}")
    tells = draw(st.booleans())
    life.steps.append(
        [
            Client(0, HOST, second, "127.0.0.1", "", first if tells else ""),
            Named(0, HOST, second, draw(st.sampled_from(["", f"{first}@example.com"]))),
            Queued(0, HOST, second, "a@example.com", 600, len(recipients)),
            *(handed._replace(recipient=recipient) for recipient in recipients),
            Removed(0, HOST, first),
        ]
    )


@st.composite
def lives(draw: st.DrawFn, number: int, suffix: str = "") -> Life:
    """One message, from its client to its removal. ``suffix`` keeps the ids of lives in one row apart."""
    life = Life()
    queue_id, second = f"A{number}{suffix}", f"B{number}{suffix}"
    recipients = [f"r{number}-{n}@example.net" for n in range(draw(st.integers(1, 3)))]
    first, who = start(draw, number, queue_id)
    life.steps.append([first])
    life.steps.append([Named(0, HOST, queue_id, draw(st.sampled_from(["", f"{queue_id}@example.com"])))])
    if draw(st.integers(0, 5)) == 0:
        refused = Refused(0, HOST, queue_id, "milter-reject", "END-OF-MESSAGE", "", "", "", "", "no")
        life.steps.append([refused])
        life.truth["died", who] += 1
        return life
    life.steps.append([Queued(0, HOST, queue_id, "a@example.com", 500, len(recipients))])
    life.truth["accepted", who] += 1
    last = queue_id
    if draw(st.booleans()):
        through_filter(draw, life, queue_id, second, recipients)
        last = second
    transport(draw, life, last, recipients, who)
    life.steps.append([Removed(0, HOST, last)])
    return life


def at(time: float, fact: Fact) -> Fact:
    return fact._replace(at=time)


@st.composite
def logs(draw: st.DrawFn, recur: bool) -> tuple[list[Fact], Counter[tuple[str, ...]]]:
    """Rows of lives, one after the other under the same ids if they recur, interleaved."""
    rows: list[list[Step]] = []
    truth: Counter[tuple[str, ...]] = Counter()
    for number in range(draw(st.integers(1, 5))):
        row = [draw(lives(number, "" if recur else f"-{n}")) for n in range(draw(st.integers(1, 3)))]
        rows.append([step for life in row for step in life.steps])
        for life in row:
            truth.update(life.truth)
    now, facts = 1000.0, []
    while rows:
        row_of_steps = rows[draw(st.integers(0, len(rows) - 1))]
        step = row_of_steps.pop(0)
        # An id cannot recur within the second.
        now += draw(st.sampled_from([0.0, 1.0, 25.0])) + isinstance(step[0], Client | PickedUp)
        facts += [at(now, fact) for fact in step]
        rows = [row for row in rows if row]
    return facts, truth


def who(m: Message) -> str:
    return f"{m.kind}:{m.name}" if m.kind else "nobody"


def counted(events: list[Event]) -> Counter[tuple[str, ...]]:
    """What the ledger would be told."""
    counts: Counter[tuple[str, ...]] = Counter()
    for event in events:
        if isinstance(event, Accepted | Died):
            counts[type(event).__name__.lower(), who(event.message)] += 1
        elif isinstance(event, Delivered | Bounced) or (isinstance(event, Deferred) and event.first):
            counts[type(event).__name__.lower(), who(event.message), event.recipient] += 1
    return counts


def seen(event: Event) -> object:
    """An event as a value that does not change when its message does."""
    return [
        [getattr(part, name) for name in Message.__slots__] if isinstance(part, Message) else part
        for part in event
    ]


def fed(facts: list[Fact], restarts: set[int]) -> tuple[list[Event], list[object], Join]:
    join = Join()
    events: list[Event] = []
    values: list[object] = []
    for n, fact in enumerate(facts):
        if n in restarts:
            join = Join.unpack(list(join.pack()))
        told = join.feed(fact)
        events += told
        values += map(seen, told)
    rest = join.settle(1e9)
    return [*events, *rest], [*values, *map(seen, rest)], join


@settings(max_examples=80, deadline=None)
@given(logs(recur=True))
def test_every_message_counts_once_on_the_right_account(
    log: tuple[list[Fact], Counter[tuple[str, ...]]],
) -> None:
    facts, truth = log
    events, _, join = fed(facts, set())
    assert counted(events) == truth
    assert (len(join), join.orphans, join.forgotten) == (0, 0, 0)


@settings(max_examples=60, deadline=None)
@given(logs(recur=True), st.data())
def test_a_restart_anywhere_changes_no_event(
    log: tuple[list[Fact], Counter[tuple[str, ...]]], data: st.DataObject
) -> None:
    facts, _ = log
    restarts = data.draw(st.sets(st.integers(0, len(facts) - 1), max_size=8))
    _, without, before = fed(facts, set())
    _, values, after = fed(facts, restarts)
    assert values == without
    assert list(after.pack()) == list(before.pack())


@settings(max_examples=60, deadline=None)
@given(logs(recur=False), st.data())
def test_lines_that_are_read_twice_change_no_count(
    log: tuple[list[Fact], Counter[tuple[str, ...]]], data: st.DataObject
) -> None:
    facts, truth = log
    until = data.draw(st.integers(1, len(facts)))
    since = data.draw(st.integers(0, until - 1))
    twice = facts[:until] + facts[since:until] + facts[until:]
    events, _, join = fed(twice, {until})
    assert counted(events) == truth
    assert join.orphans == 0


@settings(max_examples=60, deadline=None)
@given(logs(recur=True), st.integers(1, 4), st.data())
def test_lost_lines_and_tight_bounds_leave_a_sound_state(
    log: tuple[list[Fact], Counter[tuple[str, ...]]], most: int, data: st.DataObject
) -> None:
    facts, _ = log
    lost = data.draw(st.sets(st.integers(0, len(facts) - 1), max_size=10))
    join = Join(most=most)
    for n, fact in enumerate(facts):
        if n not in lost:
            join.feed(fact)
            assert len(join) <= most
    packed = list(join.pack())
    assert list(Join.unpack(packed, most).pack()) == packed
