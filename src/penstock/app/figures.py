"""What the service says of itself: metrics, health, status."""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock import __version__
from penstock.core import explain
from penstock.servers.http import Sample

if TYPE_CHECKING:
    from penstock.app.service import Service


def degraded(service: Service) -> list[str]:
    """What does not work as it should, as sentences; empty when all is well."""
    found = []
    if service.state.problem:
        found.append(service.state.problem)
    if service.counts.failing_since:
        found.append(f"counts are not written since {explain.when(service.counts.failing_since)}")
    if service.records.degraded_since:
        found.append(f"records are not written since {explain.when(service.records.degraded_since)}")
    return found + [f"no traffic on {name} for {seconds:.0f} s" for name, seconds in service.silent()]


def health(service: Service) -> tuple[bool, dict[str, Any]]:
    """For /healthz: 503 as long as an administrator should look."""
    problems = degraded(service)
    return not problems, {"status": "degraded" if problems else "ok", "problems": problems}


def ready(service: Service) -> tuple[bool, dict[str, Any]]:
    """For /readyz: 200 while the policy listeners are open."""
    return service.serving, {"ready": service.serving}


def status(service: Service) -> dict[str, Any]:
    """For ``doctor`` and for administrators."""
    now = service.clock()
    return {
        "version": __version__,
        "pid": os.getpid(),
        "state": str(service.state.path),
        "policy_file": str(service.settings.file) if service.settings.file else None,
        "policy_loaded_at": explain.when(service.loaded_at),
        "policy_warnings": list(service.settings.warnings),
        "mode": service.settings.mode,
        "started_at": explain.when(service.started_at),
        "senders": len(service.engine.roster.senders) + len(service.counts.sleeping()),
        "problems": degraded(service),
        "recovery": {"rows": service.recovery.rows, "problems": service.recovery.problems},
        "listeners": [
            {
                "address": name,
                "open": traffic.open,
                "connections": traffic.connections,
                "stages": dict(traffic.stages),
                "verbs": {str(verb): n for verb, n in traffic.verbs.items()},
                "errors": traffic.errors,
                "protocol_errors": traffic.protocol_errors,
                "silent_for": now - traffic.last_at if traffic.last_at else None,
            }
            for name, traffic in service.traffic.items()
        ],
    }


def samples(service: Service) -> Iterator[Sample]:
    """All metrics. The names are listed in docs/reference/metrics.md."""
    yield "gauge", "info", "Version of Penstock", ("version",), [((__version__,), 1)]
    yield "gauge", "started_seconds", "Start, seconds since the epoch", (), [((), service.started_at)]
    yield from _traffic(service)
    yield from _engine(service)
    yield from _stores(service)
    yield from _directory(service)


def _traffic(service: Service) -> Iterator[Sample]:
    each = service.traffic.items()
    requests = [((name, stage), n) for name, t in each for stage, n in t.stages.items()]
    yield "counter", "requests", "Policy requests", ("listener", "stage"), requests
    answers = [((name, str(verb)), n) for name, t in each for verb, n in t.verbs.items()]
    yield "counter", "refusals", "Answers other than pass", ("listener", "action"), answers
    for name, text, figure in (
        ("connections", "Policy connections accepted", "connections"),
        ("errors", "Decisions that failed and were answered with on_error", "errors"),
        ("protocol_errors", "Policy peers closed for not speaking the protocol", "protocol_errors"),
    ):
        yield "counter", name, text, ("listener",), [((n,), getattr(t, figure)) for n, t in each]
    yield (
        "gauge",
        "open_connections",
        "Policy connections open",
        ("listener",),
        [((name,), t.open) for name, t in each],
    )
    now = service.clock()
    yield (
        "gauge",
        "silence_seconds",
        "Seconds since the last policy request",
        ("listener",),
        [((name,), now - (t.last_at or service.started_at)) for name, t in each],
    )


def _engine(service: Service) -> Iterator[Sample]:
    roster, now = service.engine.roster, service.clock()
    states = Tally(str(sender.standing.state) for sender in roster.not_open(now))
    yield (
        "gauge",
        "senders",
        "Senders known",
        (),
        [((), len(roster.senders) + len(service.counts.sleeping()))],
    )
    yield (
        "gauge",
        "senders_not_open",
        "Senders by standing, open ones left out",
        ("state",),
        [((state,), n) for state, n in states.items()],
    )
    yield "gauge", "messages_in_flight", "Messages remembered", (), [((), len(service.engine.flights))]
    yield "gauge", "overrides", "Exceptions in force", (), [((), len(roster.overrides))]


def _stores(service: Service) -> Iterator[Sample]:
    counts, records = service.counts, service.records
    yield "counter", "counts_bytes", "Bytes of counts written", (), [((), counts.written_bytes)]
    yield (
        "counter",
        "counts_dropped",
        "Counts lost because the disk was full",
        (),
        [((), counts.dropped_rows)],
    )
    yield (
        "gauge",
        "degraded",
        "1 while this part fails",
        ("part",),
        [
            (("counts",), float(counts.failing_since > 0)),
            (("records",), float(records.degraded_since > 0)),
            (("state",), float(bool(service.state.problem))),
            (("traffic",), float(bool(service.silent()))),
        ],
    )


def _directory(service: Service) -> Iterator[Sample]:
    for figure in ("hits", "misses", "errors"):
        values = [((name,), getattr(f, figure)) for name, f in service.directory.figures().items()]
        yield "counter", f"directory_{figure}", f"Directory look-ups: {figure}", ("source",), values
