"""Signals: reasons to suspect a sender. ONE FILE = ONE SIGNAL, found by name.

Each module has ``GROUP`` (facts it shares with other signals, "" for none) and ``weigh(view)``, which gives a
weight in nats and half a sentence, or None when it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules

from penstock.core.evidence import Finding
from penstock.signals.view import View

Weigh = Callable[[View], tuple[float, str] | None]


def _discover() -> tuple[tuple[str, str, Weigh], ...]:
    """(name, group, function) of each signal in this package."""
    found = []
    for module in iter_modules(__path__):
        if module.name in ("view", "models"):
            continue
        signal = import_module(f"{__name__}.{module.name}")
        found.append((module.name.replace("_", "-"), signal.GROUP, signal.weigh))
    return tuple(found)


SIGNALS: Sequence[tuple[str, str, Weigh]] = _discover()


def look(view: View, weights: dict[str, float]) -> list[Finding]:
    """All findings about a sender. ``weights``: factors learned for signals, 1 where none is."""
    findings = []
    for name, group, weigh in SIGNALS:
        found = weigh(view)
        if found is not None:
            findings.append(Finding(name, found[0] * weights.get(name, 1.0), found[1], group))
    return findings
