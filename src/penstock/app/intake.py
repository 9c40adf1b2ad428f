"""Reports that came by mail, led back to the sender of the message that they are about.

Backscatter and forgeries charge nobody: a report counts only if it is about a message that left here (by
our signed reference, its Message-ID or its queue id), once for each recipient, and not more often than
the message had recipients. What our own MTA reports was in its log already.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from penstock.app.keyfile import KEY_BYTES, lasting_key
from penstock.core.events import Reported
from penstock.engine import Engine
from penstock.stores.sent import Found, SentIndex
from penstock.wire.reports import Report, ReportedRecipient
from penstock.wire.trace import Tracer

log = structlog.get_logger()

KEY_FILE: Final = "reference.key"

USUAL_COMPLAINT: Final = "abuse"
"""What a complaint that names no type is (RFC 5965 §7.3)."""

LOOKS: Final = 600
LOOK_AGAIN: Final = 0.1
"""So often, and at intervals of so many seconds, a report looks whether the logs have been caught up."""

UNLOGGED: Final = 5
"""Reports that count about one message of which only the reference is known: a recipient could forge them."""


class Intake:
    """``take`` is what a ``ReportServer`` hands its reports to. ``reads_log``: the MTA's log is followed;
    ``behind``: bytes of it that are not read yet.

    ``bounces`` and ``complaints``: recipients that were counted; ``repeated``: those that were not, because
    they came before or the message had fewer; ``uncounted``: reports that are no complaint (not-spam and
    its like), or that our own log has told. ``problem``: why no reports come in, "" when they do.
    """

    def __init__(
        self,
        engine: Engine,
        sent: SentIndex,
        tracer: Tracer,
        clock: Callable[[], float],
        reads_log: bool,
        behind: Callable[[], int] = int,
    ) -> None:
        self.bounces = 0
        self.complaints = 0
        self.repeated = 0
        self.uncounted = 0
        self.problem = ""
        self._engine = engine
        self._sent = sent
        self._tracer = tracer
        self._clock = clock
        self._reads_log = reads_log
        self._behind = behind

    async def take(self, name: str, report: Report, raw: bytes) -> str:
        """Count a report; why it is to be kept, "" when it is dealt with."""
        del name, raw
        if not report.counts:
            self.uncounted += 1
            return ""
        await self._wait_for_logs()
        about, message = await self._message_of(report)
        if message is None:
            return "about no message that is known to have left here"
        if report.kind == "bounce" and await self._from_our_log(report, message):
            self.uncounted += 1
            return ""
        people = report.failed if report.kind == "bounce" else report.recipients or (_UNNAMED,)
        for recipient in people or (_UNNAMED,):
            await self._count(report, about, message, recipient)
        return ""

    async def _wait_for_logs(self) -> None:
        """A log that is being caught up may not have come to the message yet, nor to its own bounce."""
        for _ in range(LOOKS):
            if not self._behind():
                return
            await asyncio.sleep(LOOK_AGAIN)

    async def _message_of(self, report: Report) -> tuple[str, Found | None]:
        """The message, and the id that it was found by: what bounds the reports about it must not be an id
        that whoever writes reports can choose at will."""
        found = await self._sent.find(report.original_message_id, "")
        read = self._tracer.read(report.reference) if report.reference else None
        if read is not None and (found is None or found.sender != read[0]):
            return report.reference, Found(read[0], int(read[1]), UNLOGGED)
        if found is not None:
            return report.original_message_id, found
        for _, queue_id in report.hops:
            found = await self._sent.find("", queue_id)
            if found is not None:
                return queue_id, found
        return "", None

    async def _from_our_log(self, report: Report, message: Found) -> bool:
        """The reporter is the MTA whose log we read: it told us when it happened."""
        if not (self._reads_log and report.original_queue_id):
            return False
        logged = await self._sent.find("", report.original_queue_id)
        return logged is not None and logged.sender == message.sender

    async def _count(self, report: Report, about: str, message: Found, recipient: ReportedRecipient) -> None:
        what = f"{report.kind} {message.sender} {about}"
        most = max(message.recipients, 1)
        address = recipient.address.lower()
        if not await self._sent.once(f"{what} {address}") or not await self._sent.at_most(most, what):
            self.repeated += 1
            return
        kind = ""
        if report.kind == "bounce":
            self.bounces += 1
        else:
            self.complaints += 1
            kind = report.feedback_type or USUAL_COMPLAINT
        status, reply = recipient.status, recipient.reply
        self._engine.observe(Reported(self._clock(), message.sender, address, status, reply, kind))


_UNNAMED: Final = ReportedRecipient("", "")


def open_tracer(state: Path) -> Tracer:
    """References under the key in the state folder, made when there is none.

    Without a folder the key lives as long as the process: references of an earlier run are then unknown.
    """
    path = state / KEY_FILE
    try:
        return Tracer(lasting_key(path))
    except (OSError, ValueError) as error:
        log.error("no lasting key for references: a restart makes them unreadable", why=str(error))
        return Tracer(secrets.token_bytes(KEY_BYTES))
