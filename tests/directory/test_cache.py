"""The memory in front of a slow source, with a source and a clock that the test holds in its hand."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from directory.support import Heard, until
from penstock.core.policy import Entry
from penstock.directory.cache import Cache, Keeping, LookupFailed, SourceDown
from penstock.directory.complaints import MOST_A_MINUTE, Complaints

pytestmark = pytest.mark.usefixtures("threads_end")


class Fake:
    """Answers from a dict; an exception in it is raised. While ``gate`` is closed it hangs."""

    name = "fake"

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.answers: dict[str, Entry | Exception | None] = {}
        self.always: Exception | None = None
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def wants(self, key: str) -> bool:
        return key.startswith("login:")

    def ask(self, key: str) -> Entry | None:
        self.asked.append(key)
        self.gate.wait()
        answer = self.always or self.answers.get(key)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def abort(self) -> None:
        self.gate.set()

    def close(self) -> None:
        self.asked.append("closed")


class Bench:
    """A cache on a fake source, with a clock that stands still."""

    def __init__(self, keeping: Keeping, workers: int) -> None:
        self.now = 1000.0
        self.source = Fake(workers)
        complain = Complaints("fake", lambda: self.now)
        self.cache = Cache(self.source, complain, keeping, lambda: self.now)
        self.heard = self.cache.on_news = Heard()
        self.blank = self.cache.on_blank = Heard()

    async def ask(self, key: str = "login:a") -> Entry | None:
        """The answer once there is nothing more to wait for."""
        self.cache.get(key)
        await until(lambda: not self.cache.figures().waiting)
        return self.cache.get(key)


def run(test: Callable[[Bench], Coroutine[Any, Any, None]], workers: int = 1, **keeping: Any) -> Bench:
    async def main() -> Bench:
        bench = Bench(Keeping(**{"first_pause": 0.01, "longest_pause": 0.02} | keeping), workers)
        try:
            await test(bench)
        finally:
            bench.cache.close()
        return bench

    return asyncio.run(main())


A, B = Entry("1"), Entry("2")


def test_an_old_answer_serves_until_the_new_one_is_there() -> None:
    async def test(b: Bench) -> None:
        b.source.answers["login:a"] = A
        assert b.cache.get("login:a") is None
        assert await b.ask() == A
        b.now += 299
        assert await b.ask() == A and b.source.asked == ["login:a"]
        b.now += 2
        b.source.answers["login:a"] = B
        b.source.gate.clear()
        assert [b.cache.get("login:a") for _ in range(5)] == [A] * 5
        b.source.gate.set()
        assert await b.ask() == B
        assert b.heard.keys == ["login:a", "login:a"]
        assert b.heard.threads == {"MainThread"}
        assert b.source.asked == ["login:a"] * 2

    run(test)


def test_the_same_answer_again_is_no_news() -> None:
    async def test(b: Bench) -> None:
        b.source.answers["login:a"] = A
        for _ in range(3):
            assert await b.ask() == A
            b.now += 1000
        assert b.heard.keys == ["login:a"] and b.cache.answers == 3

    run(test)


def test_unknown_is_remembered_for_a_shorter_time_and_is_no_news() -> None:
    async def test(b: Bench) -> None:
        assert await b.ask() is None
        b.now += 59
        assert await b.ask() is None and b.cache.answers == 1
        b.now += 2
        b.source.answers["login:a"] = A
        assert await b.ask() == A
        assert b.heard.keys == ["login:a"] and b.blank.keys == ["login:a"]

    run(test)


def test_a_sender_that_is_gone_is_news() -> None:
    async def test(b: Bench) -> None:
        b.source.answers["login:a"] = A
        await b.ask()
        del b.source.answers["login:a"]
        b.now += 301
        assert await b.ask() is None
        assert b.heard.keys == ["login:a"] * 2
        assert b.cache.figures().known == 0

    run(test)


def test_a_failed_refresh_keeps_the_old_answer() -> None:
    async def test(b: Bench) -> None:
        b.source.answers["login:a"] = A
        await b.ask()
        b.source.answers["login:a"] = LookupFailed("no")
        b.now += 301
        assert await b.ask() == A and b.cache.errors == 1
        b.now += 59
        assert await b.ask() == A and b.cache.errors == 1, "put off"
        b.now += 2
        assert await b.ask() == A and b.cache.errors == 2
        assert not b.cache.down

    run(test)


def test_a_source_that_is_down_keeps_its_queue_and_says_so_once() -> None:
    async def test(b: Bench) -> None:
        b.source.always = SourceDown("no route")
        keys = [f"login:{n}" for n in range(50)]
        b.source.answers = dict.fromkeys(keys, A)
        with capture_logs() as logs:
            for key in keys:
                assert b.cache.get(key) is None
            await until(lambda: b.cache.errors > 3)
            assert b.cache.down and b.cache.settled("login:new")
            assert sorted(b.blank.keys) == sorted(keys)
            b.source.always = None
            await until(lambda: b.cache.answers == 50)
        assert not b.cache.down and b.cache.figures().waiting == 0
        assert sorted(b.heard.keys) == sorted(keys)
        assert [log["event"] for log in logs] == [
            "directory source is down",
            "directory source answers again",
        ]

    run(test)


def test_a_key_that_always_seems_to_break_the_source_does_not_stay_in_the_way() -> None:
    async def test(b: Bench) -> None:
        b.source.answers = {"login:poison": SourceDown("crash"), "login:a": A}
        b.cache.get("login:poison")
        await until(lambda: b.cache.errors)
        assert await b.ask("login:a") == A
        assert b.cache.get("login:poison") is None and not b.cache.down
        assert b.cache.figures().waiting == 0, "put off, not queued"

    run(test)


def test_a_bug_in_a_source_does_not_end_the_thread() -> None:
    async def test(b: Bench) -> None:
        b.source.answers = {"login:a": ZeroDivisionError("oops"), "login:b": B}
        with capture_logs() as logs:
            assert await b.ask("login:a") is None
        assert await b.ask("login:b") == B
        assert [log["event"] for log in logs] == ["directory look-up crashed"]

    run(test)


def test_what_it_cannot_know_is_not_asked() -> None:
    async def test(b: Bench) -> None:
        assert b.cache.get("ip:192.0.2.7") is None and b.cache.settled("ip:192.0.2.7")
        assert b.cache.figures()[:6] == (0, 0, 0, 0, 0, 0)

    run(test)


def test_dropped_keys_are_asked_for_when_they_come_again() -> None:
    async def test(b: Bench) -> None:
        b.source.gate.clear()
        b.source.answers = {f"login:{n}": A for n in range(30)}
        for n in range(30):
            b.cache.get(f"login:{n}")
        assert b.cache.figures().waiting == 10 and b.cache.dropped == 20
        b.source.gate.set()
        await until(lambda: b.cache.answers == 10)
        assert await b.ask("login:29") == A

    run(test, most_waiting=10)


def test_a_million_strangers_find_bounded_room_and_push_no_customer_out() -> None:
    async def test(b: Bench) -> None:
        b.source.answers["login:a"] = A
        await b.ask()
        b.source.gate.clear()
        for n in range(900_000):
            b.cache.get(f"login:{n}")
        tracemalloc.start()
        for n in range(900_000, 1_000_000):
            b.cache.get(f"login:{n}")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        f = b.cache.figures()
        assert f.waiting == 1000 and f.dropped == 999_000
        assert peak < 10_000, "nothing more is kept"
        b.source.gate.set()
        await until(lambda: b.cache.answers == 1001)
        assert b.cache.get("login:a") == A

    run(test, most_waiting=1000)


def test_answers_stay_within_the_cache() -> None:
    async def test(b: Bench) -> None:
        b.source.answers["login:a"] = A
        await b.ask()
        for start in range(0, 100_000, 10_000):
            for n in range(start, start + 10_000):
                b.cache.get(f"login:{n}")
            await until(lambda: not b.cache.figures().waiting)
        f = b.cache.figures()
        assert (f.answers, f.unknown, f.known, f.dropped) == (100_001, 500, 1, 0)
        assert b.cache.get("login:a") == A

    run(test, most=500)


def test_the_oldest_answers_go_first() -> None:
    async def test(b: Bench) -> None:
        b.source.answers = {f"login:{n}": A for n in range(4)}
        for n in range(3):
            await b.ask(f"login:{n}")
        b.now += 301
        await b.ask("login:0")
        await b.ask("login:3")
        assert [b.cache.get(f"login:{n}") for n in range(4)] == [A, None, A, A]

    run(test, most=3)


def test_closing_ends_threads_that_hang_or_pause() -> None:
    async def hanging(b: Bench) -> None:
        b.source.gate.clear()
        b.cache.get("login:a")
        await until(lambda: b.source.asked)

    async def pausing(b: Bench) -> None:
        b.source.always = SourceDown("no")
        b.cache.get("login:a")
        await until(lambda: b.cache.errors)

    started = time.monotonic()
    assert run(hanging).source.asked[-1] == "closed"
    assert run(pausing, first_pause=60, longest_pause=60).source.asked[-1] == "closed"
    assert run(pausing, workers=3).source.asked.count("closed") == 3
    assert time.monotonic() - started < 5


def test_an_answer_after_the_loop_has_closed_harms_nobody() -> None:
    async def test() -> Bench:
        bench = Bench(Keeping(), 1)
        bench.source.gate.clear()
        bench.cache.get("login:a")
        return bench

    bench = asyncio.run(test())
    bench.source.gate.set()
    deadline = time.monotonic() + 10
    while bench.source.asked[-1:] != ["closed"] and time.monotonic() < deadline:
        if len(bench.source.asked) == 1:
            bench.cache._queue.put("login:b")  # whatever it is asked next, it ends
        time.sleep(0.005)
    bench.cache.close()
    assert bench.source.asked[-1] == "closed"


def test_strangers_cannot_fill_the_log() -> None:
    now = 0.0
    complain = Complaints("fake", lambda: now)
    with capture_logs() as logs:
        for n in range(1000):
            complain("event", f"login:{n}", "bad")
        complain("event", "login:0", "bad")
        assert len(logs) == MOST_A_MINUTE
        now = 61.0
        complain("event", "login:0", "bad")
        complain("event", "login:1000", "bad")
    assert logs[-1]["key"] == "login:1000" and logs[-1]["withheld"] == 1000 - MOST_A_MINUTE


def test_age_of_the_last_success() -> None:
    async def test(b: Bench) -> None:
        assert b.cache.figures().age is None
        await b.ask()
        b.now += 7
        assert b.cache.figures().age == 7

    run(test)
