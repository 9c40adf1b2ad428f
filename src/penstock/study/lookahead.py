"""Recipients of past messages, at the time when the messages were accepted.

A log names a recipient only when something has become of it, but a policy service is asked about each before
the message is accepted. So a message waits until its recipients are named, or ``PATIENCE`` has passed in the
log; all that comes behind it waits with it, and the order stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from penstock.core.events import Accepted, Bounced, Deferred, Delivered, Event, Message

PATIENCE: Final = 60.0
MOST_WAITING: Final = 200_000
MOST_NAMED: Final = 50_000

Names = dict[str, None]


def named_first(events: Iterable[Event], singles: bool = True) -> Iterator[tuple[Event, Names | None]]:
    """The events in their order, each acceptance with the recipients that are known of it.

    ``singles``: whether the names of messages to one recipient matter, too.
    """
    waiting: deque[tuple[Event, Names | None]] = deque()
    unnamed: dict[Message, Names] = {}
    for event in events:
        kind = type(event)
        if kind is Accepted:
            names: Names = {}
            if not singles and not waiting and event.message.recipients == 1:  # type: ignore[union-attr]
                yield event, names
                continue
            unnamed[event.message] = names  # type: ignore[union-attr]
            waiting.append((event, names))
        elif not waiting:
            yield event, None
            continue
        else:
            if kind is Delivered or kind is Bounced or kind is Deferred:
                known = unnamed.get(event.message)  # type: ignore[union-attr]
                if known is not None and len(known) < MOST_NAMED:
                    known[event.recipient] = None  # type: ignore[union-attr]
            waiting.append((event, None))
        while waiting and _is_due(waiting[0], event.at, len(waiting)):
            yield _taken(waiting, unnamed)
    while waiting:
        yield _taken(waiting, unnamed)


def _is_due(first: tuple[Event, Names | None], at: float, waiting: int) -> bool:
    event, names = first
    if names is None or waiting > MOST_WAITING or at - event.at > PATIENCE:
        return True
    return len(names) >= event.message.recipients > 0  # type: ignore[union-attr]


def _taken(
    waiting: deque[tuple[Event, Names | None]], unnamed: dict[Message, Names]
) -> tuple[Event, Names | None]:
    event, names = waiting.popleft()
    if names is not None:
        unnamed.pop(event.message, None)  # type: ignore[union-attr]
    return event, names
