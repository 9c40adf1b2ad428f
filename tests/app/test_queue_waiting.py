"""What the gate has held, as the keeper of the queue remembers it."""

from __future__ import annotations

import pytest

from penstock.app import queue_waiting
from penstock.app.queue_waiting import COMES, WaitingMail
from penstock.core.policy import HOLD
from penstock.engine.holding import Row, Wish, row_for
from penstock.wire.postqueue import Entry
from support import ALICE, T0, World, policy

PEOPLE = [f"r{n}@x.test" for n in range(8)]


def message(queue_id: str = "A1B2C3") -> tuple[Row, Entry]:
    """A held message for all of them; the listing names the first five."""
    entry = Entry("hold", queue_id, int(T0), 2000, "a@x", tuple(PEOPLE[:5]), len(PEOPLE), "")
    return row_for("/etc/postfix", entry, ALICE, Wish.WAIT, True, T0), entry


def world(limit: str) -> tuple[World, WaitingMail]:
    found = World(policy(limit, over_limit=HOLD))
    found.sender()
    return found, WaitingMail(found.engine, lambda: found.at)


def asked(found: World) -> set[str]:
    return {name for flight in found.engine.flights._by_key.values() for name in flight.recipients}


@pytest.mark.parametrize("known", [True, False])
def test_all_recipients_are_asked_about_by_name_or_by_number(known: bool) -> None:
    found, waiting = world("8/h")
    if known:
        waiting.put("A1B2C3", ALICE, PEOPLE)
    assert waiting.has_room(*message())
    assert found.counted() == (8, 1)
    assert asked(found) == (set(PEOPLE) if known else {*PEOPLE[:5], "#5", "#6", "#7"})
    assert not waiting.waits("A1B2C3", ALICE), "it goes"


def test_without_room_it_waits_and_nothing_is_charged() -> None:
    found, waiting = world("7/h")
    waiting.put("A1B2C3", ALICE, PEOPLE)
    assert not waiting.has_room(*message())
    assert waiting.waits("A1B2C3", ALICE) and found.counted() == (0, 0)
    assert not waiting.waits("A1B2C3", "login:bob@example.com")


def test_what_no_look_finds_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_waiting, "MOST", 2)
    found, waiting = world("7/h")
    assert not waiting
    for queue_id in ("A", "B", "C"):
        waiting.put(queue_id, ALICE, PEOPLE)
    assert [waiting.waits(queue_id, ALICE) for queue_id in "ABC"] == [False, True, True]
    found.wait(COMES + 1)
    waiting.keep({"B"})
    assert [waiting.waits(queue_id, ALICE) for queue_id in "BC"] == [True, False]
    waiting.keep(set())
    assert not waiting
