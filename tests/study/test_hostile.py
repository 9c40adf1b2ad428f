"""Logs that somebody has tampered with: there is always an answer, a valid policy and a sound page."""

from __future__ import annotations

import random
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from penstock.config import parse
from penstock.core.names import Naming
from penstock.study.export import as_json
from penstock.study.run import NothingToStudy, study
from penstock.study.sources import open_sources
from penstock.study.study_page import study_page
from study.support import DAY, MONDAY, Platform

PIECES = (
    b"\n", b"\x00", b"\xff\xfe", b"\xe2\x80\xae", b"<script>", b'"', b"'''", b"\\", b"]", b"[",
    b"nrcpt=99999999999999999999",
    b"sasl_username=", b"uid=-1", b"Feb 29 23:59:60 ", b"9999-12-31T23:59:59Z ",
    b"0001-01-01T00:00:00+14:00 ", b"@",
    b"\x7f", b"A" * 3000, b"to=<>", b"relay=[::1]", b"dsn=9.9.9, status=bounced",
)  # fmt: skip


STAMPS = ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2026-01-05T10:00:00Z")


def tampered(seed: int) -> bytes:
    draw = random.Random(seed)
    platform = Platform(seed)
    for day in range(6):
        for i in range(30):
            login = f"user{i}@example.com"
            platform.message(MONDAY + day * DAY + i * 60, login, platform.people(draw.randint(1, 9)))
        platform.script(MONDAY + day * DAY, 33, platform.people(2))
    text = bytearray("".join(f"{line}\n" for line in platform.text(dated=seed % 2 == 0)).encode())
    for _ in range(200):
        at = draw.randrange(len(text))
        text[at : at + draw.choice((0, 0, 1, 20))] = draw.choice(PIECES)
    return bytes(text)


@pytest.mark.parametrize("seed", range(12))
def test_tampered_logs(seed: int, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(tampered(seed))
    try:
        found = study(open_sources([str(log)]), UTC, None, MONDAY + 30 * DAY, Naming(), parse("").policy)
    except NothingToStudy:
        pytest.fail("most of it is still sound")
    assert parse(found.policy).warnings == ()
    document = study_page(found, UTC)
    assert "<script" not in document
    assert "\u202e" not in document
    assert as_json(found)["recipients"] >= sum(group.recipients for group in found.groups) > 0


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_stamps_of_no_time(zone: str, tmp_path: Path) -> None:
    lines = [
        f"{stamp} mx postfix/{text % qid}"
        for qid, stamp in zip(("4A0001", "4A0002", "4A0003"), STAMPS, strict=True)
        for text in (
            "smtpd[1]: %s: client=a[192.0.2.1], sasl_method=PLAIN, sasl_username=a",
            "cleanup[1]: %s: message-id=<x@example.com>",
            "qmgr[1]: %s: from=<a@example.com>, size=1, nrcpt=1 (queue active)",
            "qmgr[1]: %s: removed",
        )
    ]
    log = tmp_path / "mail.log"
    log.write_text("\n".join(lines))
    found = study(open_sources([str(log)]), ZoneInfo(zone), None, MONDAY, Naming(), parse("").policy)
    assert found.period.messages == 1
    assert found.period.begin == found.period.end
    assert "2 messages were left out" in found.warnings[0]
    assert "January 2026" in study_page(found, ZoneInfo(zone))
