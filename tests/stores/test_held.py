"""What is wanted of queued mail, over a restart and on a broken disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from penstock.engine.holding import Row, Wish
from penstock.stores.held import HeldError, HeldMail


def row(queue_id: str, wish: Wish = Wish.HOLD) -> Row:
    """A row with everything in it."""
    return Row("/etc/postfix", queue_id, 1_700_000_000, "a@x", "login:a@x", 5, 1.5, wish, True, seen=True)


def test_rows_live_on(tmp_path: Path) -> None:
    async def story() -> None:
        first = HeldMail(tmp_path / "held.db")
        await first.write([row("A1B2C3"), row("B2C3D4")])
        await first.write([row("A1B2C3", Wish.RELEASED)], [("/etc/postfix", "B2C3D4")])
        await first.close()
        second = HeldMail(tmp_path / "held.db")
        assert await second.load() == {("/etc/postfix", "A1B2C3"): row("A1B2C3", Wish.RELEASED)}
        await second.close()

    asyncio.run(story())


def test_an_id_that_is_used_again(tmp_path: Path) -> None:
    """It is forgotten and kept in one step: the new message stays."""

    async def story() -> None:
        store = HeldMail(tmp_path / "held.db")
        await store.write([row("A1B2C3")])
        await store.write([row("A1B2C3", Wish.DROP)], [("/etc/postfix", "A1B2C3")])
        assert [kept.wish for kept in (await store.load()).values()] == [Wish.DROP]
        await store.close()

    asyncio.run(story())


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "held.db").write_text("nonsense " * 1000)

    async def story() -> None:
        store = HeldMail(tmp_path / "held.db")
        with pytest.raises(HeldError, match=r"held\.db"):
            await store.load()
        with pytest.raises(HeldError):
            await store.write([row("A1B2C3")])
        await store.close()

    asyncio.run(story())
