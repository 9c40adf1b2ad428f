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

_OUTCOMES: Final = frozenset({Delivered, Bounced, Deferred})


def named_first(events: Iterable[Event], singles: bool = True) -> Iterator[tuple[Event, Names | None]]:
    """The events in their order, each acceptance with the recipients that are known of it.

    ``singles``: whether the names of messages to one recipient matter, too.
    """
    waiting: deque[tuple[Event, Names | None]] = deque()
    unnamed: dict[Message, Names] = {}
    for event in events:
        kind = type(event)
        if kind in _OUTCOMES:
            if not waiting:
                yield event, None
                continue
            known = unnamed.get(event.message)  # type: ignore[union-attr]
            if known is not None and len(known) < MOST_NAMED:
                known[event.recipient] = None  # type: ignore[union-attr]
            waiting.append((event, None))
        elif kind is Accepted:
            names: Names = {}
            if not singles and not waiting and event.message.recipients == 1:  # type: ignore[union-attr]
                yield event, names
                continue
            unnamed[event.message] = names  # type: ignore[union-attr]
            waiting.append((event, names))
        elif waiting:
            waiting.append((event, None))
        else:
            yield event, None
            continue
        at, too_many = event.at, len(waiting) > MOST_WAITING
        while waiting:
            first, names_of_first = waiting[0]
            if names_of_first is not None:
                message = first.message  # type: ignore[union-attr]
                unknown = not 0 < message.recipients <= len(names_of_first)
                if unknown and at - first.at <= PATIENCE and not too_many:
                    break
                unnamed.pop(message, None)
            yield waiting.popleft()
            too_many = len(waiting) > MOST_WAITING
    yield from waiting
