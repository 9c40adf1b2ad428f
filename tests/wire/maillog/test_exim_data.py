"""Exim's own test suite as a log: nearly all arrivals, deliveries, deferrals and failures are facts."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from penstock.wire.maillog import exim
from penstock.wire.maillog.facts import Arrived, Outcome, Refused, Removed

LOG = Path(__file__).parents[3].parent / "shared" / "data" / "logs" / "exim" / "mainlog.gz"
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?(?: \[[p\d]+\])? ")
FLOW = re.compile(r"\S{6}-\S{6,11}-\S{2,4} (<=|\(=|=>|->|>>|\*>|==|\*\*|Completed)(?: |$)")
STATUS = {"=>": "sent", "->": "sent", ">>": "sent", "*>": "sent", "==": "deferred", "**": "bounced"}


def right(flag: str, text: str) -> bool:
    """Whether the line became the right kind of fact, with what a look at the line also finds."""
    found = exim.parse(1.0, "mail/exim", text)
    if flag in ("<=", "(="):
        return isinstance(found, Arrived) and (
            not found.client_address or f"[{found.client_address}]" in text
        )
    if flag == "Completed":
        return isinstance(found, Removed)
    if isinstance(found, Refused):
        return "=> blackhole (" in text or "=> blackhole *" in text
    transport = re.search(r" T=([^\s:]+)", text)
    return (
        isinstance(found, Outcome)
        and found.status == STATUS[flag]
        and (transport is None or found.service in (transport[1], "pipe", "file", "autoreply"))
        and ("C=" not in text or bool(found.reply))
    )


def test_exims_own_tests() -> None:
    if not LOG.exists():
        pytest.skip(f"no real Exim log at {LOG}")
    with gzip.open(LOG, "rt", errors="surrogateescape") as lines:
        texts = [line.rstrip("\n")[found.end() :] for line in lines if (found := STAMP.match(line))]
    flows = [(found[1], text) for text in texts if (found := FLOW.match(text))]
    wrong = [text for flag, text in flows if not right(flag, text)]
    assert len(flows) > 10_000
    assert len(wrong) < len(flows) // 1000, wrong
