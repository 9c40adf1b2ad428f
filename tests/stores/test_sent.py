"""The index of sent mail: a real SQLite file, days, damage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from penstock.core.events import Message
from penstock.stores.sent import DAY, KEEP_DAYS, MOST_WAITING, SentIndex

T0 = 1_700_000_000


def message(n: int, at: float = T0) -> Message:
    """One with ids of its own."""
    found = Message(at, "mail/postfix", f"4Xy{n}")
    found.message_id = f"{n}@example.com"
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
        assert await index.find("1@example.com", "") == ("login:alice@example.com", T0)
        assert await index.find("", "4Xy2") == ("uid:33", T0)
        assert await index.find("unheard@example.com", "4Xy2") == ("uid:33", T0)
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
