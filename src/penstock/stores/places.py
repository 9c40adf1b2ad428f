"""Where client addresses are, from a file in MaxMind's format (MMDB 2.0) with places, such as GeoLite2-City.

The file is read into memory as a whole, by the library's own Python: whoever overwrites it in place neither
crashes the service nor changes what it says. That costs the file's size; look-ups of late are kept.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import isfinite
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, Final

from penstock.core.journey import Place

if TYPE_CHECKING:
    from maxminddb.reader import Reader

KEPT: Final = 1 << 14
"""Addresses whose places are kept."""

LONGEST: Final = 64
"""Characters of what can be an address."""

MOST: Final = 1 << 30
"""Bytes of a file that is read."""

RADIUS: Final = 200.0
"""km, where the file does not tell how true a place is (judgement)."""

SAMPLES: Final = tuple(f"{n}.11.12.13" for n in range(1, 224))
"""A damaged file shows in one of these, in most cases."""

_NO_FORMAT: Final = "is not in MaxMind's format (.mmdb, unpacked), or damaged"


class BadPlaces(ValueError):
    """The file cannot be used; the message says why and what to do."""


class Places:
    """The places of one file; raises BadPlaces."""

    def __init__(self, path: Path) -> None:
        self._reader = _opened(path, in_memory=True)
        self._kept = lru_cache(maxsize=KEPT)(self._find)

    def of(self, address: str) -> Place | None:
        """Where the address is; None for unknown."""
        return self._kept(address) if len(address) <= LONGEST else None

    def _find(self, address: str) -> Place | None:
        try:
            found = ip_address(address.partition("%")[0])
            mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
            return _place_of(self._reader.get(mapped or found))
        except Exception:  # no address, IPv6 in a file of IPv4, a damaged record: no place
            return None


def check(path: Path) -> None:
    """Raises BadPlaces as ``Places`` would, and reads little of the file."""
    _opened(path, in_memory=False).close()


def _opened(path: Path, in_memory: bool) -> Reader:
    """The file, tried. What is not read into memory is not mapped either: whoever cuts a mapped file short
    kills who reads it."""
    try:
        from maxminddb import MODE_FILE, MODE_MEMORY
    except ImportError:
        raise BadPlaces(
            "needs the Python package maxminddb: pip install maxminddb, where Penstock is installed"
        ) from None
    _check(path)
    found = _read(path, MODE_MEMORY if in_memory else MODE_FILE)
    try:
        _try(found)
    except BadPlaces:
        found.close()
        raise
    return found


def _read(path: Path, mode: int) -> Reader:
    from maxminddb import InvalidDatabaseError, open_database

    try:
        return open_database(str(path), mode)
    except OSError as wrong:
        raise BadPlaces(_unreadable(wrong)) from None
    except InvalidDatabaseError:
        raise BadPlaces(_NO_FORMAT) from None
    except Exception as wrong:  # whatever the library meets in a damaged file
        raise BadPlaces(_damaged(wrong)) from None


def _try(reader: Reader) -> None:
    """A file of the right type, that can be looked into."""
    kind = str(reader.metadata().database_type)
    if "City" not in kind and "Enterprise" not in kind:
        raise BadPlaces(f"is of type {kind[:40]!a}, which has no places: a City file is needed")
    try:
        for address in SAMPLES:
            reader.get(address)
    except Exception as wrong:  # as above
        raise BadPlaces(_damaged(wrong)) from None


def _check(path: Path) -> None:
    """No pipe that nobody writes to, and nothing that fills the memory."""
    try:
        found = path.stat()
    except OSError as wrong:
        raise BadPlaces(_unreadable(wrong)) from None
    if not S_ISREG(found.st_mode) or found.st_size > MOST:
        raise BadPlaces(f"is no file of at most {MOST >> 30} GiB")
    if not found.st_size:
        raise BadPlaces(_NO_FORMAT)


def _damaged(wrong: Exception) -> str:
    return f"is damaged ({_said(wrong)}): fetch it again"


def _unreadable(wrong: OSError) -> str:
    return f"cannot be read: {wrong.strerror or wrong}"


def _said(wrong: Exception) -> str:
    return ascii(str(wrong))[1:-1][:80] or type(wrong).__name__


def _place_of(record: Any) -> Place | None:
    """The place of a record of a City file; None when it has none that can be meant."""
    country, where = record["country"]["iso_code"], record["location"]
    place = Place(
        country,
        float(where["latitude"]),
        float(where["longitude"]),
        float(where.get("accuracy_radius", RADIUS)),
    )
    code = isinstance(country, str) and len(country) == 2 and country.isascii() and country.isalpha()
    can_be = abs(place.latitude) <= 90 and abs(place.longitude) <= 180 and place.radius >= 0
    return place if code and can_be and isfinite(place.radius) else None
