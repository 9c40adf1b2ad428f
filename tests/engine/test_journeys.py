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

A = "login:a"
FAR = "203.0.113.9"
WHERE = {HOME: BERLIN, AWAY: LAGOS, FAR: SAO_PAULO}


def located(mode: str = "enforce") -> Person:
    """Alice, whose ten days are behind her, where a geo file is there."""
    person = alice(mode)
    person.world.engine.detector.journeys.adopt(WHERE.get)
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


def test_a_night_s_sleep_changes_nothing() -> None:
    """The service packs who is quiet, and a replay does not: both tell when it last wrote from home."""
    found = []
    for sleeps in (False, True):
        person = located()
        for _ in range(8):
            person.send(FRIENDS[:1])
            person.world.wait(HOUR)
        person.world.wait(6 * HOUR)
        for _ in range(3 * sleeps):
            person.world.engine.roster.put_to_rest(person.world.at, 1000)
        assert (person.key in person.world.engine.roster.senders) is not sleeps
        person.send(strangers(1), FAR)
        found.append(person.view.travel)
    assert found[0] == found[1] and found[0].jumps == 1
    assert found[0].seconds == pytest.approx(7 * HOUR, abs=10)


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
    found.adopt(WHERE.get)
    return found


def test_what_was_before_a_decision_and_a_day_ago_does_not_count() -> None:
    found = table()
    found.move(A, HOME, 1000.0, False)
    found.move(A, AWAY, 1060.0, True)
    found.move(A, FAR, 1120.0, True)
    assert found.today(A, 0.0, 1120.0).jumps == 2
    assert found.today(A, 1060.0, 1120.0) == Travel(1, 1, *found.today(A, 1060.0, 1120.0)[2:])
    assert found.today(A, 0.0, 1120.0 + 86400) == STAYED


def test_from_an_unknown_place_nothing_follows_for_the_next() -> None:
    found = table()
    for at, address in enumerate((HOME, "10.0.0.1", AWAY)):
        found.move(A, address, 1000.0 + at, at > 0)
    assert found.today(A, 0.0, 1010.0) == STAYED


def test_an_address_is_looked_up_when_it_is_another_one() -> None:
    asked, found = [], Journeys()
    found.adopt(lambda address: asked.append(address) or WHERE.get(address))  # type: ignore[func-returns-value]
    for at in range(100):
        found.move(A, HOME if at < 90 else AWAY, 1000.0 + 3600 * at, at >= 90)
    assert asked == [HOME, AWAY]
    assert found._trips[A].countries == {"DE": 1000.0 + 3600 * 89, "NG": 1000.0 + 3600 * 99}
    assert found.today(A, 0.0, 1000.0 + 3600 * 99).countries == 2, "both have seen mail of that day"


def test_only_logins_travel() -> None:
    found = table()
    for key, address in (("ip:192.0.2.7", HOME), ("script:/srv/x.php", HOME), (A, "")):
        found.move(key, address, 1000.0, False)
    assert found._trips == {}


def test_without_a_file_any_more_all_is_forgotten() -> None:
    found = table()
    found.move(A, HOME, 1000.0, False)
    found.move(A, AWAY, 1060.0, True)
    found.adopt(WHERE.get)
    assert found.today(A, 0.0, 1060.0).jumps == 1, "a newer file is no reason to"
    found.adopt(None)
    assert found.today(A, 0.0, 1060.0) == STAYED and found._trips == {}


def test_who_writes_goes_on_being_known_when_the_table_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it does not move: others that were there later go first."""
    monkeypatch.setattr(journeys, "MOST_TRIPS", 10)
    found = table()
    for n in range(1000):
        found.move(A, HOME, 1000.0 + 10 * n, False)
        found.move(f"login:{n}", HOME, 1000.0 + 10 * n, False)
    found.move(A, AWAY, 11_000.0, True)
    assert found.today(A, 0.0, 11_000.0).jumps == 1


def test_a_log_that_tells_late_makes_no_journey_of_it() -> None:
    """Seven hours before it was in Lagos, says a log that was read only now."""
    found = table()
    found.move(A, HOME, 100_000.0, False)
    found.move(A, AWAY, 100_000.0 - 7 * HOUR, True)
    found.move(A, HOME, 100_060.0, False)
    assert found.today(A, 0.0, 100_060.0) == STAYED


def test_a_clock_that_was_set_back_makes_no_journey() -> None:
    found = table()
    found.move(A, HOME, 100_000.0, False)
    found.move(A, AWAY, 50_000.0, True)
    assert found.today(A, 0.0, 100_000.0) == STAYED


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "MOST_TRIPS", 100)
    found = table()
    for n in range(1000):
        found.move(f"login:{n}", HOME, 1000.0 + n, False)
    assert len(found._trips) <= 100 and "login:999" in found._trips
    found.move("login:late", HOME, 1e6, False)
    assert len(found._trips) == 99, "and what is over goes by itself"


def test_one_login_s_travels_are_bounded() -> None:
    found = Journeys()
    found.adopt(
        lambda address: Place(address, float(len(found._trips)), float(int(address, 36) % 300 - 150), 1.0)
    )
    for n in range(3000):
        found.move(A, "".join(chr(65 + n // 26**i % 26) for i in (1, 0)), 1000.0 + n, True)
    trip = found._trips[A]
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


@pytest.mark.parametrize(
    "gaps", [(5, 60, 9, 300, 30, 120, 14, 900), (4000,) * 8, (3650, 3500, 3520, 3500, 3480, 3650)]
)
def test_a_person_s_are_not(gaps: tuple[int, ...]) -> None:
    """Nor what comes once in an hour or more: with it a new run begins."""
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
