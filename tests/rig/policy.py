"""Both ends of Postfix's policy protocol, for tests: a client, and a server that records."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from rig.base import Server, free_port

Attributes = Mapping[str, str]

# Names and order as Postfix 3.7.11 sends them (tests/e2e/test_rig.py holds this against the real one).
DEFAULTS: dict[str, str] = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_address": "192.0.2.7",
    "client_name": "client.example.net",
    "client_port": "41234",
    "reverse_client_name": "client.example.net",
    "server_address": "192.0.2.1",
    "server_port": "587",
    "helo_name": "client.example.net",
    "sender": "alice@example.com",
    "recipient": "bob@example.org",
    "recipient_count": "0",
    "queue_id": "",
    "instance": "1a2b.66f0c0de.5a5a5.0",
    "size": "0",
    "etrn_domain": "",
    "stress": "",
    "sasl_method": "PLAIN",
    "sasl_username": "alice@example.com",
    "sasl_sender": "",
    "ccert_subject": "",
    "ccert_issuer": "",
    "ccert_fingerprint": "",
    "ccert_pubkey_fingerprint": "",
    "encryption_protocol": "TLSv1.3",
    "encryption_cipher": "TLS_AES_256_GCM_SHA384",
    "encryption_keysize": "256",
    "policy_context": "",
}


def encode(attributes: Attributes) -> bytes:
    """One request or answer as it goes over the wire."""
    return "".join(f"{name}={value}\n" for name, value in attributes.items()).encode() + b"\n"


def requests(connection: socket.socket) -> Iterator[dict[str, str]]:
    """The blocks of name=value lines that arrive on a connection, until its end."""
    with connection.makefile("rb") as stream:
        block: dict[str, str] = {}
        for raw in stream:
            line = raw.decode(errors="surrogateescape").rstrip("\n")
            if line:
                name, _, value = line.partition("=")
                block[name] = value
            else:
                yield block
                block = {}


class PolicyClient:
    """Asks a policy service as Postfix would, over one connection.

    `address` is a loopback port or the path of a Unix socket.
    """

    def __init__(self, address: int | str, timeout: float = 10) -> None:
        family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", address) if isinstance(address, int) else address)
        self._answers = requests(self.socket)

    def ask(self, **attributes: str | int) -> str:
        """Send a request (defaults and these attributes) and return the action answered."""
        self.send(encode(DEFAULTS | {name: str(value) for name, value in attributes.items()}))
        return self.answer()

    def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(raw)

    def answer(self) -> str:
        """The next action; ConnectionError when the service has hung up."""
        try:
            return next(self._answers)["action"]
        except StopIteration:
            raise ConnectionError("the policy service closed the connection") from None

    def close(self) -> None:
        """Hang up."""
        self._answers = iter(())
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@dataclass
class Recorded:
    """A request as a PolicyServer got it: on which connection, with what."""

    connection: int
    attributes: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]


@dataclass
class PolicyServer(Server):
    """A policy service in this process: records every request, answers what `answer` says.

    `answer` may return None: no answer at all, the connection stays open (a hung service).
    """

    answer: Callable[[Attributes], str | None] = lambda _attributes: "DUNNO"
    port: int = field(default_factory=free_port)
    name = "policy server of the rig"

    def __post_init__(self) -> None:
        self.requests: list[Recorded] = []
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._spawn(self._accept, self._listener)

    def stop(self) -> None:
        """Close the listener and every connection; may be started again on the same port."""
        if self._listener is None:
            return
        _shut(self._listener)
        accepting, *serving = self._threads
        accepting.join(5)
        for connection in tuple(self._open):
            _shut(connection)
        for thread in (*serving, *self._threads):
            thread.join(5)
        self._listener, self._threads = None, []

    def states(self) -> list[str]:
        """The protocol states asked about, in order."""
        return [each["protocol_state"] for each in self.requests]

    def log(self) -> str:
        return "\n".join(f"{each.connection}: {each.attributes}" for each in self.requests)

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            self._spawn(self._serve, connection, self.connections)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection:
            try:
                for attributes in requests(connection):
                    self.requests.append(Recorded(number, attributes))
                    action = self.answer(attributes)
                    if action is not None:
                        connection.sendall(encode({"action": action}))
            except OSError:
                pass
            self._open.discard(connection)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
