"""Time zones by name, and the machine's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from penstock import zones
from penstock.zones import zone_of

SUMMER = datetime(2026, 7, 1, 12)


def hours(name: str, moment: datetime = SUMMER) -> float:
    """Hours that the zone is ahead of UTC."""
    found = moment.replace(tzinfo=zone_of(name)).utcoffset()
    assert found is not None
    return found.total_seconds() / 3600


def test_zones_by_name() -> None:
    assert zone_of("UTC") is zone_of("utc") is zone_of("Z") is UTC
    assert hours("Europe/Berlin") == 2
    assert hours("Europe/Berlin", datetime(2026, 1, 1)) == 1
    assert hours("America/St_Johns") == -2.5


@pytest.mark.parametrize(
    "name",
    ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "a\0b", " ", "x" * 5000, "+02:00"],
)
def test_what_is_no_zone_is_said(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        zone_of(name)


@pytest.mark.parametrize("named", ["Asia/Tokyo", ":Asia/Tokyo"])
def test_the_machine_s_own_from_the_environment(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("TZ", named)
    assert hours("") == 9


def test_the_machine_s_own_from_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    tokyo = next(path for folder in TZPATH if (path := Path(folder) / "Asia/Tokyo").exists())
    monkeypatch.setattr(zones, "LOCAL", tokyo)
    assert hours("") == 9


@pytest.mark.parametrize("content", [None, b"", b"no zone"])
def test_without_one_it_is_utc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(zones, "LOCAL", tmp_path / "localtime")
    if content is not None:
        (tmp_path / "localtime").write_bytes(content)
    assert zone_of("") is UTC


@pytest.mark.parametrize("named", ["Mars/Olympus", "/etc/passwd", "/", "/nonexistent", "a\udcff"])
def test_an_environment_that_names_none(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("TZ", named)
    assert zone_of("") is UTC


@pytest.mark.parametrize("prefix", ["", ":"])
def test_an_environment_that_names_a_file(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    tokyo = next(path for folder in TZPATH if (path := Path(folder) / "Asia/Tokyo").exists())
    monkeypatch.setenv("TZ", f"{prefix}{tokyo}")
    assert hours("") == 9
