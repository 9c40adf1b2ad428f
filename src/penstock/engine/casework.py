"""Incidents, verdicts and lessons of a node, joined to the parts that they hear of and act upon."""

from __future__ import annotations

from typing import Final

from penstock.core.quality import Tally, by_signal, overall
from penstock.engine.book import Book
from penstock.engine.detector import Detector
from penstock.engine.incidents import Incidents
from penstock.engine.learning import Learning
from penstock.engine.roster import Roster
from penstock.engine.verdicts import Verdicts
from penstock.ports import Records, Remembered

MONTH: Final = 30 * 86400.0


class Casework:
    """``incidents``: what happened; ``verdicts``: what people say of it; ``learning``: what that taught."""

    def __init__(
        self,
        roster: Roster,
        book: Book,
        detector: Detector,
        records: Records,
        remembered: Remembered,
        at: float,
    ) -> None:
        self.incidents = incidents = Incidents(roster, records, remembered)
        self.learning = Learning(records, remembered, at)
        self.verdicts = Verdicts(roster, detector, incidents, self.learning, records)
        self._roster = roster
        self._minute = -1
        self._quality: tuple[Tally, dict[str, Tally]] = Tally(), {}
        detector.on_case = incidents.on_case
        detector.heed(incidents.suspected, self.learning.networks)
        detector.weighing.adjust = self.learning.adjust
        detector.weighing.weights = self.learning.weights
        roster.on_standing = incidents.on_standing
        book.incident, book.on_stop = incidents.named, incidents.on_stop

    def quality(self, at: float) -> tuple[Tally, dict[str, Tally]]:
        """Figures of the last month, all and by signal; worked out once a minute."""
        minute = int(at // 60)
        if minute != self._minute:
            recent = [i for i in self.incidents.by_id.values() if i.opened_at >= at - MONTH]
            self._minute, self._quality = minute, (overall(recent), by_signal(recent, ()))
        return self._quality

    def take_over(self, late: Remembered, at: float) -> None:
        """The records could be read only now."""
        self.incidents.take_over(late)
        self.learning.take_over(late, at)

    def save(self, most: int, at: float) -> None:
        """Record what has changed, at most so many senders of incidents."""
        self.incidents.save(most, at)
        self.learning.save()

    def sweep(self, at: float) -> None:
        """Time passes: close what is over, let lessons fade."""
        self.incidents.sweep(at)
        self.learning.sweep(at, self._roster.senders)
