"""What the directory's tests share: accounts as rows and as entries, and ways to wait for answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from penstock.core.policy import Entry
from penstock.directory import Chain
from penstock.directory.dial import Line

Row = tuple[str, str, str, str, str]
"""customer, profile, language, contact, created (ISO)."""

ACCOUNTS: Mapping[str, Row] = {
    "alice@example.com": ("4711", "newsletter", "de", "it@example.com", "2024-01-31 12:30:00"),
    "bob": ("4712", "", "", "", "2020-02-29 00:00:00"),
    "zoë%a'b@example.com": ("4713", "personal", "fr", "", "2021-01-01 00:00:00"),
}
ENTRIES = {
    "login:alice@example.com": Entry("4711", "newsletter", "de", "it@example.com", 1706704200.0),
    "login:bob": Entry("4712", created_at=1582934400.0),
    "login:zoë%a'b@example.com": Entry("4713", "personal", "fr", "", 1609459200.0),
}
TABLE = (
    "CREATE TABLE accounts (login VARCHAR(400) {collation}, customer VARCHAR(20), profile VARCHAR(20),"
    " language VARCHAR(5), contact VARCHAR(80), created {moment})"
)
QUERY = "SELECT customer, profile, language, contact, created FROM accounts WHERE login = :login"

SCRIPT = """
import json, sys
accounts = json.loads({accounts!r})
row = accounts.get(sys.argv[1])
if row is None:
    sys.exit(1)
print(json.dumps(dict(zip(("customer", "profile", "language", "contact", "created"), row))))
"""


class Heard:
    """Collects news; waits for one."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.threads: set[str] = set()

    def __call__(self, key: str) -> None:
        self.keys.append(key)
        self.threads.add(threading.current_thread().name)


async def until(probe: Callable[[], Any], seconds: float = 20) -> Any:
    """Let the loop run until the probe is true; fails at the deadline."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (answer := probe()):
        assert asyncio.get_running_loop().time() < deadline, "not in time"
        await asyncio.sleep(0.005)
    return answer


async def ask(directory: Chain, key: str) -> Entry | None:
    """What the directory says once it has looked."""
    directory.get(key)
    await until(lambda: not any(f.waiting for f in directory.figures().values()))
    return directory.get(key)


def fill(url: str, collation: str, moment: str) -> None:
    """A fresh table of accounts in a server's database."""
    line = Line(url, 10)
    run = line.connection().exec_driver_sql
    run("DROP TABLE IF EXISTS accounts")
    run(TABLE.format(collation=collation, moment=moment))
    for login, row in ACCOUNTS.items():
        run("INSERT INTO accounts VALUES (%s, %s, %s, %s, %s, %s)", (login, *row))
    line.hang_up()
