"""Impossible journeys, as the engine notices them."""

from __future__ import annotations

import pytest

from engine.people import AWAY, HOME, HOUR
from engine.suspects import FRIENDS, Person, alice, strangers
from geo import BERLIN, LAGOS, SAO_PAULO
from penstock.core.events import Accepted, Message
from penstock.core.evidence import Usual
from penstock.core.journey import Place
from penstock.core.ledger import Counter
from penstock.engine import journeys
from penstock.engine.journeys import Journeys
from penstock.engine.observe import EVERYBODY
from penstock.signals import timing
from penstock.signals.view import STAYED, Travel

FAR = "203.0.113.9"
WHERE = {HOME: BERLIN, AWAY: LAGOS, FAR: SAO_PAULO}


def located(mode: str = "enforce") -> Person:
    """Alice, whose ten days are behind her, where a geo file is there."""
    person = alice(mode)
    person.world.engine.detector.journeys.places = WHERE.get
    return person


def test_nobody_is_in_two_countries_within_minutes() -> None:
    person = located()
    person.send(FRIENDS[:2])
    person.world.wait(600)
    person.send(strangers(2), AWAY)
    travel = person.view.travel
    assert (travel.jumps, travel.countries, travel.route) == (1, 2, "DE to NG")
    assert travel.km == pytest.approx(5200, abs=50) and 595 <= travel.seconds <= 610
    assert person.findings["journey"].text == (
        f"{travel.km:,.0f} km (DE to NG) lie between two of its messages and at most 11 minutes; "
        "it wrote from 2 countries today"
    )


def test_the_time_is_that_since_the_last_mail_from_there() -> None:
    """Though where it came from was looked up once, hours before."""
    person = located()
    for _ in range(8):
        person.send(FRIENDS[:1])
        person.world.wait(HOUR)
    person.send(strangers(1), AWAY)
    assert person.view.travel.seconds == pytest.approx(HOUR, abs=10)


def test_a_flight_is_a_journey_that_can_be_made() -> None:
    person = located()
    person.send(FRIENDS[:2])
    person.world.wait(7 * HOUR)
    person.send(strangers(2), AWAY)
    assert person.view.travel == STAYED
    assert "journey" not in person.findings


def test_a_bot_that_changes_countries_is_slowed_sooner() -> None:
    person = located("shadow")
    plain = alice("shadow")
    for each in (person, plain):
        each.send(FRIENDS[:1])
        for n, address in enumerate((AWAY, FAR, AWAY, FAR)):
            each.send(strangers(1, n), address)
    assert person.view.travel.countries == 3 and person.view.travel.jumps == 4
    assert person.suspicion > plain.suspicion + 1


def test_two_networks_of_its_own_are_no_journey() -> None:
    """An office's proxy abroad, beside the house: from both it writes to whom it knows."""
    person = located()
    for _ in range(4):
        person.send(FRIENDS[:3], AWAY)
        person.world.wait(24 * HOUR)
    person.send(FRIENDS[:2])
    before = person.view.travel.jumps
    person.send(strangers(2), AWAY)
    assert person.view.travel.jumps == before == 0


def test_logs_that_count_mail_tell_the_same() -> None:
    """Mail that nobody asked about."""
    person, found = located(), []
    for address in (HOME, AWAY):
        message = Message(person.world.at, "mx1", f"4Xy{address}")
        message.kind, message.name, message.recipients = "login", person.login, 1
        message.client_address = address
        person.world.engine.observe(Accepted(person.world.at, message), EVERYBODY)
        found.append(person.world.engine.detector.journeys.today(person.key, 0.0, person.world.at))
        person.world.wait(600)
    assert found[0] == STAYED and found[1].jumps == 1 and 595 <= found[1].seconds <= 606


def test_a_pardon_forgets_it() -> None:
    person = located("shadow")
    person.send(FRIENDS[:2])
    person.send(strangers(2), AWAY)
    assert person.view.travel.jumps == 1
    person.world.engine.detector.pardon(person.world.sender(person.key), person.world.at)
    assert person.view.travel == STAYED


def test_where_nobody_can_tell_nothing_is_kept() -> None:
    person = alice()
    person.send(strangers(2), AWAY)
    assert person.world.engine.detector.journeys._trips == {}


# --- the table ----------------------------------------------------------------------------------


def table() -> Journeys:
    found = Journeys()
    found.places = WHERE.get
    return found


def test_what_was_before_a_decision_and_a_day_ago_does_not_count() -> None:
    found = table()
    found.move("a", HOME, 0.0, 1000.0, False)
    found.move("a", AWAY, 0.0, 1060.0, True)
    found.move("a", FAR, 0.0, 1120.0, True)
    assert found.today("a", 0.0, 1120.0).jumps == 2
    assert found.today("a", 1060.0, 1120.0) == Travel(1, 1, *found.today("a", 1060.0, 1120.0)[2:])
    assert found.today("a", 0.0, 1120.0 + 86400) == STAYED


def test_from_an_unknown_place_nothing_follows_for_the_next() -> None:
    found = table()
    for at, address in enumerate((HOME, "10.0.0.1", AWAY)):
        found.move("a", address, 0.0, 1000.0 + at, at > 0)
    assert found.today("a", 0.0, 1010.0) == STAYED


def test_a_clock_that_was_set_back_makes_no_journey() -> None:
    found = table()
    found.move("a", HOME, 0.0, 100_000.0, False)
    found.move("a", AWAY, 99_999.0, 50_000.0, True)
    assert found.today("a", 0.0, 100_000.0) == STAYED


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "MOST_TRIPS", 100)
    found = table()
    for n in range(1000):
        found.move(f"s{n}", HOME, 0.0, 1000.0 + n, False)
    assert len(found._trips) <= 100 and "s999" in found._trips
    found.move("late", HOME, 0.0, 1e6, False)
    assert len(found._trips) == 99, "and what is over goes by itself"


def test_one_login_s_travels_are_bounded() -> None:
    found = Journeys()
    found.places = lambda address: Place(
        address, float(len(found._trips)), float(int(address, 36) % 300 - 150), 1.0
    )
    for n in range(3000):
        found.move("a", "".join(chr(65 + n // 26**i % 26) for i in (1, 0)), 0.0, 1000.0 + n, True)
    trip = found._trips["a"]
    assert 1 < len(trip.jumps) <= journeys.MOST_JUMPS and len(trip.countries) <= journeys.MOST_COUNTRIES


# --- clockwork ------------------------------------------------------------------------------------


def steady(person: Person) -> int:
    return person.world.total(Counter.STEADY, person.key)


def test_a_machine_s_messages_to_strangers_are_steady() -> None:
    person = alice(usual=Usual(novel=100))
    person.send(strangers(13), gap=20.0)
    assert steady(person) == 8, "the first two have no gap to be compared with; it is counted by fours"
    suspect = alice("shadow")
    suspect.send(strangers(12), gap=20.0)
    assert suspect.findings["timing"].weight == pytest.approx(timing.MOST, abs=0.05)


@pytest.mark.parametrize("gaps", [(5, 60, 9, 300, 30, 120, 14, 900), (4000,) * 8])
def test_a_person_s_are_not(gaps: tuple[int, ...]) -> None:
    """Nor what comes once in an hour or more."""
    person = alice("shadow")
    for n, gap in enumerate(gaps):
        person.send(strangers(1, n), gap=float(gap))
    assert steady(person) == 0


def test_letters_to_friends_are_not_asked_about() -> None:
    person = alice("shadow", days=6)
    before = steady(person)
    person.send(FRIENDS, gap=20.0)
    assert steady(person) == before


def test_one_message_to_many_is_one_beat() -> None:
    person = alice("shadow")
    smtpd = person.world.smtpd(person.login)
    for recipient in strangers(30):
        smtpd.rcpt(recipient)
    smtpd.end(30)
    assert steady(person) == 0


def test_what_a_slowed_sender_s_queue_brings_again_is_not_asked_about() -> None:
    person = alice()
    person.write(strangers(60), AWAY, gap=20.0)
    assert person.case is not None and person.case.slowed
    before = steady(person)
    person.write(strangers(60), AWAY, gap=20.0)
    assert steady(person) == before
