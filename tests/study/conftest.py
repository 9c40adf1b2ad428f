"""A small platform's weeks, studied once for all tests of a process."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from penstock.config import parse
from penstock.core.names import Naming
from penstock.study.findings import Study
from penstock.study.run import study
from penstock.study.sources import open_sources
from study.support import DAY, MONDAY, Platform, weeks


@pytest.fixture(scope="session")
def platform() -> Platform:
    return weeks()


@pytest.fixture(scope="session")
def found(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return studied(platform, tmp_path_factory.mktemp("weeks") / "mail.log")


def studied(platform: Platform, path: Path) -> Study:
    """The study of a platform's log."""
    sources = open_sources([str(platform.write(path))])
    return study(sources, UTC, None, MONDAY + 30 * DAY, Naming(), parse("").policy)
