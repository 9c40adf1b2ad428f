"""Writes small files in MaxMind's format (MaxMind DB File Format Specification 2.0)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

from penstock.core.journey import Place

Tree = list[int | bytes | None]
"""Two records of each node, one after the other: a node's number, the data of a leaf, or nothing."""

BERLIN = Place("DE", 52.52, 13.4, 20.0)
LAGOS = Place("NG", 6.45, 3.4, 50.0)
SAO_PAULO = Place("BR", -23.55, -46.63, 50.0)
HANOI = Place("VN", 21.03, 105.85, 50.0)
PLACES = {
    "192.0.2.0/24": BERLIN,
    "198.51.100.0/24": LAGOS,
    "203.0.113.0/24": SAO_PAULO,
    "2001:db8::/32": HANOI,
}
"""The networks of documentation (RFC 5737, RFC 3849), somewhere."""


def encoded(value: object) -> bytes:
    """A value of the data section. Whole numbers are written as uint64."""
    if isinstance(value, str):
        raw = value.encode()
        return _head(2, len(raw)) + raw
    if isinstance(value, float):
        return _head(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        raw = value.to_bytes(8, "big").lstrip(b"\0")
        return _head(9, len(raw)) + raw
    if isinstance(value, Mapping):
        return _head(7, len(value)) + b"".join(encoded(part) for item in value.items() for part in item)
    assert isinstance(value, list)
    return _head(11, len(value)) + b"".join(map(encoded, value))


def _head(kind: int, size: int) -> bytes:
    """A control byte, with what did not fit into it behind."""
    more = bytes([size - 29]) if size >= 29 else b""
    fits = min(size, 29)
    return (bytes([fits, kind - 7]) if kind > 7 else bytes([kind << 5 | fits])) + more


def city(place: Place) -> dict[str, object]:
    """A record as files of cities have it."""
    where = {"latitude": place.latitude, "longitude": place.longitude, "accuracy_radius": int(place.radius)}
    return {"country": {"iso_code": place.country}, "location": where}


def mmdb(records: Mapping[str, object], kind: str = "Example-City", version: int = 6) -> bytes:
    """A file with these records (of networks); ``kind``: the type that it claims."""
    tree: Tree = [None, None]
    for network, record in records.items():
        _plant(tree, network, encoded(record), version)
    nodes, data, parts = len(tree) // 2, b"", []
    for record in tree:
        found = nodes if record is None else record
        if isinstance(found, bytes):
            data, found = data + found, nodes + 16 + len(data)
        parts.append(found.to_bytes(3, "big"))
    about = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "database_type": kind,
        "description": {"en": "made for a test"},
        "ip_version": version,
        "languages": ["en"],
        "node_count": nodes,
        "record_size": 24,
    }
    return b"".join(parts) + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encoded(about)


def _plant(tree: Tree, network: str, leaf: bytes, version: int) -> None:
    """Networks of IPv4 begin at ::/96 in a tree of IPv6."""
    found = ip_network(network)
    depth = found.prefixlen + (96 if version == 6 and found.version == 4 else 0)
    bits = f"{int(found.network_address):0{128 if version == 6 else 32}b}"[:depth]
    node = 0
    for bit in bits[:-1]:
        at = 2 * node + int(bit)
        below = tree[at]
        if below is None:
            below = tree[at] = len(tree) // 2
            tree += [None, None]
        assert isinstance(below, int), "networks must not lie in each other"
        node = below
    tree[2 * node + int(bits[-1])] = leaf


def write(path: Path, places: Mapping[str, Place] = PLACES, kind: str = "Example-City") -> Path:
    """A file of these places."""
    path.write_bytes(mmdb({network: city(place) for network, place in places.items()}, kind))
    return path
