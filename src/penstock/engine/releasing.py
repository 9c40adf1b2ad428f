"""Mail that was held because its sender was over a limit or slowed: may it go now?

Nobody comes with it again, so it is seen first whether it would pass, without asking; then it is asked about
like new mail: charged, and its new recipients are canaries. Cost: nothing on the decision path.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from penstock.core.events import Attempt
from penstock.core.flight import RELEASED, Channel
from penstock.core.limits import FLOW
from penstock.core.sender import Excess, Sender, check
from penstock.engine.gate import Engine
from penstock.engine.roster import UnknownSender


class Releasing:
    """Asks an engine about what is held."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tries = count()

    def is_open(self, sender: Sender, recipients: int, at: float) -> bool:
        """Whether nothing but a limit would stop a held message of so many recipients."""
        detector = self._engine.detector
        if sender.standing.stopped or at < sender.blocked_until:
            return False
        case = detector.cases.get(sender.key)
        slowed = case is not None and case.slowed and detector.mode == "enforce"
        # Of several recipients all must be canaries.
        waits = detector.is_full(sender, at) or (recipients > 1 and case is not None and case.under_way)
        return not (slowed and waits)

    def over(self, sender: Sender, recipients: int, at: float) -> list[tuple[Sender, Excess]]:
        """The limits that it would exceed, each with whose it is."""
        vouches = self._engine.detector.vouches
        return [
            (each, excess)
            for each in sender.lineage()
            for excess in check(each, int(at), recipients, 1, 0)
            if excess.limit.mode != "shadow"
            and not (excess.limit.unit in FLOW and vouches(sender, excess, at))
        ]

    def let_go(
        self, key: str, queue_id: str, envelope: str, recipients: Sequence[str], size: int, at: float
    ) -> bool:
        """Whether a held message may go; then it is charged, and not once more when the log tells of it.
        ``key``: of its sender; ``size``: bytes."""
        engine, n = self._engine, len(recipients)
        try:
            sender = engine.roster.find(key)
        except UnknownSender:
            return False
        if at >= sender.replan_at:
            engine.roster.replan(sender, at)
        if not self.is_open(sender, n, at) or self.over(sender, n, at):
            return False
        channel, name = Channel(""), f"{RELEASED} {next(self._tries)}"

        def stops(stage: str, recipient: str, told: int) -> bool:
            asked = Attempt(
                at, "", stage, "", envelope, recipient, told, queue_id, name, size, "", RELEASED, key
            )  # fmt: skip
            return engine.decide(asked, channel).stops

        return not any(stops("RCPT", each, 0) for each in recipients) and not stops("END-OF-MESSAGE", "", n)
