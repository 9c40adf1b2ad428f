"""What one look at the queue makes of the rows, and the budget of held mail."""

from __future__ import annotations

import math

import pytest

from penstock.core.policy import HOLD
from penstock.engine.budget import DAY, Amount, Budget
from penstock.engine.holding import MISSES, Key, Look, Pace, Row, Stop, Wish, row_for
from penstock.wire.postqueue import Entry
from support import ALICE, T0, World, passed, policy

BOB = "login:bob@example.com"
AT = int(T0)
INSTANCE = "/etc/postfix"


def entry(queue: str = "deferred", queue_id: str = "A1B2C3", arrival: int = AT, sender: str = "a@x") -> Entry:
    """A message in the queue."""
    return Entry(queue, queue_id, arrival, 1000, sender, (), 1, "")


def look(
    rows: dict[Key, Row],
    *seen: tuple[Entry, str],
    stopped: tuple[str, ...] = (ALICE,),
    since: float = math.inf,
) -> Look:
    """One complete look."""
    found = Look(rows, lambda owner: Stop(owner in stopped, since) if owner in stopped else Stop(), T0 + 9)
    for each, owner in seen:
        found.take(INSTANCE, each, owner)
    found.end()
    return found


def ids(rows: list[Row]) -> list[str]:
    return [row.queue_id for row in rows]


def frozen(rows: dict[Key, Row], *queue_ids: str) -> None:
    """Have these frozen and seen on hold."""
    look(rows, *((entry(queue_id=each), ALICE) for each in queue_ids))
    look(rows, *((entry("hold", each), ALICE) for each in queue_ids))


def test_only_a_stopped_senders_mail_is_frozen() -> None:
    rows: dict[Key, Row] = {}
    found = look(
        rows,
        (entry(), ALICE),
        (entry(queue_id="B2C3D4"), BOB),
        (entry(queue_id="C3D4E5"), ""),
        (entry("maildrop", "D4E5F6"), ALICE),
        (entry("active", "E5F6A1"), ALICE),
    )
    assert ids(found.to_hold) == ["A1B2C3", "E5F6A1"] == [key[1] for key in found.changed]
    assert all(row.auto and row.wish is Wish.HOLD and not row.seen for row in rows.values())


def test_what_was_held_before_by_others_is_not_ours() -> None:
    rows: dict[Key, Row] = {}
    assert look(rows, (entry("hold"), ALICE)).to_hold == [] and rows == {}
    look(rows, (entry("hold"), ALICE), since=T0 + 1)
    assert rows == {}, "it came before the pause"
    found = look(rows, (entry("hold"), ALICE), since=T0 + 0.5)
    assert list(rows) == [(INSTANCE, "A1B2C3")], "the gate itself has held it"
    assert found.lying == {ALICE: Amount(1, 1000)} and found.oldest == {INSTANCE: AT}


def test_it_goes_when_its_sender_may_send_again_and_is_never_held_again() -> None:
    rows: dict[Key, Row] = {}
    frozen(rows, "B2C3D4", "A1B2C3")
    both = [(entry("hold", "B2C3D4"), ALICE), (entry("hold"), ALICE)]
    assert look(rows, *both).to_release == []
    assert ids(look(rows, *both, stopped=()).to_release) == ["A1B2C3", "B2C3D4"]
    assert look(rows, *both).to_release == [], "paused again before its turn came"
    look(rows, *both, stopped=())
    released = [(entry(queue_id="B2C3D4"), ALICE), (entry(), ALICE)]
    look(rows, *released, stopped=())
    assert {row.wish for row in rows.values()} == {Wish.RELEASED}
    assert look(rows, *released).to_hold == []


def test_what_the_gate_has_held_waits_until_its_sender_has_room_oldest_first() -> None:
    rows: dict[Key, Row] = {}
    asked: list[str] = []

    def seen(room: int, *seen: Entry, stopped: bool = False) -> Look:
        def has_room(row: Row, entry: Entry) -> bool:
            asked.append(row.queue_id)
            return len(asked) <= room

        asked.clear()
        found = Look(
            rows, lambda owner: Stop(stopped), T0 + 9, lambda *one: one != ("C3D4E5", ALICE), has_room
        )
        for each in seen:
            found.take(INSTANCE, each, ALICE)
        found.end()
        return found

    held = entry("hold", arrival=AT + 1), entry("hold", "B2C3D4"), entry("hold", "C3D4E5", AT - 9)
    assert ids(seen(0, *held).to_release) == [] and asked == ["B2C3D4", "A1B2C3"]
    assert {row.wish for row in rows.values()} == {Wish.WAIT} and len(rows) == 2, "a person holds the third"
    assert ids(seen(1, *held).to_release) == ["B2C3D4"]
    found = seen(0, *held)
    assert ids(found.to_release) == ["B2C3D4"] and asked == ["A1B2C3"], (
        "it was charged, and is not asked again"
    )
    assert [row.queue_id for row, _ in found.waiting] == ["A1B2C3"]
    seen(9, *held, stopped=True)
    assert asked == [] and {row.wish for row in rows.values()} == {Wish.HOLD}, (
        "it is held with its sender now"
    )
    assert ids(seen(0, *held).to_release) == ["B2C3D4", "A1B2C3"], "and goes with its sender"


def test_what_waits_and_is_let_go_at_the_mta_stays_so() -> None:
    rows: dict[Key, Row] = {}
    for queue in ("hold", "deferred", "hold"):
        found = Look(rows, lambda owner: Stop(), T0 + 9, lambda *one: True)
        found.take(INSTANCE, entry(queue), ALICE)
        found.end()
    assert [row.wish for row in rows.values()] == [Wish.RELEASED] and not found.waiting


def test_what_somebody_releases_at_the_mta_stays_released() -> None:
    rows: dict[Key, Row] = {}
    frozen(rows, "A1B2C3")
    assert look(rows, (entry(), ALICE)).to_hold == []
    assert rows[INSTANCE, "A1B2C3"].wish is Wish.RELEASED


def test_what_could_not_be_held_is_tried_again() -> None:
    rows: dict[Key, Row] = {}
    look(rows, (entry("active"), ALICE))
    assert ids(look(rows, (entry("active"), ALICE)).to_hold) == ["A1B2C3"]


@pytest.mark.parametrize("other", [entry("hold", arrival=AT + 1), entry("hold", sender="b@x")])
def test_another_message_under_a_reused_id_is_let_go(other: Entry) -> None:
    rows: dict[Key, Row] = {}
    look(rows, (entry(), ALICE))
    found = look(rows, (other, BOB))
    assert found.mistaken == found.gone == [(INSTANCE, "A1B2C3")] and rows == {}


def test_it_is_not_dropped_either() -> None:
    rows: dict[Key, Row] = {}
    frozen(rows, "A1B2C3")
    rows[INSTANCE, "A1B2C3"].wish = Wish.DROP
    found = look(rows, (entry("hold", arrival=AT + 1), BOB))
    assert (found.to_drop, found.mistaken) == ([], []) and found.gone, "somebody else has held it"


def test_a_drop_freezes_first_and_deletes_what_was_seen_on_hold() -> None:
    message = row_for(INSTANCE, entry(), BOB, Wish.DROP, False, T0)
    rows = {message.key: message}
    first = look(rows, (entry(), BOB))
    assert ids(first.to_hold) == ["A1B2C3"] and not first.to_drop
    second = look(rows, (entry("hold"), BOB))
    assert ids(second.to_drop) == ["A1B2C3"] and not second.to_hold


def test_a_bounce_is_over_when_it_is_on_its_way() -> None:
    message = row_for(INSTANCE, entry("hold"), BOB, Wish.BOUNCE, False, T0)
    rows = {message.key: message}
    assert ids(look(rows, (entry("hold"), BOB)).to_bounce) == ["A1B2C3"]
    look(rows, (entry(), BOB))
    assert message.wish is Wish.RELEASED


def test_what_a_person_has_held_or_released_stays_so() -> None:
    held = row_for(INSTANCE, entry("hold"), ALICE, Wish.HOLD, False, T0)
    freed = row_for(INSTANCE, entry("hold", "B2C3D4"), ALICE, Wish.RELEASE, False, T0)
    rows = {held.key: held, freed.key: freed}
    seen = [(entry("hold"), ALICE), (entry("hold", "B2C3D4"), ALICE)]
    assert ids(look(rows, *seen).to_release) == ["B2C3D4"], "although its sender is paused"
    assert ids(look(rows, *seen, stopped=()).to_release) == ["B2C3D4"]
    assert held.wish is Wish.HOLD


def test_a_message_is_forgotten_when_it_was_missing_often_enough() -> None:
    rows: dict[Key, Row] = {}
    frozen(rows, "A1B2C3")
    for _ in range(MISSES - 1):
        assert not look(rows).gone
    look(rows, (entry("hold"), ALICE))
    for _ in range(MISSES - 1):
        assert not look(rows).gone
    assert look(rows).gone == [(INSTANCE, "A1B2C3")] and rows == {}


def test_a_message_that_is_listed_twice_counts_once() -> None:
    found = look({}, (entry("hold"), ALICE), (entry("hold"), ALICE))
    assert found.lying == {ALICE: Amount(1, 1000)}


def test_the_pace() -> None:
    pace = Pace(60)
    assert [pace.take(ALICE, 9, T0) for _ in range(2)] == [1, 0]
    assert pace.take(BOB, 9, T0) == 1, "each sender has its own"
    assert pace.take(ALICE, 9, T0 + 0.5) == 0 and pace.take(ALICE, 9, T0 + 1) == 1
    assert pace.take(ALICE, 9, T0 + 1000) == 1 and pace.take(ALICE, 9, T0) == 0
    fast = Pace(6000)
    assert fast.take(ALICE, 1000, T0) == 100 and fast.take(ALICE, 30, T0 + 1) == 30
    fast.keep([])
    assert fast.take(ALICE, 1000, T0 + 1) == 100


# --- the budget -----------------------------------------------------------------------------


def test_what_is_answered_counts_until_a_look_tells_better() -> None:
    budget = Budget()
    budget.adopt(3, 5000)
    budget.blind = False
    assert [budget.take(ALICE, T0) for _ in range(4)] == [True, True, True, False]
    assert budget.refused == 1 and budget.take(BOB, T0)
    budget.begin(T0 + 1)
    assert not budget.take(ALICE, T0 + 1), "a look that goes on has told nothing yet"
    budget.settle({ALICE: Amount(1, 1000)})
    assert budget.used(ALICE) == Amount(1, 1000) and budget.used(BOB) == Amount()
    assert budget.take(ALICE, T0 + 1)
    budget.weigh(ALICE, T0 + 1, 4000)
    assert budget.used(ALICE) == Amount(2, 5000) and not budget.take(ALICE, T0 + 1)
    assert budget.in_use


def test_what_comes_in_while_somebody_looks_counts_once() -> None:
    budget = Budget()
    budget.adopt(9, 1 << 40)
    budget.blind = False
    budget.take(ALICE, T0)
    budget.take(ALICE, T0 + 1.1)
    budget.begin(T0 + 1.5)
    budget.take(ALICE, T0 + 1.9)
    seen = (entry("hold", arrival=AT), entry("hold", "B2C3D4", AT + 1), entry("hold", "C3D4E5", AT + 1))
    found = Look({}, lambda owner: Stop(), T0 + 1.5)
    for each in seen:
        found.take(INSTANCE, each, ALICE)
    budget.settle(found.lying)
    assert found.held == Amount(3, 3000) and budget.used(ALICE).messages == 3
    budget.begin(T0 + 60)
    budget.settle({ALICE: Amount(3, 3000)})
    assert budget.used(ALICE).messages == 3


def test_where_nobody_looks_a_day_is_what_counts() -> None:
    budget = Budget()
    budget.adopt(1, 1 << 40)
    assert budget.take(ALICE, T0) and not budget.take(ALICE, T0 + DAY - 1)
    assert budget.take(ALICE, T0 + DAY)


def test_held_mail_that_nobody_looks_after_is_told_for_a_day() -> None:
    budget = Budget()
    assert not budget.unseen(T0)
    budget.take(ALICE, T0)
    assert budget.unseen(T0 + 9) and not budget.unseen(T0 + DAY)
    budget.blind = False
    assert not budget.unseen(T0 + 9)


def test_the_gate_refuses_what_it_may_not_hold_any_more() -> None:
    world = World(policy("1/h", over_limit=HOLD))
    world.engine.budget.adopt(2, 1 << 40)
    world.engine.budget.blind = False
    assert passed(world.smtpd().rcpt(f"r{n}@x.test")[0] for n in range(4)) == "PHHR"


def test_the_gate_tells_what_lies_in_the_queue_and_whose_it_is() -> None:
    world, told = World(policy("1/h", over_limit=HOLD)), []
    world.engine.queued = lambda attempt, sender, held: told.append((attempt.queue_id, sender, held))
    for n, queue_id in enumerate(("A1B2C3", "B2C3D4")):
        client = world.smtpd()
        client.rcpt(f"r{n}@x.test")
        client.queue_id = queue_id
        client.end(1, 5000)
    assert told == [("A1B2C3", ALICE, None), ("B2C3D4", ALICE, ["r1@x.test"])]
