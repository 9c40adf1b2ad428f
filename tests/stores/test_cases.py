"""Incidents and lessons in the records: one contract on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from penstock.core.evidence import Finding
from penstock.core.incident import Incident, Suspect, Verdict
from penstock.core.learning import Learn, Lesson
from penstock.core.standing import INITIAL, Standing, State
from penstock.stores import damage
from penstock.stores.records import KEEP_REFUSALS, RecordStore
from penstock.stores.schema import Memory, open_database, sqlite_url

T0 = 1_700_000_000.0
FINDINGS = (Finding("novelty", 6.25, "40 new – ünïcode 'quoted'", "flow"), Finding("bounces", -1.5, "fine"))


def suspect(key: str = "login:a") -> Suspect:
    return Suspect(
        key,
        T0,
        T0 - 60.5,
        T0 + 9,
        "4711",
        "personal",
        2.125,
        -9.25,
        FINDINGS,
        {"novel": 40},
        T0,
        T0 + 5,
        None,
        12,
        99,
    )


def incident(code: str = "I-AAAAAA", **more: Any) -> Incident:
    return Incident(code, T0, {"login:a": suspect()}, **more)


def lesson(code: str = "I-AAAAAA", at: float = T0, until: float = T0 + 86400) -> Lesson:
    found = Lesson(
        code, Verdict.LEGITIMATE, Learn.PATTERN, at, "admin:a", until, "why", "customer:1", "newsletter"
    )
    found.signals, found.groups, found.who = ("novelty",), ("flow",), ("customer:1",)
    found.seen, found.steps = {"login:a": {"novel": 40}}, {"novelty": -0.0301}
    found.networks = {"login:a": "198.51"}
    return found


def told(url: str, put: Callable[[RecordStore], Any], now: float = T0) -> Memory:
    """What a start after a run remembers in which that was put."""

    async def story() -> Memory:
        store = RecordStore(url)
        store.start(asyncio.get_running_loop(), now)
        put(store)
        await asyncio.wait_for(store.settled(), 10)
        await store.close()
        return remembered(url, now)

    return asyncio.run(story())


def remembered(url: str, now: float) -> Memory:
    store = RecordStore(url)
    memory = store.start(None, now)
    store._jobs.put(None)
    store._thread.join()
    return memory


def keep(*incidents: Incident) -> Callable[[RecordStore], Any]:
    def put(store: RecordStore) -> None:
        for found in incidents:
            store.put_incident(found)
            for each in found.suspects.values():
                store.put_suspect(found.id, each)

    return put


def test_an_incident_comes_back_exactly(url: str) -> None:
    found = incident(campaign="net:198.51.100", shadow=True)
    found.suspects["login:b\udcff"] = suspect("login:b")
    judged = incident("I-BBBBBB", into="I-AAAAAA")
    judged.judge(Verdict.COMPROMISED, T0 + 90, "admin:ü", "phished\0")
    memory = told(url, keep(found, judged))
    assert memory.incidents["I-AAAAAA"].suspects["login:a"] == suspect()
    assert set(memory.incidents["I-AAAAAA"].suspects) == {"login:a", "login:b"}
    back = memory.incidents["I-BBBBBB"]
    assert (back.verdict, back.closed_at, back.how, back.by) == (
        Verdict.COMPROMISED,
        T0 + 90,
        "verdict",
        "admin:ü",
    )
    assert (back.into, back.note) == ("I-AAAAAA", "phished\\x00")


def test_the_newest_state_of_each_is_kept(url: str) -> None:
    def put(store: RecordStore) -> None:
        found = incident()
        for leak in range(300):
            found.worst.leak = leak
            keep(found)(store)

    assert told(url, put).incidents["I-AAAAAA"].leak == 299


def test_a_verdict_stands_in_the_history(url: str) -> None:
    async def story() -> None:
        store = RecordStore(url)
        store.start(asyncio.get_running_loop(), T0)
        found = incident()
        found.judge(Verdict.LEGITIMATE, T0 + 9, "admin:a", "their shop")
        store.put_verdict(found)
        store.put_lesson(lesson())
        store.drop_lesson(lesson(), T0 + 99, "admin:b")
        rows = await asyncio.wrap_future(store.history("login:a"))
        assert [(row["what"], row["by"]) for row in rows] == [("lesson", "admin:b"), ("verdict", "admin:a")]
        assert (rows[1]["before"], rows[1]["after"], rows[1]["why"]) == (
            "I-AAAAAA",
            "legitimate",
            "their shop",
        )
        await store.close()

    asyncio.run(story())


def test_lessons_come_back_and_go(url: str) -> None:
    memory = told(url, lambda store: [store.put_lesson(lesson()), store.put_lesson(lesson("I-BBBBBB"))])
    assert memory.lessons == {"I-AAAAAA": lesson(), "I-BBBBBB": lesson("I-BBBBBB")}
    memory = told(url, lambda store: store.drop_lesson(lesson(), T0, "admin:a"))
    assert list(memory.lessons) == ["I-BBBBBB"]


def test_what_is_long_over_is_forgotten_at_start(url: str) -> None:
    old, still_open = incident(), incident("I-BBBBBB")
    old.close(T0, "calm")
    told(url, keep(old, still_open))
    told(
        url, lambda store: [store.put_lesson(lesson()), store.put_lesson(lesson("I-B", T0, T0 + 900 * 86400))]
    )
    memory = remembered(url, T0 + KEEP_REFUSALS + 1)
    assert list(memory.incidents) == ["I-BBBBBB"] and set(memory.lessons) == {"I-AAAAAA", "I-B"}
    memory = remembered(url, T0 + 181 * 86400)
    assert list(memory.lessons) == ["I-B"]
    engine = open_database(url)
    with engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT incident FROM suspects")).scalars().all()
    engine.dispose()
    assert rows == ["I-BBBBBB"]


@pytest.mark.parametrize(
    ("table", "column", "value", "left"),
    [
        ("incidents", "verdict", "'maybe'", "incidents"),
        ("suspects", "findings", "'[[1]]'", "suspects"),
        ("suspects", "findings", "'{'", "suspects"),
        ("suspects", "findings", """'[["x", "heavy", "y", ""]]'""", "suspects"),
        ("suspects", "findings", """'[["x", NaN, "y", ""]]'""", "suspects"),
        ("suspects", "counts", "'[1]'", "suspects"),
        ("lessons", "learn", "'all'", "lessons"),
        ("lessons", "steps", "'[]'", "lessons"),
        ("lessons", "seen", """'{"a": 3}'""", "lessons"),
        ("lessons", "steps", """'{"a": Infinity}'""", "lessons"),
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_and_told(
    url: str, table: str, column: str, value: str, left: str
) -> None:
    def put(store: RecordStore) -> None:
        keep(incident(), incident("I-BBBBBB"))(store)
        store.put_lesson(lesson())
        store.put_lesson(lesson("I-BBBBBB"))

    told(url, put)
    engine, key = open_database(url), "id" if table == "incidents" else "incident"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = {value} WHERE {key} = 'I-AAAAAA'")
    engine.dispose()
    with capture_logs() as logs:
        memory = remembered(url, T0)
    assert [entry["log_level"] for entry in logs] == ["error"]
    whole = memory.lessons if left == "lessons" else memory.incidents
    assert whole["I-BBBBBB"]
    if left == "suspects":
        assert not memory.incidents["I-AAAAAA"].suspects
    else:
        assert list(whole) == ["I-BBBBBB"]


def test_what_is_saved_of_a_damaged_file_goes_into_the_new_one(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "records.db")

    def put(store: RecordStore) -> None:
        keep(incident())(store)
        store.put_lesson(lesson())
        store.put_standing("login:a", INITIAL, Standing(State.PAUSED, T0, "admin:a", "spam"))

    memory = told(url, put)
    assert [key for key, _, _ in damage.rows_of(memory)] == [
        ("standings", "login:a"),
        ("lessons", "I-AAAAAA"),
        ("incidents", "I-AAAAAA"),
        ("suspects", "I-AAAAAA login:a"),
    ]
    with closing(open_database(url).raw_connection()) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'history'").fetchone()[0]
        size = raw.execute("PRAGMA page_size").fetchone()[0]
    with (tmp_path / "records.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with capture_logs() as logs:
        saved = remembered(url, T0)
    assert [entry["log_level"] for entry in logs] == ["error"] and logs[0]["incidents"] == 1
    assert saved.incidents == memory.incidents and saved.lessons == memory.lessons
    again = remembered(url, T0)
    assert again.incidents == memory.incidents and again.standings == memory.standings
