"""What is kept of each sender, from events made by hand."""

from __future__ import annotations

from datetime import UTC, date
from zoneinfo import ZoneInfo

import pytest

from penstock.core.events import NOBODY, Delivered, Event
from penstock.core.names import Naming
from penstock.study.outside import is_outside
from penstock.study.sender_day import KEPT, MOST_DOMAINS, Detail, Top
from penstock.study.tally import GRACE, STRIDE, Tally, key_of
from study.support import DAY, MONDAY, mail, outcomes

ALICE = "login:alice@example.com"
MONDAY_ORDINAL = date(2026, 1, 5).toordinal()


def tallied(*events: Event, naming: Naming = Naming(), zone: str = "UTC") -> Tally:  # noqa: B008
    tally = Tally(naming, ZoneInfo(zone))
    for event in events:
        tally.feed(event)
    tally.finish()
    return tally


def days(tally: Tally, key: str) -> list[list[int]]:
    figures = tally.tracks[key].days
    return [list(figures[i : i + STRIDE]) for i in range(0, len(figures), STRIDE)]


def test_the_busiest_minute_hour_and_day_of_each_active_day() -> None:
    tally = tallied(
        mail(MONDAY + 10, ALICE, 3),
        mail(MONDAY + 50, ALICE, 4),
        mail(MONDAY + 80, ALICE, 1),
        mail(MONDAY + 7200, ALICE, 2),
        mail(MONDAY + 3 * DAY, ALICE, 1),
    )
    assert days(tally, ALICE) == [
        [MONDAY_ORDINAL, 7, 8, 10, 2, 3, 4],
        [MONDAY_ORDINAL + 3, 1, 1, 1, 1, 1, 1],
    ]


def test_a_window_reaches_back_into_yesterday() -> None:
    tally = tallied(mail(MONDAY + DAY - 10, ALICE, 30), mail(MONDAY + DAY + 10, ALICE, 5))
    assert days(tally, ALICE)[1] == [MONDAY_ORDINAL + 1, 35, 35, 35, 2, 2, 2]


def test_days_are_those_of_the_calendar() -> None:
    late = MONDAY + DAY - 1800
    assert [day[0] for day in days(tallied(mail(late, ALICE)), ALICE)] == [MONDAY_ORDINAL]
    berlin = tallied(mail(late, ALICE), zone="Europe/Berlin")
    assert [day[0] for day in days(berlin, ALICE)] == [MONDAY_ORDINAL + 1]
    assert berlin.volume == {(MONDAY_ORDINAL + 1, 0): 1}


def test_summer_time_neither_loses_nor_doubles_a_day() -> None:
    begin = 1774738800.0  # 2026-03-29 00:00 in Berlin: that day has 23 hours
    events = [mail(begin + 1800 * i, ALICE) for i in range(2 * 47)]
    found = days(tallied(*events, zone="Europe/Berlin"), ALICE)
    assert [day[0] - date(2026, 3, 29).toordinal() for day in found] == [0, 1]
    assert [day[3] for day in found] == [46, 48]


def test_one_account_under_several_spellings() -> None:
    tally = tallied(
        mail(MONDAY, "login:Alice"),
        mail(MONDAY + 1, "login:alice+shop@EXAMPLE.com"),
        naming=Naming(default_realm="example.com"),
    )
    assert list(tally.tracks) == [ALICE]
    assert days(tally, ALICE)[0][3] == 2


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        ("uid", "1033", "uid:1033"),
        ("uid", "www-data", "uid:www-data"),
        ("script", "/srv/x/mail.php", "script:/srv/x/mail.php"),
        ("script", "", "script:unknown"),
        ("ip", "2001:db8::1", "ip:2001:db8::/64"),
        ("login", "a\x00b", "login:a\\x00b"),
    ],
)
def test_keys(kind: str, name: str, key: str) -> None:
    assert key_of(kind, name, Naming()) == key


def test_what_is_nobodys_is_no_senders() -> None:
    accepted = mail(MONDAY, "login:x")
    accepted.message.kind = NOBODY
    tally = tallied(accepted, *outcomes(accepted, ["a@example.org"]))
    assert (tally.accepted, tally.messages, tally.tracks) == (1, 0, {})


def test_clients_without_login_count_when_their_mail_leaves() -> None:
    inbound, outbound = mail(MONDAY, "ip:198.51.100.1"), mail(MONDAY, "ip:198.51.100.2", 2)
    delivered = Delivered(MONDAY + 1, inbound.message, "a@here.example", "mail[private/dovecot-lmtp]")
    tally = tallied(inbound, delivered, outbound, *outcomes(outbound, ["a@example.org", "b@example.org"]))
    assert [(key, track.recipients, track.messages) for key, track in tally.tracks.items()] == [
        ("ip:198.51.100.2", 2, 1)
    ]


@pytest.mark.parametrize(
    ("relay", "outside"),
    [
        ("mx.example.org[203.0.113.9]:25", True),
        ("mx.example.org[2001:db8::1]:25", True),
        ("127.0.0.1[127.0.0.1]:10024", False),
        ("store.example[10.1.2.3]:24", False),
        ("local", False),
        ("none", False),
        ("x]y[z", False),
    ],
)
def test_outside(relay: str, outside: bool) -> None:
    assert is_outside(relay) is outside


def test_the_busiest_day_is_kept_with_what_became_of_it() -> None:
    accepted = mail(MONDAY + 5, ALICE, 10)
    accepted.message.client_address = "192.0.2.99"
    tally = tallied(
        mail(MONDAY, ALICE, 1),
        accepted,
        *outcomes(accepted, [f"{i}@Example.org" for i in range(6)]),
        *outcomes(accepted, ["x@example.net"], "bounced"),
        *outcomes(accepted, ["y@example.net", "z@example.net"], "deferred"),
        mail(MONDAY + 2 * DAY, ALICE, 1),
    )
    found = next(iter(tally.busiest("logins")))
    assert (found.sender, found.day, found.recipients, found.messages) == (ALICE, MONDAY_ORDINAL, 11, 2)
    assert (found.delivered, found.bounced, found.deferred) == (6, 1, 2)
    assert found.domains == (("example.org", 6), ("example.net", 1))
    assert found.clients == 2
    assert found.peaks[0] == (11, 2, int(MONDAY) + 5)


def test_recipients_that_the_log_does_not_number_count_with_their_outcomes() -> None:
    accepted = mail(MONDAY, ALICE, 0)
    tally = tallied(
        accepted,
        *outcomes(accepted, ["a@example.org", "b@example.org"]),
        *outcomes(accepted, ["c@example.org"], "deferred"),
        *outcomes(accepted, ["c@example.org"], "bounced"),
        mail(MONDAY + DAY, ALICE, 0),
    )
    assert [day[1:] for day in days(tally, ALICE)] == [[3, 3, 3, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert (tally.recipients, tally.messages) == (3, 2)


def test_outcomes_of_an_older_day_are_not_todays() -> None:
    old = mail(MONDAY, ALICE)
    tally = tallied(old, mail(MONDAY + DAY, ALICE, 2), *outcomes(old, ["a@example.org"], "bounced"))
    assert max(tally.busiest("logins"), key=lambda day: day.recipients).bounced == 0


def test_hostile_mail_costs_little() -> None:
    accepted = mail(MONDAY, ALICE, 5000)
    tally = tallied(accepted, *outcomes(accepted, [f"a@{i}.example" for i in range(5000)]))
    assert next(iter(tally.busiest("logins"))).domain_count == MOST_DOMAINS
    mad = [mail(at, ALICE, 1 << 70) for at in (-1e18, 0.0, 1e18, float("nan"), 3.9e9)]
    assert tallied(*mad).misdated == 4


def test_idle_senders_are_closed_and_forgotten_with_the_day() -> None:
    tally = Tally(Naming(), UTC)
    tally.feed(mail(MONDAY, ALICE))
    tally.feed(mail(MONDAY + DAY + GRACE + 60, "login:bob"))
    assert tally.tracks[ALICE].today is None
    tally.feed(mail(MONDAY + 3 * DAY, "login:bob"))
    assert len(tally.tracks[ALICE].timeline) == 0


def test_only_the_busiest_are_kept_in_full() -> None:
    top = Top()
    for i in range(5 * KEPT):
        detail = Detail(f"login:{i}", 1, i, 1, (), (), 0, 0, 0, 0, 0, 0)
        if top.wants(detail.sender, i):
            top.put(i, detail)
    best = {f"login:{i}" for i in range(4 * KEPT, 5 * KEPT)}
    assert best <= set(top.held)
    assert len(top.held) < 2 * KEPT
    assert not top.wants("login:new", 1)
