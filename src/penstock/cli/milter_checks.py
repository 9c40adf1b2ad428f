"""What ``penstock doctor`` looks at in a milter listener that runs."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from penstock.cli.probe import probe
from penstock.mta.checks import Check
from penstock.servers.milter_traffic import SMARTHOST

OFFER: Final = struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)
"""What Postfix offers (milter protocol 6); no message follows."""


def running(milter: Mapping[str, Any]) -> Iterator[Check]:
    """A listener, by what the service says of it and what it answers."""
    yield probe("milter", milter["address"], OFFER, _offered, lambda answer: answer[4:5] == b"O")
    yield _messages(milter)
    if milter["errors"]:
        text = f"{milter['address']}: {milter['errors']} questions failed and were answered with on_error"
        yield Check("milter", False, text, "A fault in Penstock: report what its log says.")
    if milter["protocol_errors"]:
        text = f"{milter['address']}: {milter['protocol_errors']} peers did not speak the milter protocol"
        yield Check("milter", None, text, "Who connects there? The service's log names them.")


def witnesses(status: Mapping[str, Any]) -> Iterator[Check]:
    """Whether anything that cannot be forged tells who hands mail in."""
    local = any(milter["kind"] == "local" for milter in status["milters"])
    if local and not status["logs"]:
        text = "only PHP's header tells who hands mail in, and who calls sendmail himself can forge it"
        yield Check("witnesses", None, text, "Follow the mail log: [logs.mail] (docs/howto/web-host.md).")


def _offered(stream: BinaryIO) -> bytes:
    """The packet that answers an offer: its length, and so many bytes."""
    head = stream.read(4)
    return head + stream.read(min(int.from_bytes(head, "big"), 4096))


def _messages(milter: Mapping[str, Any]) -> Check:
    said = ", ".join(f"{result} {n:,}" for result, n in milter["messages"].items())
    if not said:
        text = f"{milter['address']}: no mail server has asked the milter since the start"
        how = "--for professional" if milter["kind"] == SMARTHOST else "--milter ADDRESS"
        return Check("milter", None, text, f"penstock setup postfix {how} (--apply)")
    unnamed = milter["messages"].get("unnamed", 0)
    text = f"{milter['address']}: {said}; {milter['open']} connections open"
    if unnamed and unnamed == sum(milter["messages"].values()):
        hint = "mail.add_x_header = On in php.ini names the user whose script sends."
        return Check("milter", None, f"{text}: nobody could be named for any of them", hint)
    return Check("milter", True, text)
