"""``/metrics``, ``/healthz`` and ``/readyz`` on one local listener.

Figures are plain integers read at scrape time; nothing is counted for them on the decision path.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Sample = tuple[str, str, str, Sequence[str], Sequence[tuple[Sequence[str], float]]]
"""(kind ``counter`` or ``gauge``, name, help, label names, [(label values, value)])."""

Health = Callable[[], tuple[bool, dict[str, Any]]]


class Figures(Collector):
    """Turns samples into Prometheus metrics when they are asked for."""

    def __init__(self, samples: Callable[[], Iterable[Sample]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        for kind, name, text, labels, values in self._samples():
            family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            metric = family(f"penstock_{name}", text, labels=labels)
            for label_values, value in values:
                metric.add_metric(label_values, value)
            yield metric


class HttpServer:
    """uvicorn on a socket that the caller has bound, in the caller's loop."""

    def __init__(self, samples: Callable[[], Iterable[Sample]], healthy: Health, ready: Health) -> None:
        registry = CollectorRegistry()
        registry.register(Figures(samples))

        async def metrics(_: Request) -> Response:
            return PlainTextResponse(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

        routes = [
            Route("/metrics", metrics),
            Route("/healthz", _health(healthy)),
            Route("/readyz", _health(ready)),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), log_config=None, lifespan="off", access_log=False, timeout_keep_alive=5
        )
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    def start(self, bound: socket.socket) -> None:
        """Serve until closed."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[bound]))

    async def close(self) -> None:
        """Stop serving; scrapes under way get a moment."""
        if self._task is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            await asyncio.wait([self._task], timeout=2)


class _Server(uvicorn.Server):
    """Signals belong to the service, not to its metrics page."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _health(check: Health) -> Callable[[Request], Any]:
    async def answer(_: Request) -> Response:
        good, details = check()
        return JSONResponse(details, status_code=200 if good else 503)

    return answer
