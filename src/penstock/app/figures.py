"""What the service says of itself: health and status."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from penstock import __version__
from penstock.core import explain

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
