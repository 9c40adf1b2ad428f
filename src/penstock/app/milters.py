"""The milter listeners: bound with the others, drained before the engine stops."""

from __future__ import annotations

import asyncio
import socket

from penstock.app import listeners
from penstock.app.node import Node
from penstock.config import Address
from penstock.servers.milter import MilterKeeper
from penstock.servers.milter_traffic import MilterTraffic


class Milters:
    """All milter listeners of a node. ``bind`` first: what cannot be listened on must stop a start early."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._bound: list[tuple[Address, socket.socket, bool]] = []
        self._servers: list[asyncio.Server] = []
        self._keepers: list[MilterKeeper] = []

    def bind(self) -> None:
        """Hold the addresses; raises ListenError."""
        listen = self._node.settings.listen
        for smtp, addresses in ((False, listen.milter), (True, listen.milter_smtp)):
            self._bound += [(address, listeners.bind(address), smtp) for address in addresses]

    async def open(self) -> None:
        """Accept connections; the engine is there."""
        node = self._node
        for address, sock, smtp in self._bound:
            traffic = node.milters[listeners.name_of(address, sock)] = MilterTraffic(smtp)
            keeper = MilterKeeper(
                node.engine,
                node.records,
                node.clock,
                traffic,
                lambda: node.settings.policy.on_error,
            )
            self._keepers.append(keeper)
            self._servers.append(await listeners.serve(sock, keeper.connection))

    async def close(self, seconds: float) -> None:
        """Take no more connections; messages that are coming in get so long to end."""
        await listeners.close(self._servers, tuple(address for address, _, _ in self._bound))
        await asyncio.gather(*(keeper.drain(seconds) for keeper in self._keepers))
