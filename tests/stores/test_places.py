"""Files in MaxMind's format: what is read of good ones, and what is said of others."""

from __future__ import annotations

import math
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo import BERLIN, HANOI, LAGOS, PLACES, city, mmdb, write
from penstock.stores.places import KEPT, LONGEST, RADIUS, BadPlaces, Places, check


def opened(folder: Path, data: bytes) -> Places:
    path = folder / "geo.mmdb"
    path.write_bytes(data)
    return Places(path)


def test_addresses_have_places(tmp_path: Path) -> None:
    of = Places(write(tmp_path / "geo.mmdb")).of
    assert of("192.0.2.7") == BERLIN
    assert of("198.51.100.200") == LAGOS
    assert of("2001:db8:7::1") == HANOI
    assert of("::ffff:192.0.2.7") == BERLIN


@pytest.mark.parametrize("address", ["10.0.0.1", "2001:7f8::1", "", "unix:x", "192.0.2.7]", "1" * 5000])
def test_what_the_file_does_not_know_has_none(tmp_path: Path, address: str) -> None:
    assert Places(write(tmp_path / "geo.mmdb")).of(address) is None


def test_a_file_of_ipv4_alone(tmp_path: Path) -> None:
    found = opened(tmp_path, mmdb({"192.0.2.0/24": city(BERLIN)}, version=4))
    assert found.of("192.0.2.7") == BERLIN
    assert found.of("2001:db8::1") is None


def test_a_place_without_a_radius_is_taken_for_a_vague_one(tmp_path: Path) -> None:
    record = city(BERLIN) | {"location": {"latitude": 52.52, "longitude": 13.4}}
    assert opened(tmp_path, mmdb({"192.0.2.0/24": record})).of("192.0.2.7") == BERLIN._replace(radius=RADIUS)


@pytest.mark.parametrize(
    "record",
    [
        {},
        "Berlin",
        {"country": {"iso_code": "DE"}},
        {"location": {"latitude": 1.0, "longitude": 1.0}},
        city(BERLIN._replace(country="D\x1b")),
        city(BERLIN._replace(country="Germany")),
        city(BERLIN._replace(latitude=math.nan)),
        city(BERLIN._replace(longitude=1e300)),
        city(BERLIN) | {"location": {"latitude": "north", "longitude": 1.0}},
        city(BERLIN) | {"location": {"latitude": 1.0, "longitude": 1.0, "accuracy_radius": math.inf}},
        city(BERLIN) | {"location": ["1.0", "2.0"]},
    ],
)
def test_a_record_that_cannot_be_meant_has_none(tmp_path: Path, record: object) -> None:
    assert opened(tmp_path, mmdb({"192.0.2.0/24": record})).of("192.0.2.7") is None


def test_the_file_may_be_replaced_or_cut_while_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "geo.mmdb")
    found = Places(path)
    os.truncate(path, 0)
    assert found.of("192.0.2.7") == BERLIN


# --- files that cannot be used ------------------------------------------------------------------


def wrong(path: Path) -> str:
    """What is said of it, whether it is read or only checked."""
    said = []
    for use in (Places, check):
        with pytest.raises(BadPlaces) as found:
            use(path)
        said.append(str(found.value))
    assert said[0] == said[1]
    return said[0]


def test_a_download_that_was_cut_short(tmp_path: Path) -> None:
    path = write(tmp_path / "geo.mmdb")
    for part in (0.1, 0.5, 0.99):
        path.write_bytes(WHOLE[: int(part * len(WHOLE))])
        assert "not in MaxMind's format" in wrong(path) or "is damaged" in wrong(path)


def test_a_check_reads_little_of_a_large_file(tmp_path: Path) -> None:
    path, empty = write(tmp_path / "geo.mmdb"), 1 << 28
    data = path.read_bytes()
    separator = data.index(b"\xab\xcd\xefMaxMind.com")
    with path.open("wb") as file:
        file.write(data[:separator])
        file.seek(empty, os.SEEK_CUR)
        file.write(data[separator:])
    tracemalloc.start()
    check(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 << 20


def test_what_cannot_be_an_address_is_not_kept(tmp_path: Path) -> None:
    """A line of a log may say anything."""
    found = Places(write(tmp_path / "geo.mmdb"))
    for n in range(100):
        assert found.of(f"192.0.2.7%{n:{LONGEST}}") is None
    assert found._kept.cache_info()[2:] == (KEPT, 0)


def test_what_is_said_of_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "geo.mmdb"
    assert wrong(path) == "cannot be read: No such file or directory"
    assert wrong(tmp_path) == "is no file of at most 1 GiB"
    path.write_text("GeoLite2-City.tar.gz")
    assert "not in MaxMind's format" in wrong(path)
    path.write_bytes(b"")
    assert "not in MaxMind's format" in wrong(path)
    assert "'GeoLite2-Country', which has no places" in wrong(write(path, kind="GeoLite2-Country"))


def test_without_the_library_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    assert "pip install maxminddb" in wrong(write(tmp_path / "geo.mmdb"))


WHOLE = mmdb({network: city(place) for network, place in PLACES.items()} | {"64.0.0.0/2": city(BERLIN)})


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=20), st.data())
def test_a_damaged_file_is_refused_or_tells_nothing_impossible(
    tmp_path: Path, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    damaged = bytearray(WHOLE)
    for at, byte in changes:
        damaged[at] = byte
    try:
        found = opened(tmp_path, bytes(damaged[: data.draw(st.integers(len(WHOLE) // 2, len(WHOLE)))]))
    except BadPlaces as error:
        assert str(error).isprintable() and len(str(error)) < 200
        with pytest.raises(BadPlaces):
            check(tmp_path / "geo.mmdb")
        return
    check(tmp_path / "geo.mmdb")
    for address in ("192.0.2.7", "198.51.100.9", "2001:db8::1", "65.1.2.3"):
        place = found.of(address)
        assert place is None or (len(place.country) == 2 and abs(place.latitude) <= 90)
