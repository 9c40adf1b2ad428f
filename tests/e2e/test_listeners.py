"""The listeners against a hostile world: addresses that are taken, peers that talk rubbish, hang or flood."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import StartPenstock
from rig.base import Folder, free_port, wait_until
from rig.penstock import Penstock
from rig.policy import DEFAULTS, PolicyClient, encode

TO = "bob@example.org"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets."""
    made = Folder("sockets")
    yield made.path
    made.remove()


def serve(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`penstock serve` that is expected to end by itself, and soon."""
    command = [sys.executable, "-m", "penstock", "serve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)


def request(**attributes: str | int) -> bytes:
    """A request as bytes."""
    return encode(DEFAULTS | {name: str(value) for name, value in attributes.items()})


def figures(penstock: Penstock) -> dict[str, Any]:
    """What the service says of its first listener."""
    found: dict[str, Any] = penstock.cli("status")["listeners"][0]
    return found


def memory(penstock: Penstock, line: str = "VmRSS") -> int:
    """Bytes of memory that the service holds."""
    assert penstock.process is not None
    status = Path(f"/proc/{penstock.process.pid}/status").read_text()
    found = re.search(rf"{line}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


# --- addresses ----------------------------------------------------------------------------------


def test_serves_without_a_configuration_file(folder: Path) -> None:
    """The command of the issue, to the letter."""
    port = free_port()
    command = [sys.executable, "-m", "penstock", "serve", "--state", str(folder / "s")]
    command += ["--listen", f"policy=127.0.0.1:{port}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
        try:
            wait_until(lambda: _connects(port), what="the listener")
            with PolicyClient(port) as client:
                assert client.ask() == "DUNNO"
        finally:
            process.terminate()
        assert process.wait(10) == 0
        assert process.stderr is not None and b"Traceback" not in process.stderr.read()


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_tcp_and_several_unix_sockets(folder: Path, start_penstock: StartPenstock) -> None:
    paths = [folder / "one", folder / "made" / "two"]
    penstock = start_penstock(None, *(f"--listen=policy=unix:{path}" for path in paths))
    addresses: list[int | str] = [penstock.port, *map(str, paths)]
    for turn in range(2):
        for address in addresses:
            with PolicyClient(address) as client:
                for _ in range(3):
                    assert client.ask() == "DUNNO"
        told = {each["address"]: each["stages"] for each in penstock.cli("status")["listeners"]}
        names = [f"127.0.0.1:{penstock.port}", *(f"unix:{path}" for path in paths)]
        assert told == {name: {"RCPT": 3} for name in names}
        assert all(path.stat().st_mode & 0o777 == 0o666 for path in paths)
        if not turn:
            penstock.kill()
            assert all(path.is_socket() for path in paths), "left from the crash"
            penstock.start()
    assert penstock.terminate() == 0
    assert not any(path.exists() for path in paths)
    assert not (penstock.state / "control.sock").exists()


@pytest.mark.parametrize("what", ["live socket", "full live socket", "file", "port", "state"])
def test_what_is_taken_refuses_to_start(what: str, folder: Path, start_penstock: StartPenstock) -> None:
    state, address, listener = folder / "state", folder / "sock", socket.socket(socket.AF_UNIX)
    arguments = ["--state", str(state), f"--listen=policy=unix:{address}", "--listen=http=off"]
    if what == "live socket":
        listener.bind(str(address))
        listener.listen(5)
        sentence = f"cannot listen on unix:{address}: somebody else is listening there"
    elif what == "full live socket":
        listener.bind(str(address))
        listener.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                each.connect(str(address))
        sentence = f"cannot listen on unix:{address}: somebody else is listening there"
    elif what == "file":
        address.write_text("precious")
        sentence = f"cannot listen on unix:{address}: {address} exists and is not a socket"
    elif what == "port":
        listener.close()
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        arguments[2] = f"--listen=policy=127.0.0.1:{port}"
        sentence = f"cannot listen on 127.0.0.1:{port}: Address already in use"
    else:
        running = start_penstock()
        assert running.process is not None
        arguments[1] = str(running.state)
        sentence = f"{running.state} is in use by process {running.process.pid}"
    ended = serve(*arguments)
    listener.close()
    if what == "full live socket":
        for each in waiting:
            each.close()
    assert ended.returncode == 1
    assert sentence in ended.stderr and "Traceback" not in ended.stderr
    if what == "file":
        assert address.read_text() == "precious"
    if what == "state":
        with running.client() as client:
            assert client.ask() == "DUNNO"
        assert f"process {running.cli('status')['pid']}:" in sentence + ":"


def test_http_port_in_use_is_survived(start_penstock: StartPenstock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        penstock = start_penstock(None, f"--listen=http=127.0.0.1:{taken.getsockname()[1]}")
        with penstock.client() as client:
            assert client.ask() == "DUNNO"
    assert "no metrics and health" in penstock.log() and "Address already in use" in penstock.log()
    assert penstock.terminate() == 0


# --- peers --------------------------------------------------------------------------------------

RUBBISH = {
    "no equals sign": b"request=smtpd_access_policy\nprotocol_state=RCPT\nnonsense\n\n",
    "another request": request(request="junk_mail_scan"),
    "request not first": b"protocol_state=RCPT\nrequest=smtpd_access_policy\n\n",
    "empty": b"\n",
    "two empty lines": b"\n\n",
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n\n\n",
    "no end": b"request=smtpd_access_policy\n" + b"x=" + b"y" * 70_000,
    "too long": b"request=smtpd_access_policy\nprotocol_state=RCPT\nx=" + b"y" * 70_000 + b"\n\n",
    "attribute twice": b"request=smtpd_access_policy\nprotocol_state=RCPT\nsize=1\nsize=2\n\n",
    "no state": b"request=smtpd_access_policy\nsasl_username=a\n\n",
    "no number": request(size="1e9"),
    "TLS": bytes.fromhex("16030100ba010000b60303") + bytes(200) + b"\n\n",
}


def test_rubbish_closes_only_its_connection(penstock: Penstock) -> None:
    """Each costs one connection, one line of log and one count, and disturbs nobody."""
    with penstock.client() as bystander:
        for n, (name, raw) in enumerate(RUBBISH.items(), 1):
            with penstock.client() as client:
                assert client.ask(recipient=f"r{n}@example.org") == "DUNNO", name
                client.send(raw)
                with pytest.raises((ConnectionError, StopIteration)):
                    client.answer()
            assert bystander.ask() == "DUNNO", name
            assert figures(penstock)["protocol_errors"] == n, name
    log = penstock.log()
    assert log.count("policy peer closed") == len(RUBBISH)
    assert "Traceback" not in log
    assert all(len(line) < 1000 for line in log.splitlines())


def test_odd_bytes_are_harmless(penstock: Penstock) -> None:
    """NULs, 8-bit, control characters, no value, overlong values, unknown names."""
    odd = [
        request().replace(b"alice@example.com", b"a\x00b\x01\x7f\x1b[31m@example.com"),
        request().replace(b"alice@example.com", b"\xff\xfe\xc3(@example.com"),
        request(sasl_username="älïcé@example.com", sender="€@example.com"),
        request(sasl_username="", client_address=""),
        request(sasl_username="", client_address="not an address"),
        request(sasl_username="", client_address="2001:db8::1%eth0"),
        request(sasl_username="x" * 60_000),
        request(sasl_username="a=b@example.com", a_future_attribute="x=y=z"),
        request(protocol_state="", instance=""),
        request(protocol_state="x" * 10_000),
        request(instance="not.hex.at.all", protocol_state="END-OF-MESSAGE", recipient_count=3),
        request(size="9" * 18, recipient_count="9" * 9, protocol_state="END-OF-MESSAGE"),
    ]
    with penstock.client() as client:
        for i, raw in enumerate(odd):
            client.send(raw.replace(b"instance=1a2b", b"instance=%x" % i))
            assert re.fullmatch(r"DUNNO|DEFER_IF_PERMIT [ -~]+", client.answer())
    assert "Traceback" not in penstock.log()
    senders = {row["sender"] for row in penstock.cli("senders")["senders"]}
    assert {"login:a=b@example.com", "login:älïcé@example.com", "ip:unknown"} <= senders
    assert all(sender.isprintable() and len(sender) < 300 for sender in senders)
    for sender in senders:
        assert penstock.cli("show", sender)["sender"] == sender


def test_split_and_pipelined(start_penstock: StartPenstock) -> None:
    """One byte at a time, and 1,000 requests in one write: as many answers, in their order."""
    penstock = start_penstock(
        '[profiles.personal]\nrecipients = ["500/h"]\nmessages = []\npause = []\nlocked = "reject"\n'
    )
    penstock.cli("lock", "login:locked@example.com", "--reason", "test")
    with penstock.client() as client:
        for byte in request():
            client.send(bytes([byte]))
        assert client.answer() == "DUNNO"
        batch = b"".join(
            request(
                recipient=f"r{i}@x.org", sasl_username=f"{'locked' if i % 3 == 1 else 'u'}@example.com"
            ).replace(b"instance=1a2b", b"instance=%x" % i)
            for i in range(1000)
        )
        client.send(batch)
        answers = [client.answer() for _ in range(1000)]
        for i, answer in enumerate(answers):
            passed = i - (i + 1) // 3
            expected = "REJECT" if i % 3 == 1 else "DUNNO" if passed < 500 else "DEFER_IF_PERMIT"
            assert answer.split()[0] == expected, i
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)


def test_half_closed_connections_get_their_answers(penstock: Penstock) -> None:
    for i in range(30):
        with penstock.client() as client:
            client.send(request(recipient=f"r{i}@example.org") * (1 + i % 3))
            client.socket.shutdown(socket.SHUT_WR)
            for _ in range(1 + i % 3):
                assert client.answer() == "DUNNO"
            with pytest.raises(ConnectionError):
                client.answer()
    wait_until(lambda: figures(penstock)["open"] == 0, what="all connections to be closed")


def test_a_peer_that_never_reads_is_asked_nothing_more(start_penstock: StartPenstock, folder: Path) -> None:
    """Back-pressure: its answers do not pile up, and others are answered at once.

    On a Unix socket, where the kernel keeps little for those who do not read.
    """
    path = folder / "policy"
    penstock = start_penstock(None, "--listen", f"policy=unix:{path}")
    with PolicyClient(str(path)) as deaf, penstock.client() as other:
        other.ask()
        deaf.socket.settimeout(1)
        before, sent = memory(penstock), 0
        raw = request(protocol_state="CONNECT") * 200
        with pytest.raises(TimeoutError):
            while sent < 200 << 20:
                sent += deaf.socket.send(raw)
        assert sent > 1 << 20
        assert memory(penstock) < before + (16 << 20)
        slowest = max(_seconds(lambda: other.ask(recipient=f"{i}@x.org")) for i in range(50))  # noqa: B023
        assert slowest < 1
        asked = _asked(penstock)
        assert wait_until(lambda: _asked(penstock) == asked)
        deaf.socket.settimeout(10)
        for _ in range(asked):
            assert deaf.answer() == "DUNNO"


def _asked(penstock: Penstock) -> int:
    """Requests at CONNECT on the second listener."""
    asked: int = penstock.cli("status")["listeners"][1]["stages"]["CONNECT"]
    return asked


def _seconds(call: Callable[[], object]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def test_three_thousand_idle_connections(penstock: Penstock) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3_500:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    most = min(3_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    before = memory(penstock)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(penstock.client()) for _ in range(most)]
        for client in idle[::10]:
            client.send(request()[:100])  # half a request each
        with penstock.client() as worker:
            assert max(_seconds(worker.ask) for _ in range(200)) < 1
        assert figures(penstock)["open"] == most
        assert memory(penstock) - before < most * 20_000
        idle[0].send(request()[100:])
        assert idle[0].answer() == "DUNNO"
        assert _seconds(lambda: penstock.signal(signal.SIGTERM)) < 3
    assert penstock.process is not None and penstock.process.returncode == 0
    assert "Traceback" not in penstock.log()


def test_more_connections_than_file_descriptors(start_penstock: StartPenstock) -> None:
    """Beyond the limit connections wait or fail; those that are open work on, and it recovers."""

    class Narrow(Penstock):
        def launch(self, command: Any, env: dict[str, str] | None = None) -> None:
            super().launch(["prlimit", "--nofile=64:64", *command], env)

    with Narrow() as penstock, penstock.client() as early:
        assert early.ask() == "DUNNO"
        crowd = [penstock.client() for _ in range(100)]
        for i in range(20):
            assert early.ask(recipient=f"{i}@x.org") == "DUNNO"
        for each in crowd:
            each.close()
        wait_until(lambda: _asks(penstock), what="a new connection to be answered")
        assert penstock.cli("status")["listeners"][0]["stages"]["RCPT"] >= 22
        assert penstock.terminate() == 0


def _asks(penstock: Penstock) -> bool:
    with contextlib.suppress(OSError), PolicyClient(penstock.port, timeout=1) as client:
        return client.ask() == "DUNNO"
    return False


def test_many_strangers_stay_small(penstock: Penstock) -> None:
    """200,000 addresses without login: about 1 KiB each at most."""
    strangers, batch = 200_000, 200
    template = request(sasl_username="", sasl_method="", client_address="@", instance="@.66f0c0de.1.0")
    with penstock.client() as client:
        client.ask()
        before = memory(penstock)
        client.socket.settimeout(None)  # or MSG_WAITALL would not wait
        for start in range(0, strangers, batch):
            client.send(b"".join(_stranger(template, i) for i in range(start, start + batch)))
            answers = client.socket.recv(14 * batch, socket.MSG_WAITALL)
            assert answers == b"action=DUNNO\n\n" * batch
    grown = memory(penstock) - before
    assert penstock.cli("status")["senders"] >= strangers
    assert grown / strangers < 1024


def _stranger(template: bytes, i: int) -> bytes:
    address = b"%d.%d.%d.%d" % (11 + (i >> 16), i >> 8 & 255, i & 255, 7)
    return template.replace(b"address=@", b"address=" + address).replace(b"instance=@", b"instance=%x" % i)
