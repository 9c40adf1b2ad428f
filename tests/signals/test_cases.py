"""Each signal: where it fires, and who must be left in peace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log

import pytest

from penstock.core.evidence import Usual
from penstock.core.ledger import Counter, Ledger
from penstock.signals import (
    SIGNALS,
    bounces,
    fan_out,
    journey,
    known_dead,
    persistence,
    refusals,
    rotation,
    time_of_day,
    timing,
)
from penstock.signals.view import BURST_HOUR, RECENT, WINDOWS, Alike, Travel, View, busiest_hour
from signals.views import (
    DAY,
    HOUR,
    QUIET_MONTH,
    T0,
    Counts,
    abroad,
    ledger_of,
    long_ago,
    view,
    view_of,
    weight,
)

NEWSLETTER = Usual(novel=3000, recipients=5000, envelopes=20)
SLOW_WEEK = [{**abroad(12), "proven": 11, "newly_dead": 1}] * 6
"""A slow bot: a dozen strangers a day from elsewhere, one in twelve dead."""

ONE_BY_ONE = [{"recipients": 3, "messages": 3}] * 28
"""What a web site sends."""

HOPS = Travel(jumps=6, countries=7, km=9800.0, seconds=45.0, route="DE to BR")
"""A bot's: another country for each mail."""


def at_noon(days: Sequence[Counts], novel: int, now: int = 0) -> View:
    """So many new recipients at the time of day at which it always mails, and so many at night."""
    ledger = ledger_of({"novel": now}, {}, days)
    ledger.add(Counter.NOVEL, T0 - DAY // 2, novel)
    return view_of(ledger, T0)


FIRES: dict[str, dict[str, View]] = {
    "bounces": {
        "a bought list": view(novel=20, newly_dead=8, proven=12),
        "a list in which nobody exists": view(novel=6, newly_dead=6),
        "a fifth of many": view(novel=400, newly_dead=80, proven=320),
        "a slow list, all week": view(SLOW_WEEK, newly_dead=2, proven=10),
        "after a day of mail to accomplices": view(earlier={"proven": 300}, newly_dead=6, proven=10),
    },
    "campaign": {
        "three accounts write to strangers from one network": view(
            shared=3, shared_novel=20, foreign=7, foreign_novel=7
        ),
        "a network that an incident came from": view(tainted=True, shared=1, shared_novel=2, **abroad(2)),
    },
    "complaints": {
        "two about fifty mails": view(complaints=2, delivered=50),
        "ten about a newsletter": view(complaints=10, delivered=2000, usual=NEWSLETTER),
    },
    "content": {
        "three accounts send one text to strangers": view(alike=Alike(texts=3, recipients=15)),
        "each mail is written anew, all lead to one shop": view(alike=Alike(links=5, recipients=40)),
        "the text of an incident": view(alike=Alike(texts=1, recipients=4, tainted=True)),
        "ten colleagues, and nobody says that they are": view(alike=Alike(texts=3.25, recipients=90)),
        "hacked web sites": view(kind="uid", alike=Alike(texts=4, recipients=900)),
    },
    "dormant": {"a year of silence, then strangers from elsewhere": view(**abroad(20))},
    "envelope": {"three names at once": view(QUIET_MONTH, envelopes=3)},
    "fan-out": {
        "twenty to a message": view(ONE_BY_ONE, kind="uid", novel=40, recipients=40, messages=2),
        "the first of many, to five": view(ONE_BY_ONE, kind="script", novel=5, recipients=5, messages=1),
        "three to a message": view(ONE_BY_ONE, kind="uid", novel=6, recipients=6, messages=2),
    },
    "guessed": {"a guessed password": view(QUIET_MONTH, login_failures=200, **abroad(3))},
    "journey": {
        "a bot that hops from country to country": view(QUIET_MONTH, travel=HOPS, **abroad(4)),
        "the owner writes at home, the thief far away": view(
            QUIET_MONTH, travel=Travel(1, 2, 9800.0, 600.0, "DE to BR"), **abroad(3)
        ),
    },
    "known-dead": {
        "a list that somebody used before": view(novel=20, dead=3),
        "one of the first three": view(novel=3, dead=1),
    },
    "networks": {
        "strangers only": view(QUIET_MONTH, **abroad(6)),
        "a few strangers a day": view([abroad(3)] * 4, **abroad(2)),
        "a new account with a list, on many machines": view(age=0, networks=4, **abroad(15)),
        "one that was seen on few days, long ago": view(age=30, networks=1, **abroad(15)),
    },
    "novelty": {
        "a stranger's list": view(QUIET_MONTH, novel=60, recipients=60),
        "a new account with a list": view(novel=60, recipients=60, age=0),
        "beyond a list's own habit": view(long_ago(*[{"novel": 20}] * 5), novel=400, recipients=400),
        "all of it in an hour": view(long_ago(*[{"novel": 20}] * 5), novel=29, recipients=29),
        "a web site that writes one by one": view(kind="uid", novel=4, recipients=4),
    },
    "persistence": {
        "strangers all week": view(SLOW_WEEK, **abroad(5)),
        "a clean list that filters know": view([{**abroad(12), "proven": 11, "content": 1}] * 6, **abroad(5)),
    },
    "refusals": {
        "half is refused as spam": view(content=10, delivered=10),
        "throttled everywhere": view(throttled=20, delivered=5),
        "we are listed, by its doing": view(reputation=30, delivered=30),
    },
    "rotation": {
        "another machine for each mail": view(QUIET_MONTH, networks=12, **abroad(12)),
        "a new account on rented machines": view(age=0, networks=9, **abroad(9)),
        "one every hour": view(QUIET_MONTH, earlier={"networks": 11, **abroad(22)}, networks=1, **abroad(2)),
    },
    "scores": {
        "half of its mail": view(spam_scored=5, messages=10),
        "the first mail of the day": view(spam_scored=1, messages=1),
        "a fifth of a script's": view(kind="uid", spam_scored=100, messages=500),
    },
    "script": {
        "dropped among the uploads": view(kind="script", script="/srv/a/wp-content/uploads/x.php", novel=1),
        "in a hidden folder": view(kind="script", script="/srv/shop/.well-known/q.php", novel=4),
        "new, and writes to a stranger": view(kind="script", script="/srv/shop/a.php", age=0.1, novel=1),
    },
    "spread": {"consumers": view(novel=30, freemail=28)},
    "strangers": {"nobody knows them": view(novel=30, strangers=30)},
    "time-of-day": {
        "at night": view(QUIET_MONTH, novel=6),
        "most of it": at_noon(QUIET_MONTH, novel=2, now=5),
    },
    "timing": {
        "every ten seconds": view(QUIET_MONTH, novel=20, messages=20, steady=17),
        "as fast as it can, some to a message": view(QUIET_MONTH, novel=60, messages=12, steady=10),
        "it waits for answers in between": view(QUIET_MONTH, novel=20, messages=20, steady=9),
        "after a morning's letters": view(
            QUIET_MONTH, earlier={"novel": 30, "messages": 60}, novel=14, messages=14, steady=11
        ),
    },
    "traps": {
        "a list from the web": view(novel=40, traps=2),
        "one slip": view([{"traps": 1}]),
    },
    "volume": {"a hundred times its day": view(QUIET_MONTH, recipients=2000)},
}

QUIET: dict[str, dict[str, View]] = {
    "bounces": {
        "nothing came back": view(novel=50, proven=50),
        "a clean list's dead": view(novel=1000, newly_dead=7, proven=993),
        "a slip of the pen among others": view(novel=30, newly_dead=1, proven=29),
        "an address that bounces for ever": view(unknown_user=500, bounced=500),
        "a provider that fails": view(unknown_user=40, bounced=40, proven=30),
    },
    "campaign": {
        "one traveller": view(shared=1, shared_novel=5, **abroad(5)),
        "at home": view(shared=9, shared_novel=50, novel=5),
        "a conference, where people write home": view(
            shared=8, shared_novel=30, shared_known=60, **abroad(3)
        ),
        "known recipients from a carrier's network": view(
            shared=5, shared_novel=9, shared_known=3, **abroad(0, 6)
        ),
        "customers behind a network of ill repute": view(
            tainted=True, shared=4, shared_novel=5, shared_known=5, **abroad(1)
        ),
    },
    "complaints": {
        "nobody complains": view(delivered=50),
        "one in ten thousand of a newsletter": view(complaints=2, delivered=20_000),
    },
    "content": {
        "alone": view(novel=40, recipients=60),
        "one text of its own": view(alike=Alike(texts=1, links=1, recipients=200)),
        "a template that is hardly known yet": view(alike=Alike(texts=0.4, recipients=20)),
    },
    "dormant": {
        "back from leave, three letters": view(**abroad(3, 6)),
        "back from leave, to everybody, from where it was": view(novel=60, recipients=60),
        "it mailed yesterday": view([{"recipients": 1}], **abroad(20)),
        "it never mailed before": view(age=1, **abroad(20)),
    },
    "envelope": {
        "a new account's first name": view(envelopes=2, age=0),
        "software with many names": view(long_ago(*[{"envelopes": 5, "recipients": 9}] * 5), envelopes=5),
        "a local user": view(QUIET_MONTH, kind="uid", envelopes=9),
    },
    "fan-out": {
        "a newsletter, one by one": view(ONE_BY_ONE, kind="uid", novel=400, recipients=400, messages=400),
        "a form that copies to its owner": view(ONE_BY_ONE, kind="uid", novel=9, recipients=18, messages=9),
        "to its five moderators": view(ONE_BY_ONE, kind="uid", novel=0, recipients=5, messages=1),
        "two guests and their friends": view(ONE_BY_ONE, kind="uid", novel=5, recipients=5, messages=2),
        "a list server": view(
            long_ago(*[{"recipients": 90, "messages": 3}] * 5), kind="uid", novel=60, messages=2
        ),
        "in the first days of an installation": view(kind="uid", seen=0.0, novel=40, messages=2),
        "a person": view(ONE_BY_ONE, novel=40, recipients=40, messages=1),
    },
    "guessed": {
        "everybody is tried": view(QUIET_MONTH, login_failures=5000),
        "a typing error abroad": view(QUIET_MONTH, login_failures=3, **abroad(3)),
        "tried while the owner travels": view(QUIET_MONTH, login_failures=500, **abroad(0, 5)),
    },
    "journey": {
        "a journey by train through three countries": view(QUIET_MONTH, **abroad(3)),
        "a VPN to write to friends": view(
            QUIET_MONTH, travel=Travel(2, 3, 800.0, 60.0, "DE to SE"), **abroad(0, 8)
        ),
        "somebody new, from home, and a VPN before": view(QUIET_MONTH, travel=HOPS, novel=3, recipients=9),
    },
    "known-dead": {
        "none of them": view(novel=30),
        "one of a long list": view(novel=200, dead=1),
        "two of a newsletter": view(novel=500, dead=2, usual=NEWSLETTER),
    },
    "networks": {
        "at home": view(QUIET_MONTH, novel=3),
        "a traveller who writes to whom he knows": view(QUIET_MONTH, **abroad(2, 8)),
        "known recipients only": view(QUIET_MONTH, **abroad(0, 5)),
        "a website": view(QUIET_MONTH, kind="ip", **abroad(50)),
        "a burst from home": view(QUIET_MONTH, novel=40, recipients=40),
        "of whom nothing is known yet": view(age=0, seen=0.0, **abroad(9)),
        "a new customer's second network": view(age=1, networks=1, **abroad(9)),
    },
    "novelty": {
        "a person's day": view(QUIET_MONTH, novel=3, recipients=12),
        "a newsletter that grows": view(novel=500, recipients=4000, usual=NEWSLETTER),
        "who always meets many": view(long_ago(*[{"novel": 50}] * 5), earlier={"novel": 50}, novel=10),
        "on the first day of an installation": view(seen=0.0, novel=40, recipients=40),
    },
    "persistence": {
        "a journey": view([abroad(4)] * 3, **abroad(4)),
        "a business that has moved": view([{**abroad(20, 8), "proven": 19, "newly_dead": 1}] * 6),
        "a newsletter from a new host": view([{**abroad(50), "proven": 50}] * 3, **abroad(200)),
        "a clean list": view([{**abroad(12), "proven": 12}] * 6),
        "one who does not exist": view([{**abroad(4), "proven": 4}] * 6, **abroad(4), newly_dead=1, proven=3),
        "a local user": view(SLOW_WEEK, kind="uid"),
        "at home": view([{"novel": 12, "recipients": 12, "newly_dead": 1, "proven": 11}] * 6),
        "a letter to everybody, yesterday": view([{**abroad(400), "newly_dead": 20, "proven": 380}]),
        "four days ago": view([{}, {}, {}, {**abroad(400), "newly_dead": 20, "proven": 380}]),
    },
    "refusals": {
        "nothing refused": view(delivered=50),
        "one reply that calls it spam": view(content=1, delivered=20),
        "everybody here is refused": view(reputation=20, delivered=20, refused_elsewhere=0.4),
    },
    "rotation": {
        "a telephone on a train": view(QUIET_MONTH, networks=4, **abroad(4)),
        "a day of travelling": view(
            QUIET_MONTH, earlier={"networks": 7, **abroad(9)}, networks=1, **abroad(1)
        ),
        "to whom it knows": view(QUIET_MONTH, networks=12, **abroad(0, 12)),
        "a letter from one hotel, one by one": view(QUIET_MONTH, networks=1, messages=12, **abroad(12)),
        "who does it every day": view(
            long_ago(*[{"networks": 12, **abroad(6)}] * 5), networks=12, **abroad(9)
        ),
        "in the first days of an installation": view(seen=0.0, networks=12, **abroad(12)),
        "a website": view(QUIET_MONTH, kind="ip", networks=12, **abroad(12)),
    },
    "scores": {
        "nothing scored high": view(messages=50),
        "a newsletter of which one in a hundred trips the filter": view(spam_scored=20, messages=2000),
        "one of many": view(spam_scored=1, messages=40),
    },
    "script": {
        "a form of long ago": view(kind="script", script="/srv/shop/kontakt.php", novel=4),
        "a library": view(kind="script", script="/srv/shop/wp-includes/PHPMailer/PHPMailer.php", novel=40),
        "it writes to whom it knows": view(kind="script", script="/srv/shop/cache/report.php", recipients=4),
        "a shop called images": view(kind="script", script="/srv/images.example/index.php", novel=4),
    },
    "spread": {
        "a shop's few customers": view(novel=4, freemail=4),
        "companies": view(novel=30, freemail=9),
    },
    "strangers": {
        "half are known here": view(novel=30, strangers=15),
        "a person's day": view(novel=3, strangers=3),
    },
    "time-of-day": {
        "in office hours": at_noon(QUIET_MONTH, novel=60),
        "half of it late": at_noon(long_ago(*[{"recipients": 3}] * 6), novel=30, now=6),
        "a person's night": view(QUIET_MONTH, novel=4),
        "whose hours nobody knows": view(QUIET_MONTH[:7], novel=60),
        "a web site": view(QUIET_MONTH, kind="uid", novel=60),
    },
    "timing": {
        "a person with much to do": view(QUIET_MONTH, novel=20, messages=20, steady=1),
        "letters from the outbox": view(QUIET_MONTH, novel=10, messages=10, steady=8),
        "one letter to many": view(QUIET_MONTH, novel=80, messages=1),
        "shop software, as every week": view(
            long_ago(*[{"novel": 6, "messages": 6, "steady": 4}] * 9), novel=20, messages=20, steady=17
        ),
        "a newsletter": view(novel=500, messages=500, steady=480, usual=NEWSLETTER),
        "a web site": view(kind="uid", novel=60, messages=60, steady=57),
        "a customer's mail server": view(kind="ip", novel=60, messages=60, steady=57),
    },
    "traps": {
        "none of them": view(novel=40, recipients=60),
        "long ago": view([{}] * 9 + [{"traps": 3}]),
    },
    "volume": {
        "a person's day": view(QUIET_MONTH, recipients=20),
        "a busy day, twice a month": view(
            long_ago({"recipients": 900}, {}, {}, {"recipients": 800}), recipients=900
        ),
        "of whom nothing is known yet": view(seen=0.0, recipients=500),
    },
}


def cases(table: dict[str, dict[str, View]]) -> list[object]:
    return [
        pytest.param(signal, seen, id=f"{signal}: {case}")
        for signal, found in table.items()
        for case, seen in found.items()
    ]


@pytest.mark.parametrize(("signal", "seen"), cases(FIRES))
def test_it_fires(signal: str, seen: View) -> None:
    assert weight(signal, seen) >= 0.5


@pytest.mark.parametrize(("signal", "seen"), cases(QUIET))
def test_it_stays_quiet(signal: str, seen: View) -> None:
    assert weight(signal, seen) <= 0


def test_each_signal_has_a_case_of_both() -> None:
    assert set(FIRES) == set(QUIET) == {name for name, _, _ in SIGNALS}


@pytest.mark.parametrize(("days", "age"), [((), 400.0), (ONE_BY_ONE, fan_out.KNOWN_FOR - 1)])
def test_of_a_site_that_is_hardly_known_many_recipients_at_once_say_less(
    days: Sequence[Counts], age: float
) -> None:
    known, new = view(ONE_BY_ONE, "uid", novel=40, messages=2), view(days, "uid", age, novel=40, messages=2)
    assert weight("fan-out", known) == fan_out.WEIGHT > weight("fan-out", new) == fan_out.UNKNOWN


def test_between_two_quarters_of_the_day_is_between_their_habits() -> None:
    """Who mails until the evening is not up at night, nor strange a little later."""
    habit = view(QUIET_MONTH).habit
    assert habit.quarters[1] > 9 and sum(habit.quarters) == habit.quarters[1]
    said = []
    for hour in (9, 12, 13, 14, 15, 21, 3, 5, 6, 9):
        seen = replace(view(QUIET_MONTH, novel=9), times=[(hour * HOUR, 9)])
        said.append(weight("time-of-day", seen))
    assert said[:5] == sorted(said[:5]) and said[5:] == sorted(said[5:], reverse=True)
    assert said[0] == said[-1] == 0 and said[4] == said[5] == time_of_day.MOST


# --- outcomes -------------------------------------------------------------------------------------


def test_good_outcomes_speak_for_a_sender() -> None:
    assert weight("bounces", view(novel=300, proven=300)) < -1
    assert weight("bounces", view(novel=20, newly_dead=2, proven=100)) < weight(
        "bounces", view(novel=20, newly_dead=2, proven=10)
    )


def test_what_reaches_known_recipients_is_no_good_outcome() -> None:
    """An accomplice's mailbox is new once."""
    assert weight("bounces", view(newly_dead=3, proven=5, delivered=5000)) == weight(
        "bounces", view(newly_dead=3, proven=5)
    )


@pytest.mark.parametrize("proven", [0, 1, 5])
def test_anybody_has_one_dead_address(proven: int) -> None:
    assert 0 <= weight("bounces", view(newly_dead=1, proven=proven)) <= bounces.ONE
    burst = view(novel=30, newly_dead=1, proven=proven)
    assert burst.is_burst and weight("bounces", burst) <= bounces.ONE_OF_BURST
    assert weight("bounces", view(newly_dead=2)) > bounces.ONE


def test_one_dead_address_says_less_among_few_than_at_a_slow_bots_pace() -> None:
    few = view(newly_dead=1, novel=bounces.FEW_AN_HOUR - 1)
    assert weight("bounces", few) == bounces.ONE_OF_FEW
    quick = view(newly_dead=1, novel=bounces.FEW_AN_HOUR)
    many = view(newly_dead=1, novel=1, earlier={"novel": bounces.FEW_A_DAY - 1})
    assert weight("bounces", quick) == weight("bounces", many) == bounces.ONE


def test_credit_of_the_morning_does_not_pay_for_the_afternoon() -> None:
    """What the hour says clearly counts in place of the day; what it says vaguely does not."""
    told = {"newly_dead": 8, "proven": 8}
    alone, late = weight("bounces", view(**told)), weight("bounces", view(earlier={"proven": 1000}, **told))
    assert late == pytest.approx(alone - log(24)) and late > bounces.CLEAR
    burst = {"novel": 60, **told}
    assert weight("bounces", view(earlier={"proven": 1000}, **burst)) == weight("bounces", view(**burst))
    vague = view(newly_dead=2, proven=20)
    assert 0 < weight("bounces", vague) < bounces.CLEAR
    assert weight("bounces", view(earlier={"proven": 1000}, newly_dead=2, proven=20)) < 0


def test_of_many_hours_one_is_unlucky() -> None:
    """Who writes to three an hour all day meets two dead ones in one of them; a first hour is no choice."""
    first, one_of_many = view(newly_dead=2), view(earlier={"proven": 28}, newly_dead=2)
    assert weight("bounces", first) > bounces.CLEAR
    assert weight("bounces", one_of_many) == weight("bounces", view(newly_dead=2, proven=28)) < 1


def test_typing_errors_in_a_web_form_do_not_excuse_a_bought_list() -> None:
    """One in six of a few addresses a day was dead; now one in eight of hundreds is, all at once."""
    form = long_ago(*[{"novel": 5, "newly_dead": 1, "proven": 5}] * 8)
    few, many = (
        weight("bounces", view(form, kind="uid", novel=novel, newly_dead=novel // 8, proven=novel * 7 // 8))
        for novel in (32, 400)
    )
    assert few < 1 and many > bounces.CLEAR


def test_a_flood_s_list_is_told_from_an_old_address_book_sooner_than_a_slow_one() -> None:
    """Who floods does not clean his list: 10 to 50 %, against 3 to 20 %."""
    slow, fast = view(newly_dead=4, proven=12), view(novel=20, newly_dead=4, proven=12)
    assert weight("bounces", fast) > weight("bounces", slow) > 0


def test_a_web_site_has_no_old_address_book() -> None:
    """So the same dead addresses say more of it."""
    told = {"newly_dead": 6, "proven": 60}
    assert weight("bounces", view(kind="script", **told)) > weight("bounces", view(**told))


def test_a_form_whose_owner_gets_each_copy_is_no_list() -> None:
    """Visitors mistype their addresses; a script that was broken into writes to strangers only."""
    told = {"novel": 50, "newly_dead": 8, "proven": 42}
    site = weight("bounces", view(kind="uid", **told, recipients=50))
    form = weight("bounces", view(kind="uid", **told, recipients=100))
    assert site > bounces.CLEAR and form < 1
    person = weight("bounces", view(**told, recipients=100))
    assert person == weight("bounces", view(**told, recipients=50))


def test_an_honest_morning_of_a_form_does_not_cover_a_flood() -> None:
    """Copies count in the hour, too."""
    told = {"novel": 20, "newly_dead": 6, "proven": 14, "recipients": 20}
    covered = view(kind="uid", earlier={"recipients": 60}, **told)
    assert weight("bounces", covered) == weight("bounces", view(kind="uid", **told))


def test_one_known_dead_among_few_is_chance() -> None:
    assert weight("known-dead", view(novel=5, dead=1)) == known_dead.ONE
    assert weight("known-dead", view(novel=5, dead=2)) > 2 * known_dead.ONE


def test_many_known_dead_say_more_and_others_take_it_back() -> None:
    few, many = view(novel=20, dead=1), view(novel=20, dead=4)
    assert weight("known-dead", few) < weight("known-dead", many) <= known_dead.MOST
    assert weight("known-dead", view(novel=60, dead=2)) < weight("known-dead", view(novel=10, dead=2))


# --- networks -------------------------------------------------------------------------------------


def test_mail_to_known_recipients_speaks_for_a_sender() -> None:
    assert weight("novelty", view(novel=20, recipients=60)) < weight("novelty", view(novel=20, recipients=20))
    assert weight("networks", view(**abroad(5, 2))) < weight("networks", view(**abroad(5)))


def test_it_takes_at_most_a_third_of_novelty_away() -> None:
    """Or a thief would write to the owner's friends a thousand times first."""
    alone = weight("novelty", view(novel=20, recipients=20))
    assert weight("novelty", view(novel=20, recipients=20_000)) == pytest.approx(alone * 2 / 3)


def test_the_owner_of_a_web_site_who_reads_along_is_no_excuse_for_its_flood() -> None:
    alone = weight("novelty", view(kind="uid", novel=60, recipients=60))
    assert weight("novelty", view(kind="uid", novel=60, recipients=63)) == alone
    assert weight("novelty", view(kind="uid", novel=60, recipients=70)) < alone
    assert weight("novelty", view(novel=60, recipients=66)) < weight("novelty", view(novel=60, recipients=60))


def test_who_often_travels_and_who_writes_to_strangers_anyway_weighs_less() -> None:
    homely = weight("networks", view(QUIET_MONTH, **abroad(6)))
    travels = long_ago(*[{"networks": 2, "recipients": 5}] * 5)
    assert weight("networks", view(travels, **abroad(6))) == pytest.approx(homely / 3)
    sells = long_ago(*[{"novel": 8, "recipients": 10}] * 10)
    assert weight("networks", view(sells, **abroad(6))) < homely


def test_what_goes_to_strangers_from_home_on_the_same_day_takes_weight_away() -> None:
    away = weight("networks", view(**abroad(5)))
    assert weight("networks", view(**abroad(5) | {"novel": 50})) == pytest.approx(away / 10)


def test_one_place_for_many_messages_speaks_for_a_traveller() -> None:
    hotel = {"networks": 1, "messages": rotation.MESSAGES, **abroad(9)}

    def said(**other: int) -> float:
        return weight("rotation", view(QUIET_MONTH, earlier={**hotel, **other}, **abroad(1)))

    assert said() < -1
    assert said(networks=2) == said()
    assert said(networks=3) == said(messages=1) == 0
    assert said() < said(**abroad(3, 6)) < 0


def test_a_burst_from_one_place_speaks_for_nobody() -> None:
    flood = view(QUIET_MONTH, networks=1, messages=rotation.MESSAGES, **abroad(9))
    assert flood.is_burst and weight("rotation", flood) == 0


def test_what_the_owner_sends_from_home_makes_no_thief_a_traveller() -> None:
    """Messages are not counted by network: of those of a day, as many as of its recipients."""
    thief = {"networks": 1, "foreign": 6, "foreign_novel": 6, "novel": 6}
    seen = view(QUIET_MONTH, messages=13, recipients=18, **thief)
    assert not seen.is_burst and weight("rotation", seen) == 0


def test_a_burst_from_home_speaks_for_the_owner_as_far_as_the_sender_is_known() -> None:
    burst = {"novel": 40, "recipients": 40}
    settled = weight("networks", view(QUIET_MONTH, **burst))
    assert settled < -1
    assert settled < weight("networks", view(QUIET_MONTH, seen=0.5, **burst)) < 0
    assert settled < weight("networks", view([{"recipients": 3}] * 2, **burst)) < 0
    assert weight("networks", view(**burst)) == 0


def test_a_stranger_who_is_hardly_known_may_be_one_who_writes_seldom() -> None:
    for signal, seen in (
        ("novelty", {"novel": 60}),
        ("volume", {"recipients": 2000}),
        ("networks", abroad(6)),
    ):
        known = weight(signal, view(**seen))
        assert weight(signal, view(seen=0.25, **seen)) == pytest.approx(known / 4)


def test_a_campaign_is_judged_by_all_that_comes_from_its_network() -> None:
    two, five = (view(shared=n, shared_novel=20, **abroad(2)) for n in (2, 5))
    assert weight("campaign", two) < weight("campaign", five)
    mixed = view(shared=5, shared_novel=20, shared_known=4, **abroad(2))
    assert 0 < weight("campaign", mixed) < weight("campaign", five)


def drip(
    hours: int, an_hour: int, from_home: bool = False, days: Sequence[Counts] = QUIET_MONTH, **more: int
) -> View:
    """Hours of strangers until now, one of twenty-five dead, and a past."""
    ledger = ledger_of({}, {}, days)
    for hour in range(hours):
        to = {"recipients": an_hour, "novel": an_hour} if from_home else abroad(an_hour)
        counts = {**to, "newly_dead": an_hour // 25, "proven": an_hour - an_hour // 25, **more}
        for name, n in counts.items():
            ledger.add(Counter[name.upper()], T0 - hour * HOUR - 1800, n)
    return view_of(ledger, T0)


def test_persistence_tells_a_day_of_strangers_from_a_letter_to_everybody() -> None:
    assert [weight("persistence", drip(hours, 25)) for hours in (1, 2)] == [0, 0]
    assert 0 < weight("persistence", drip(5, 25)) <= weight("persistence", drip(8, 25)) == persistence.MOST


def test_strangers_all_day_long_are_no_person_s_work_from_home_either() -> None:
    """Nor many in few hours, nor few in many."""
    said = [weight("persistence", drip(hours, 25, from_home=True)) for hours in (2, 4, 5, 6, 8, 12)]
    assert said == sorted(said) and said[1] == 0 < said[2] and said[4] > 2.5
    assert weight("persistence", drip(12, 2, from_home=True, newly_dead=1)) == 0


@pytest.mark.parametrize(
    ("whose", "seen"),
    {
        "a shop's usual day": drip(10, 25, True, long_ago(*[{"novel": 200, "recipients": 240}] * 9)),
        "among people it knows": drip(10, 25, True, recipients=40),
        "a list that is clean": drip(10, 24, True, newly_dead=0),
        "a newsletter that takes its time": drip(10, 75, True),
    }.items(),
    ids=lambda whose: whose if isinstance(whose, str) else "",
)
def test_other_mail_that_takes_all_day(whose: str, seen: View) -> None:
    assert seen.hours == 10 and weight("persistence", seen) == 0, whose


def night(ledger: Ledger, ends: int, an_hour: int, hours: int = 3) -> None:
    """Hours of strangers from abroad until then, one of twenty-four dead."""
    counts = {**abroad(an_hour // 6), "proven": an_hour // 6}
    for at in range(ends - hours * HOUR, ends, 600):
        for name, n in counts.items():
            ledger.add(Counter[name.upper()], at, n)
    ledger.add(Counter.NEWLY_DEAD, ends, hours * an_hour // 24)


@pytest.mark.parametrize("an_hour", [48, 240])
def test_a_flood_s_pace_excuses_no_second_night(an_hour: int) -> None:
    """A letter is done in a day, however many it goes to; who comes back on the next ones has a list."""
    ledger, said = ledger_of({}, {}, QUIET_MONTH), []
    for day in range(4):
        night(ledger, T0 + day * DAY, an_hour)
        seen = view_of(ledger, T0 + day * DAY)
        said.append(weight("persistence", seen))
    assert seen.is_burst and said[0] == 0 < said[2] == said[3] == persistence.MOST


def test_a_letter_in_batches_is_one_letter_however_long_they_take() -> None:
    """Ten at a time, four times an hour, from abroad; some of them have left."""
    ledger = ledger_of({}, {}, QUIET_MONTH)
    for batch in range(16):
        for name, n in {**abroad(10), "proven": 9, "newly_dead": batch % 2}.items():
            ledger.add(Counter[name.upper()], T0 - 900 * batch, n)
    seen = view_of(ledger, T0)
    assert seen.is_burst and seen.at_one_go < seen.today(Counter.FOREIGN_NOVEL) == 160
    assert weight("persistence", seen) == 0


def test_persistence_grows_with_each_further_stranger() -> None:
    grown = [weight("persistence", view(SLOW_WEEK[:days], **abroad(5))) for days in range(1, 7)]
    assert grown == sorted(grown) and grown[0] == 0 < grown[-1] <= persistence.MOST


def test_a_burst_is_seen_at_each_of_its_paces() -> None:
    assert view(novel=9).is_burst and not view(novel=8).is_burst
    assert view(novel=4, stopped=5).is_burst, "what was asked for and not let through"
    assert view(earlier={"novel": 60}).is_burst and not view(earlier={"novel": 59}).is_burst


def test_who_is_turned_away_and_comes_again_is_no_burst_for_the_whole_day() -> None:
    assert view(stopped=60).is_burst and not view(earlier={"novel": 20, "stopped": 400}).is_burst


def test_many_a_day_are_no_burst_if_no_hour_has_many() -> None:
    """A bot that sends slowly is not told by a flood's figures, however long it goes on."""
    slow = Ledger()
    for hour in range(20):
        slow.add(Counter.NOVEL, T0 - hour * HOUR - 1800, 25)
    week = slow.sums(T0, WINDOWS)[3]
    assert week[Counter.NOVEL] == 500 and busiest_hour(slow, week, T0, RECENT) < BURST_HOUR


def test_the_end_of_a_burst_is_no_slow_sender_a_day_later() -> None:
    """What is left of it in the last 24 hours goes on being judged by what it was, and is no second day."""
    ledger = Ledger()
    for minute in range(20):
        for counter, n in {**abroad(20), "newly_dead": 1, "proven": 19}.items():
            ledger.add(Counter[counter.upper()], T0 - DAY - 600 + 60 * minute, n)
    for later in (0, 300, 900, HOUR, DAY // 2):
        seen = view_of(ledger, T0 + later)
        assert seen.is_burst and weight("persistence", seen) == 0
        assert seen.today(Counter.FOREIGN_NOVEL) < seen.week[Counter.FOREIGN_NOVEL] == 400
    assert not view_of(ledger, T0 + 2 * DAY).is_burst
    assert weight("persistence", view_of(ledger, T0 + 2 * DAY)) == 0


def test_what_is_refused_as_spam_says_more_than_a_rate_or_one_filter() -> None:
    """A large newsletter is throttled, one provider of ten may dislike it; a bot is refused everywhere."""
    throttled = weight("refusals", view(throttled=40, delivered=80))
    disliked = weight("refusals", view(content=12, delivered=88))
    spam = weight("refusals", view(content=20, reputation=20, delivered=80))
    assert throttled == refusals.MOST and disliked <= refusals.MOST
    assert spam == refusals.MOST + refusals.MOST_OF_SPAM
    listed = view(reputation=20, content=20, delivered=80, refused_elsewhere=0.13)
    assert 0 < weight("refusals", listed) <= refusals.MOST


def test_one_refusal_about_us_is_nothing_much() -> None:
    assert 0 < weight("refusals", view(content=1)) <= 0.4 < weight("refusals", view(content=2))


# --- journeys and timing --------------------------------------------------------------------------


def test_one_impossible_journey_is_little_and_each_further_country_more() -> None:
    said = [
        weight("journey", view(QUIET_MONTH, travel=Travel(n, n + 1, 9000.0, 60.0, "DE to BR"), **abroad(4)))
        for n in range(1, 6)
    ]
    assert 0.5 < said[0] < 1 and said == sorted(said) and said[-1] == journey.MOST
    back_and_forth = view(QUIET_MONTH, travel=Travel(9, 2, 9000.0, 60.0, "DE to BR"), **abroad(4))
    assert weight("journey", back_and_forth) == said[0], "an owner at home and a VPN"


def test_who_writes_to_friends_from_there_or_travels_anyway_weighs_less() -> None:
    alone = weight("journey", view(QUIET_MONTH, travel=HOPS, **abroad(4)))
    assert weight("journey", view(QUIET_MONTH, travel=HOPS, **abroad(4, 12))) == pytest.approx(alone / 4)
    travels = long_ago(*[{"networks": 2, "recipients": 5}] * 5)
    assert weight("journey", view(travels, travel=HOPS, **abroad(4))) == pytest.approx(alone / 3)


def test_chance_never_speaks_for_a_sender_and_few_messages_say_nothing() -> None:
    assert weight("timing", view(QUIET_MONTH, novel=40, messages=40, steady=0)) == 0
    assert weight("timing", view(QUIET_MONTH, novel=40, messages=11, steady=9)) == 0
    assert weight("timing", view(QUIET_MONTH, novel=40, messages=40, steady=38)) == timing.MOST


@pytest.mark.parametrize(
    ("signal", "seen", "told"),
    [
        ("bounces", view(novel=1, newly_dead=1), "1 address does not exist, nobody new got it"),
        ("bounces", view(novel=1, proven=1), "1 new recipient got it, none is dead"),
        (
            "bounces",
            view(novel=3000, newly_dead=2, proven=1200),
            "2 addresses do not exist, 1,200 new recipients got it",
        ),
        ("known-dead", view(novel=9, dead=1), "1 recipient was known to be dead"),
        ("refusals", view(content=1), "1 recipient was refused for content, reputation or rate"),
        ("strangers", view(novel=8, strangers=8), "nobody here knows any of the 8 new recipients"),
        ("strangers", view(novel=8, strangers=7), "nobody here knows 7 of the 8 new recipients"),
        ("strangers", view(novel=8), "each of the 8 new recipients is known to somebody here"),
        ("spread", view(novel=8, freemail=8), "all 8 new recipients are at free providers"),
        ("traps", view(traps=1), "it wrote to 1 spam trap"),
    ],
)
def test_a_finding_reads_as_a_person_says_it(signal: str, seen: View, told: str) -> None:
    found = next(weigh for name, _, weigh in SIGNALS if name == signal)(seen)
    assert found is not None and found[1] == told
