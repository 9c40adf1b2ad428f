"""The index of sent mail: a real SQLite file, days, damage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.events import Message
from penstock.stores.sent import DAY, KEEP_DAYS, MOST_WAITING, SentIndex

T0 = 1_700_000_000


def message(n: int, at: float = T0) -> Message:
    """One with ids of its own."""
    found = Message(at, "mail/postfix", f"4Xy{n}")
    found.message_id = f"{n}@example.com"
    found.recipients = 3
    return found


def using(path: Path, work: Callable[[SentIndex], Awaitable[None]], now: float = T0) -> None:
    """Open an index, do the work, close it."""

    async def run() -> None:
        index = SentIndex(path / "sent.db", lambda: now)
        index.start(asyncio.get_running_loop())
        await work(index)
        await index.close()

    asyncio.run(run())


def test_a_message_is_found_by_either_id_and_after_a_restart(tmp_path: Path) -> None:
    async def write(index: SentIndex) -> None:
        index.remember(message(1), "login:alice@example.com")
        index.remember(message(2), "uid:33")

    async def read(index: SentIndex) -> None:
        assert await index.find("1@example.com", "") == ("login:alice@example.com", T0, 3)
        assert await index.find("", "4Xy2") == ("uid:33", T0, 3)
        assert await index.find("unheard@example.com", "4Xy2") == ("uid:33", T0, 3)
        assert await index.find("", "") is None
        assert await index.find("3@example.com", "4Xy3") is None

    using(tmp_path, write)
    using(tmp_path, read)


def test_the_latest_of_a_recurring_queue_id_is_meant(tmp_path: Path) -> None:
    async def work(index: SentIndex) -> None:
        index.remember(message(1, T0 - 2 * DAY), "login:old@example.com")
        index.remember(message(1, T0), "login:new@example.com")
        await index.flush()
        found = await index.find("", "4Xy1")
        assert found is not None and found.sender == "login:new@example.com"

    using(tmp_path, work)


def test_old_days_are_forgotten(tmp_path: Path) -> None:
    async def write(index: SentIndex) -> None:
        index.remember(message(1), "login:alice@example.com")

    async def later(index: SentIndex) -> None:
        index.remember(message(2, T0 + (KEEP_DAYS + 1) * DAY), "login:bob@example.com")
        await index.flush()
        assert await index.find("1@example.com", "") is None
        assert await index.find("2@example.com", "") is not None

    using(tmp_path, write)
    using(tmp_path, later, T0 + (KEEP_DAYS + 1) * DAY)


def test_a_report_is_news_once_even_after_a_restart(tmp_path: Path) -> None:
    async def first(index: SentIndex) -> None:
        assert await index.once("complaint 1@example.com bob@example.net")
        assert not await index.once("complaint 1@example.com bob@example.net")
        assert await index.once("complaint 2@example.com bob@example.net")

    async def again(index: SentIndex) -> None:
        assert not await index.once("complaint 1@example.com bob@example.net")

    using(tmp_path, first)
    using(tmp_path, again)


def test_a_message_to_three_bounces_three_times_at_most(tmp_path: Path) -> None:
    async def work(index: SentIndex) -> None:
        assert [await index.at_most(3, "bounces of 1@example.com") for _ in range(5)] == [1, 1, 1, 0, 0]

    using(tmp_path, work)


@pytest.mark.parametrize("rubbish", [b"this is no database" * 300, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_is_put_aside_and_the_index_goes_on(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "sent.db").write_bytes(rubbish)

    async def work(index: SentIndex) -> None:
        await index.find("1@example.com", "")
        index.remember(message(1), "login:alice@example.com")
        await index.flush()
        assert await index.find("1@example.com", "") is not None
        assert not index.problem

    using(tmp_path, work)
    assert (tmp_path / "sent.damaged").read_bytes() == rubbish


def test_a_damaged_file_after_a_kill_does_not_come_back_from_its_journal(tmp_path: Path) -> None:
    """What a kill -9 leaves in the write-ahead log belongs to the damaged file, not to the new one."""
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()

    async def write(index: SentIndex) -> None:
        for n in range(3000):
            index.remember(message(n), "login:alice@example.com")
        await index.flush()
        await asyncio.get_running_loop().run_in_executor(
            index._pool, lambda: index._open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        )
        index.remember(message(1), "login:alice@example.com")
        await index.flush()
        for file in before.iterdir():
            (after / file.name).write_bytes(file.read_bytes())

    async def work(index: SentIndex) -> None:
        assert await index.find("1@example.com", "") is None
        index.remember(message(5000), "login:bob@example.com")
        assert await index.find("5000@example.com", "") == ("login:bob@example.com", T0, 3)
        assert await index.find("1@example.com", "") is None
        assert not index.problem

    using(before, write)
    assert (after / "sent.db-wal").stat().st_size
    (after / "sent.db").write_bytes(b"rubbish" * 2000)
    using(after, work)


def test_after_a_write_that_failed_the_next_one_succeeds(tmp_path: Path) -> None:
    """A new day's table goes with the transaction that failed, and must be made again."""

    async def work(index: SentIndex) -> None:
        index.remember(message(1), "login:alice@example.com")
        await index.flush()
        await asyncio.get_running_loop().run_in_executor(
            index._pool, lambda: index._open().execute("PRAGMA max_page_count=1").fetchall()
        )
        full = [message(n, T0 + DAY) for n in range(2, 3000)]
        for one in full:
            index.remember(one, "login:alice@example.com")
        await index.flush()
        assert "full" in index.problem
        for one in full:
            index.remember(one, "login:alice@example.com")
        await index.flush()
        assert not index.problem
        assert await index.find("2@example.com", "") is not None
        assert await index.find("1@example.com", "") is not None

    using(tmp_path, work)


def test_hostile_names_and_figures_are_kept_or_cut(tmp_path: Path) -> None:
    async def work(index: SentIndex) -> None:
        hostile = message(1, T0 + 400 * 365 * DAY)
        hostile.message_id, hostile.queue_id = "\udcff\0'; DROP TABLE day_1; --", "\udc80" * 1000
        hostile.recipients = 10**30
        index.remember(hostile, "script:/srv/\udcff.php")
        found = await index.find(hostile.message_id, "")
        assert found is not None and found.sender == "script:/srv/\\udcff.php"
        assert found == await index.find("", hostile.queue_id)
        index.remember(message(2), "login:alice@example.com")
        assert await index.find("2@example.com", "") is not None and not index.problem

    using(tmp_path, work)


IDS = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("remember"), IDS, IDS, st.sampled_from(["uid:1", "login:a"]), st.integers(-12, 2)),
        st.tuples(st.just("find"), IDS, IDS),
        st.tuples(st.just("later"), st.integers(1, 4)),
        st.tuples(st.just("restart")),
    ),
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_it_says_what_a_dictionary_by_days_would_say(steps: list[tuple[Any, ...]]) -> None:
    days: dict[int, dict[str, tuple[str, int, int]]] = {}
    now = [T0]

    def put(message_id: int, queue_id: int, sender: str, at: int) -> Message:
        today = now[0] // DAY
        day = min(max(at // DAY, today - KEEP_DAYS), today + 1)
        for key in (f"m{message_id}", f"q{queue_id}") if message_id else (f"q{queue_id}",):
            days.setdefault(day, {})[key] = (sender, at, queue_id)
        found = Message(at, "mail/postfix", f"{queue_id}")
        found.message_id, found.recipients = f"{message_id}" if message_id else "", queue_id
        return found

    def expected(message_id: int, queue_id: int) -> tuple[str, int, int] | None:
        for key in (f"m{message_id}" if message_id else "", f"q{queue_id}"):
            for day in sorted(days, reverse=True):
                if key in days[day]:
                    return days[day][key]
        return None

    async def run(folder: Path) -> None:
        index = SentIndex(folder / "sent.db", lambda: now[0])
        index.start(asyncio.get_running_loop())
        for step in steps:
            if step[0] == "remember":
                _, message_id, queue_id, sender, shift = step
                index.remember(put(message_id, queue_id, sender, now[0] + shift * DAY), sender)
                await index.flush()
                for day in [day for day in days if day < now[0] // DAY - KEEP_DAYS]:
                    del days[day]
            elif step[0] == "find":
                _, message_id, queue_id = step
                assert await index.find(f"{message_id or ''}", f"{queue_id}") == expected(
                    message_id, queue_id
                )
            elif step[0] == "later":
                now[0] += step[1] * DAY
            else:
                await index.close()
                index = SentIndex(folder / "sent.db", lambda: now[0])
                index.start(asyncio.get_running_loop())
        await index.close()
        assert not index.problem

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


def test_a_folder_that_is_not_there_is_told_and_harms_nobody(tmp_path: Path) -> None:
    async def work(index: SentIndex) -> None:
        index.remember(message(1), "login:alice@example.com")
        await index.flush()
        assert "unable to open" in index.problem
        assert await index.find("1@example.com", "") is None
        assert await index.once("a report")

    using(tmp_path / "nowhere", work)


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    index = SentIndex(tmp_path / "sent.db", lambda: T0)
    for n in range(MOST_WAITING):
        index.remember(message(n), "login:alice@example.com")
    assert len(index._waiting) == MOST_WAITING
