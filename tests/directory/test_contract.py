"""What every source promises, whatever it asks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from directory.support import ENTRIES, Heard, ask, until
from penstock.core.policy import Entry
from penstock.directory import open_directory
from penstock.ports import Directory

pytestmark = pytest.mark.usefixtures("threads_end")

STRANGERS = [
    "login:nobody@example.com",
    "login:' OR '1'='1",
    "login:'; DROP TABLE accounts; --",
    'login:"$(reboot)`',
    "login:-rf",
    "login:%s:login",
    "login:\\",
    "login:\N{PILE OF POO}\N{COMBINING DIAERESIS}@example.com",
    "login:" + "x" * 300,
    "login:",
]


def test_known_senders(source: dict[str, Any]) -> None:
    async def run() -> None:
        directory = open_directory(**source)
        port: Directory = directory
        try:
            for key, entry in ENTRIES.items():
                assert await ask(directory, key) == entry
                assert port.get(key) is directory.get(key)
        finally:
            directory.close()
        assert directory.get("login:bob") == ENTRIES["login:bob"], "memory answers after the end"

    asyncio.run(run())


def test_strangers(source: dict[str, Any]) -> None:
    async def run() -> None:
        directory = open_directory(**source)
        heard = directory.on_news = Heard()
        for key in STRANGERS:
            assert await ask(directory, key) is None, key
        assert await ask(directory, "login:bob") == ENTRIES["login:bob"], "still well"
        assert [f.errors for f in directory.figures().values()] in ([], [0])
        assert set(heard.keys) <= {"login:bob"}
        directory.close()

    asyncio.run(run())


def test_only_logins_are_asked_for(source: dict[str, Any]) -> None:
    async def run() -> None:
        directory = open_directory(**source)
        for key in ("ip:192.0.2.7", "ip:2001:db8::/64", "customer:4711", "uid:33", "script:/srv/x.php"):
            assert await ask(directory, key) is None
        assert not any(f.answers or f.misses for f in directory.figures().values())
        directory.close()

    asyncio.run(run())


def test_get_returns_at_once_and_news_follows_once(source: dict[str, Any]) -> None:
    async def run() -> None:
        directory = open_directory(**source)
        heard = directory.on_news = Heard()
        answers = [directory.get("login:bob") for _ in range(100)]
        if "entries" not in source:
            assert answers == [None] * 100 and not heard.keys, "nobody waits for the source"
            await until(lambda: heard.keys)
            assert heard.threads == {"MainThread"}
        await ask(directory, "login:bob")
        assert heard.keys == ([] if "entries" in source else ["login:bob"])
        directory.close()
        directory.close()
        directory.get("login:another")

    asyncio.run(run())


def test_static_entries_win(source: dict[str, Any]) -> None:
    async def run() -> None:
        mine = {"login:bob": Entry("mine")}
        directory = open_directory(**{**source, "entries": source.get("entries", {}) | mine})
        assert await ask(directory, "login:bob") == Entry("mine")
        assert await ask(directory, "login:alice@example.com") == ENTRIES["login:alice@example.com"]
        directory.adopt(source.get("entries", {}), {})
        assert await ask(directory, "login:bob") == ENTRIES["login:bob"]
        directory.close()

    asyncio.run(run())
