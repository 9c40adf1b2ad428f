"""Fuzz the listings of the MTA's queue and the talk with the queue helper: whatever comes, nothing is raised
but what is said, an entry has a strict queue id and bounded texts, and pieces make no difference.

    python tests/fuzz/fuzz_queue.py [-runs=N] [-max_total_time=S] [CORPUS...]
"""

from __future__ import annotations

import json
import sys

import atheris

with atheris.instrument_imports(include=["penstock.wire"]):
    from penstock.wire.eximqueue import EXIM_ID, EximListing
    from penstock.wire.postqueue import LONGEST_TEXT, QUEUE_ID, QUEUES, Entry, PostqueueListing
    from penstock.wire.queuehelper import Answer, BadAnswer, BadQuestion, parse_question, render_piece

HEAD = b'{"queue_name": "hold", "queue_id": "4F5C64474F", "arrival_time": 1, "message_size": 2, "sender": '
EXIM_HEAD = b"25m  2.9K 1tAbCd-0001Ab-2C <"


def read(listing: PostqueueListing | EximListing, data: bytes, step: int) -> list[Entry]:
    """All entries of a listing that comes in pieces."""
    found = []
    for start in range(0, len(data), step):
        found += listing.feed(data[start : start + step])
    return found + listing.close()


def check_listing(data: bytes) -> None:
    """Any bytes as a listing."""
    for make, pattern in ((PostqueueListing, QUEUE_ID), (EximListing, EXIM_ID)):
        entries = read(make(), data, 1 << 20)
        assert entries == read(make(), data, 7)
        for entry in entries:
            assert pattern.fullmatch(entry.queue_id) and entry.queue in QUEUES
            assert all(len(text) <= LONGEST_TEXT for text in (*entry.recipients, entry.reason))


def check_strangers_text(text: str) -> None:
    """An address can look like anything and changes nothing around it."""
    people = json.dumps([{"address": text, "delay_reason": text}]).encode()
    line = HEAD + json.dumps(text).encode() + b', "recipients": ' + people + b"}\n"
    (entry,) = read(PostqueueListing(), line, 64)
    assert (entry.queue_id, entry.sender, entry.recipient_count) == ("4F5C64474F", text, 1)
    name = "".join(c for c in text if c.isprintable())[:200]
    (entry,) = read(EximListing(), EXIM_HEAD + name.encode("utf-8", "replace") + b">\n\n", 64)
    assert entry.queue_id == "1tAbCd-0001Ab-2C" and not entry.held


def check_helper(data: bytes) -> None:
    """Any bytes as a question, as an answer, and as output within an answer."""
    try:
        question = parse_question(data)
        assert all(each.replace("-", "").isalnum() and each[0] != "-" for each in question.ids)
    except BadQuestion:
        pass
    try:
        Answer().feed(data)
    except BadAnswer:
        pass
    if data:
        assert Answer().feed(render_piece(data)) == data


def check(data: bytes) -> None:
    """One input."""
    check_listing(data)
    check_strangers_text(data.decode("utf-8", "replace"))
    check_helper(data)


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
