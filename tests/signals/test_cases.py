"""Each signal: where it fires, and who must be left in peace."""

from __future__ import annotations

import pytest

from penstock.core.evidence import Usual
from penstock.signals import SIGNALS
from penstock.signals.view import View
from signals.views import QUIET_WEEK, view, weight

NEWSLETTER = Usual(novel=3000, recipients=5000, envelopes=20)

FIRES: dict[str, dict[str, View]] = {
    "bounces": {
        "a bought list": view(novel=20, newly_dead=8, delivered=12),
        "a list in which nobody exists": view(novel=6, newly_dead=6),
        "a fifth of many": view(novel=400, newly_dead=80, delivered=320),
    },
    "campaign": {
        "three accounts from one new network": view(shared=3, networks=1),
        "a network that an incident came from": view(tainted=True, networks=1),
    },
    "complaints": {
        "two about fifty mails": view(complaints=2, delivered=50),
        "ten about a newsletter": view(complaints=10, delivered=2000, usual=NEWSLETTER),
    },
    "dormant": {"a year of silence, then strangers": view(novel=20, recipients=20)},
    "envelope": {"three names at once": view(QUIET_WEEK, envelopes=3)},
    "guessed": {"a guessed password": view(QUIET_WEEK, login_failures=200, networks=1)},
    "known-dead": {"a list that somebody used before": view(dead=3)},
    "networks": {
        "one new network": view(QUIET_WEEK, networks=1),
        "a botnet": view(QUIET_WEEK, networks=12),
    },
    "novelty": {
        "a stranger's list": view(QUIET_WEEK, novel=60, recipients=60),
        "a new account with a list": view(novel=60, recipients=60, age=0),
        "beyond a list's own habit": view([{"novel": 20}] * 5, novel=400, recipients=400),
    },
    "refusals": {
        "half is refused as spam": view(content=10, delivered=10),
        "throttled everywhere": view(throttled=20, delivered=5),
        "we are listed, by its doing": view(reputation=30, delivered=30),
    },
    "spread": {"consumers": view(novel=30, freemail=28)},
    "strangers": {"nobody knows them": view(novel=30, strangers=30)},
    "volume": {"a hundred times its day": view(QUIET_WEEK, recipients=2000)},
}

QUIET: dict[str, dict[str, View]] = {
    "bounces": {
        "nothing came back": view(novel=50, delivered=50),
        "a clean list's dead": view(novel=1000, newly_dead=7, delivered=993),
        "one slip of the pen": view(novel=8, newly_dead=1, delivered=30),
    },
    "campaign": {"one traveller": view(shared=1, networks=1), "nobody new": view()},
    "complaints": {
        "nobody complains": view(delivered=50),
        "one in ten thousand of a newsletter": view(complaints=2, delivered=20_000),
    },
    "dormant": {
        "back from leave, three letters": view(novel=3, recipients=9),
        "it mailed yesterday": view([{"recipients": 1}], novel=20),
        "it never mailed before": view(novel=20, age=1),
    },
    "envelope": {
        "a new account's first name": view(envelopes=2, age=0),
        "software with many names": view([{"envelopes": 5, "recipients": 9}] * 5, envelopes=5),
        "a local user": view(QUIET_WEEK, kind="uid", envelopes=9),
    },
    "guessed": {
        "everybody is tried": view(QUIET_WEEK, login_failures=5000),
        "a typing error abroad": view(QUIET_WEEK, login_failures=3, networks=1),
    },
    "known-dead": {"none of them": view(novel=30)},
    "networks": {
        "at home": view(QUIET_WEEK),
        "who travels often": view([{"networks": 2, "recipients": 5}] * 5, networks=2),
        "a new account": view(networks=1, age=0),
        "no login": view(QUIET_WEEK, kind="ip", networks=5),
    },
    "novelty": {
        "a person's day": view(QUIET_WEEK, novel=3, recipients=12),
        "a newsletter that grows": view(novel=500, recipients=4000, usual=NEWSLETTER),
        "who always meets many": view([{"novel": 50}] * 5, novel=60, recipients=60),
    },
    "refusals": {
        "nothing refused": view(delivered=50),
        "everybody here is refused": view(reputation=20, delivered=20, refused_elsewhere=0.4),
    },
    "spread": {
        "a shop's few customers": view(novel=4, freemail=4),
        "companies": view(novel=30, freemail=9),
    },
    "strangers": {
        "half are known here": view(novel=30, strangers=15),
        "a person's day": view(novel=3, strangers=3),
    },
    "volume": {
        "a person's day": view(QUIET_WEEK, recipients=20),
        "a busy day, twice a month": view([{"recipients": 900}, {}, {}, {"recipients": 800}], recipients=900),
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


def test_good_outcomes_speak_for_a_sender() -> None:
    assert weight("bounces", view(novel=300, delivered=300)) < -0.1
    assert weight("bounces", view(novel=20, newly_dead=2, delivered=100)) < weight(
        "bounces", view(novel=20, newly_dead=2, delivered=10)
    )


def test_mail_to_known_recipients_speaks_for_a_sender() -> None:
    assert weight("novelty", view(novel=20, recipients=60)) < weight("novelty", view(novel=20, recipients=20))


def test_one_new_network_weighs_less_than_several() -> None:
    one, many = view(QUIET_WEEK, networks=1), view(QUIET_WEEK, networks=4)
    assert weight("networks", one) < weight("networks", many)
