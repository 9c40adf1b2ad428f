"""What systemd is told: ready, alive, stopping."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from app.live import run, serving, until
from penstock.servers import systemd


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_ready_alive_stopping(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    address = str(folder / "notify") if kind == "path" else f"@{folder}/notify"
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address if kind == "path" else "\0" + address[1:])
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "20000")

        def hear() -> list[str]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    told.extend(listener.recv(4096).decode().split("\n"))
            return told

        async def story() -> None:
            async with serving(folder):
                await until(lambda: hear().count("WATCHDOG=1") >= 5)

        run(story())
        hear()
    assert told.index("READY=1") <= 1
    assert told.count("READY=1") == told.count("STOPPING=1") == 1
    assert told[-1] == "STOPPING=1" or told.index("STOPPING=1") > told.index("READY=1")


def test_nothing_is_told_outside_systemd(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "nobody"))
    systemd.notify("READY=1")
    assert not (folder / "nobody").exists()


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", "", 15.0), ("", "", 0.0), ("junk", "", 0.0), ("30000000", "1", 0.0)],
)
def test_the_interval_of_the_watchdog(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, seconds: float
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert systemd.watchdog_interval() == seconds
