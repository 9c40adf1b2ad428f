"""All metrics in one table: what /metrics answers and what the reference says."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from penstock import __version__
from penstock.servers.http import Sample
from penstock.servers.policy import Traffic

if TYPE_CHECKING:
    from penstock.app.service import Service

Values = Iterable[tuple[Sequence[str], float]]


@dataclass(frozen=True)
class Figure:
    """One metric: ``read`` gives (label values, value) from the running service."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    labels: tuple[str, ...]
    read: Callable[[Service], Values]


def samples(service: Service) -> Iterator[Sample]:
    """All metrics as they are now."""
    for metric in METRICS:
        yield metric.kind, metric.name, metric.text, metric.labels, list(metric.read(service))


def _each(read: Callable[[Traffic], float]) -> Callable[[Service], Values]:
    """A figure of every policy listener."""
    return lambda service: [((name,), read(traffic)) for name, traffic in service.traffic.items()]


def _one(read: Callable[[Service], float]) -> Callable[[Service], Values]:
    """A figure of the whole service."""
    return lambda service: [((), read(service))]


def _requests(service: Service) -> Values:
    return [((name, stage), n) for name, t in service.traffic.items() for stage, n in t.stages.items()]


def _refusals(service: Service) -> Values:
    return [((name, str(verb)), n) for name, t in service.traffic.items() for verb, n in t.verbs.items()]


def _silence(service: Service) -> Values:
    now = service.clock()
    each = service.traffic.items()
    return [((name,), now - (traffic.last_at or service.started_at)) for name, traffic in each]


def _not_open(service: Service) -> Values:
    states = Tally(str(sender.standing.state) for sender in service.engine.roster.not_open(service.clock()))
    return [((state,), n) for state, n in states.items()]


def _senders(service: Service) -> float:
    return len(service.engine.roster.senders) + len(service.counts.sleeping())


def _degraded(service: Service) -> Values:
    return [
        (("counts",), float(service.counts.failing_since > 0)),
        (("records",), float(service.records.degraded_since > 0)),
        (("state",), float(bool(service.state.problem))),
        (("traffic",), float(bool(service.silent()))),
    ]


def _directory(figure: str) -> Callable[[Service], Values]:
    def read(service: Service) -> Values:
        return [((name,), getattr(f, figure)) for name, f in service.directory.figures().items()]

    return read


_LISTENER = ("listener",)
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
    Figure("senders", "gauge", "Senders known", (), _one(_senders)),
    Figure("senders_not_open", "gauge", "Senders by standing, open ones left out", ("state",), _not_open),
    Figure("messages_in_flight", "gauge", "Messages remembered", (), _one(lambda s: len(s.engine.flights))),
    Figure("overrides", "gauge", "Exceptions in force", (), _one(lambda s: len(s.engine.roster.overrides))),
    Figure("counts_bytes", "counter", "Bytes of counts written", (), _one(lambda s: s.counts.written_bytes)),
    Figure(
        "counts_dropped", "counter", "Counts lost to a full disk", (), _one(lambda s: s.counts.dropped_rows)
    ),
    Figure("degraded", "gauge", "1 while this part fails", ("part",), _degraded),
    Figure("directory_hits", "counter", "Directory: answered from memory", _SOURCE, _directory("hits")),
    Figure("directory_misses", "counter", "Directory: not in memory yet", _SOURCE, _directory("misses")),
    Figure("directory_errors", "counter", "Directory: look-ups that failed", _SOURCE, _directory("errors")),
)
