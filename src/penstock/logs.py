"""Structured logs on standard error: for a person or as JSON for a collector."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog
from structlog.tracebacks import ExceptionDictTransformer


class Forgiving:
    """A stream whose trouble (a full disk, a reader that went away) is not its writers' trouble."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write it if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def set_up(style: str, level: str = "info") -> None:
    """``console`` or ``json``; times are RFC 3339 in UTC. Of an exception the frames are told, but never
    what their variables held: secrets and mail are among it."""
    renderer: Any
    if style == "json":
        frames = ExceptionDictTransformer(show_locals=False)
        renderer = [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        renderer = [
            _printable,
            structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, exception_formatter=plain),
        ]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            structlog.processors.StackInfoRenderer(),
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Forgiving(sys.stderr))),
        cache_logger_on_first_use=True,
    )


def _printable(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What others have written is no order to a terminal."""
    del logger, method
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value)
    return event
