"""The reference in mail that we let pass: opaque, short, and nobody else can make one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire.trace import HEADER, Tracer, find_reference

KEY = b"k" * 32
AT = 1_795_255_230.5
ALICE = "login:alice.long@example.org"
SAFE = re.compile(r"[A-Za-z0-9_-]+")


def test_a_reference_tells_sender_and_minute() -> None:
    token = Tracer(KEY).token(ALICE, AT)
    assert Tracer(KEY).read(token) == (ALICE, AT // 60 * 60)
    assert SAFE.fullmatch(token)
    assert len(token) <= 80
    assert "alice" not in token


@given(st.text(min_size=1, max_size=200), st.floats(0, 4e9))
def test_any_sender(sender: str, at: float) -> None:
    tracer = Tracer(KEY)
    token = tracer.token(sender, at)
    assert SAFE.fullmatch(token)
    assert tracer.read(token) == (sender, at // 60 * 60)
    assert tracer.token(sender, at) == token


def test_it_changes_with_the_minute_and_the_sender() -> None:
    tracer = Tracer(KEY)
    tokens = {tracer.token(s, AT + m * 60) for s in (ALICE, "uid:33") for m in range(3)}
    assert len(tokens) == 6
    assert tracer.token(ALICE, AT) == tracer.token(ALICE, AT + 20)


@pytest.mark.parametrize(
    "bad", ["", "x", "A" * 60, "é" * 40, "=" * 40, "A" * 5000, "\ud800" * 40, "A\nB" * 20]
)
def test_anything_else_is_nobody(bad: str) -> None:
    assert Tracer(KEY).read(bad) is None


@given(st.text(max_size=120))
def test_reading_never_raises(text: str) -> None:
    assert Tracer(KEY).read(text) is None


def test_a_changed_letter_or_another_key_is_nobody() -> None:
    tracer = Tracer(KEY)
    token = tracer.token(ALICE, AT)
    for at in range(len(token) - 1):
        other = "A" if token[at] != "A" else "B"
        assert tracer.read(token[:at] + other + token[at + 1 :]) is None
    assert tracer.read(token[:-4]) is None
    assert Tracer(b"l" * 32).read(token) is None


def test_the_cache_is_bounded() -> None:
    tracer = Tracer(KEY)
    for n in range(25_000):
        tracer.token(f"uid:{n}", AT)
    assert len(tracer._cache) <= 10_000


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Tracer(b"short")


def test_it_is_found_in_headers() -> None:
    token = Tracer(KEY).token(ALICE, AT)
    assert find_reference(f"From: a\n{HEADER}: {token}\nTo: b\n") == token
    assert find_reference(f"From: a\r\n{HEADER.upper()}:\r\n {token}\r\nTo: b\r\n") == token
    assert find_reference(f"{HEADER}: {token}\n{HEADER}: {'B' * 60}\n") == token, "ours is above the client's"
    assert (
        find_reference(f"X-Other: {token}\n") == find_reference("") == find_reference(f"{HEADER}: no\n") == ""
    )
