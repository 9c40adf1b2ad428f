"""The gate as a replay asks it: all questions about one message at once.

A log tells of a message when it was accepted, so nobody asks twice and no message dies half way: what the
gate keeps for that is not needed. The answers and the counts are those that the single questions would give.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.core.decision import Decision
from penstock.core.events import Attempt, kib_of
from penstock.core.flight import Channel, Flight
from penstock.core.limits import Unit
from penstock.core.policy import WHOLE_MESSAGE
from penstock.core.sender import Sender
from penstock.engine import Engine

Stopped = list[tuple[str, Decision]]
"""Recipients, each with the decision that stops it."""


class AskedAtOnce(Engine):
    """The engine with ``decide_all`` beside ``decide``."""

    _asked = 0

    def decide_all(
        self, a: Attempt, recipients: Sequence[str], channel: Channel, released: bool = False
    ) -> Stopped:
        """Each recipient, then the end of the message: the recipients that are stopped. ``a`` names neither
        an instance nor recipients. ``released``: it was held, and its sender is not there now."""
        self._asked += 1
        flight = self._take_off(a, channel, str(self._asked))
        flight.released = released
        stopped = self._rcpts(flight, a, recipients)
        whole = flight.verdict
        if whole is None and flight.charged:
            flight.unnamed = {int(a.at): flight.charged}
            whole = self._commit(flight, a)
            if whole is not None:
                flight.recipients = dict.fromkeys(recipients, whole)
                self.detector.withdrawn(flight)
        return stopped if whole is None else [(recipient, whole) for recipient in recipients]

    def refuses_again(self, sender: Sender, recipients: int, at: float, channel: Channel) -> bool:
        """Whether a limit that has refused before certainly refuses so many recipients; they are counted as
        if they had been asked about."""
        refusal = sender.blocked
        if refusal is None or at >= sender.blocked_until or sender.standing.stopped:
            return False
        flight = Flight("", sender.lineage(), channel, at)
        if self._alike(flight, at, recipients, 1, 0) < recipients:
            return False
        return self._refusing.over(refusal, flight, recipients, at).stops

    def _rcpts(self, flight: Flight, a: Attempt, recipients: Sequence[str]) -> Stopped:
        """``_rcpt`` for one recipient after the other."""
        at, second, kib, i, n = a.at, int(a.at), kib_of(a.size), 0, len(recipients)
        suspects = self.detector.mode != "off"
        stopped: Stopped = []
        while i < n:
            messages = 0 if flight.charged else 1
            k = self._alike(flight, at, n - i, messages, kib)
            found = self._room(flight, at, k, messages, kib)
            if suspects and (found is None or not found.stops):
                k, found = 1, self._suspected(flight, a, recipients[i]) or found
            if found is None or not found.stops:
                self._charge(flight, second, k, messages)
            else:
                stopped += [(recipient, found) for recipient in recipients[i : i + k]]
                if found.verb in WHOLE_MESSAGE:
                    flight.unnamed = {second: flight.charged}
                    flight.recipients = dict.fromkeys(recipients[:i], found)
                    self.stop(flight, found, at)
                    self._refusing.also(found, flight, n - i - k, at)
                    break
            i += k
        return stopped

    def _alike(self, flight: Flight, at: float, n: int, messages: int, kib: int) -> int:
        """How many of the next ``n`` recipients certainly get the answer of the first from the limits."""
        own = flight.senders[0]
        if own.standing.stopped:
            verbs = {own.profile.paused.verb, own.profile.locked.verb}
            return 1 if verbs & WHOLE_MESSAGE else n
        if at < own.blocked_until:
            alike = own.blocked_unit is Unit.RECIPIENTS or not flight.charged
            whole = own.profile.over_limit.verb in WHOLE_MESSAGE
            return n if alike and own.spare_refused >= n and not whole else 1
        for each in flight.senders:
            if each.spare_recipients < n or each.spare_messages < messages or each.spare_kib < kib:
                return 1
        return n
