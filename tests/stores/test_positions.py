"""How far a followed log is read stands in the log of counts, with what its lines made, or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.stores import countfile, counts
from penstock.stores.compact import compact
from penstock.stores.counts import CountLog
from penstock.stores.recovery import recover
from stores.support import T0, M, R, sender, sums, sums_in

MAIL, DOVECOT = "/var/log/mail.log", "/var/log/dovecot.log"
ALICE = "login:alice@example.com"


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def opened(folder: Path) -> CountLog:
    log = CountLog(folder, recover(folder))
    log.start(asyncio.get_running_loop())
    return log


@given(st.dictionaries(st.text(max_size=30), st.binary(max_size=300), max_size=5), st.binary(max_size=64))
def test_positions_come_back_as_they_were(positions: dict[str, bytes], rows: bytes) -> None:
    assert countfile.positions(countfile.pack_positions(positions) + rows) == (positions, rows)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\1",
        b"\xff\xff\xff\xff",
        b"\1\0\0\0\0",
        b"\6\0\0\0" + b"\2\0\0\0\0\0" + b"ab",
        b"\x08\0\0\0" + b"\2\0\0\0\0\0" + b"\xff\xfe",
    ],
)
def test_nonsense_is_said_to_be_one(payload: bytes) -> None:
    with pytest.raises(countfile.Senseless):
        countfile.positions(payload)


def test_the_latest_position_of_each_source_is_recovered(tmp_path: Path) -> None:
    async def story() -> None:
        log = opened(tmp_path)
        assert log.position(MAIL) is None
        for turn in range(3):
            log.append_mail(sender(ALICE), T0 + turn, 2, 1)
            log.mark(MAIL, b"at %d" % turn)
            assert log.position(MAIL) == (b"at %d" % (turn - 1) if turn else None)
            log.flush()
            assert log.position(MAIL) == b"at %d" % turn
        log.mark(DOVECOT, b"elsewhere")
        await log.close()
        found = recover(tmp_path)
        assert found.problems == []
        assert found.positions == {MAIL: b"at 2", DOVECOT: b"elsewhere"}
        assert sums(found) == {(ALICE, R): 6, (ALICE, M): 3}

    run(story)


def test_a_position_alone_is_flushed_within_the_window(tmp_path: Path) -> None:
    async def story() -> None:
        log = opened(tmp_path)
        log.mark(MAIL, b"1")
        deadline = time.monotonic() + 10
        while not recover(tmp_path).positions:
            assert time.monotonic() < deadline, "not in time"
            await asyncio.sleep(0.003)
        await log.close()

    run(story)


def test_whatever_is_torn_off_takes_rows_and_their_position_together(tmp_path: Path) -> None:
    """The log cut after each byte: what is counted always is what the position says."""
    whole = tmp_path / "whole"
    whole.mkdir()

    async def story() -> None:
        log = opened(whole)
        people = [sender(f"login:{i}") for i in range(3)]
        for turn in range(1, 5):
            for one in people[: turn % 3 + 1]:
                log.append(one, R, T0 + turn, 1)
            log.append(people[0], M, T0 + turn, 1)
            log.mark(MAIL, b"%d" % turn)
            log.flush()
        await log.close()

    run(story)
    data = countfile.segment_path(whole, 1).read_bytes()
    cut = tmp_path / "cut"
    cut.mkdir()
    for size in range(len(data) + 1):
        countfile.segment_path(cut, 1).write_bytes(data[:size])
        found = recover(cut)
        position = int(found.positions.get(MAIL, b"0"))
        assert sums(found).get(("login:0", M), 0) == position
    assert position == 4


def test_each_segment_begins_with_all_positions_and_compaction_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "SEGMENT_BYTES", 100)
    monkeypatch.setattr(CountLog, "_compact", lambda self: None)

    async def story() -> None:
        log = opened(tmp_path)
        log.mark(DOVECOT, b"once")
        for turn in range(10):
            log.append_mail(sender(ALICE), T0 + turn, 1, 1)
            log.mark(MAIL, b"%d" % turn)
            log.flush()
        await log.close()
        last, _ = countfile.segments(tmp_path)[-1]
        assert last > 5
        compact(tmp_path, last - 1)
        assert [number for number, _ in countfile.segments(tmp_path)] == [last]
        log = opened(tmp_path)
        assert (log.position(MAIL), log.position(DOVECOT)) == (b"9", b"once")
        await log.close()
        compact(tmp_path, last)
        found = recover(tmp_path)
        assert found.problems == []
        assert found.positions == {MAIL: b"9", DOVECOT: b"once"}
        assert sums(found) == {(ALICE, R): 10, (ALICE, M): 10}

    run(story)


def test_while_the_disk_is_full_position_and_rows_wait_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "RETRY", 1000)

    async def story() -> None:
        log = opened(tmp_path)
        alice = sender(ALICE)
        log.append_mail(alice, T0, 1, 1)
        log.mark(MAIL, b"1")
        log.flush()
        real, full = os.pwrite, True

        def pwrite(fd: int, data: bytes, offset: int) -> int:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)
        for turn in range(2, 5):
            log.append_mail(alice, T0 + turn, 1, 1)
            log.mark(MAIL, b"%d" % turn)
            assert not await log.settle()
            assert log.position(MAIL) == b"1"
            assert recover(tmp_path).positions == {MAIL: b"1"}
            assert sums_in(tmp_path) == {(ALICE, R): 1, (ALICE, M): 1}
        full = False
        assert await log.settle()
        assert log.position(MAIL) == b"4"
        assert recover(tmp_path).positions == {MAIL: b"4"}
        assert sums_in(tmp_path) == {(ALICE, R): 4, (ALICE, M): 4}
        await log.close()

    run(story)


def test_a_segment_that_cannot_take_the_positions_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the compaction would take the old ones away with the only copy."""
    monkeypatch.setattr(counts, "SEGMENT_BYTES", 100)

    async def story() -> None:
        log = opened(tmp_path)
        compactions: list[int] = []
        monkeypatch.setattr(log, "_compact", lambda: compactions.append(1))
        real = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data if at else data[:5], at))
        monkeypatch.setattr(log, "_size", 1)
        real(log._fd, b"x", 0)
        for turn in range(20):
            log.append_mail(sender(ALICE), T0 + turn, 1, 1)
            log.mark(MAIL, b"%d" % turn)
            log.flush()
        assert [number for number, _ in countfile.segments(tmp_path)] == [1]
        assert compactions == []
        assert log.position(MAIL) == b"19"
        await log.close()

    run(story)
