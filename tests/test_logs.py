"""What the log tells, and what it must not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from penstock.logs import set_up

SECRET = "a-secret-of-acme-2026"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def fail(said: str) -> None:
    """Something fails that knows a secret."""
    raise ValueError(f"about {len(said)} characters")


def failed(style: str, capsys: pytest.CaptureFixture[str], **told: str) -> str:
    """What is written about it."""
    set_up(style)
    try:
        fail("-".join(["a", "secret", "of", "acme", "2026"]))
    except ValueError:
        structlog.get_logger().exception("it failed", **told)
    return capsys.readouterr().err


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_does_not_tell_what_variables_held(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = failed(style, capsys)
    assert "about 21 characters" in said and "fail" in said
    assert SECRET not in said


def test_nobody_gives_orders_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = failed("console", capsys, sender="login:ü\x1b[31m", spaced="a\nb\x9b", plain="é")
    assert "sender=login:ü\\x1b[31m " in said and "plain=é" in said
    assert "\x1b" not in said and "\x9b" not in said and "\nb" not in said
    assert json.loads(failed("json", capsys, sender="\x1b"))["sender"] == "\x1b"
