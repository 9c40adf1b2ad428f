"""Fixtures for services in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from penstock.app import service
from rig.base import Folder

Logs = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def usual_garbage_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service does to its own process is not for the tests' process."""
    monkeypatch.setattr(service, "_calm_garbage_collector", lambda: None)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets."""
    made = Folder("inside")
    yield made.path
    made.remove()


@pytest.fixture
def logs() -> Iterator[Logs]:
    """What is logged meanwhile."""
    with capture_logs() as captured:
        yield captured
