"""Listings of the queue: Postfix's JSON, Exim's text, in any pieces and of any origin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire.eximqueue import EXIM_ID, EximListing, arrival_of
from penstock.wire.postqueue import LONGEST_LINE, QUEUE_ID, RECIPIENTS_KEPT, Entry, PostqueueListing

LONG_ID = "4jXCTn2m28zJmm6"
Listing = PostqueueListing | EximListing


def line(**changes: Any) -> bytes:
    """A line as Postfix 3.7 writes it."""
    whole = {
        "queue_name": "deferred",
        "queue_id": LONG_ID,
        "arrival_time": 1795314029,
        "message_size": 322,
        "forced_expire": False,
        "sender": "alice@example.com",
        "recipients": [{"address": "r2@x.test", "delay_reason": "451 4.3.0 later"}],
    }
    return json.dumps(whole | changes).encode() + b"\n"


def read(listing: Listing, data: bytes, step: int = 1 << 20) -> list[Entry]:
    """All entries of a listing that comes in pieces."""
    found = []
    for start in range(0, len(data), step):
        found += listing.feed(data[start : start + step])
    return found + listing.close()


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_postfix_lists(step: int) -> None:
    listing = PostqueueListing()
    people = [{"address": f"r{n}@x.test"} for n in range(9)]
    data = line() + line(queue_name="hold", queue_id="4F5C64474F", sender="", recipients=people)
    first, second = read(listing, data, step)
    assert first == Entry(
        "deferred", LONG_ID, 1795314029, 322, "alice@example.com", ("r2@x.test",), 1, "451 4.3.0 later"
    )
    assert second.held and not first.held and second.sender == ""
    assert (second.recipient_count, len(second.recipients), second.reason) == (9, RECIPIENTS_KEPT, "")
    assert listing.unreadable == 0


def test_a_last_line_without_an_end_counts() -> None:
    assert len(read(PostqueueListing(), line() + line().rstrip())) == 2


@pytest.mark.parametrize(
    "bad",
    [
        b"\n" * 0 + b"postqueue: fatal: no\n",
        b"[]\n",
        b'{"queue_id": 5}\n',
        b"[" * 50_000 + b"\n",
        b"1" * 5000 + b"\n",
        line(queue_id="../../etc/passwd"),
        line(queue_id="-d"),
        line(queue_id="ALL"),
        line(queue_id=LONG_ID + "\n"),
        line(queue_name="elsewhere"),
        line(arrival_time=True),
        line(arrival_time=-1),
        line(arrival_time=1e400),
        line(message_size="322"),
        line(sender=None),
        b"\xff\xfe\n",
    ],
)
def test_what_is_no_entry_is_counted_and_passed_over(bad: bytes) -> None:
    listing = PostqueueListing()
    assert [entry.queue_id for entry in read(listing, line() + bad + line())] == [LONG_ID] * 2
    assert listing.unreadable == 1


@pytest.mark.parametrize("step", [1000, 1 << 24])
def test_a_message_with_very_many_recipients_is_read_as_far_as_it_goes(step: int) -> None:
    people = [{"address": f"r{n}@x.test", "delay_reason": "x" * 50} for n in range(20_000)]
    listing = PostqueueListing()
    first, second = read(listing, line(recipients=people, sender='a", "recipients": [') + line(), step)
    assert first.sender == 'a", "recipients": [' and first.recipients[0] == "r0@x.test"
    assert 500 < first.recipient_count < 20_000
    assert second.recipient_count == 1 and listing.unreadable == 0


def test_a_text_that_no_file_takes() -> None:
    (entry,) = read(PostqueueListing(), line(sender="a\udc80@x", recipients=[{"address": "\ud800"}]))
    assert (entry.sender, entry.recipients) == ("a\\udc80@x", ("\\ud800",))


def test_the_memory_of_an_endless_line_is_bounded() -> None:
    listing = PostqueueListing()
    for _ in range(100):
        listing.feed(b"x" * LONGEST_LINE)
    assert len(listing._line) <= 2 * LONGEST_LINE
    assert read(listing, b"\n" + line()) and listing.unreadable == 1


def test_ids_that_are_none() -> None:
    for good in ("4F5C64474F", "A1B2C3", LONG_ID, "3zZrTb5qXHz8CHG"):
        assert QUEUE_ID.fullmatch(good)
    for bad in (
        "",
        "ALL",
        "-",
        "4f5c64474f",
        "4F5C6",
        "a/b",
        "4jXCTn2m28",
        LONG_ID + " ",
        "1tAbCd-0001Ab-2C",
    ):
        assert not QUEUE_ID.fullmatch(bad)
    for good in ("1tAbCd-0001Ab-2C", "1tAbCd-00000000aBc-0Xyz"):
        assert EXIM_ID.fullmatch(good)
    for bad in ("1tAbCd-0001Ab-2", "-tAbCd-0001Ab-2C", "1tAbCd-0001Ab-2C -Mrm"):
        assert not EXIM_ID.fullmatch(bad)


EXIM = b"""\
25m  2.9K 1tAbCd-0001Ab-2C <alice@example.com>
          bob@example.org
        D carol@example.org
          dave@example.org

 4d   176K 1tAbCe-00000000aBc-0Xyz <> *** frozen ***
          postmaster@example.org

90m   512 1tAbCf-0001Ab-2C <"a b> *** frozen ***"@example.com> (www-data)
          bob@example.org

"""


@pytest.mark.parametrize("step", [1, 9, 100_000])
def test_exim_lists(step: int) -> None:
    listing = EximListing()
    first, second, third = read(listing, EXIM, step)
    assert (first.queue, first.sender, first.size) == ("deferred", "alice@example.com", 2969)
    assert first.recipients == ("bob@example.org", "dave@example.org") and first.recipient_count == 2
    assert (second.held, second.queue_id, second.sender) == (True, "1tAbCe-00000000aBc-0Xyz", "")
    assert not third.held and third.sender == '"a b> *** frozen ***"@example.com' and third.size == 512
    assert listing.unreadable == 0


def test_an_exim_id_tells_when_the_message_came() -> None:
    assert arrival_of("000001-000000-00") == 1
    assert arrival_of("000010-000000-00") == 62
    assert arrival_of("zzzzzz-000000-00") == 62**6 - 1


def test_what_exim_says_besides_is_counted() -> None:
    listing = EximListing()
    data = b"exim: permission denied\n          lost@example.org\n\n" + EXIM + b"x" * 100_000
    assert len(read(listing, data)) == 3 and listing.unreadable == 3


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_give_entries_and_nothing_else(data: bytes, step: int) -> None:
    for make, pattern in ((PostqueueListing, QUEUE_ID), (EximListing, EXIM_ID)):
        whole, pieces = make(), make()
        entries = read(whole, data)
        assert entries == read(pieces, data, step)
        assert all(pattern.fullmatch(entry.queue_id) for entry in entries)
