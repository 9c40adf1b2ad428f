"""Several sources in a row: the first that knows answers."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from directory.support import ENTRIES, QUERY, Heard, ask, until
from penstock.core.policy import Entry
from penstock.directory import Database, Keeping, Program, open_directory

pytestmark = pytest.mark.usefixtures("threads_end")

KEEPING = Keeping(first_pause=0.01, longest_pause=0.02)


def test_the_command_is_asked_only_for_whom_the_database_does_not_know(
    sqlite_url: str, command: list[str]
) -> None:
    async def run() -> None:
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as base:
            base.execute("DELETE FROM accounts WHERE login <> 'bob'")
            base.execute("UPDATE accounts SET customer = 'sql'")
        base.close()
        directory = open_directory(database=Database(sqlite_url, QUERY), program=Program(command))
        heard = directory.on_news = Heard()
        directory.get("login:bob")
        directory.get("login:alice@example.com")
        await until(lambda: len(heard.keys) == 2)
        assert directory.get("login:bob") == Entry("sql", created_at=1582934400.0)
        assert directory.get("login:alice@example.com") == ENTRIES["login:alice@example.com"]
        assert await ask(directory, "login:nobody") is None
        figures = directory.figures()
        assert (figures["sql"].answers, figures["command"].answers) == (3, 2)
        directory.close()

    asyncio.run(run())


def test_the_command_helps_out_while_the_database_is_down(tmp_path: Path, command: list[str]) -> None:
    async def run() -> None:
        url = f"sqlite:///{tmp_path / 'missing.db'}"
        directory = open_directory(
            database=Database(url, QUERY, keeping=KEEPING), program=Program(command, keeping=KEEPING)
        )
        heard = directory.on_news = Heard()
        assert directory.get("login:bob") is None
        await until(lambda: heard.keys)
        assert directory.get("login:bob") == ENTRIES["login:bob"]
        assert directory.figures()["sql"].down
        directory.close()
        assert not (tmp_path / "missing.db").exists()

    asyncio.run(run())


def test_news_about_static_senders_is_not_told() -> None:
    async def run() -> None:
        directory = open_directory(entries={"login:bob": Entry("1")}, networks={"192.0.2.0/24": Entry("2")})
        directory.on_news = Heard()
        assert directory.get("login:bob") == Entry("1")
        assert directory.get("ip:192.0.2.7") == Entry("2")
        assert directory.figures() == {}
        directory.close()

    asyncio.run(run())
