"""Local mail in the policy file: shared users, relays, access logs and their document roots."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from penstock.config import ConfigError, parse
from penstock.config.settings import LocalSettings
from penstock.wire.weblog import Roots

WEB = '[logs.web]\nfile = "/var/log/access.log"\nkind = "access"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text)
    return [str(problem) for problem in raised.value.problems]


def test_nothing_is_shared_unless_it_is_said() -> None:
    settings = parse("")
    assert settings.local == LocalSettings() and not settings.roots


def test_users_and_relays() -> None:
    local = parse(
        '[local]\nshared_users = [33, "www-data"]\nrelays = ["192.0.2.0/24", "2001:db8::1"]\n'
    ).local
    assert local.shared_users == ("33", "www-data")
    assert local.relays == (ip_network("192.0.2.0/24"), ip_network("2001:db8::1"))


def test_document_roots() -> None:
    settings = parse(WEB + 'root = "/srv/{host}"\nroots = {"WWW.Example.com:443" = "/srv/a/"}\n')
    assert settings.logs["web"].roots == Roots({"www.example.com": "/srv/a/"}, "/srv/{host}")
    assert settings.roots.script("www.example.com", "/x.php") == "/srv/a/x.php"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[local]\nshared_users = [true]", "local.shared_users"),
        ('[local]\nshared_users = ["a b"]', "must be a user id such as 33"),
        ('[local]\nrelays = ["192.0.2.1/24"]', "must be a network such as 192.0.2.0/24"),
        (WEB, 'needs "root" or "roots"'),
        (WEB + 'root = "srv"', "must be an absolute path"),
        (WEB + 'root = "/srv/../x"', "must be an absolute path"),
        (WEB + 'roots = {"a b" = "/srv"}', "must be a host such as www.example.com"),
        (WEB + 'roots = {"a.example" = "srv"}', "must be an absolute path"),
        (WEB.replace("access", "web"), 'must be "mail" or "access"'),
        ('[logs.m]\nfile = "/x"\nroot = "/y"', 'needs kind = "access"'),
    ],
)
def test_mistakes_are_named(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text))
