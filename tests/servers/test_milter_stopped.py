"""One message, asked about in three ways: what is counted as stopped is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.live import run
from engine.people import RELAY, rules
from penstock.core.acquaintance import Acquaintance
from penstock.core.events import Attempt, Delivered, Message
from penstock.core.evidence import Detection
from penstock.core.flight import ASKS_END, Channel
from penstock.core.ledger import Counter
from penstock.core.policy import Action, Policy, Verb
from penstock.engine import Engine
from penstock.study.asking import AskedAtOnce
from penstock.study.memory import Memory
from servers.test_milter import CONTINUE, SITE, Rig, listening, submit
from support import ALICE, T0, FakeDirectory, policy
from wire.milter import mta

HOLD = Action(Verb.HOLD)
USER = mta.header("X-PHP-Originating-Script", "1033:")
EAGER = Detection("enforce", false_pauses=10_000, missed=0.5)
"""Whoever is looked at is paused: in the middle of a message."""

Told = tuple[int, int, int]


def ruled(action: Action) -> Policy:
    found = policy(over_limit=action, paused=action)
    return replace(found, detection=EAGER, replies=rules().replies)


def see_outcomes(engine: Engine) -> None:
    """Somebody else's mail has just arrived."""
    message = Message(T0, "mx1", "4Xy1")
    message.kind, message.name = "login", "neighbour@example.com"
    engine.observe(Delivered(T0, message, "aunt@example.org", RELAY))


def told(engine: Engine, key: str) -> Told:
    """How many were stopped: in the ledger, the stretches of refusals and the incident."""
    ledger, incident = engine.roster.get(key, T0).ledger, engine.casework.incidents.of(key)
    stretches = sum(each.recipients for each in engine.refusals.by_reference.values())
    return ledger.total(Counter.STOPPED, int(T0), 3600), stretches, incident.stopped if incident else 0


def asked(stage: str, key: str, **more: object) -> Attempt:
    found = Attempt(
        T0, "mx1", stage, "127.0.0.1", "a@example.com", "", 0, "", "1.0.0", 100, "", ASKS_END, key
    )
    return found._replace(**more)  # type: ignore[arg-type]


def gate(action: Action) -> AskedAtOnce:
    memory, met = Memory(), Acquaintance(b"test", 1 << 16)
    engine = AskedAtOnce(ruled(action), FakeDirectory(), memory, memory, memory, memory, met, 0.0)
    see_outcomes(engine)
    return engine


def by_policy(people: list[str], key: str, action: Action) -> Told:
    """As Postfix asks."""
    engine, channel = gate(action), Channel("mx1")
    for recipient in people:
        engine.decide(asked("RCPT", key, recipient=recipient), channel)
    assert engine.decide(asked("END-OF-MESSAGE", key, recipient_count=len(people)), channel).stops
    return told(engine, key)


def by_replay(people: list[str], key: str, action: Action) -> Told:
    """As a replay asks."""
    engine = gate(action)
    found = engine.decide_all(asked("END-OF-MESSAGE", key, instance=""), people, Channel(""))
    assert len(found) == len(people)
    return told(engine, key)


def by_milter(folder: Path, n: int, smtp: bool, action: Action) -> Told:
    """As Postfix tells a milter."""

    found: list[Told] = []

    async def story() -> None:
        async with listening(folder, smtp=smtp) as rig:
            rig.world.engine.adopt(ruled(action))
            see_outcomes(rig.world.engine)
            await (send(rig, n) if smtp else submit(rig, n, USER))
            assert rig.traffic.results == {str(action.verb): 1}
            assert rig.world.counted(ALICE if smtp else SITE) == (0, 0)
            found.append(told(rig.world.engine, ALICE if smtp else SITE))

    async def send(rig: Rig, n: int) -> None:
        peer = await rig.session()
        await peer.say(mta.macros("M", auth_authen="alice@example.com"), mta.mail(), replies=0)
        for i in range(n):
            assert await peer.say(mta.rcpt(f"r{i}@x.y")) == CONTINUE
        await peer.say(mta.EOH, mta.end(b"hello"), replies=2)

    run(story())
    return found[0]


@pytest.mark.parametrize("smtp", [True, False])
def test_a_held_message_counts_alike_however_it_is_asked_about(folder: Path, smtp: bool) -> None:
    people = [f"r{i}@x.y" for i in range(120)]
    key = ALICE if smtp else SITE
    assert by_milter(folder, 120, smtp, HOLD) == (120, 120, 120)
    assert by_policy(people, key, HOLD) == (120, 120, 120)
    assert by_replay(people, key, HOLD) == (120, 120, 120)


@pytest.mark.parametrize("verb", [Verb.DEFER, Verb.REJECT, Verb.HOLD])
def test_whatever_stops_local_mail_stops_all_of_it(folder: Path, verb: Verb) -> None:
    """Those beyond the first thousand are known by their number only."""
    assert by_milter(folder, 1500, False, Action(verb)) == (1500, 1500, 1500)
