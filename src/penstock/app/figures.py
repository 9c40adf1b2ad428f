"""What the service says of itself: health and status."""

from __future__ import annotations

import os
from typing import Any

from penstock import __version__
from penstock.app.node import Node
from penstock.app.watching import Watched
from penstock.core import explain
from penstock.servers.milter_traffic import MilterTraffic


def degraded(node: Node) -> list[str]:
    """What does not work as it should, as sentences; empty when all is well."""
    found = []
    if node.state.problem:
        found.append(node.state.problem)
    if node.counts.failing_since:
        found.append(f"counts are not written since {explain.when(node.counts.failing_since)}")
    if node.records.degraded_since:
        found.append(f"records are not written since {explain.when(node.records.degraded_since)}")
    found += [store.problem for store in (node.sent, node.acquaintances) if store.problem]
    found += [problem for watched in node.logs for problem in watched.problems()]
    if node.intake is not None and node.intake.problem:
        found.append(node.intake.problem)
    if node.queue is not None:
        found += node.queue.problems
    if node.engine.budget.unseen(node.clock()):
        found.append(
            "mail lies on hold and nobody lets it go: turn on [queue], or see to it with postqueue -p"
        )
    if node.places_problem:
        found.append(node.places_problem)
    return found + [f"no traffic on {name} for {seconds:.0f} s" for name, seconds in node.silent()]


def health(node: Node) -> tuple[bool, dict[str, Any]]:
    """For /healthz: 503 as long as an administrator should look."""
    problems = degraded(node)
    return not problems, {"status": "degraded" if problems else "ok", "problems": problems}


def ready(node: Node) -> tuple[bool, dict[str, Any]]:
    """For /readyz: 200 while the policy listeners are open."""
    return node.serving, {"ready": node.serving}


def status(node: Node) -> dict[str, Any]:
    """For ``doctor`` and for administrators."""
    now = node.clock()
    return {
        "version": __version__,
        "pid": os.getpid(),
        "state": str(node.state.path),
        "policy_file": str(node.settings.file) if node.settings.file else None,
        "policy_loaded_at": explain.when(node.loaded_at),
        "policy_warnings": list(node.settings.warnings),
        "mode": node.settings.mode,
        "started_at": explain.when(node.started_at),
        "senders": len(node.engine.roster.senders) + len(node.counts.sleeping()),
        "problems": degraded(node),
        "recovery": {"rows": node.recovery.rows, "problems": node.recovery.problems},
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
            for name, traffic in node.traffic.items()
        ],
        "milters": [_milter(name, traffic) for name, traffic in node.milters.items()],
        "logs": [_log(watched) for watched in node.logs],
        "reports": _reports(node),
        "queue": _queue(node),
        "professional": _professional(node),
        "acquaintance": _acquaintance(node),
    }


def _acquaintance(node: Node) -> dict[str, Any]:
    """What is known of who has met whom, and since when."""
    file, known = node.acquaintances, node.acquaintances.acquaintance
    return {
        "pairs": known.met,
        "capacity": known.capacity,
        "learning_since": explain.when(known.since),
        "saved_seconds_ago": round(node.clock() - file.saved_at, 1) if file.saved_at else None,
    }


def _milter(name: str, traffic: MilterTraffic) -> dict[str, Any]:
    """A milter listener."""
    return {
        "address": name,
        "smtp": traffic.smtp,
        "kind": traffic.kind,
        "open": traffic.open,
        "connections": traffic.connections,
        "messages": dict(traffic.results),
        "refused": dict(traffic.refused),
        "errors": traffic.errors,
        "protocol_errors": traffic.protocol_errors,
        "last_at": explain.when(traffic.last_at) if traffic.last_at else None,
    }


def _log(watched: Watched) -> dict[str, Any]:
    """A log that is followed."""
    follower, reader = watched.follower, watched.feed.reader
    return {
        "name": watched.name,
        "source": watched.where,
        "counted": watched.source.counted,
        "lines": follower.lines,
        "understood": reader.understood,
        "ignored": reader.ignored,
        "foreign": reader.foreign,
        "unknown": dict(reader.unknown.most_common(10)),
        "samples": dict(list(reader.samples.items())[:10]),
        "faults": watched.faults,
        "messages_open": len(watched.feed.join),
        "lag_seconds": round(follower.lag_seconds, 1),
        "bytes_behind": follower.source.bytes_behind,
        "silent_for": round(watched.silent_for, 1),
        "last_line_at": explain.when(last) if (last := follower.last_line_at) else None,
    }


def _reports(node: Node) -> dict[str, Any] | None:
    """The intake of reports, when there is one."""
    if node.reports is None or node.intake is None:
        return None
    figures, intake = node.reports.figures, node.intake
    return {
        "received": figures.received,
        "kept": figures.kept,
        "refused": figures.refused,
        "bounces": intake.bounces,
        "complaints": intake.complaints,
        "repeated": intake.repeated,
        "uncounted": intake.uncounted,
        "folder": str(node.reports.folder.folder),
    }


def _professional(node: Node) -> dict[str, dict[str, dict[str, int]]]:
    """Messages of professional customers since the start: tags, signatures, unsubscribing from bulk mail."""
    known = node.professionals
    names = [*known.by_name, *sorted({name for _, name, _ in known.figures} - set(known.by_name))]
    return {
        name: {
            what: {detail: n for customer, detail, n in known.of(what) if customer == name}
            for what in ("tag", "signed", "bulk")
        }
        for name in names
    }


def _queue(node: Node) -> dict[str, Any] | None:
    """The MTA's queue, when it is looked after."""
    keeper = node.queue
    if keeper is None:
        return None
    return {
        "mta": keeper.queue.mta,
        "instances": list(keeper.queue.instances),
        "held": keeper.held,
        "held_bytes": keeper.held_bytes,
        "oldest_at": explain.when(keeper.oldest) if keeper.oldest else None,
        "releasing": keeper.releasing,
        "refused": node.engine.budget.refused,
        **{name: keeper.moved[name] for name in ("frozen", "released", "dropped", "bounced")},
    }
