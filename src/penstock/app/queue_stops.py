"""Who may not send at present, as those see it who look at the queue."""

from __future__ import annotations

import math
from collections.abc import Callable

from penstock.core.policy import Verb, situation_of
from penstock.engine import UnknownSender
from penstock.engine.holding import Stop
from penstock.engine.roster import Roster


class Stops:
    """``keys``: the senders that are paused or locked themselves; a customer's or a user's stops
    all of his."""

    def __init__(self, roster: Roster, clock: Callable[[], float]) -> None:
        self.keys: set[str] = set()
        self._roster = roster
        self._clock = clock

    def read(self) -> None:
        """Ask everybody anew."""
        not_open = self._roster.not_open(self._clock())
        self.keys = {sender.key for sender in not_open if sender.standing.stopped}

    def hear(self, key: str, stopped: bool) -> None:
        """A standing has changed."""
        (self.keys.add if stopped else self.keys.discard)(key)

    def end_terms(self) -> None:
        """A pause whose end has come ends, also when nobody asks about its sender."""
        now = self._clock()
        for key in list(self.keys):
            sender = self._roster.senders.get(key)
            if sender is not None and now >= (sender.standing.until or math.inf):
                self._roster.replan(sender, now)

    def look(self) -> Callable[[str], Stop]:
        """Whether a sender is stopped; what was asked is remembered for one look."""
        asked: dict[str, Stop] = {}
        parents = any(key.startswith(("customer:", "uid:", "script:")) for key in self.keys)

        def stop(owner: str) -> Stop:
            if owner not in asked:
                asked[owner] = self._stop(owner) if parents or owner in self.keys else Stop()
            return asked[owner]

        return stop

    def _stop(self, owner: str) -> Stop:
        roster, now = self._roster, self._clock()
        try:
            own = roster.find(owner)
        except UnknownSender:
            return Stop()
        if now >= own.replan_at:
            roster.replan(own, now)
        for sender in own.lineage():
            if sender.standing.stopped:
                action = getattr(own.profile, situation_of(sender.standing.state))
                return Stop(True, sender.standing.since if action.verb is Verb.HOLD else math.inf)
        return Stop()
