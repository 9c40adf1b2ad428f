"""Past logs name scripts: what PHP, the wrapper and the web server saw, before the message is asked about.

Their stamps are whole seconds and the web server's come after the mail, so whatever a log tells waits
``RIPE`` seconds of its own time for them. The order stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from penstock.core.events import Accepted, Event, Posted, ScriptMailed, Submitted
from penstock.engine.origins import RIPE, Origins

MOST_WAITING: Final = 200_000

_SEEN: Final = frozenset({ScriptMailed, Submitted, Posted})


def witnessed(events: Iterable[Event], origins: Origins) -> Iterator[Event]:
    """The events without the sightings, local messages named."""
    waiting: deque[Event] = deque()
    for event in events:
        if type(event) in _SEEN:
            origins.hear(event)  # type: ignore[arg-type]
            continue
        waiting.append(event)
        while event.at - waiting[0].at > RIPE or len(waiting) > MOST_WAITING:
            yield _named(waiting.popleft(), origins)
    for event in waiting:
        yield _named(event, origins)


def _named(event: Event, origins: Origins) -> Event:
    if type(event) is Accepted and event.message.kind == "uid":
        origins.name(event.message, event.at, all_is_heard=True)
    return event
