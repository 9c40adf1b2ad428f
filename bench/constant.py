"""A policy server in Python that answers a constant on uvloop: the ceiling of any Python server.

python constant.py PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

ANSWER = b"action=DUNNO\n\n"


class Constant(asyncio.Protocol):
    """Waits for the empty line that ends a request, and looks at nothing else."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport and what may be the first half of an empty line."""
        self.write = cast(asyncio.Transport, transport).write
        self.before = b""

    def data_received(self, data: bytes) -> None:
        """Answer when this piece completes a request."""
        if data.endswith(b"\n\n") or (data == b"\n" and self.before.endswith(b"\n")):
            self.write(ANSWER)
        self.before = data


async def serve(port: int) -> None:
    """Answer on the loopback until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
