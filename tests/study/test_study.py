"""A platform's weeks from the log to the findings and the proposed policy."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path

import pytest

from penstock.config import parse
from penstock.core.limits import Unit
from penstock.core.names import Naming
from penstock.study.export import as_json
from penstock.study.findings import Group, Study
from penstock.study.proposal import round_up
from penstock.study.run import NothingToStudy, study
from penstock.study.sources import open_sources
from study.support import DAY, HIJACKED, MONDAY, NEWS, Platform, weeks

REAL = Path(__file__).parents[3] / "shared" / "data" / "logs" / "postfix"


def studied(platform: Platform, path: Path, naming: Naming = Naming()) -> Study:  # noqa: B008
    sources = open_sources([str(platform.write(path))])
    return study(sources, UTC, None, MONDAY + 30 * DAY, naming, parse("").policy)


def logins(found: Study) -> Group:
    return next(group for group in found.groups if group.name == "logins")


def by_definition(sent: Iterable[tuple[int, str, int]], window: int) -> list[int]:
    """The most recipients in any window that ended on a sender's day, for each active day."""
    senders: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for at, sender, n in sent:
        senders[sender].append((at, n))
    found: dict[tuple[str, int], int] = defaultdict(int)
    for sender, mail in senders.items():
        mail.sort()
        oldest = held = 0
        for i, (at, n) in enumerate(mail):
            held += n
            while mail[oldest][0] <= at - window:
                held -= mail[oldest][1]
                oldest += 1
            if i + 1 == len(mail) or mail[i + 1][0] > at:
                day = sender, int((at - MONDAY) // DAY)
                found[day] = max(found[day], held)
    return sorted(found.values())


@pytest.mark.parametrize("window", [60, 3600, 86400])
def test_quantiles_and_limits_are_exact(found: Study, platform: Platform, window: int) -> None:
    spread = logins(found).spread(Unit.RECIPIENTS, window)
    values = by_definition(platform.sent, window)
    assert logins(found).sender_days == len(values)
    assert spread.most == values[-1]
    for percent, share in (("50", 50), ("90", 90), ("95", 95), ("99", 99)):
        assert spread.quantiles[percent] == values[-(-len(values) * share // 100) - 1]
    assert spread.threshold(100).days == sum(value > (spread.threshold(100).limit or 0) for value in values)
    assert spread.threshold(100).days <= len(values) // 100


def test_what_the_data_is_too_small_for_is_not_given(found: Study) -> None:
    group = logins(found)
    assert 1_000 < group.sender_days < 10_000
    assert group.spreads[0].threshold(10_000).limit is None
    assert group.spreads[0].quantiles["99.99"] is None


def test_scripts_are_studied_apart(found: Study) -> None:
    scripts = next(group for group in found.groups if group.name == "scripts")
    assert (scripts.senders, scripts.sender_days, scripts.recipients) == (1, 19, 19 * 48)
    assert scripts.touched_senders == 0
    assert [one.sender for one in scripts.touched] == ["uid:1033"]


def test_the_hijacked_account_and_the_newsletter_are_told_apart(found: Study) -> None:
    touched = {one.sender: one for one in logins(found).touched}
    hijacked, news = touched[HIJACKED], touched[NEWS]
    assert next(iter(touched)) == HIJACKED
    assert hijacked.guess == "hijacked?"
    assert "30% bounced" in hijacked.signs
    assert hijacked.busiest.clients >= 40
    assert (news.guess, news.touched_days, news.active_days) == ("list or software", 6, 6)
    assert [one.sender for one in touched.values() if one.guess] == [HIJACKED, NEWS]


def test_the_proposed_policy_is_valid_and_means_what_it_says(found: Study) -> None:
    settings = parse(found.policy)
    assert settings.warnings == ()
    assert settings.mode == "shadow"
    assert settings.policy.overrides[NEWS].profile == "newsletter"
    assert HIJACKED not in settings.policy.overrides
    personal = {str(limit) for limit in settings.policy.profiles["personal"].limits}
    assert {"50/m", "100/h", "200/d"} <= personal
    assert f"look hijacked: {HIJACKED}" in found.policy


def test_little_data_does_not_make_stricter_than_built_in(tmp_path: Path) -> None:
    settings = parse(studied(weeks(days=3, logins=60), tmp_path / "mail.log").policy)
    assert settings.warnings == ()
    assert settings.policy.profiles["personal"].limits[:3] == tuple(
        limit.__class__(limit.unit, limit.amount, limit.window, "shadow")
        for limit in parse("").policy.profiles["personal"].limits[:3]
    )


def test_next_to_no_data_proposes_nothing(tmp_path: Path) -> None:
    platform = Platform()
    platform.message(MONDAY, "a@example.com", platform.people(3))
    found = studied(platform, tmp_path / "mail.log")
    assert "[profiles" not in found.policy
    assert "Too few sender-days" in found.policy
    assert parse(found.policy).mode == "shadow"


def test_the_names_of_the_policy_are_carried_over(tmp_path: Path) -> None:
    platform = Platform()
    for day in range(10):
        for i in range(20):
            platform.message(MONDAY + day * DAY + i, f"user{i}", platform.people(2))
        for i in range(900):
            platform.message(MONDAY + day * DAY + 3600 + i, 'ne"ws', platform.people(1))
    naming = Naming(
        default_realm="example.com", realm_aliases={"old.example": "example.com"}, plus_tags=False
    )
    settings = parse(studied(platform, tmp_path / "mail.log", naming).policy)
    assert settings.policy.naming == naming
    assert settings.policy.overrides['login:ne"ws@example.com'].profile == "newsletter"
    assert settings.warnings == ()


def test_scripts_get_limits_of_their_own(tmp_path: Path) -> None:
    platform = Platform()
    for day in range(14):
        for uid in range(1000, 1015):
            platform.script(MONDAY + day * DAY + uid, uid, platform.people(1))
        for i in range(3000):
            platform.script(MONDAY + day * DAY + 36000 + i // 5, 2000, platform.people(1))
    settings = parse(studied(platform, tmp_path / "mail.log").policy)
    override = settings.policy.overrides["uid:2000"]
    assert override.profile is None
    assert {str(limit) for limit in override.limits} == {"600/m", "6000/h", "8000/d"}
    assert settings.warnings == ()


def test_json_holds_everything(found: Study) -> None:
    told = json.loads(json.dumps(as_json(found)))
    assert told["lines"] == told["lines_understood"]
    assert told["messages"] == found.period.messages
    assert told["policy"] == found.policy
    assert sum(sum(day["hours"].values()) for day in told["volume"]) == told["recipients"]
    group = told["groups"]["logins"]
    assert len(group["distributions"]) == 6
    assert group["touched"][0]["busiest_day"]["windows"]["hour"]["recipients"] == 6000
    assert group["distributions"][0]["limits"][2]["limit"] is None


def test_logs_without_senders_say_why(tmp_path: Path) -> None:
    platform = Platform()
    platform.relayed(MONDAY, "198.51.100.1", "a@here.example", inside=True)
    log = platform.write(tmp_path / "mail.log")
    with log.open("a") as file:
        file.write("Jan  5 00:01:00 mx postfix/qmgr[1]: never seen before\n")
    with pytest.raises(NothingToStudy) as why:
        study(open_sources([str(log)]), UTC, None, MONDAY + DAY, Naming(), parse("").policy)
    assert "no message of any sender in 6 lines: 5 understood" in str(why.value)
    assert "unknown: qmgr 1" in str(why.value)
    assert "1 message from outside, or notices" in str(why.value)


def test_relays_are_studied_when_mail_leaves(tmp_path: Path) -> None:
    platform = Platform()
    platform.relayed(MONDAY, "198.51.100.1", "a@example.org", inside=False)
    platform.relayed(MONDAY, "198.51.100.2", "a@here.example", inside=True)
    found = studied(platform, tmp_path / "mail.log")
    assert [(group.name, group.senders) for group in found.groups] == [("addresses", 1)]


@pytest.mark.parametrize(
    ("amount", "rounded"), [(0, 10), (10, 10), (11, 12), (41, 50), (810, 1000), (1200, 1200)]
)
def test_round_numbers(amount: int, rounded: int) -> None:
    assert round_up(amount) == rounded


def test_a_real_log() -> None:
    if not REAL.is_dir():
        pytest.skip("../shared/data is not there")
    found = study(open_sources([str(REAL)]), UTC, 2021, 0, Naming(), parse("").policy)
    assert found.period.lines == 7534
    assert found.period.unknown_lines < 7534 * 0.005
    assert logins(found).senders >= 2
    assert parse(found.policy).warnings == ()
