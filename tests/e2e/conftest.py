"""Fixtures: real servers of the rig, a fresh one for each test that asks.

When a test fails, the logs of the servers that still run are added to its report.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from rig.base import PATH, Server
from rig.databases import MariaDB, PostgreSQL
from rig.penstock import Penstock
from rig.policy import PolicyServer
from rig.postfix import Postfix
from rig.smtp import Sink

StartPostfix = Callable[..., Postfix]
StartPenstock = Callable[..., Penstock]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the servers' logs to the report of a failure."""
    report = yield
    if report.failed and report.when == "call":
        report.sections += [(f"log of {server.name}", server.log()[-8_000:]) for server in Server.ALIVE]
    return report


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Servers entered here are stopped, last first, when the test ends."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def sink(servers: ExitStack) -> Sink:
    """The rest of the world: takes and records every mail."""
    return servers.enter_context(Sink())


@pytest.fixture
def recorder(servers: ExitStack) -> PolicyServer:
    """A policy service in this process that answers DUNNO and records what it was asked."""
    return servers.enter_context(PolicyServer())


@pytest.fixture
def start_postfix(servers: ExitStack, sink: Sink) -> StartPostfix:
    """Starts a Postfix that delivers to the sink; arguments as Postfix has them, without `relay`."""
    if os.geteuid():
        pytest.skip("Postfix starts as root only")
    assert shutil.which("postfix", path=PATH), "Postfix is not installed: make debian"

    def start(**options: Any) -> Postfix:
        return servers.enter_context(Postfix(sink.port, **options))

    return start


@pytest.fixture
def start_penstock(servers: ExitStack) -> StartPenstock:
    """Starts Penstock; arguments as Penstock has them."""

    def start(*arguments: Any, **options: Any) -> Penstock:
        return servers.enter_context(Penstock(*arguments, **options))

    return start


@pytest.fixture
def penstock(start_penstock: StartPenstock) -> Penstock:
    """Penstock on its defaults."""
    return start_penstock()


@pytest.fixture
def postgresql(servers: ExitStack) -> PostgreSQL:
    """An empty PostgreSQL."""
    return servers.enter_context(PostgreSQL())


@pytest.fixture
def mariadb(servers: ExitStack) -> MariaDB:
    """An empty MariaDB."""
    return servers.enter_context(MariaDB())
