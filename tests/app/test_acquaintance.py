"""What a service knows of who has met whom outlives it, and a damaged file does not keep it from serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.live import Clock, peer, run, serving
from penstock.app import Service, figures
from penstock.cli.status import acquaintance
from penstock.core.events import Delivered, Message
from support import reached

CONFIG = '[detection]\nmode = "enforce"\n'
FRIENDS = [f"friend{i}@example.net" for i in range(20)]


def deliver(penstock: Service, recipients: list[str]) -> None:
    """The log tells that Alice has got mail through."""
    for recipient in recipients:
        message = Message(penstock.clock(), "mx1", "4Xy1")
        message.kind, message.name, message.recipients = "login", "alice@example.com", 1
        event = Delivered(penstock.clock(), message, recipient, "mx[203.0.113.9]:25")
        penstock.engine.observe(event)


def known(penstock: Service) -> int:
    """To how many of her friends Alice is known."""
    filters = penstock.acquaintances.acquaintance
    return sum(filters.knows(reached(filters, "login:alice@example.com", friend)) for friend in FRIENDS)


def told(penstock: Service) -> dict[str, Any]:
    found: dict[str, Any] = figures.status(penstock)["acquaintance"]
    return found


def test_a_restart_forgets_nobody(folder: Path) -> None:
    clock = Clock()

    async def story() -> None:
        async with serving(folder, CONFIG, clock) as penstock:
            assert acquaintance(told(penstock)) == "nobody has met yet"
            deliver(penstock, FRIENDS)
            assert known(penstock) == 20
            assert acquaintance(told(penstock)).endswith("learning since 2023-11-14T22:13:20Z, not saved yet")
        clock.now += 600
        async with serving(folder, CONFIG, clock) as penstock:
            assert known(penstock) == 20
            assert told(penstock)["saved_seconds_ago"] == 600
            said = acquaintance(told(penstock))
            assert said.endswith("learning since 2023-11-14T22:13:20Z, saved 10 min ago")

    run(story())


def test_a_damaged_file_stops_nobody(folder: Path) -> None:
    state = folder / "state"
    state.mkdir(parents=True)
    (state / "acquaintance.bin").write_bytes(b"PSAQ\1\0\1\0" * 1000)

    async def story() -> None:
        async with serving(folder, CONFIG) as penstock, peer(folder) as client:
            assert known(penstock) == 0
            assert await client.ask(recipient=FRIENDS[0], sasl_username="alice@example.com") == "DUNNO"
            assert figures.degraded(penstock) == []
        assert [path.name for path in state.glob("acquaintance.bin.damaged-*")]

    run(story())


def test_a_service_without_detection_writes_no_file(folder: Path) -> None:
    async def story() -> None:
        async with serving(folder, '[detection]\nmode = "off"\n') as penstock:
            deliver(penstock, FRIENDS)
        assert not (folder / "state/acquaintance.bin").exists()

    run(story())
