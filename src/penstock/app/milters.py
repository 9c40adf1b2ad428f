"""The milter listeners: bound with the others, drained before the engine stops."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from functools import partial

from penstock.app import listeners
from penstock.app.contents import Contents
from penstock.app.node import Node
from penstock.config import Address, Settings
from penstock.servers.milter import MilterConnection
from penstock.servers.milter_keeper import MilterKeeper
from penstock.servers.milter_smarthost import SmarthostConnection, SmarthostKeeper
from penstock.servers.milter_traffic import LOCAL, SMARTHOST, SMTP, MilterTraffic


class Milters:
    """All milter listeners of a node. ``bind`` first: what cannot be listened on must stop a start early."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._bound: list[tuple[Address, socket.socket, str]] = []
        self._servers: list[asyncio.Server] = []
        self._keepers: list[MilterKeeper] = []

    def bind(self) -> None:
        """Hold the addresses; raises ListenError."""
        listen = self._node.settings.listen
        wanted = {LOCAL: listen.milter, SMTP: listen.milter_smtp, SMARTHOST: listen.milter_smarthost}
        for kind, addresses in wanted.items():
            self._bound += [(address, listeners.bind(address), kind) for address in addresses]

    async def open(self) -> None:
        """Accept connections; the engine is there."""
        self._contents = Contents(self._node)
        for address, sock, kind in self._bound:
            traffic = self._node.milters[listeners.name_of(address, sock)] = MilterTraffic(kind)
            self._servers.append(await listeners.serve(sock, self._door(traffic)))

    def _door(self, traffic: MilterTraffic) -> Callable[[], asyncio.BaseProtocol]:
        """What makes the connections of a listener."""
        node = self._node
        shared = node.engine, node.records, node.clock, traffic, lambda: node.settings.policy.on_error
        if traffic.kind == SMARTHOST:
            smarthost = SmarthostKeeper(*shared, node.professionals)
            self._contents.equip(smarthost)
            self._keepers.append(smarthost)
            return partial(SmarthostConnection, smarthost)
        keeper = MilterKeeper(*shared)
        keeper.locals.relays = node.settings.local.relays
        keeper.locals.look = partial(_look, node) if _tells_users(node.settings) else None
        self._contents.equip(keeper)
        self._keepers.append(keeper)
        return partial(MilterConnection, keeper)

    async def close(self, seconds: float) -> None:
        """Take no more connections; messages that are coming in get so long to end."""
        await listeners.close(self._servers, tuple(address for address, _, _ in self._bound))
        await asyncio.gather(*(keeper.drain(seconds) for keeper in self._keepers))


def _tells_users(settings: Settings) -> bool:
    """Whether a followed log tells who hands mail in."""
    return any(not source.roots for source in settings.logs.values())


def _look(node: Node, looked: Callable[[], None]) -> None:
    """Somebody waits for a line that is being written; ``looked``: every log was looked at."""
    followers = [watched.follower for watched in node.logs]
    left = itertools.count(len(followers) - 1, -1)

    def one_looked() -> None:
        if next(left) == 0:
            looked()

    for follower in followers:
        follower.hurry(one_looked)
