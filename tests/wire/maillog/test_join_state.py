"""What the join remembers: bounds, ageing, checkpoints."""

from __future__ import annotations

import pytest
from tests.wire.maillog.support import (
    HOST,
    client,
    handed_over,
    lines,
    named,
    of_filter,
    outcome,
    queued,
    removed,
    told,
)

from penstock.core.events import (
    Accepted,
    Deferred,
    Delivered,
)
from penstock.wire.maillog.facts import (
    Expired,
    Fact,
)
from penstock.wire.maillog.join import BadState, Join

# Bounds


def test_the_oldest_are_forgotten_first() -> None:
    join = Join(most=2)
    told(*(client(at, f"A{at}", login=f"s{at}") for at in range(1, 5)), join=join)
    assert (len(join), join.forgotten) == (2, 2)
    assert lines(queued(9, "A3"), queued(9, "A4"), join=join) == [
        "m1 accepted login:s1 n=1",
        "m2 accepted login:s2 n=1",
    ]


def test_a_message_without_lines_is_forgotten_and_one_with_lines_stays() -> None:
    join = Join(keep=1000)
    for queue_id in ("OLD", "KEPT"):
        told(client(1, queue_id, login="a"), queued(1, queue_id), join=join)
    told(outcome(900, "deferred", "KEPT"), join=join)
    told(client(1500, "NEW", login="a"), queued(1500, "NEW"), join=join)
    assert (len(join), join.forgotten) == (2, 1)
    assert lines(outcome(1501, "sent", "KEPT"), join=join) == ["m1(login:s1) delivered r1"]


def test_what_a_client_never_finished_is_given_up_without_a_count() -> None:
    join = Join()
    told(client(1, "A1", login="a"), client(2, "A2", login="a"), queued(2, "A2"), join=join)
    told(client(9000, "A3"), join=join)
    assert (len(join), join.forgotten) == (2, 0)


def test_made_up_queues_do_not_push_out_the_real_ones() -> None:
    join = Join()
    told(client(1, login="a"), queued(1), join=join)
    for n in range(3000):
        told(client(2, scope=f"made-up-{n}/postfix"), join=join)
    assert len(join) <= 2001 and join.forgotten > 0
    assert lines(outcome(3, "sent"), join=join)[-1].endswith("delivered r1")


# Checkpoints


def restarted(join: Join) -> Join:
    chunks = list(join.pack())
    again = Join.unpack(chunks)
    assert list(again.pack()) == chunks and len(again) == len(join)
    return again


def test_a_checkpoint_holds_all_of_it_in_bounded_chunks() -> None:
    join = Join()
    told(client(1, login="a\udcff\0é"), named(1), queued(1, n=2000), join=join)
    told(*(outcome(2, "deferred", to=f"r{n}@example.net") for n in range(2000)), join=join)
    told(*(client(2, f"B{n}") for n in range(1000)), queued(2, "B7"), join=join)
    assert max(map(len, join.pack())) < 200_000
    again = restarted(join)
    end: list[Fact] = [Expired(3, HOST, "A1"), outcome(3, "sent", "B7")]
    assert lines(*end, join=again) == lines(*end, join=join)
    assert (again.orphans, again.forgotten) == (join.orphans, join.forgotten)


def test_a_link_to_a_message_that_is_gone_outlives_a_restart() -> None:
    join = Join()
    told(
        client(1, login="a"), queued(1), of_filter(2), queued(2, "B1"), handed_over(2), removed(2), join=join
    )
    join = restarted(join)
    (delivered,) = told(outcome(3, "sent", "B1"), join=join)
    assert isinstance(delivered, Delivered)
    assert (delivered.message.name, delivered.message.queue_id) == ("a", "A1")


def test_a_wait_for_the_filter_goes_on_after_a_restart() -> None:
    join = Join()
    assert told(client(1), queued(100), join=join) == []
    join = restarted(join)
    other: list[Fact] = [
        client(105, "A2", login="a"),
        queued(105, "A2"),
        client(111, "A3", login="a"),
        queued(111, "A3"),
    ]
    accepted = [event for event in told(*other, join=join) if isinstance(event, Accepted)]
    assert [event.message.queue_id for event in accepted] == ["A2", "A1", "A3"]


def test_lines_read_again_after_a_restart_count_once() -> None:
    life: list[Fact] = [client(1, login="a"), named(1), queued(1), outcome(2, "sent"), removed(2)]
    join = Join()
    told(*life, join=join)
    assert lines(*life, join=restarted(join)) == []


GOOD = b"".join(Join().pack())


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b""],
        [b"\xff\xfe"],
        [b"{}"],
        [b"[]"],
        [b"null"],
        [b'["penstock-join-0"]'],
        [b'["penstock-join-1"]'],
        [b'["penstock-join-1",["end"]]'],
        [b'["penstock-join-1",["head",0,0,0],["evil"]]'],
        [b'["penstock-join-1",["head",0,0,0],[]]'],
        [b'["penstock-join-1",["head",0,0,0],[["head"]]]'],
        [b'["penstock-join-1",["head",0,0,0],["held",0],["end"]]'],
        [b'["penstock-join-1",["head",0,0,0],["to","r"],["end"]]'],
        [b'["penstock-join-1",["head",0,0,0],["message",1],["end"]]'],
        [b'["penstock-join-1",["head",1,0,0],["end"]]'],
        [b"[" * 100_000],
        [GOOD[: len(GOOD) // 2]],
    ],
    ids=range(18),
)
def test_garbage_is_refused_and_changes_nothing(chunks: list[bytes]) -> None:
    join = Join()
    told(client(1, login="a"), join=join)
    with pytest.raises(BadState):
        join.load(chunks)
    assert len(join) == 1


def test_a_part_of_a_checkpoint_is_refused() -> None:
    join = Join()
    told(*(client(1, f"A{n}") for n in range(2000)), join=join)
    chunks = list(join.pack())
    for missing in range(len(chunks)):
        with pytest.raises(BadState):
            Join.unpack(chunks[:missing] + chunks[missing + 1 :])


def test_a_checkpoint_of_a_larger_join_is_cut_to_size() -> None:
    join = Join()
    told(*(client(n, f"A{n}") for n in range(10)), join=join)
    small = Join.unpack(join.pack(), most=3)
    assert (len(small), small.forgotten) == (3, 7)


def test_deferrals_beyond_the_bound_are_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.wire.maillog.join_memory.MOST_ENDS", 3)
    events = told(
        client(1, login="a"), queued(1), *(outcome(2, "deferred", to=f"r{n}@example.net") for n in range(9))
    )
    assert sum(isinstance(event, Deferred) for event in events) == 3
