"""All metrics in one table: what /metrics answers and what the reference says."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from penstock import __version__
from penstock.app import case_figures
from penstock.app.node import Node
from penstock.app.queue_keeper import QueueKeeper
from penstock.app.watching import Watched
from penstock.servers.http import Sample
from penstock.servers.milter_traffic import MilterTraffic
from penstock.servers.policy import Traffic

Values = Iterable[tuple[Sequence[str], float]]


@dataclass(frozen=True)
class Figure:
    """One metric: ``read`` gives (label values, value) from the running node."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    labels: tuple[str, ...]
    read: Callable[[Node], Values]


def samples(node: Node) -> Iterator[Sample]:
    """All metrics as they are now."""
    for metric in METRICS:
        yield metric.kind, metric.name, metric.text, metric.labels, list(metric.read(node))


def _each(read: Callable[[Traffic], float]) -> Callable[[Node], Values]:
    """A figure of every policy listener."""
    return lambda node: [((name,), read(traffic)) for name, traffic in node.traffic.items()]


def _one(read: Callable[[Node], float]) -> Callable[[Node], Values]:
    """A figure of the whole node."""
    return lambda node: [((), read(node))]


def _requests(node: Node) -> Values:
    return [((name, stage), n) for name, t in node.traffic.items() for stage, n in t.stages.items()]


def _refusals(node: Node) -> Values:
    return [((name, str(verb)), n) for name, t in node.traffic.items() for verb, n in t.verbs.items()]


def _milter(read: Callable[[MilterTraffic], float]) -> Callable[[Node], Values]:
    """A figure of every milter listener."""
    return lambda node: [((name,), read(traffic)) for name, traffic in node.milters.items()]


def _milter_messages(node: Node) -> Values:
    return [((name, result), n) for name, t in node.milters.items() for result, n in t.results.items()]


def _milter_refused(node: Node) -> Values:
    return [((name, verb), n) for name, t in node.milters.items() for verb, n in t.refused.items()]


def _silence(node: Node) -> Values:
    now = node.clock()
    each = node.traffic.items()
    return [((name,), now - (traffic.last_at or node.started_at)) for name, traffic in each]


def _not_open(node: Node) -> Values:
    states = Tally(str(sender.standing.state) for sender in node.engine.roster.not_open(node.clock()))
    return [((state,), n) for state, n in states.items()]


def _senders(node: Node) -> float:
    return len(node.engine.roster.senders) + len(node.counts.sleeping())


def _degraded(node: Node) -> Values:
    return [
        (("counts",), float(node.counts.failing_since > 0)),
        (("records",), float(node.records.degraded_since > 0)),
        (("state",), float(bool(node.state.problem))),
        (("acquaintance",), float(bool(node.acquaintances.problem))),
        (("scripts",), float(bool(node.scripts.problem))),
        (("traffic",), float(bool(node.silent()))),
        (("logs",), float(any(watched.problems() for watched in node.logs))),
        (("reports",), float(node.intake is not None and bool(node.intake.problem))),
        (("queue",), float(node.queue is not None and bool(node.queue.problems))),
        (("geo",), float(bool(node.places_problem))),
    ]


def _directory(figure: str) -> Callable[[Node], Values]:
    def read(node: Node) -> Values:
        return [((name,), getattr(f, figure)) for name, f in node.directory.figures().items()]

    return read


def _log(read: Callable[[Watched], float]) -> Callable[[Node], Values]:
    """A figure of every log that is followed."""
    return lambda node: [((watched.name,), read(watched)) for watched in node.logs]


def _unknown_lines(node: Node) -> Values:
    return [
        ((watched.name, daemon), n)
        for watched in node.logs
        for daemon, n in watched.feed.reader.unknown.items()
    ]


def _reports(node: Node) -> Values:
    if node.reports is None or node.intake is None:
        return []
    figures, intake = node.reports.figures, node.intake
    counted = {"received": figures.received, "kept": figures.kept, "refused": figures.refused}
    counted |= {"bounces": intake.bounces, "complaints": intake.complaints}
    counted |= {"repeated": intake.repeated, "uncounted": intake.uncounted}
    return [((name,), n) for name, n in counted.items()]


def _professional(what: str) -> Callable[[Node], Values]:
    """Messages of professional customers; ``-``: of nobody's clients."""
    return lambda node: [((customer, detail), n) for customer, detail, n in node.professionals.of(what)]


def _queue(read: Callable[[QueueKeeper], float]) -> Callable[[Node], Values]:
    """A figure of the MTA's queue, when it is looked after."""
    return lambda node: [((), read(node.queue))] if node.queue is not None else []


def _queue_moved(node: Node) -> Values:
    return [((name,), n) for name, n in node.queue.moved.items()] if node.queue is not None else []


_LISTENER = ("listener",)
_LOG = ("log",)
_SOURCE = ("source",)

METRICS: Final = (
    Figure("info", "gauge", "1, with the version", ("version",), lambda _: [((__version__,), 1)]),
    Figure("started_seconds", "gauge", "Start, seconds since the epoch", (), _one(lambda s: s.started_at)),
    Figure("requests", "counter", "Policy requests", ("listener", "stage"), _requests),
    Figure("refusals", "counter", "Answers other than pass", ("listener", "action"), _refusals),
    Figure(
        "connections", "counter", "Policy connections accepted", _LISTENER, _each(lambda t: t.connections)
    ),
    Figure("open_connections", "gauge", "Policy connections open", _LISTENER, _each(lambda t: t.open)),
    Figure(
        "errors", "counter", "Decisions that failed inside: on_error", _LISTENER, _each(lambda t: t.errors)
    ),
    Figure(
        "protocol_errors",
        "counter",
        "Policy peers closed for not speaking the protocol",
        _LISTENER,
        _each(lambda t: t.protocol_errors),
    ),
    Figure("silence_seconds", "gauge", "Seconds since the last policy request", _LISTENER, _silence),
    Figure(
        "milter_messages", "counter", "Milter: messages by result", ("listener", "result"), _milter_messages
    ),
    Figure(
        "milter_refused_recipients", "counter", "Milter: recipients", ("listener", "action"), _milter_refused
    ),
    Figure(
        "milter_open_connections", "gauge", "Milter: connections open", _LISTENER, _milter(lambda t: t.open)
    ),
    Figure(
        "milter_errors", "counter", "Milter: failed inside: on_error", _LISTENER, _milter(lambda t: t.errors)
    ),
    Figure(
        "milter_protocol_errors",
        "counter",
        "Milter peers closed for not speaking the protocol",
        _LISTENER,
        _milter(lambda t: t.protocol_errors),
    ),
    Figure("senders", "gauge", "Senders known", (), _one(_senders)),
    Figure("senders_not_open", "gauge", "Senders by standing, open ones left out", ("state",), _not_open),
    Figure("messages_in_flight", "gauge", "Messages remembered", (), _one(lambda s: len(s.engine.flights))),
    Figure(
        "fingerprints",
        "gauge",
        "Hashes of texts and links that are kept",
        (),
        _one(lambda s: len(s.engine.detector.texts)),
    ),
    Figure("overrides", "gauge", "Exceptions in force", (), _one(lambda s: len(s.engine.roster.overrides))),
    Figure(
        "incidents",
        "gauge",
        "Incidents of 90 days: open, unjudged, or their verdict",
        ("state",),
        case_figures.incidents,
    ),
    Figure(
        "signal_incidents",
        "gauge",
        "Incidents of 30 days in which a signal spoke",
        ("signal", "verdict"),
        case_figures.signals,
    ),
    Figure(
        "signal_factor",
        "gauge",
        "What a signal's weight is multiplied by, as learned",
        ("signal",),
        case_figures.factors,
    ),
    Figure("lessons", "gauge", "Verdicts from which something is learned", (), case_figures.lessons),
    Figure(
        "false_pauses",
        "gauge",
        "Senders paused in 30 days that were judged legitimate",
        (),
        case_figures.false_pauses,
    ),
    Figure(
        "leak_recipients",
        "gauge",
        "New recipients reached by senders judged compromised, of 30 days",
        ("quantile",),
        case_figures.quantiles(lambda t: t.leaks, 0.5, 0.95),
    ),
    Figure(
        "detection_delay_seconds",
        "gauge",
        "From a day's first new recipient to the pause, of senders judged compromised, of 30 days",
        ("quantile",),
        case_figures.quantiles(lambda t: t.delays, 0.5, 0.95),
    ),
    Figure(
        "held_seconds",
        "gauge",
        "How long senders judged legitimate were slowed or paused, of 30 days",
        ("quantile",),
        case_figures.quantiles(lambda t: t.held, 0.5, 0.95),
    ),
    Figure("counts_bytes", "counter", "Bytes of counts written", (), _one(lambda s: s.counts.written_bytes)),
    Figure(
        "counts_dropped", "counter", "Counts lost to a full disk", (), _one(lambda s: s.counts.dropped_rows)
    ),
    Figure("degraded", "gauge", "1 while this part fails", ("part",), _degraded),
    Figure("directory_hits", "counter", "Directory: answered from memory", _SOURCE, _directory("hits")),
    Figure("directory_misses", "counter", "Directory: not in memory yet", _SOURCE, _directory("misses")),
    Figure("directory_errors", "counter", "Directory: look-ups that failed", _SOURCE, _directory("errors")),
    Figure("log_lines", "counter", "Lines of followed logs", _LOG, _log(lambda w: w.follower.lines)),
    Figure("log_lines_unknown", "counter", "Lines that nobody could read", ("log", "daemon"), _unknown_lines),
    Figure(
        "log_faults", "counter", "Lines of a log that failed inside: a bug", _LOG, _log(lambda w: w.faults)
    ),
    Figure(
        "log_lag_seconds",
        "gauge",
        "Age of the newest line read, while others wait behind it",
        _LOG,
        _log(lambda w: w.follower.lag_seconds),
    ),
    Figure(
        "log_bytes_behind",
        "gauge",
        "Bytes of a log not yet read",
        _LOG,
        _log(lambda w: w.follower.source.bytes_behind),
    ),
    Figure("log_silence_seconds", "gauge", "Seconds since the last line", _LOG, _log(lambda w: w.silent_for)),
    Figure(
        "log_messages_open",
        "gauge",
        "Messages of a log that are not finished",
        _LOG,
        _log(lambda w: len(w.feed.join)),
    ),
    Figure(
        "local_messages_named",
        "counter",
        "Local messages whose sender was found, by where (gate, log) and by the witness hardest to forge",
        ("where", "witness"),
        lambda node: node.engine.origins.named.items(),
    ),
    Figure(
        "local_messages_waited",
        "counter",
        "Local messages that waited for the log's word, by whether it came in time (told, vain)",
        ("result",),
        lambda node: [((result,), n) for result, n in node.engine.origins.waits.items()],
    ),
    Figure("reports", "counter", "Reports by mail, by what became of them", ("result",), _reports),
    Figure(
        "professional_messages",
        "counter",
        "Messages by what became of their tag",
        ("customer", "tag"),
        _professional("tag"),
    ),
    Figure(
        "professional_signed",
        "counter",
        "DKIM signatures of customers with a key, and messages that none was for (not)",
        ("customer", "key"),
        _professional("signed"),
    ),
    Figure(
        "professional_bulk",
        "counter",
        "Customers' bulk mail, by how one can unsubscribe",
        ("customer", "unsubscribe"),
        _professional("bulk"),
    ),
    Figure("queue_held", "gauge", "Messages on hold whose sender is known", (), _queue(lambda q: q.held)),
    Figure("queue_held_bytes", "gauge", "Bytes of these", (), _queue(lambda q: q.held_bytes)),
    Figure(
        "queue_oldest_seconds",
        "gauge",
        "Arrival of the oldest message that we hold, seconds since the epoch; 0 for none",
        (),
        _queue(lambda q: q.oldest),
    ),
    Figure("queue_releasing", "gauge", "Messages to be released", (), _queue(lambda q: q.releasing)),
    Figure(
        "queue_moved", "counter", "Messages frozen, released, dropped and bounced", ("what",), _queue_moved
    ),
    Figure(
        "held_refused",
        "counter",
        "Messages refused because their sender has too much on hold",
        (),
        _one(lambda s: s.engine.budget.refused),
    ),
)
