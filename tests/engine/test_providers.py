"""Providers whose word is no evidence: their users vanish, or they put everybody off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.people import AWAY
from engine.suspects import BUSY, FRIENDS, SPAM, Person, company, flood_of, strangers
from penstock.core.ledger import Counter
from penstock.core.standing import State
from penstock.engine import familiar, providers
from penstock.engine.providers import (
    AT_ONCE,
    LAST,
    LASTS,
    MOST_AT_ONCE,
    SENDERS,
    VANISHED,
    WITNESSED,
    Providers,
)
from support import T0

COLD = int(familiar.COLD)
GOOGLE = "aspmx.l.google.com[192.0.2.27]:25"
MICROSOFT = "a.mail.protection.outlook.com[192.0.2.28]:25"
LISTED = "550 5.7.1 server busy: messages from [192.0.2.1] were not sent"
HOMES = "hotmail-com.olc.protection.outlook.com[192.0.2.29]:25"


def test_when_known_addresses_vanish_the_domain_is_not_believed() -> None:
    people = company(3)
    people[0].bounced(FRIENDS[:VANISHED])
    people[1].bounced(strangers(10, domain="example.org"))
    people[1].bounced(strangers(2, domain="example.net"))
    assert people[1].world.total(Counter.NEWLY_DEAD, people[1].key) == 2
    assert people[1].case is None


def test_a_provider_is_believed_again_after_a_while() -> None:
    people = company(2)
    people[0].bounced(FRIENDS[:VANISHED])
    people[0].world.wait(LASTS + 1)
    people[1].bounced(["gone@example.org"])
    assert people[1].world.total(Counter.NEWLY_DEAD, people[1].key) == 1


def test_one_who_left_is_no_trouble_of_the_provider() -> None:
    people = company(2)
    people[0].bounced(FRIENDS[:1])
    people[1].bounced(["gone@example.org"])
    assert people[1].world.total(Counter.NEWLY_DEAD, people[1].key) == 1


def test_while_most_known_addresses_are_reached_a_provider_is_believed() -> None:
    found = Providers()
    second = int(T0)
    found.vanished("example.org", "", "login:a", second)
    for _ in range(10):
        found.reached("example.org", "", "login:x", second, True, False)
    found.vanished("example.org", "", "login:a", second)
    assert not found.fails("example.org", "", "login:a", second, False)


def test_several_senders_who_meet_hardly_anybody_else_show_a_failing_provider() -> None:
    found = Providers()
    second = int(T0)
    assert not any(found.fails("example.com", "", f"login:{i}", second, False) for i in range(9)), (
        "nobody vanished"
    )
    found.vanished("example.org", "", "login:0", second)
    answers = [found.fails("example.org", "", f"login:{i}", second, False) for i in range(SENDERS)]
    assert answers == [False] * (SENDERS - 1) + [True]
    for _ in range(20):
        found.reached("example.org", "", "login:x", second, False, False)
    assert not found.fails("example.org", "", "login:9", second, False)
    alone = [found.fails("example.net", "", "login:a", second, False) for _ in range(100)]
    assert not any(alone)


def test_thieves_with_lists_of_one_provider_are_no_witnesses_against_it() -> None:
    """Bought lists have up to 50 % dead addresses: as many as thieves together show of a failing provider."""
    people = company(4)
    leaks = [
        flood_of(person, [f"s{i}.{j}@bigmail.example" for j in range(300)], f"10.{i}.0.1")
        for i, person in enumerate(people)
    ]
    assert max(leaks) <= 40 and all(person.state is State.PAUSED for person in people)


def test_one_who_left_and_a_list_of_dead_addresses_are_no_trouble_that_goes_on() -> None:
    found, second = Providers(), int(T0)
    found.vanished("example.org", "", "login:friend", second)
    first = [found.fails("example.org", "", "login:thief", second + 60 * i, False) for i in range(10)]
    assert first[-1], "so it is for a while: an outage begins like that"
    later = range(second + LASTS + 1, second + 6 * LASTS, 60)
    assert not any(found.fails("example.org", "", "login:thief", at, False) for at in later)


def test_a_trouble_goes_on_while_known_addresses_vanish() -> None:
    found, second = Providers(), int(T0)
    for at in range(second, second + 3 * LASTS, 600):
        found.vanished("example.org", "", "login:a", at)
        found.reached("example.org", "", "login:x", at, True, False)
        found.reached("example.org", "", "login:x", at, True, False)
        assert found.fails("example.org", "", "login:b", at, False) or at < second + 600


def test_a_flood_at_a_provider_that_two_have_left_speaks_against_the_thief() -> None:
    """Two friends' addresses vanish in a night, and few of the others are written to."""
    owner, thief = company(2)
    owner.bounced(FRIENDS[:VANISHED])
    leak = flood_of(thief, strangers(500, domain="example.org"), dead_of_ten=1)
    assert leak <= 100 and thief.state is State.PAUSED


def test_what_a_failing_provider_takes_speaks_for_nobody() -> None:
    owner, other = company(2)
    owner.bounced(FRIENDS[:VANISHED])
    before = other.world.total(Counter.PROVEN, other.key)
    other.bounced(strangers(5, domain="example.org"))
    other.delivered(strangers(3, start=10, domain="example.org"))
    other.delivered(strangers(2, domain="example.net"))
    assert other.world.total(Counter.NEWLY_DEAD, other.key) == 0
    assert other.world.total(Counter.PROVEN, other.key) == before + 2


def test_the_table_of_domains_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "MOST_DOMAINS", 10)
    found = Providers()
    for i in range(100):
        found.fails(f"d{i}.example.net", "", "login:a", int(T0), False)
        found.reached(f"e{i}.example.net", "", "login:x", int(T0), True, False)
    assert list(found._troubles) == [f"d{i}.example.net" for i in range(90, 100)]


# --- witnesses at home ------------------------------------------------------------------------


def counted(person: Person) -> int:
    """Its dead addresses that speak against it."""
    return person.world.total(Counter.NEWLY_DEAD, person.key)


def outage(people: list[Person], n: int, address: str = "", provider: str = "bigmail.example") -> None:
    """Each writes to so many new people of one provider, which says of every other one that he is unknown."""
    for turn in range(n):
        for i, person in enumerate(people):
            to = [f"{person.login[:5]}.{turn}@{provider}"]
            passed = person.write(to, address or f"192.{i}.2.7", gap=60)
            person.delivered(passed) if turn % 2 else person.bounced(passed)


def test_several_at_home_who_hear_of_the_dead_only_show_a_failing_provider() -> None:
    """Shops that write to new customers only: nobody whom we know is asked for, so none of them vanishes."""
    people = company(5, days=COLD + 1)
    outage(people, 20)
    assert all(person.state is State.OPEN for person in people)
    assert max(counted(person) for person in people) <= 2
    people[0].bounced(["gone@example.net"])
    assert counted(people[0]) <= 3 and people[0].world.total(Counter.NEWLY_DEAD, people[0].key) >= 1


@pytest.mark.parametrize(("days", "address"), [(COLD + 1, "198.51.100.9"), (COLD - 4, "")])
def test_strangers_and_newcomers_are_no_witnesses(days: int, address: str) -> None:
    """Who comes from elsewhere may be one thief with one list, and an account may be bought for it."""
    people = company(5, days=days)
    outage(people, 12, address)
    assert min(counted(person) for person in people) > 1, "each that it met before it was stopped"
    assert all(person.case is not None or person.state is State.PAUSED for person in people)


def test_where_others_are_reached_there_are_no_witnesses() -> None:
    """At every large provider somebody meets a dead address at any time."""
    found, second = Providers(), int(T0)
    for n in range(300):
        key = f"login:{n % 41}"
        if n % 4:
            found.reached("bigmail.example", "", key, second, False, True)
        else:
            assert not found.fails("bigmail.example", "", key, second, True)


def test_witnesses_of_a_host_speak_about_all_its_customers_domains() -> None:
    """Each writes to other companies, all of one host; another service of that provider is believed."""
    found, second = Providers(), int(T0)
    free = "hotmail-com.olc.protection.outlook.com[192.0.2.30]:25"
    answers = []
    for n in range(20):
        host = f"company{n}-example.mail.protection.outlook.com[192.0.2.28]:25"
        answers.append(found.fails(f"company{n}.example", host, f"login:{n % SENDERS}", second, True))
        found.reached("hotmail.com", free, "login:a", second, False, True)
    assert not any(answers[: WITNESSED - 1]) and all(answers[WITNESSED:])


def test_who_is_told_of_nobody_but_the_dead_at_one_provider_has_met_one_fact() -> None:
    (person,) = company(1, days=COLD + 1)
    person.bounced(strangers(10, domain="bigmail.example"))
    assert counted(person) == AT_ONCE - 1
    person.bounced(strangers(3, domain="example.net"))
    assert counted(person) == 2 * (AT_ONCE - 1), "another provider is another fact"
    person.bounced(["gone@example.com"])
    assert counted(person) == 2 * AT_ONCE - 1


def test_a_made_up_list_of_one_provider_is_no_one_fact_for_long() -> None:
    """Somebody guesses addresses, on the owner's own machine."""
    (person,) = company(1, days=COLD + 1)
    passed = person.mail(
        [f"guess{i}@bigmail.example" for i in range(400)],
        "192.0.2.7",
        frozenset(f"guess{i}@bigmail.example" for i in range(400) if i % 10),
    )
    assert passed <= 2 * MOST_AT_ONCE and person.state is State.PAUSED


def test_one_who_reaches_some_has_met_as_many_facts_as_dead_addresses() -> None:
    (person,) = company(1, days=COLD + 1)
    for i in range(10):
        person.bounced([f"dead{i}@bigmail.example"])
        person.delivered([f"alive{i}@bigmail.example"])
    assert counted(person) == 10


def test_memory_of_who_was_told_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "MOST_TOLD", 10)
    found = Providers()
    for i in range(100):
        found.fails("bigmail.example", "", f"login:{i}", int(T0), True)
    assert len(found._troubles["bigmail.example"].at_home) == 10


# --- hosts ------------------------------------------------------------------------------------


def test_a_provider_that_fails_is_not_believed_about_its_customers_domains() -> None:
    people = company(2)
    people[0].bounced(FRIENDS[:VANISHED], relay="gmail-smtp-in.l.google.com[192.0.2.26]:25")
    people[1].bounced(strangers(3, domain="customer.example.net"), relay=GOOGLE)
    assert people[1].world.total(Counter.NEWLY_DEAD, people[1].key) == 0
    people[1].bounced(strangers(3, domain="other.example.net"), relay="mx.google.com.example[192.0.2.29]:25")
    assert people[1].world.total(Counter.NEWLY_DEAD, people[1].key) == 3


def test_one_who_left_among_a_providers_many_domains_says_nothing_about_others() -> None:
    found, second = Providers(), int(T0)
    found.vanished("customer.example.net", GOOGLE, "login:a", second)
    answers = [found.fails(f"d{i}.example.net", GOOGLE, f"login:{i}", second, False) for i in range(50)]
    assert not any(answers)


@pytest.mark.parametrize(
    ("relay", "other"),
    [
        ("mx1.co.uk[192.0.2.1]:25", "mx2.co.uk[192.0.2.2]:25"),
        ("mail.a.co.uk [192.0.2.1]", "mail.b.co.uk [192.0.2.2]"),
        ("none", "none"),
        ("localhost", "localhost"),
        ("192.0.2.1[192.0.2.1]:25", "192.8.2.1[192.8.2.1]:25"),
        ("", ""),
    ],
)
def test_hosts_without_a_name_in_common_are_no_provider(relay: str, other: str) -> None:
    found, second = Providers(), int(T0)
    for _ in range(VANISHED):
        found.vanished("a.example.net", relay, "login:a", second)
    assert not found.fails("b.example.net", other, "login:b", second, False)


# --- everybody is put off ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("came_back", "reply", "counted"),
    [
        (Person.deferred, BUSY, Counter.DEFERRED),
        (Person.bounced, LISTED, Counter.BOUNCED),
    ],
    ids=["it puts everybody off", "it has listed our address and bounces everybody's mail"],
)
def test_what_most_are_told_there_speaks_against_nobody(
    came_back: Callable[[Person, list[str], str, str], None], reply: str, counted: Counter
) -> None:
    people = company(6)
    for person in people[:SENDERS]:
        came_back(person, strangers(1), reply, MICROSOFT)
    newsletter = people[-1]
    came_back(newsletter, strangers(40), reply, MICROSOFT)
    assert newsletter.world.total(counted, newsletter.key) == 40
    assert newsletter.world.total(Counter.REPUTATION, newsletter.key) == 0
    assert "refusals" not in newsletter.findings


def test_a_canary_that_is_refused_as_most_are_is_no_longer_under_way() -> None:
    people = company(6)
    suspect = people[-1]
    suspect.write(strangers(12), AWAY)
    case = suspect.case
    assert case is not None and case.slowed and case.under_way
    canary = next(iter(case.under_way))
    for person in people[:SENDERS]:
        person.bounced(strangers(1), BUSY, MICROSOFT)
    suspect.bounced([canary], BUSY, MICROSOFT)
    assert canary not in case.under_way


def test_a_service_that_lists_us_is_told_from_the_rest_of_its_provider() -> None:
    """Mailboxes at home and those of companies have hosts, and lists, of their own."""
    found, second = Providers(), int(T0)
    for n in range(2 * LAST):
        found.puts_off("hotmail.example", HOMES, f"login:{n % 5}", second)
        found.reached("example.net", MICROSOFT, f"login:{n % 9}", second, False, False)
        found.reached("example.org", MICROSOFT, f"login:{n % 9 + 9}", second, False, False)
    assert found.puts_off("hotmail.example", HOMES, "login:9", second)
    assert not found.puts_off("example.net", MICROSOFT, "login:thief", second)


def test_without_detection_each_is_counted_as_before() -> None:
    """Nobody is seen to be let in then, so nothing tells what most are told."""
    people = company(6, "off")
    for person in people:
        person.deferred(strangers(1), BUSY, MICROSOFT)
    assert [person.world.total(Counter.REPUTATION, person.key) for person in people] == [1] * 6


def test_a_refusal_for_what_the_mail_is_speaks_though_everybody_is_put_off() -> None:
    people = company(6)
    for person in people:
        person.deferred(strangers(1), BUSY, MICROSOFT)
    people[0].deferred(strangers(5), SPAM, MICROSOFT)
    assert people[0].world.total(Counter.CONTENT, people[0].key) == 5


def test_one_who_is_put_off_where_others_are_let_in_is_its_own_doing() -> None:
    found, second = Providers(), int(T0)
    for n in range(200):
        found.reached("example.net", MICROSOFT, f"login:{n % 4}", second, True, False)
        assert not found.puts_off("example.org", MICROSOFT, "login:thief", second)


def test_thieves_are_no_witnesses_where_more_of_us_are_let_in() -> None:
    found, second = Providers(), int(T0)
    found.puts_off("example.net", MICROSOFT, "login:thief0", second)
    for n in range(LAST // 2 + 1):
        found.reached("example.net", MICROSOFT, f"login:{n}", second, True, False)
    assert not any(found.puts_off("example.net", MICROSOFT, f"login:thief{n % 5}", second) for n in range(99))


def test_that_everybody_was_put_off_is_forgotten() -> None:
    found, second = Providers(), int(T0)
    answers = [found.puts_off("example.net", MICROSOFT, f"login:{n}", second) for n in range(SENDERS)]
    assert answers == [False] * (SENDERS - 1) + [True]
    assert not found.puts_off("example.net", MICROSOFT, "login:9", second + LASTS + 1)


def test_who_was_answered_last_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "MOST_DOMAINS", 10)
    found = Providers()
    for i in range(100):
        for j in range(2 * LAST):
            found.puts_off(f"d{i}.example.net", "", f"login:{j}", int(T0))
    assert len(found._answered) == 10 and {len(each) for each in found._answered.values()} == {LAST}
