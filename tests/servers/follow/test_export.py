"""The journal's export format: whatever comes in, in whatever pieces."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.servers.follow.export import LONGEST, Entry, ExportParser, is_after


def text(name: str, value: str) -> bytes:
    return f"{name}={value}\n".encode()


def binary(name: str, value: bytes) -> bytes:
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


def entry(message: bytes, cursor: str = "s=1;i=1") -> bytes:
    return (
        text("__CURSOR", cursor)
        + text("__REALTIME_TIMESTAMP", "1700000000250000")
        + text("_HOSTNAME", "mail")
        + text("SYSLOG_IDENTIFIER", "postfix/smtpd")
        + message
        + b"\n"
    )


def parsed(data: bytes, size: int = 1 << 20) -> list[Entry]:
    parser = ExportParser()
    return [one for i in range(0, len(data), size) for one in parser.feed(data[i : i + size])]


def test_an_entry() -> None:
    found = parsed(entry(text("MESSAGE", "connect from a=b")))
    assert found == [Entry(1700000000.25, "mail", "postfix/smtpd", "connect from a=b", "s=1;i=1")]


def test_the_time_at_the_source_comes_first() -> None:
    both = text("_SOURCE_REALTIME_TIMESTAMP", "1699999999000000") + text("MESSAGE", "x")
    assert parsed(entry(both))[0].at == 1699999999


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_pieces_make_no_difference(size: int) -> None:
    hostile = b"MESSAGE=x\n\n__CURSOR=forged\nMESSAGE=forged\n\n"
    data = b"".join(
        [
            entry(binary("OTHER", b"\n\n\0=" * 50) + binary("MESSAGE", hostile), "s=1;i=1"),
            entry(text("MESSAGE", "plain"), "s=1;i=2"),
            entry(binary("MESSAGE", b""), "s=1;i=3"),
            entry(binary("MESSAGE", b"\xff\xfe\n"), "s=1;i=4"),
        ]
    )
    found = parsed(data, size)
    assert [one.cursor[-1] for one in found] == ["1", "2", "3", "4"]
    assert found[0].text == hostile.decode().replace("\n", " ")
    assert [one.text for one in found[1:]] == ["plain", "", r"\xff\xfe "]


@pytest.mark.parametrize("kind", [binary, lambda name, value: text(name, value.decode())])
@pytest.mark.parametrize("extra", [-1, 0, 1, 200_000])
def test_long_fields_are_cut_and_their_entry_survives(kind: object, extra: int) -> None:
    assert callable(kind)
    long = b"x" * (LONGEST + extra)
    data = entry(kind("OTHER", long * 3) + kind("MESSAGE", long)) + entry(text("MESSAGE", "next"), "s=1;i=2")
    parser = ExportParser()
    found = [one for i in range(0, len(data), 4096) for one in parser.feed(data[i : i + 4096])]
    assert [one.text for one in found] == ["x" * (LONGEST + min(extra, 0)), "next"]
    assert parser.cuts == (extra > 0)


def test_fields_of_any_size_cost_bounded_memory() -> None:
    parser = ExportParser()
    parser.feed(b"MESSAGE\n" + (1 << 62).to_bytes(8, "little"))
    tracemalloc.start()
    for _ in range(300):
        parser.feed(b"x" * 32768)
    forever = ExportParser()
    for _ in range(300):
        forever.feed(b"y" * 32768)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@given(st.binary(max_size=400), st.integers(1, 50))
def test_whatever_follows_the_entry_before_it_is_kept(data: bytes, size: int) -> None:
    assert all(len(one.text) <= 4 * len(data) for one in parsed(data, size))
    first, *_ = parsed(entry(text("MESSAGE", "x")) + data, size)
    assert first.text == "x"


@given(st.lists(st.binary(max_size=60)), st.integers(1, 50))
def test_all_messages_come_back(messages: list[bytes], size: int) -> None:
    data = b"".join(entry(binary("MESSAGE", message)) for message in messages)
    wanted = [message.decode("utf-8", "backslashreplace").replace("\n", " ") for message in messages]
    assert [one.text for one in parsed(data, size)] == wanted


@pytest.mark.parametrize(
    ("cursor", "other", "after"),
    [
        ("s=a;i=10;t=1", "s=a;i=f;t=9", True),
        ("s=a;i=f;t=9", "s=a;i=10;t=1", False),
        ("s=a;i=f", "s=a;i=f", False),
        ("s=b;i=1;t=10", "s=a;i=99;t=f", True),
        ("s=b;i=99;t=f", "s=a;i=1;t=10", False),
        ("garbage", "s=a;i=1;t=10", False),
        ("s=a;i=1;t=10", "", True),
        ("s=a;i=zz;t=10", "s=a;i=1;t=10", False),
    ],
)
def test_which_cursor_is_later(cursor: str, other: str, after: bool) -> None:
    assert is_after(cursor, other) == after
