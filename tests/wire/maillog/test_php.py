"""PHP's mail.log: path and line are PHP's, the rest is the script's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.events import ScriptMailed
from penstock.wire.maillog import php
from penstock.wire.maillog.kinds import IGNORED


def parse(text: str) -> object:
    return php.parse(1.0, "mail/php", text)


@pytest.mark.parametrize(
    ("to", "recipients"),
    [
        ("a@example.org", 1),
        ("a@example.org, b@example.org", 2),
        ('"Doe, Jane" <a@example.org>, Bob (x, y) <b@example.org>;c@example.org,', 3),
        ("", 0),
        (" , ", 0),
        ('"never closed, a@example.org', 1),
    ],
)
def test_recipients(to: str, recipients: int) -> None:
    for rest in (" -- Headers: Bcc: x@example.org, y@example.org -- Subject: a, b", " -- Headers: "):
        found = parse(f"mail() on [/srv/www/x.php:12]: To: {to}{rest}")
        assert found == ScriptMailed(1.0, "/srv/www/x.php", 12, recipients)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/srv/www/x.php(3) : eval()'d code", "/srv/www/x.php"),
        ("/srv/www/x.php(3) : runtime-created function", "/srv/www/x.php"),
        ("/srv/My Site/x:y]z.php", "/srv/My Site/x:y]z.php"),
    ],
)
def test_paths(path: str, told: str) -> None:
    assert parse(f"mail() on [{path}:1]: To: a@example.org -- Headers: ") == ScriptMailed(1.0, told, 1, 1)


def test_the_old_form_in_syslog() -> None:
    line = (
        "[27-Jan-2026 06:36:56 Europe/Berlin] mail() on [/srv/www/x.php:12]: To: a@example.org -- Headers: "
    )
    assert parse(line) == ScriptMailed(1.0, "/srv/www/x.php", 12, 1)


def test_headers_name_no_other_script() -> None:
    found = parse(
        "mail() on [/srv/evil.php:1]: To: x -- Headers: mail() on [/srv/good.php:2]: To: a,b -- Headers: "
    )
    assert found == ScriptMailed(1.0, "/srv/evil.php", 1, 1)


def test_ignored_and_unknown() -> None:
    assert parse("PHP Warning:  mail(): no") is IGNORED
    assert parse("something new") is None
    assert parse("mail() on [/srv/x.php]: To: a") is None


@given(st.text(st.sampled_from('ab,;()"\\ ')))
def test_counting_never_raises(to: str) -> None:
    found = parse(f"mail() on [/x.php:1]: To: {to}")
    assert isinstance(found, ScriptMailed)
    assert 0 <= found.recipients <= len(to)


def test_every_kind_is_ignored() -> None:
    for kind in php.KINDS:
        assert parse(f"{kind.prefix}x") is IGNORED, kind
