"""Whose network is whose, and what foreign ones are used for."""

from __future__ import annotations

import pytest

from engine.people import AWAY, DAY, HOME
from engine.suspects import FRIENDS, Person, alice, company, flood, newcomer, rules, strangers
from penstock.core.ledger import Counter
from penstock.core.standing import State
from penstock.engine import networks
from penstock.engine.familiar import REGULAR, YOUNG
from penstock.engine.networks import MOST_ACCOUNTS, TAINT, Networks, networks_of, wide_of
from support import T0, World


def foreign(person: Person, window: int = 3600) -> tuple[int, int]:
    """(recipients, novel ones) of mail from foreign networks within the hour."""
    total = person.world.total
    return (
        total(Counter.FOREIGN, person.key, window),
        total(Counter.FOREIGN_NOVEL, person.key, window),
    )


def is_own(person: Person, address: str = AWAY) -> bool:
    """Whether a letter from there is one from home. (Where the last one came from is not looked up again.)"""
    person.write(FRIENDS[:1], "10.255.0.1")
    before = foreign(person)
    person.write(FRIENDS[:1], address)
    return foreign(person) == before


# --- own networks -----------------------------------------------------------------------------


def test_the_first_network_ever_is_home() -> None:
    person = Person(World(rules()))
    person.send(FRIENDS, AWAY)
    assert foreign(person) == (0, 0) and person.world.total(Counter.NETWORKS) == 0
    assert not is_own(person, HOME)


def test_another_network_is_foreign_however_often_it_is_used_today() -> None:
    person = alice()
    person.send(FRIENDS + strangers(2), AWAY)
    assert foreign(person) == (len(FRIENDS) + 2, 2)
    person.send(FRIENDS, AWAY)
    assert foreign(person) == (2 * len(FRIENDS) + 2, 2)
    assert person.world.total(Counter.NETWORKS, window=3600) == 1
    person.send(FRIENDS, HOME)
    assert foreign(person) == (2 * len(FRIENDS) + 2, 2)


def test_in_the_first_week_of_an_installation_every_network_is_its_user_s_own() -> None:
    person = newcomer()
    for i in range(5):
        person.send(FRIENDS[:2], f"10.{i}.0.1")
        person.world.wait(DAY)
    assert foreign(person, 7 * 86400) == (0, 0)
    person.world.wait(T0 + YOUNG - person.world.at)
    assert not is_own(person, "10.99.0.1")
    assert is_own(person, "10.1.0.1")


def test_a_week_of_an_installation_is_no_week_of_a_new_login() -> None:
    person = Person(World(rules()), "new@example.com")
    person.send(FRIENDS, HOME)
    assert not is_own(person, AWAY)


def test_mail_to_known_recipients_on_two_days_makes_a_network_own() -> None:
    person = alice()
    person.send(FRIENDS[:1], AWAY)
    person.world.wait(3 * DAY)
    assert not is_own(person), "the first day proves nothing"
    assert is_own(person), "the second one does"


def test_who_writes_once_a_week_has_networks_too() -> None:
    person = alice()
    person.send(FRIENDS[:1], AWAY)
    person.world.wait(8 * DAY)
    assert not is_own(person) and is_own(person)


def test_two_days_more_than_a_month_apart_are_no_habit() -> None:
    person = alice()
    person.send(FRIENDS[:1], AWAY)
    person.world.wait((REGULAR + 1) * DAY)
    assert not is_own(person) and not is_own(person)


def test_use_on_three_days_of_the_month_makes_a_network_own_whoever_is_written_to() -> None:
    person = alice()
    for day in range(3):
        person.write([f"new{day}@example.net"], AWAY)
        person.world.wait(9 * DAY)
    assert foreign(person, 30 * 86400) == (3, 3)
    person.write(["new4@example.net"], AWAY)
    assert foreign(person, 30 * 86400) == (3, 3)


def test_a_suspect_gains_no_network_by_using_it() -> None:
    person = alice()
    for day in range(3):
        person.write([f"new{day}@example.net"], AWAY)
        person.world.wait(DAY)
    person.complain(4)
    assert person.case is not None
    assert not is_own(person)


def test_days_under_suspicion_are_no_use_without_suspicion() -> None:
    """A slow bot is a suspect every afternoon, and none on the next morning."""
    person = alice()
    for day in range(3):
        person.write(strangers(60, 100 * day), AWAY)
        assert person.case is not None
        person.world.wait(DAY)
    assert not is_own(person)


def test_a_suspect_gains_no_network_in_the_first_week() -> None:
    person = newcomer()
    person.send(FRIENDS)
    for _ in range(5):
        person.complain()
    assert person.case is not None
    assert not is_own(person, AWAY)


def test_a_network_is_wide_enough_for_an_address_that_changes() -> None:
    person = alice()
    person.write(FRIENDS, "198.51.100.9")
    person.write(FRIENDS, "198.51.7.200")
    assert person.world.total(Counter.NETWORKS, window=3600) == 1


def test_who_did_not_log_in_has_no_networks() -> None:
    world = World(rules())
    relay = Person(world, "")
    relay.write(FRIENDS, "10.1.0.1")
    relay.write(FRIENDS, "10.2.0.1")
    assert all(world.total(Counter.FOREIGN, f"ip:10.{i}.0.1") == 0 for i in (1, 2))


def test_an_address_that_is_none_is_no_network() -> None:
    person = alice()
    for address in ("unknown", "", "192.0.2", "::g"):
        person.write(strangers(1), address)
    assert foreign(person) == (0, 0) and person.world.total(Counter.NETWORKS) == 0


@pytest.mark.parametrize(
    ("address", "wide", "narrow"),
    [
        ("192.0.2.7", "192.0", "192.0.2"),
        ("2001:db8:1:2::3", "2001:0db8", "2001:0db8:0001"),
        ("2001:0DB8:0001:0002:0:0:0:3", "2001:0db8", "2001:0db8:0001"),
        ("2001:db8::", "2001:0db8", "2001:0db8:0000"),
        ("::1", "0000:0000", "0000:0000:0000"),
        ("fe80::1%eth0", "fe80:0000", "fe80:0000:0000"),
        ("::ffff:192.0.2.7", "192.0", "192.0.2"),
        ("::FFFF:c000:0207", "192.0", "192.0.2"),
        ("192.0.2", "", ""),
        ("192.0.2.300", "", ""),
        ("unknown", "", ""),
        ("", "", ""),
    ],
)
def test_networks_of_an_address(address: str, wide: str, narrow: str) -> None:
    assert networks_of(address) == (wide, narrow)
    assert not narrow or wide_of(narrow) == wide


def test_all_spellings_of_an_address_are_one_network() -> None:
    person = alice()
    for address in ("2001:db8:1::1", "2001:DB8:1:0:0:0:0:2", "2001:0db8:0001::3"):
        person.write(["a@example.net"], address)
    assert person.world.total(Counter.NETWORKS, window=3600) == 1
    assert is_own(person, f"::ffff:{HOME}")


# --- many accounts ----------------------------------------------------------------------------


def write_from_one_network(people: list[Person]) -> None:
    """A stranger each."""
    for i, person in enumerate(people):
        person.write([f"x{i}@example.net"], f"198.51.100.{i + 1}")


def test_accounts_used_from_one_foreign_network_are_seen_together() -> None:
    people = company(4)
    write_from_one_network(people)
    people[0].write(FRIENDS[:2], "198.51.100.1")
    assert [person.view.shared for person in people] == [4] * 4
    assert {(person.view.shared_novel, person.view.shared_known) for person in people} == {(4, 2)}


def test_who_writes_to_strangers_from_home_is_not_of_them() -> None:
    people = company(4)
    write_from_one_network(people[1:])
    people[0].write(["x0@example.net"], "192.0.2.7")
    assert people[0].view.shared == 0 and people[1].view.shared == 3


def test_a_network_that_they_have_used_before_is_no_campaign() -> None:
    people = company(4)
    for _ in range(3):
        for i, person in enumerate(people):
            person.send(FRIENDS[:2], f"198.51.100.{i + 1}")
        people[0].world.wait(DAY)
    write_from_one_network(people)
    assert {person.view.shared for person in people} == {0}


def test_what_was_shared_yesterday_is_not_shared_today() -> None:
    people = company(4)
    write_from_one_network(people)
    people[0].world.wait(DAY)
    assert people[0].view.shared == 0
    people[1].write(["y@example.net"], "198.51.100.9")
    assert people[1].view.shared == 1


def test_a_campaign_leaks_less_of_each_account_than_one_account_alone() -> None:
    """Each sends a slice too thin to be told from a busy day, all from one bot's network."""
    people = company(6)
    leaks = []
    for i, person in enumerate(people):
        mine = [f"c{i}.{j}@example.net" for j in range(40)]
        leaks.append(len(person.write(mine, "198.51.100.50")))
    assert leaks[-1] < leaks[0] and leaks[-1] <= 10
    campaigns = [person.case.campaign for person in people if person.case is not None]
    assert campaigns[1:] == ["net:198.51.100"] * (len(people) - 1)


def test_the_network_of_a_paused_sender_speaks_against_the_next_one_for_a_while() -> None:
    people = company(3)
    assert flood(people[0], address="198.51.100.50") <= 40
    assert people[0].state is State.PAUSED
    people[1].write(["one@example.net"], "198.51.100.51")
    assert people[1].view.tainted and not people[2].view.tainted
    assert people[1].findings["campaign"].weight > 1
    world = people[0].world
    world.wait(world.sender(people[0].key).standing.since + TAINT - 60 - world.at)
    people[2].write(["two@example.net"], "198.51.100.51")
    assert people[2].view.tainted
    world.wait(120)
    assert not people[2].view.tainted


# --- bounds -----------------------------------------------------------------------------------


def test_tables_of_networks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest ones go."""
    monkeypatch.setattr(networks, "MOST_NETWORKS", 20)
    found = Networks()
    for i in range(60):
        found.used(f"10.0.{i}", "login:a", int(T0), True)
        found.taint(f"10.1.{i}", T0)
    kept = range(40, 60)
    assert [i for i in range(60) if found.today(f"10.0.{i}", int(T0))] == list(kept)
    assert [i for i in range(60) if found.is_tainted(f"10.1.{i}", 0.0, T0)] == list(kept)


def test_accounts_of_one_network_are_counted_up_to_a_number() -> None:
    found = Networks()
    for i in range(100):
        found.used("10.0.0", f"login:{i}", int(T0), bool(i % 4))
    today = found.today("10.0.0", int(T0))
    assert today is not None and len(today.accounts) == MOST_ACCOUNTS
    assert (today.novel, today.known) == (75, 25)


def test_days_that_are_over_are_forgotten() -> None:
    found = Networks()
    found.used("10.0.0", "login:a", int(T0), True)
    found.forget(int(T0) + 86400)
    assert found.today("10.0.0", int(T0)) is None
