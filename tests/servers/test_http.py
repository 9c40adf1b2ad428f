"""Metrics and health over HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app.live import command, peer, run, serving
from penstock.config import Address
from rig.base import free_port


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split(" ", 2)[1]), body


def test_metrics_and_health(folder: Path) -> None:
    port = free_port()

    async def story() -> None:
        async with serving(folder, http=Address("127.0.0.1", port)) as penstock, peer(folder) as client:
            await command(folder, "standing", sender="login:bob@example.com", to="paused", reason="x")
            for n, login in enumerate(("alice", "alice", "bob", 'o"d\\d')):
                await client.ask(sasl_username=f"{login}@example.com", instance=f"{n}.ffffffff.1.0")
            await client.ask(protocol_state='a"b\\c')
            code, text = await get(port, "/metrics")
            families = list(text_string_to_metric_families(text))
            found = {
                (sample.name, *sample.labels.values()): sample.value for f in families for sample in f.samples
            }
            assert code == 200
            assert all(f.documentation and f.name.startswith("penstock_") for f in families)
            assert len({f.name for f in families}) == len(families) > 15
            name = f"unix:{folder}/policy"
            assert found["penstock_requests_total", name, "RCPT"] == 4
            assert found["penstock_requests_total", name, 'a"b\\c'] == 1
            assert found["penstock_refusals_total", "defer", name] == 1
            assert found["penstock_open_connections", name] == 1
            assert found["penstock_senders_not_open", "paused"] == 1
            assert found["penstock_senders",] == 3
            assert await get(port, "/readyz") == (200, '{"ready":true}')
            assert (await get(port, "/healthz"))[0] == 200
            penstock.counts.failing_since = 1.0
            code, text = await get(port, "/healthz")
            assert code == 503
            assert json.loads(text)["problems"] == ["counts are not written since 1970-01-01T00:00:01Z"]
            penstock.serving = False
            assert (await get(port, "/readyz"))[0] == 503
            assert (await get(port, "/nothing"))[0] == 404

    run(story())
