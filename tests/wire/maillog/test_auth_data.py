"""Log lines that fail2ban and CrowdSec ban for: which of them are failed logins here, and from whom.

Not taken, knowingly: Dovecot's auth and auth-worker lines (the login process or the MTA tells the same
failure) and pam_unix's words of it; connections without any login; plaintext logins refused unheard; Exim's
refusals are ``Refused``, not logins, and its protocol errors are nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core.events import LoggedIn
from penstock.wire.maillog import dovecot, exim
from penstock.wire.maillog.facts import Refused
from penstock.wire.maillog.kinds import Found

FOLDER = Path(__file__).parents[3].parent / "shared" / "data" / "logs" / "auth"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=f"no authentication logs at {FOLDER}")

STAMP = re.compile(
    r"(?:@[0-9a-f]+ |[A-Z][a-z]{2} +\d+ [\d:]{8} |\d{4}-\d\d-\d\d[ T][\d:.]+(?:[+-][\d:]+)? )?"
    r"(?:(?:\S+ )?(?:dovecot|exim)(?:\[\d+\])?: )?(?:dovecot: |\d{4}-\d\d-\d\d [\d:]{8} )?(?:\[\d+\] )?"
)
NOT_TAKEN = re.compile(
    r"(?:\S+ )?(?:dovecot-)?auth(?:-worker)?(?:\(|: )|"
    r".*\((?:no auth attempts|tried to use |disconnected |client didn't finish )"
)
ENDS = re.compile(
    r"(?<!\A)(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d |[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \S+ (?:dovecot|exim))"
)


def expected(name: str) -> Iterator[tuple[bool, str, str]]:
    """(whether fail2ban matches, which address, text)."""
    told: dict[str, object] = {}
    for line in (FOLDER / name).read_text(errors="surrogateescape").splitlines():
        comment = re.match(r"# ?failJSON: (\{.*)", line)
        if comment:
            told = json.loads(comment[1])
        elif line.strip() and not line.startswith("#"):
            yield bool(told["match"]), str(told.get("host", "")), line[STAMP.match(line).end() :]  # type: ignore[union-attr]


def failed(found: Found) -> str | None:
    """The address of a failed login; None when it is none."""
    return found.client_address if isinstance(found, LoggedIn) and not found.ok else None


def test_dovecot_as_fail2ban_sees_it() -> None:
    taken = 0
    for match, host, text in expected("fail2ban-dovecot"):
        address = failed(dovecot.parse(1.0, "mail/dovecot", text))
        if NOT_TAKEN.match(text):
            assert address is None, text
            continue
        assert address == (host if match else None), text
        taken += 1
    assert taken >= 20


def test_exim_as_fail2ban_sees_it() -> None:
    logins = refusals = 0
    for name in ("fail2ban-exim", "fail2ban-exim-spam"):
        for match, host, text in expected(name):
            found = exim.parse(1.0, "mail/exim", text)
            if "535 Incorrect" in text:
                assert failed(found) == host, text
                logins += 1
            elif match and re.search(r" rejected (?:RCPT|after|by)", text):
                assert isinstance(found, Refused), text
                assert found.client_address == host, text
                refusals += 1
            else:
                assert failed(found) is None, text
    assert logins >= 11
    assert refusals >= 10


@pytest.mark.parametrize("path", sorted(FOLDER.glob("crowdsec-*")), ids=lambda path: path.name[9:29])
def test_crowdsecs_lines(path: Path) -> None:
    """Where the phrase is, there is a failed login."""
    parse = exim.parse if "exim" in path.name else dovecot.parse
    for line in ENDS.split(path.read_text(errors="surrogateescape")):
        for text in line.splitlines():
            text = text[STAMP.match(text).end() :]  # type: ignore[union-attr]
            address = failed(parse(1.0, "mail/x", text))
            if text.startswith("auth"):
                assert address is None
            elif "535 Incorrect" in text or ("-login: " in text and "auth failed" in text):
                assert address, text
            elif "postfix" not in path.name:
                assert address is None, text
