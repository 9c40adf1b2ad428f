"""Incidents: opened, enriched, merged, closed; what they keep, and what a restart finds of them."""

from __future__ import annotations

import math
from typing import cast

import pytest

from engine.people import AWAY, DAY, HOME, HOUR, Person, alice, restarted, rules
from penstock.core.evidence import suspicion
from penstock.core.explain import refusal_sentence
from penstock.core.incident import REJOINS, BadIncident, Incident, Verdict
from penstock.core.learning import Learn, Word
from penstock.core.note import note
from penstock.core.policy import Entry
from penstock.core.standing import State
from penstock.engine import incidents as module
from penstock.engine.incidents import KEEP, Incidents
from support import FakeMemory, World


def opened(person: Person) -> Incident:
    """Somebody steals the account; the incident."""
    person.steal()
    assert person.incident is not None and person.state is State.PAUSED
    return person.incident


def known(world: World) -> Incidents:
    return world.engine.casework.incidents


def judge(person: Person, verdict: Verdict, learn: Learn = Learn.SENDER, note: str = "") -> Incident:
    incident = cast(Incident, person.incident)
    word = Word(verdict, learn, "admin:root", note)
    person.world.engine.casework.verdicts.give(incident.id, word, person.world.at)
    return incident


# --- from suspicion to pause --------------------------------------------------------------------


def test_a_stolen_account_is_an_incident_with_all_that_was_seen() -> None:
    person = alice()
    begin = person.world.at
    passed = person.steal()
    incident = person.incident
    assert incident is not None and incident.is_open and list(incident.suspects) == [person.key]
    suspect = incident.worst
    assert begin - 5 <= suspect.began_at <= suspect.opened_at
    assert suspect.slowed_at is not None and suspect.paused_at is not None
    assert suspect.opened_at <= suspect.slowed_at <= suspect.paused_at <= person.world.at
    assert passed <= incident.leak <= passed + 2
    assert incident.stopped == 200 - passed
    assert suspect.profile == "plain" and suspect.counts["novel"] >= 1
    assert "networks" in incident.spoke and incident.id.startswith("I-")


def test_its_reasons_are_those_of_the_pause_whatever_comes_back_later() -> None:
    """What was under way comes back when the counts have begun anew."""
    person = alice()
    suspect = opened(person).worst
    paused = suspect.suspicion, suspect.findings
    late = [f"late{i}@example.net" for i in range(40)]
    person.tell(late, frozenset(late))
    assert person.world.engine.detector.cases[person.key].suspicion > suspect.suspicion
    assert (suspect.suspicion, suspect.findings) == paused


def test_its_suspicion_can_be_computed_from_what_it_keeps() -> None:
    suspect = opened(alice()).worst
    assert suspicion(suspect.prior, suspect.findings) == suspect.suspicion
    assert suspect.suspicion >= rules().detection.pause_at


def test_the_same_mail_gives_the_same_incident() -> None:
    assert opened(alice()).id == opened(alice()).id


def test_ordinary_mail_opens_none() -> None:
    assert alice().incident is None


def test_a_refusal_names_its_incident() -> None:
    person = alice()
    incident = opened(person)
    refusals = person.world.saved()
    assert refusals and all(refusal.figures["incident"] == incident.id for refusal in refusals)
    assert f"(incident {incident.id})" in refusal_sentence(refusals[0])


def test_the_pause_of_an_administrator_names_none() -> None:
    person = alice()
    person.world.engine.roster.change_standing(
        person.key, State.PAUSED, person.world.at, "admin:a", "holiday", None, State.OPEN
    )
    person.write(["x@example.net"])
    assert all("incident" not in refusal.figures for refusal in person.world.saved())


def test_in_shadow_mode_it_tells_what_would_have_been() -> None:
    person = alice("shadow")
    passed = person.steal()
    incident = person.incident
    assert passed == 200 and incident is not None and incident.shadow
    assert incident.paused_at is not None and incident.stopped == 0 and person.state is State.OPEN
    text = note(incident, person.world.sender(person.key).standing, None)
    assert "would have been paused" in text and "open (shadow)" in text


def test_it_reads_like_a_colleagues_note() -> None:
    person = alice()
    incident = opened(person)
    text = note(incident, person.world.sender(person.key).standing, None)
    for part in (
        f"{incident.id}, open: {person.key}",
        "Why we think so:",
        "networks: it wrote to",
        "to 1 that a stranger sends",
        "slowed: only a few new recipients at once",
        "paused",
        f"{incident.leak} new recipients got through",
        f"{incident.stopped} times a recipient was turned away",
        f"penstock verdict {incident.id} compromised",
        f"penstock resume {person.key}",
    ):
        assert part in text


# --- how it ends --------------------------------------------------------------------------------


def test_when_the_pauses_term_ends_it_is_over() -> None:
    person = alice(lasts=3600)
    incident = opened(person)
    paused_at = cast(float, incident.paused_at)
    person.world.wait(2 * HOUR)
    assert person.write(person.friends[:1]) == person.friends[:1]
    assert person.state is State.PROBATION
    assert (incident.how, incident.closed_at) == ("term", paused_at + 3600)


def test_when_an_administrator_resumes_it_is_over() -> None:
    person = alice()
    incident = opened(person)
    roster, at = person.world.engine.roster, person.world.at
    roster.change_standing(person.key, State.OPEN, at, "admin:a", "cleaned", None, State.OPEN)
    assert (incident.how, incident.closed_at, incident.worst.released_at) == ("resumed", at, at)
    assert known(person.world).named(person.key) == ""


def test_when_suspicion_falls_by_itself_it_is_over() -> None:
    person = alice()
    person.mail([f"sub{i}@example.net" for i in range(60)])
    incident = person.incident
    assert incident is not None and incident.paused_at is None
    for _ in range(60):
        person.world.wait(HOUR)
        person.world.sweep()
    assert (incident.how, incident.is_open) == ("calm", False)


def test_when_nothing_more_is_heard_it_is_over() -> None:
    """The cases of the detector are lost in a restart, incidents are not."""
    person = alice()
    person.mail([f"sub{i}@example.net" for i in range(60)])
    incident = restarted(person).incident
    assert incident is not None and incident.is_open
    world = person.world
    world.wait(REJOINS + DAY)
    world.sweep()
    assert (incident.how, incident.closed_at) == ("expiry", world.at)


def test_one_about_a_paused_sender_stays_open() -> None:
    person = alice()
    incident = opened(person)
    for _ in range(30):
        person.world.wait(DAY)
        person.world.sweep()
    assert incident.is_open and person.state is State.PAUSED


def test_old_ones_are_forgotten() -> None:
    person = alice()
    opened(person)
    incident = judge(person, Verdict.COMPROMISED)
    person.world.wait(KEEP - DAY)
    person.world.sweep()
    assert known(person.world).get(incident.id) is incident
    person.world.wait(2 * DAY)
    person.world.sweep()
    with pytest.raises(BadIncident, match="90 days"):
        known(person.world).get(incident.id)
    assert person.incident is None


# --- one affair, one incident -------------------------------------------------------------------


def again(person: Person, after: float) -> Incident | None:
    """Resumed, and stolen once more."""
    person.world.wait(after)
    person.world.engine.roster.change_standing(
        person.key, State.OPEN, person.world.at, "admin:a", "cleaned", None, State.OPEN
    )
    person.world.wait(600)
    person.steal(200, 5000, address="203.0.113.50")
    return person.incident


def test_what_comes_within_two_days_belongs_to_it() -> None:
    person = alice()
    incident = opened(person)
    leak = incident.leak
    assert again(person, DAY) is incident
    assert incident.is_open and incident.worst.released_at is None and incident.leak > leak
    assert len(known(person.world).by_id) == 1


def test_what_comes_later_is_another() -> None:
    person = alice()
    first = opened(person)
    second = again(person, 5 * DAY)
    assert second is not None and second is not first and second.is_open and not first.is_open


def test_what_comes_after_a_verdict_is_another() -> None:
    person = alice()
    opened(person)
    first = judge(person, Verdict.COMPROMISED)
    second = again(person, HOUR)
    assert second is not None and second is not first and first.how == "verdict"


def test_late_outcomes_open_no_new_one_after_a_verdict() -> None:
    person = alice()
    opened(person)
    incident = judge(person, Verdict.COMPROMISED)
    late = [f"late{i}@example.net" for i in range(30)]
    person.tell(late, frozenset(late))
    assert person.incident is incident and len(known(person.world).by_id) == 1


def campaign(world: World, n: int) -> list[Person]:
    """So many accounts, used one after the other from one network of a bot."""
    people = [Person(world, f"user{i}@example.com") for i in range(n)]
    for day in range(20):
        for person in people:
            person.mail(person.friends)
        world.wait(DAY - 8 * n)
        del day
    for turn in range(6):
        for i, person in enumerate(people):
            person.steal(6, 1000 * i + 10 * turn)
    return people


def test_a_campaign_is_one_incident_with_many_senders() -> None:
    world = World(rules())
    people = campaign(world, 8)
    found = {person.incident.id for person in people if person.incident is not None}
    live = [incident for incident in known(world).by_id.values() if not incident.into]
    assert max(len(incident.suspects) for incident in live) >= 6
    assert len(found) == len(live) <= 3
    for incident in known(world).by_id.values():
        if incident.into:
            assert known(world).get(incident.into).is_open and incident.how == "merged"


def test_a_verdict_is_about_all_senders_of_a_campaign() -> None:
    world = World(rules())
    people = campaign(world, 8)
    largest = max(known(world).by_id.values(), key=lambda incident: len(incident.suspects))
    word = Word(Verdict.COMPROMISED, Learn.SENDER, "admin:a")
    world.engine.casework.verdicts.give(largest.id, word, world.at)
    assert all(person.state is State.PAUSED for person in people if person.key in largest.suspects)
    assert "others" in note(largest, world.sender(largest.worst.sender).standing, None)


def test_what_became_a_part_of_another_cannot_be_judged() -> None:
    person = alice()
    incident = opened(person)
    incident.into = "I-000000"
    with pytest.raises(BadIncident, match="judge that one"):
        judge(person, Verdict.LEGITIMATE)
    assert "has become a part of I-000000" in note(incident, person.world.sender(person.key).standing, None)


# --- verdicts -----------------------------------------------------------------------------------


def test_legitimate_lets_the_sender_go_on_at_once() -> None:
    person = alice()
    opened(person)
    incident = judge(person, Verdict.LEGITIMATE, note="their new shop")
    standing = person.world.sender(person.key).standing
    assert (standing.state, standing.by) == (State.OPEN, "admin:root")
    assert incident.id in standing.why and "their new shop" in standing.why
    assert (incident.how, incident.worst.released_at) == ("verdict", person.world.at)
    assert person.write(["another@example.net"], AWAY) == ["another@example.net"]


def test_compromised_keeps_it_paused_until_somebody_resumes() -> None:
    person = alice(lasts=3600)
    opened(person)
    judge(person, Verdict.COMPROMISED)
    standing = person.world.sender(person.key).standing
    assert (standing.state, standing.until, standing.by) == (State.PAUSED, None, "admin:root")
    person.world.wait(30 * DAY)
    assert person.write(person.friends) == []
    assert person.incident is not None and known(person.world).named(person.key) == person.incident.id


def test_compromised_about_what_is_long_over_stops_nobody() -> None:
    person = alice()
    opened(person)
    roster, at = person.world.engine.roster, person.world.at
    roster.change_standing(person.key, State.OPEN, at, "admin:a", "cleaned", None, State.OPEN)
    judge(person, Verdict.COMPROMISED)
    assert person.state is State.OPEN


def test_legitimate_does_not_undo_what_somebody_decided_before() -> None:
    person = alice("shadow")
    person.steal()
    person.world.engine.roster.change_standing(
        person.key, State.LOCKED, person.world.at, "admin:a", "unpaid", None, State.OPEN
    )
    judge(person, Verdict.LEGITIMATE)
    assert person.state is State.LOCKED


def test_a_verdict_can_be_changed() -> None:
    person = alice()
    opened(person)
    judge(person, Verdict.COMPROMISED)
    incident = judge(person, Verdict.LEGITIMATE)
    assert incident.verdict is Verdict.LEGITIMATE and person.state is State.OPEN
    lessons = person.world.engine.casework.learning.lessons
    assert list(lessons) == [incident.id] and lessons[incident.id].verdict is Verdict.LEGITIMATE


# --- memory and records -------------------------------------------------------------------------


def test_a_restart_finds_it_as_it_was() -> None:
    person = alice()
    before = opened(person)
    after = restarted(person).incident
    assert after == before and after is not before
    judge(person, Verdict.LEGITIMATE)
    assert person.state is State.OPEN


def test_records_that_come_late_are_taken_up() -> None:
    person = alice()
    before = opened(person)
    judge(person, Verdict.COMPROMISED)
    old = person.world
    old.engine.save(1 << 30, math.inf)
    late = FakeMemory({}, {}, old.records.held(), dict(old.records.lessons))
    person.world = World(rules(), at=old.at)
    assert person.incident is None
    person.world.engine.take_over(late, old.at)
    assert person.incident == before
    assert list(person.world.engine.casework.learning.lessons) == [before.id]


def test_each_change_is_recorded_once_it_is_due() -> None:
    person = alice()
    incident = opened(person)
    world = person.world
    world.engine.save(1000, world.at)
    held = world.records.held()[incident.id]
    assert held.worst.paused_at == incident.paused_at
    person.write(["a@example.net", "b@example.net"])
    world.engine.save(1000, world.at)
    assert world.records.held()[incident.id].stopped == held.stopped
    world.wait(60)
    world.engine.save(1000, world.at)
    assert world.records.held()[incident.id].stopped == held.stopped + 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 5)
    world = World(rules())
    people = [Person(world, f"user{i}@example.com").live(10) for i in range(9)]
    for i, person in enumerate(people):
        person.steal(60, 1000 * i, address=f"203.{i}.113.9")
    assert len(known(world).by_id) == 5 and people[0].incident is None
    assert people[-1].incident is not None
    world.engine.save(1 << 30, math.inf)
    person.write(["x@example.net"])
    assert len(world.records.suspects) <= 9


def test_a_customer_and_its_profile_are_noted() -> None:
    world = World(rules(), {"login:alice@example.com": Entry(customer="4711", profile="newsletter")})
    person = Person(world).live()
    person.steal(400, address=AWAY)
    incident = person.incident
    assert incident is not None
    assert (incident.worst.customer, incident.worst.profile) == ("4711", "newsletter")
    assert HOME not in note(incident, world.sender(person.key).standing, None)
