"""Lines of a followed log on their way to the engine: whom they are counted for, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.conftest import Logs
from app.live import Clock, command, run, serving, until
from penstock.app import figures, metrics
from penstock.app.watching import AHEAD, JournalFeed, LogFeed
from penstock.config.settings import LogSource
from penstock.core.events import Event
from penstock.core.ledger import Counter
from penstock.servers.follow.export import Entry
from support import ALICE, T0, World, policy

SCRIPT = "uid:33"
NOW = datetime.fromtimestamp(T0, UTC)


def lines(
    login: str = "alice@example.com", qid: str = "4Xy1QZ0bcdz2Gh", at: datetime = NOW, n: int = 1
) -> list[str]:
    """What Postfix logs about one message of a login to ``n`` recipients, one of which is unknown."""
    stamp = f"{at:%b} {at.day:2} {at:%H:%M:%S} mx1 postfix"
    who = f"client=unknown[192.0.2.7], sasl_method=PLAIN, sasl_username={login}"
    start = f"{stamp}/submission/smtpd[7]: {qid}: {who}"
    return [start, *_rest(stamp, qid, n)]


def script(qid: str = "4Xy2QZ0bcdz2Gh", uid: int = 33, at: datetime = NOW) -> list[str]:
    """The same for a local user's script."""
    stamp = f"{at:%b} {at.day:2} {at:%H:%M:%S} mx1 postfix"
    return [f"{stamp}/pickup[8]: {qid}: uid={uid} from=<www>", *_rest(stamp, qid, 1)]


def _rest(stamp: str, qid: str, n: int) -> list[str]:
    gone = "dsn=5.1.1, status=bounced (host mx.example.net[203.0.113.9] said: 550 5.1.1 User unknown)"
    sent = "dsn=2.0.0, status=sent (250 2.0.0 Ok)"
    return [
        f"{stamp}/cleanup[9]: {qid}: message-id=<{qid}@example.com>",
        f"{stamp}/qmgr[5]: {qid}: from=<a@example.com>, size=4321, nrcpt={n} (queue active)",
        *(
            f"{stamp}/smtp[6]: {qid}: to=<r{i}@example.net>, relay=mx.example.net[203.0.113.9]:25, delay=1, "
            f"delays=0/0/0/1, {gone if i == 0 else sent}"
            for i in range(n)
        ),
        f"{stamp}/qmgr[5]: {qid}: removed",
    ]


class Stage:
    """An engine and a feed to it."""

    def __init__(self, counted: str = "local", zone: str = "UTC", make: type[LogFeed] = LogFeed) -> None:
        self.world = World(policy())
        source = LogSource(None, counted=counted, time_zone=zone)
        self.feed = make(self.world.engine, source, "here", lambda: self.world.at)

    def take(self, texts: list[str], silent: bool = False) -> None:
        self.feed.feed(texts, silent)

    def total(self, counter: Counter, key: str = ALICE, window: int = 86400) -> int:
        return self.world.total(counter, key, window)


# --- whose mail is counted ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counted", "login", "uid"),
    [("local", 0, 1), ("all", 3, 1), ("none", 0, 0)],
    ids=["local", "all", "none"],
)
def test_whose_recipients_are_counted(counted: str, login: int, uid: int) -> None:
    """Outcomes are everybody's: only they tell what became of what the gate let pass."""
    stage = Stage(counted)
    stage.take(lines(n=3) + script())
    assert (stage.total(Counter.RECIPIENTS), stage.total(Counter.RECIPIENTS, SCRIPT)) == (login, uid)
    assert (stage.total(Counter.MESSAGES), stage.total(Counter.MESSAGES, SCRIPT)) == (min(login, 1), uid)
    assert (stage.total(Counter.DELIVERED), stage.total(Counter.BOUNCED)) == (2, 1)
    assert stage.total(Counter.BOUNCED, SCRIPT) == 1


def test_silent_lines_count_nothing_and_are_remembered() -> None:
    """They were counted before a crash; the index of sent mail may have lost them, and what follows needs
    the join."""
    stage = Stage("all")
    whole = lines(n=3)
    stage.take(whole[:4], silent=True)
    assert stage.world.counts.rows == []
    assert stage.world.sent.by_message_id == {"4Xy1QZ0bcdz2Gh@example.com": ALICE}
    stage.take(whole[4:])
    assert (
        stage.total(Counter.RECIPIENTS),
        stage.total(Counter.DELIVERED),
        stage.total(Counter.BOUNCED),
    ) == (0, 2, 0)


def test_a_packed_join_goes_on_where_it_was() -> None:
    first, second = Stage(), Stage()
    whole = lines(n=3)
    first.take(whole[:3])
    second.feed.load(first.feed.pack())
    second.take(whole[3:])
    assert (second.total(Counter.DELIVERED), second.total(Counter.BOUNCED)) == (2, 1)


# --- time -----------------------------------------------------------------------------------------


def test_stamps_without_a_zone_are_in_that_of_the_log() -> None:
    stage = Stage("all", zone="Asia/Tokyo")
    stage.take(lines(at=NOW + timedelta(hours=9) - timedelta(minutes=5)))
    assert stage.feed.newest == T0 - 300
    assert (stage.total(Counter.RECIPIENTS, window=240), stage.total(Counter.RECIPIENTS, window=360)) == (
        0,
        1,
    )


@pytest.mark.parametrize("ahead", [AHEAD + 1, 3600, 20 * 3600], ids=["a minute", "an hour", "a day"])
def test_what_lies_in_the_future_is_taken_for_now(ahead: float) -> None:
    stage = Stage("all")
    stage.take(lines(at=NOW + timedelta(seconds=ahead)))
    assert stage.feed.newest == T0
    assert (stage.total(Counter.RECIPIENTS), stage.total(Counter.BOUNCED)) == (1, 1)


def test_a_clock_that_is_a_little_fast_is_believed() -> None:
    stage = Stage("all")
    stage.take(lines(at=NOW + timedelta(seconds=30)))
    assert stage.feed.newest == T0 + 30


# --- faults ---------------------------------------------------------------------------------------


def broken(stage: Stage, when: Callable[[Any], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that has a bug with some events."""
    inner = stage.world.engine.observe

    def observe(event: Event, charged: frozenset[str]) -> None:
        if when(event):
            raise ZeroDivisionError
        inner(event, charged)

    monkeypatch.setattr(stage.world.engine, "observe", observe)


def test_a_bug_costs_the_event_that_meets_it(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    stage = Stage("all")
    broken(stage, lambda event: getattr(event, "recipient", "") == "r1@example.net", monkeypatch)
    stage.take(lines(n=4) + lines("bob@example.com", "4Xy3QZ0bcdz2Gh"))
    assert (stage.total(Counter.DELIVERED), stage.total(Counter.BOUNCED)) == (2, 1)
    assert stage.total(Counter.BOUNCED, "login:bob@example.com") == 1
    assert stage.feed.faults == 1
    assert [entry["log_level"] for entry in logs] == ["error"]


def test_a_bug_in_the_reader_costs_its_line(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    stage = Stage("all")
    inner = stage.feed.reader.feed

    def feed(line: str) -> Any:
        return inner(line) if "r1@" not in line else 1 / 0

    monkeypatch.setattr(stage.feed.reader, "feed", feed)
    stage.take(lines(n=4))
    assert (stage.total(Counter.DELIVERED), stage.feed.faults, len(logs)) == (2, 1, 1)


def test_a_bug_in_every_line_does_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    stage = Stage("all")
    broken(stage, lambda event: True, monkeypatch)
    for i in range(400):
        stage.take(lines(qid=f"4Xy{i:03}QZ0bcdz2Gh"))
    assert stage.feed.faults > 1000
    assert len(logs) < 15


# --- the journal ----------------------------------------------------------------------------------


def test_entries_of_the_journal_are_lines_in_parts() -> None:
    stage = Stage("all", make=JournalFeed)
    entries = []
    for i, line in enumerate(lines(n=2)):
        program, _, text = line[20:].partition("[")
        entries.append(Entry(T0 + i / 10, "mx1", program, text.partition(": ")[2], f"s=1;i={i}"))
    stage.feed.feed(entries, False)
    assert (
        stage.total(Counter.RECIPIENTS),
        stage.total(Counter.DELIVERED),
        stage.total(Counter.BOUNCED),
    ) == (2, 1, 1)
    assert stage.feed.reader.unknown == {}


# --- the service that follows ---------------------------------------------------------------------


def config(log: Path, more: str = "") -> str:
    return f'[logs.mail]\nfile = "{log}"\nfrom_beginning = true\ntime_zone = "UTC"\n{more}\n'


def metric(service: Any, name: str) -> dict[tuple[str, ...], float]:
    """One metric, by its labels."""
    return {
        tuple(key): n
        for _, found, _, _, values in metrics.samples(service)
        if found == name
        for key, n in values
    }


def test_status_and_metrics_of_a_log(folder: Path) -> None:
    log = folder / "mail.log"
    stamp = f"{NOW:%b} {NOW.day:2} {NOW:%H:%M:%S} mx1"
    strange = [f"{stamp} postfix/qmgr[1]: what is this", f"{stamp} sshd[1]: hello"]
    log.write_text("".join(f"{line}\n" for line in lines(n=3)[:-1] + strange))

    async def story() -> None:
        async with serving(folder, config(log)) as service:
            await until(lambda: service.logs[0].follower.lines == 8)
            [found] = figures.status(service)["logs"]
            assert (found["name"], found["source"], found["counted"]) == ("mail", str(log), "local")
            assert (found["lines"], found["foreign"], found["faults"]) == (8, 1, 0)
            assert found["unknown"] == {"qmgr": 1} and "what is this" in found["samples"]["qmgr"]
            assert (found["messages_open"], found["bytes_behind"], found["silent_for"]) == (1, 0, 0.0)
            assert found["last_line_at"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
            assert metric(service, "log_lines") == {("mail",): 8}
            assert metric(service, "log_lines_unknown") == {("mail", "qmgr"): 1}
            assert metric(service, "log_messages_open") == {("mail",): 1}
            assert metric(service, "degraded")[("logs",)] == 0
            week = (await command(folder, "show", sender=ALICE))["week"]
            assert week[-1]["delivered"] == 2 and week[-1]["classes"] == {"unknown-user": 1}

    run(story())


def test_a_log_that_falls_silent_is_an_alarm(folder: Path) -> None:
    log, clock = folder / "mail.log", Clock()
    log.write_text("".join(f"{line}\n" for line in lines()))

    async def story() -> None:
        async with serving(folder, config(log, 'silence = "10m"'), clock) as service:
            await until(lambda: service.logs[0].follower.lines)
            clock.now += 601
            assert figures.degraded(service) == ["no line in log mail for 601 s"]
            assert metric(service, "log_silence_seconds") == {("mail",): 601}
            assert metric(service, "degraded")[("logs",)] == 1
            with log.open("a") as file:
                file.write(f"{lines(qid='4Xy9QZ0bcdz2Gh')[0]}\n")
            await until(lambda: not figures.degraded(service))

    run(story())


def test_a_log_that_is_not_there_yet_is_waited_for(folder: Path, logs: Logs) -> None:
    log = folder / "mail.log"

    async def story() -> None:
        async with serving(folder, config(log)) as service:
            await until(lambda: figures.degraded(service))
            assert figures.degraded(service) == [f"log mail: {log}: no such file: waiting for it"]
            log.write_text("".join(f"{line}\n" for line in lines()))
            await until(lambda: service.logs[0].follower.lines == 5)
            await until(lambda: not figures.degraded(service))

    run(story())


def test_what_is_no_log_does_not_stop_the_service(folder: Path, logs: Logs) -> None:
    log = folder / "mail.log"
    log.mkdir()

    async def story() -> None:
        async with serving(folder, config(log)) as service:
            await until(lambda: figures.degraded(service))
            assert str(log) in figures.degraded(service)[0]

    run(story())
