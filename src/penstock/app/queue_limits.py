"""What the MTA itself does to mail that lies long: no held mail ends without a warning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from penstock.core import explain
from penstock.mta.queue import Lifetime, MailQueue

LEARN_EVERY: Final = 3600.0
NEAR: Final = 0.75
"""Part of the MTA's limit from which on held mail is warned about."""

DAY: Final = 86400


class Limits:
    """The limits of the queue's instances, asked for now and then."""

    def __init__(self, queue: MailQueue) -> None:
        self._queue = queue
        self._lifetimes: dict[str, Lifetime] = {}
        self._learn_at = -math.inf

    async def learn(self, now: float) -> None:
        """Ask the MTA, when that is due (``now``: seconds of any clock); raises QueueError."""
        if now >= self._learn_at:
            for instance in self._queue.instances:
                self._lifetimes[instance] = await self._queue.lifetime(instance)
            self._learn_at = now + LEARN_EVERY

    def fate(self, oldest: Mapping[str, int], at: float) -> str:
        """What will become of mail that we hold, when that is near, else "".

        ``oldest``: when the oldest such message came, by instance; ``at``: now (seconds since the epoch).
        """
        return "; ".join(filter(None, (self._of(name, since, at) for name, since in oldest.items())))

    def _of(self, instance: str, since: int, at: float) -> str:
        life = self._lifetimes.get(instance, Lifetime())
        held = f"the oldest held mail came {explain.when(since)} ({instance})"
        days = f"{life.expires / DAY:.3g} days"
        if life.thaws:
            return f"{held}, and Exim delivers frozen mail by itself: set auto_thaw = 0s"
        if not life.expires or at - since < NEAR * life.expires:
            return ""
        if self._queue.mta == "exim":
            return f"{held}, and Exim returns frozen mail {days} after it came (timeout_frozen_after)"
        return f"{held}: once released it has one attempt, for Postfix returns it after {days} in the queue"
