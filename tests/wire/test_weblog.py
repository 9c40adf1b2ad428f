"""Access logs: which script a request ran, and what strangers write there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.events import Posted
from penstock.wire.maillog.kinds import IGNORED
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.stamps import Clock
from penstock.wire.weblog import Roots, bare_host, is_line, parse, script_of
from penstock.zones import zone_of

ROOTS = Roots({"www.example.com": "/srv/a"}, "/srv/{host}/htdocs")
AT = 1795323953.0
STAMP = "[22/Nov/2026:05:05:53 +0000]"
REST = '200 12 "-" "Mozilla"'


def line(request: str = "POST /x.php HTTP/1.1", before: str = "www.example.com:80 192.0.2.1 - -") -> str:
    return f'{before} {STAMP} "{request}" {REST}'


def test_vhost_combined() -> None:
    assert parse(line(), ROOTS) == Posted(AT, "/srv/a/x.php", "192.0.2.1")
    assert parse(line(before="other.example.net 2001:db8::1 - bob"), ROOTS) == Posted(
        AT, "/srv/other.example.net/htdocs/x.php", "2001:db8::1"
    )


def test_combined_of_apache_and_nginx() -> None:
    own = Roots(usual="/srv/site")
    for user in ("-", "bob", "bob the builder"):
        found = parse(line("POST /a/x.php?to=1 HTTP/2.0", f"192.0.2.1 - {user}"), own)
        assert found == Posted(AT, "/srv/site/a/x.php", "192.0.2.1")
    assert parse(line(before="192.0.2.1 - -"), ROOTS) is IGNORED, "without a host {host} is nobody's"


def test_time_zones() -> None:
    there = line().replace("+0000", "+0230").replace(":05:05:53", ":07:35:53")
    assert parse(there, ROOTS) == parse(line(), ROOTS)


@pytest.mark.parametrize(
    ("url", "script"),
    [
        ("/x.php", "/x.php"),
        ("/a%20b/x.PHP5?q=1#y", "/a b/x.PHP5"),
        ("/index.php/wp/json", "/index.php"),
        ("/", "/index.php"),
        ("/wp-admin/", "/wp-admin/index.php"),
        ("//a///x.cgi", "/a/x.cgi"),
        ("http://www.example.com/x.pl", "/x.pl"),
        ("/contact", ""),
        ("/x.php.jpg", ""),
        ("/../x.php", ""),
        ("/a/%2e%2e/%2e%2e/etc/x.php", ""),
        ("/%00x.php", ""),
        ("/%ff.php", ""),
        ("/a\\nb.php".replace("\\n", "%0a"), ""),
        ("*", ""),
        ("", ""),
    ],
)
def test_the_script_of_a_url(url: str, script: str) -> None:
    assert script_of(url) == script


@pytest.mark.parametrize(
    ("host", "bare"),
    [
        ("WWW.Example.com:443", "www.example.com"),
        ("a.", "a"),
        ("..", ""),
        ("a/../b", ""),
        ("", ""),
        ("a..b", ""),
    ],
)
def test_a_host_is_no_way_out_of_its_folder(host: str, bare: str) -> None:
    assert bare_host(host) == bare


@pytest.mark.parametrize("request_", ["GET /x.php HTTP/1.1", "HEAD / HTTP/1.0", "POST /x.php", "-", ""])
def test_other_requests_say_nothing(request_: str) -> None:
    assert parse(line(request_), ROOTS) is IGNORED


def test_a_request_in_another_field_is_none() -> None:
    """Both servers escape the quotes that a client sends."""
    faked = f'{STAMP} \\"POST /victim.php HTTP/1.1\\"'
    assert parse(line("GET / HTTP/1.1", f"www.example.com:80 192.0.2.1 - {faked}"), ROOTS) is IGNORED
    assert parse(line("GET / HTTP/1.1") + f' "{faked}"', ROOTS) is IGNORED


@pytest.mark.parametrize("text", ["", "x", "Nov 22 05:05:53 mx postfix/smtpd[1]: connect from x", '"POST '])
def test_what_is_no_access_log(text: str) -> None:
    assert parse(text, ROOTS) is None and not is_line(text)


def test_a_stamp_that_is_none() -> None:
    assert parse(line().replace("22/Nov", "31/Feb"), ROOTS) is None
    assert parse(line().replace("+0000", "+9999"), ROOTS) is None


def test_a_mail_logs_reader_knows_them() -> None:
    reader = Reader(Clock(2026, zone_of("UTC")), roots=ROOTS)
    assert reader.feed(line()) == reader.feed_request(line()) == Posted(AT, "/srv/a/x.php", "192.0.2.1")
    assert reader.feed(line("GET / HTTP/1.1")) is reader.feed_request("nonsense") is None
    assert (reader.understood, reader.ignored, reader.unknown.total()) == (2, 1, 1)
    without = Reader(Clock(2026, zone_of("UTC")))
    assert without.feed(line()) is None and without.unknown.total() == 0


PIECES = st.sampled_from(
    ['"', "[", "]", " ", "-", "POST ", "/x.php", "HTTP/1.1", STAMP, "%2e%2e", "/../", ":80", "\\", "\0", "é"]
)


@given(st.lists(PIECES | st.text(max_size=20), max_size=40).map("".join))
def test_no_line_does_harm(text: str) -> None:
    found = parse(text, ROOTS)
    if isinstance(found, Posted):
        assert found.path.startswith("/srv/") and "/../" not in found.path and found.path.isprintable()


@given(st.text(max_size=200), st.text(max_size=50))
def test_no_url_leaves_its_root(url: str, host: str) -> None:
    path = ROOTS.script(host, url)
    assert not path or (path.startswith("/srv/") and ".." not in path.split("/"))
