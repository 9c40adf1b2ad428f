"""Lines of the sendmail wrapper, which anybody may write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.events import Submitted
from penstock.sendmail import plain
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.stamps import Clock
from penstock.wire.maillog.wrapper import parse
from penstock.zones import zone_of


def read(text: str) -> object:
    return parse(1.0, "web1/penstock-sendmail", text)


def test_all_that_is_told() -> None:
    text = "uid=1033 cwd=/srv/a script=/srv/a/x%20y.php url=/x.php?a=1 addr=192.0.2.7 argv=php-fpm%3A%20pool"
    assert read(text) == Submitted(1.0, "1033", "/srv/a/x y.php", "/srv/a", "/x.php?a=1", "192.0.2.7")


@pytest.mark.parametrize(
    ("argv", "script"),
    [
        ("/usr/bin/php%00-q%00/srv/a/cron.php%00--all", "/srv/a/cron.php"),
        ("python3%00jobs/mail.py", "/srv/a/jobs/mail.py"),
        ("perl%00../../etc/x.pl", "/etc/x.pl"),
        ("php-fpm%3A pool site1", ""),
        ("/usr/sbin/cron%00-f", ""),
        ("", ""),
    ],
)
def test_the_script_among_the_callers_words(argv: str, script: str) -> None:
    found = read(f"uid=1 cwd=/srv/a argv={argv}")
    assert isinstance(found, Submitted) and found.script == script


@pytest.mark.parametrize(
    ("script", "path"),
    [("/srv/../etc/x.php", "/etc/x.php"), ("x.php", ""), ("//a//b.php", "/a/b.php"), ("/a%0Ab.php", "")],
)
def test_a_script_is_a_plain_full_path(script: str, path: str) -> None:
    found = read(f"uid=1 script={script}")
    assert isinstance(found, Submitted) and found.script == path


@pytest.mark.parametrize("text", ["", "uid=", "uid=x", "uid=-1", "uid=99999999999", "cwd=/srv", "\0"])
def test_a_line_without_a_user_id_is_not_known(text: str) -> None:
    assert read(text) is None


def test_a_syslog_line() -> None:
    reader = Reader(Clock(2026, zone_of("UTC")))
    assert reader.feed("Nov 22 05:05:53 web1 penstock-sendmail[77]: uid=33 cwd=/srv") == Submitted(
        1795323953.0, "33", "", "/srv", "", ""
    )
    assert reader.feed("Nov 22 05:05:53 web1 penstock-sendmail[77]: hello") is None
    assert dict(reader.unknown) == {"penstock-sendmail": 1}


@given(st.binary(max_size=400))
def test_what_the_wrapper_writes_is_read_as_it_was(name: bytes) -> None:
    found = read(f"uid=1 url={plain(name)}")
    text = name.decode("utf-8", "backslashreplace")
    assert isinstance(found, Submitted) and found.url in (text, "")
    if text.isprintable():
        assert found.url == text


@given(st.text(max_size=500))
def test_no_line_does_harm(text: str) -> None:
    found = read("uid=1033 " + text)
    if isinstance(found, Submitted):
        for path in (found.script, found.folder):
            assert path == "" or (path.startswith("/") and path.isprintable() and "/../" not in path)
