"""Notices about professional customers: nobody is stopped, somebody is told."""

from __future__ import annotations

from ipaddress import ip_network

from penstock.core import note
from penstock.core.events import Reported
from penstock.core.incident import Verdict
from penstock.core.learning import Learn, Word
from penstock.core.ledger import Counter
from penstock.core.limits import parse_outcome
from penstock.core.policy import Entry
from penstock.core.tags import Judged, Result, TagRule
from penstock.engine.professionals import MOST_BAD, REPEATS, Professional, Professionals
from penstock.wire.milter.smarthost import Orders
from support import ALICE, T0, World, policy

ACME = "customer:acme"
WRONG = Judged(Result.WRONG, "acme")


def start(notice: str = "complaints 0.005%/7d min 5") -> tuple[World, Professionals]:
    """A world with one customer."""
    world = World(policy(), {ACME: Entry(customer="acme", profile="plain")})
    known = Professionals(world.engine.roster, world.engine.casework.incidents, b"key")
    rule = TagRule("acme", "x-tag", (b"secret",), (ip_network("192.0.2.0/28"),))
    known.adopt({"acme": Professional(rule, Orders(), (parse_outcome(notice),))})
    return world, known


def test_the_same_bad_tag_again_and_again_is_an_incident() -> None:
    world, known = start()
    told = [known.suspicious(ALICE, WRONG, T0 + i) for i in range(REPEATS + 2)]
    assert told[: REPEATS - 1] == [(i, "") for i in range(1, REPEATS)]
    (incident,) = world.engine.casework.incidents.by_id.values()
    assert told[REPEATS - 1 :] == [(n, incident.id) for n in range(REPEATS, REPEATS + 3)]
    (finding,) = incident.worst.findings
    assert finding.text == "7 messages in a day with a tag that is not right (client of: acme)"
    assert note.state(incident) == "open (notice)" and incident.leak == incident.stopped == 0
    assert world.engine.casework.incidents.named(ALICE) == ""
    assert "Nothing was stopped for it." in note.note(incident, world.sender().standing, None)


def test_bad_tags_on_different_days_are_not_added_up() -> None:
    world, known = start()
    for day in range(20):
        known.suspicious(ALICE, WRONG, T0 + 86_500 * day)
    assert not world.engine.casework.incidents.by_id


def test_senders_of_bad_tags_are_forgotten_the_oldest_first() -> None:
    _, known = start()
    for i in range(MOST_BAD + 10):
        known.suspicious(f"ip:{i}", WRONG, T0)
    assert len(known._bad) == MOST_BAD and "ip:0" not in known._bad


def test_a_notice_is_recorded_closed_and_judged_as_any_incident() -> None:
    world, known = start()
    for _ in range(REPEATS):
        known.suspicious(ALICE, WRONG, T0)
    world.engine.save(1000, T0 + 60)
    (held,) = world.records.held().values()
    assert held.is_notice and held.suspects[ALICE].findings[0].signal == "tag"
    verdicts = world.engine.casework.verdicts
    incident, _, _ = verdicts.give(held.id, Word(Verdict.LEGITIMATE, Learn.NOTHING, "ops", "", None), T0 + 90)
    assert note.state(incident) == "legitimate (notice)"
    for _ in range(REPEATS - 1):
        known.suspicious(ALICE, WRONG, T0 + 100)
    assert len(world.engine.casework.incidents.by_id) == 1
    known.suspicious(ALICE, WRONG, T0 + 100)
    assert len(world.engine.casework.incidents.by_id) == 2


def test_a_notice_that_nobody_looks_at_ends() -> None:
    world, known = start()
    for _ in range(REPEATS):
        known.suspicious(ALICE, WRONG, T0)
    world.wait(3 * 86_400)
    world.sweep()
    (incident,) = world.engine.casework.incidents.by_id.values()
    assert incident.how == "expiry"


def complain(world: World, n: int) -> None:
    for i in range(n):
        world.engine.observe(Reported(world.at, ACME, f"r{i}@example.net", "", "", "abuse"))


def test_complaints_beyond_the_ratio_are_told_and_stop_nothing() -> None:
    world, known = start()
    world.sender(ACME).ledger.add(Counter.RECIPIENTS, int(T0), 100_000)
    complain(world, 4)
    known.sweep(T0 + 100)
    assert not world.engine.casework.incidents.by_id
    complain(world, 1)
    known.sweep(T0 + 101)  # too soon to look again
    known.sweep(T0 + 200)
    known.sweep(T0 + 300)
    (incident,) = world.engine.casework.incidents.by_id.values()
    assert incident.worst.sender == ACME and incident.worst.customer == "acme"
    (finding,) = incident.worst.findings
    assert finding.signal == "complaints-ratio"
    assert finding.text == ("5 complaints about 100,000 recipients in w, told to look at from 0.005%/w min 5")
    assert not world.sender(ACME).standing.stopped


def test_what_somebody_has_seen_to_is_not_told_again_until_as_much_has_come() -> None:
    world, known = start("complaints 5/7d")
    incidents = world.engine.casework.incidents
    complain(world, 6)
    known.sweep(T0 + 100)
    (first,) = incidents.by_id
    word = Word(Verdict.LEGITIMATE, Learn.NOTHING, "ops", "", None)
    world.engine.casework.verdicts.give(first, word, T0 + 200)
    for hour in range(1, 24):
        known.sweep(T0 + 3600 * hour)
    world.wait(86_400)
    complain(world, 4)
    known.sweep(world.at + 100)
    assert list(incidents.by_id) == [first]
    complain(world, 1)
    known.sweep(world.at + 200)
    assert len(incidents.by_id) == 2


def test_a_notice_that_nobody_looks_at_is_not_told_for_ever() -> None:
    world, known = start("complaints 5/7d")
    complain(world, 6)
    for hour in range(1, 5 * 24):
        known.sweep(T0 + 3600 * hour)
        world.engine.sweep(T0 + 3600 * hour)
    (incident,) = world.engine.casework.incidents.by_id.values()
    assert incident.how == "expiry" and incident.closed_at is not None
    assert incident.closed_at - T0 < 3 * 86_400


def test_a_clean_customer_is_not_told_about() -> None:
    world, known = start()
    world.sender(ACME).ledger.add(Counter.RECIPIENTS, int(T0), 1_000_000)
    complain(world, 5)
    known.sweep(T0 + 100)
    assert not world.engine.casework.incidents.by_id


def test_a_notice_becomes_part_of_what_is_going_on() -> None:
    """And the other way round: the evidence of a case takes the notice's place."""
    world, known = start("complaints 5/d")
    complain(world, 5)
    for _ in range(REPEATS):
        known.suspicious(ACME, WRONG, T0)
    known.sweep(T0 + 100)
    (incident,) = world.engine.casework.incidents.by_id.values()
    assert [finding.signal for finding in incident.worst.findings] == ["tag", "complaints-ratio"]
