"""The busiest minute, hour and day of a sender: exact sliding windows over what it sent.

Each window is the 60, 3600 or 86400 seconds that end with a second in which something was sent, so a
window of today reaches back into yesterday. Counts are kept by the second, 20 bytes for each second with
mail, for a day. Only a sender with mail in more than 8,192 seconds of a day loses precision: what is older
than an hour is then kept by the minute, its window of a day may hold a minute too much, and never too little.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final

WINDOWS: Final = (60, 3600, 86400)
DAY: Final = WINDOWS[-1]
MOST: Final = 8192
"""Seconds with mail that are kept of a sender before the older ones are merged."""


class Peak:
    """The busiest window of one length: most ``recipients`` (the window that ended ``at``, which held so many
    ``messages``) and ``most_messages`` in any window."""

    __slots__ = ("at", "messages", "most_messages", "recipients")

    def __init__(self) -> None:
        self.recipients = 0
        self.messages = 0
        self.at = 0
        self.most_messages = 0


class Timeline:
    """What one sender sent in the last day, by the second, oldest first. Seconds since the epoch."""

    __slots__ = ("_fresh", "_messages", "_recipients", "_seconds")

    def __init__(self) -> None:
        self._seconds = array("q")
        self._recipients = array("Q")
        self._messages = array("I")
        self._fresh = 0
        """Windows that end before this entry are in the peaks already."""

    def __len__(self) -> int:
        return len(self._seconds)

    def add(self, second: int, recipients: int, messages: int = 1) -> None:
        """Count at that second, in whatever order."""
        seconds = self._seconds
        i = len(seconds) - 1
        if i >= 0 and second <= seconds[i]:
            i = bisect_left(seconds, second)
            self._fresh = min(self._fresh, i)
            if seconds[i] == second:
                self._recipients[i] += recipients
                self._messages[i] += messages
                return
        else:
            i += 1
        seconds.insert(i, second)
        self._recipients.insert(i, recipients)
        self._messages.insert(i, messages)

    def score(self, peaks: tuple[Peak, ...]) -> None:
        """Raise the peaks to the windows that have ended since the last call."""
        if len(self._seconds) == 1:
            for peak in peaks:
                _raise(peak, self._recipients[0], self._messages[0], self._seconds[0])
        else:
            for window, peak in zip(WINDOWS, peaks, strict=True):
                self._slide(window, peak)
        self._fresh = len(self._seconds)

    def _slide(self, window: int, peak: Peak) -> None:
        seconds, recipients, messages = self._seconds, self._recipients, self._messages
        fresh = self._fresh
        oldest = bisect_left(seconds, seconds[fresh] - window + 1) if fresh < len(seconds) else fresh
        held = sum(recipients[oldest:fresh])
        held_messages = sum(messages[oldest:fresh])
        for i in range(fresh, len(seconds)):
            second = seconds[i]
            held += recipients[i]
            held_messages += messages[i]
            while seconds[oldest] <= second - window:
                held -= recipients[oldest]
                held_messages -= messages[oldest]
                oldest += 1
            if held > peak.recipients or held_messages > peak.most_messages:
                _raise(peak, held, held_messages, second)

    def forget(self, before: int) -> None:
        """Drop what was sent before that second."""
        i = bisect_left(self._seconds, before)
        del self._seconds[:i], self._recipients[:i], self._messages[:i]
        self._fresh = max(0, self._fresh - i)

    def condense(self) -> None:
        """Merge into minutes what is older than an hour. All windows must have been scored."""
        newest = self._seconds[-1]
        self.forget(newest - DAY)
        fine = newest - WINDOWS[1]
        fine -= fine % 60
        merged = Timeline()
        for second, recipients, messages in zip(self._seconds, self._recipients, self._messages, strict=True):
            if second < fine:
                second += 59 - second % 60
            if merged._seconds and merged._seconds[-1] == second:
                merged._recipients[-1] += recipients
                merged._messages[-1] += messages
                continue
            merged._seconds.append(second)
            merged._recipients.append(recipients)
            merged._messages.append(messages)
        self._seconds, self._recipients, self._messages = (
            merged._seconds,
            merged._recipients,
            merged._messages,
        )
        self._fresh = len(self._seconds)


def _raise(peak: Peak, recipients: int, messages: int, at: int) -> None:
    if recipients > peak.recipients:
        peak.recipients, peak.messages, peak.at = recipients, messages, at
    if messages > peak.most_messages:
        peak.most_messages = messages
