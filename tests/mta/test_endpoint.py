"""Addresses as operators and Postfix write them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from penstock.mta.endpoint import Endpoint

QUEUE = "/var/spool/postfix"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("127.0.0.1:10040", "inet:127.0.0.1:10040"),
        ("inet:mail.example.net:10040", "inet:mail.example.net:10040"),
        ("[::1]:10040", "inet:[::1]:10040"),
        ("0.0.0.0:10040", "inet:127.0.0.1:10040"),
        ("[::]:10040", "inet:[::1]:10040"),
        ("unix:/run/penstock/policy.sock", "unix:/run/penstock/policy.sock"),
        ("unix:/var/spool/postfix/penstock/policy.sock", "unix:penstock/policy.sock"),
    ],
)
def test_as_postfix_writes_it(text: str, asked: str) -> None:
    assert Endpoint.parse(text).asked(QUEUE) == asked


@pytest.mark.parametrize(
    "text", ["", "10040", "127.0.0.1:0", "127.0.0.1:65536", "unix:", "unix:/a b", "a b:1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        Endpoint.parse(text)


@pytest.mark.parametrize(
    ("asked", "listening", "same"),
    [
        ("inet:127.0.0.1:1", "127.0.0.1:1", True),
        ("inet:localhost:1", "127.0.0.1:1", True),
        ("inet:192.0.2.1:1", "0.0.0.0:1", True),
        ("inet:192.0.2.1:1", "127.0.0.1:1", False),
        ("inet:127.0.0.1:1", "127.0.0.1:2", False),
        ("unix:p/policy.sock", "unix:/var/spool/postfix/p/policy.sock", True),
        ("unix:/run/a.sock", "unix:/run/b.sock", False),
        ("unix:/run/a.sock", "127.0.0.1:1", False),
    ],
)
def test_whether_who_asks_reaches_the_listener(asked: str, listening: str, same: bool) -> None:
    assert Endpoint.parse(asked).same(Endpoint.parse(listening), QUEUE) is same


def test_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = Endpoint("127.0.0.1", server.getsockname()[1])
        assert here.answers(QUEUE)
    assert not here.answers(QUEUE)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert Endpoint(path=str(path)).answers(QUEUE)
        assert Endpoint(path="s").answers(str(tmp_path))
    assert not Endpoint(path=str(path)).answers(QUEUE)
