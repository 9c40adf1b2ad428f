"""The parts of a running service, as those see them who only read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.app.state import StateFolder
from penstock.config import Settings
from penstock.directory import Chain
from penstock.engine import Engine
from penstock.engine.professionals import Professionals
from penstock.servers.milter_traffic import MilterTraffic
from penstock.servers.policy import Traffic
from penstock.stores.acquaintances import AcquaintanceFile
from penstock.stores.counts import CountLog
from penstock.stores.records import RecordStore
from penstock.stores.recovery import Recovery
from penstock.stores.scripts import ScriptFile
from penstock.stores.sent import SentIndex

if TYPE_CHECKING:
    from penstock.app.intake import Intake
    from penstock.app.queue_keeper import QueueKeeper
    from penstock.app.watching import Watched
    from penstock.servers.reports import ReportServer


class Node:
    """One node. ``clock`` gives seconds since the epoch (a faster one in the demonstration).

    ``traffic``: figures of each policy listener by its address, ``milters``: of each milter listener.
    ``logs``: those that are followed.
    ``loaded_at``: when the policy in force was read. ``places_problem``: why its geo file is not used, or "".
    """

    state: StateFolder
    recovery: Recovery
    records: RecordStore
    counts: CountLog
    directory: Chain
    sent: SentIndex
    acquaintances: AcquaintanceFile
    scripts: ScriptFile
    engine: Engine
    professionals: Professionals

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.clock = clock
        self.serving = False
        self.started_at: float = clock()
        self.loaded_at = self.started_at
        self.traffic: dict[str, Traffic] = {}
        self.milters: dict[str, MilterTraffic] = {}
        self.logs: list[Watched] = []
        self.reports: ReportServer | None = None
        self.intake: Intake | None = None
        self.queue: QueueKeeper | None = None
        self.places_problem = ""

    def silent(self) -> list[tuple[str, float]]:
        """Listeners without a question for longer than the policy allows: (name, seconds)."""
        most, now = self.settings.silence, self.clock()
        ages = ((name, now - (t.last_at or self.started_at)) for name, t in self.traffic.items())
        return [(name, age) for name, age in ages if most and age > most]
