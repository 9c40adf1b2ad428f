"""Messages → what Postfix asks a policy service about them (SMTPD_POLICY_README), in the order of time.

The set-up that Penstock hands out asks for each recipient (RCPT) and once for the message
(END-OF-MESSAGE), of mail that comes in by submission: not of scripts (pickup) and not of notices from
outside. It is asked as if everything were accepted. A request has no time; the seconds of ``instance`` (hex:
pid, seconds, microseconds, number) are when its message began.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final, NamedTuple, TextIO

from bench.detection.mail import Mail

from penstock.core.flight import ASKS_END
from penstock.demo.smtpd import REQUEST

PIDS: Final = 60
"""smtpd processes that take turns."""


class Session(NamedTuple):
    """One message on its way in. ``begun``: seconds since the epoch; ``number``: of the message."""

    mail: Mail
    begun: float
    number: int
    queue_id: str
    method: str
    client: str  # name[address]

    def request(self, place: int) -> str:
        """About recipient ``place``; behind the last one, about the message."""
        to = self.mail.recipients
        ended = place == len(to)
        about = to[0] if ended and len(to) == 1 else None if ended else to[place]
        micros = int(self.begun % 1 * 1e6)
        return REQUEST.format(
            stage="END-OF-MESSAGE" if ended else "RCPT",
            address=self.mail.ip,
            name=self.client.partition("[")[0],
            port=1024 + self.number * 7919 % 64000,
            helo=f"[{self.mail.ip}]",
            context=ASKS_END,
            sender=self.mail.envelope,
            recipient=about.text if about is not None else "",
            count=len(to) if ended else 0,
            queue_id=self.queue_id if place else "",
            instance=f"{4096 + self.number % PIDS:x}.{int(self.begun):x}.{micros:x}.{self.number // PIDS:x}",
            size=self.mail.size,
            method=self.method,
            login=self.mail.account.login,
        )


class Requests:
    """Writes the requests of one log. ``epoch``: second 0 of the corpus, since 1970."""

    def __init__(self, out: TextIO, epoch: int) -> None:
        self._out, self._epoch = out, epoch
        self._heap: list[tuple[float, int, int, Session]] = []  # at, message, place
        self._number = 0

    def add(self, mail: Mail, ended: float, queue_id: str, method: str, client: str) -> None:
        """A message that begins now and has come in at ``ended``; seconds of the corpus."""
        self._number += 1
        session = Session(mail, self._epoch + mail.at, self._number, queue_id, method, client)
        step = (ended - mail.at) / len(mail.recipients)
        for place in range(len(mail.recipients) + 1):
            heappush(self._heap, (mail.at + step * place, self._number, place, session))

    def write_until(self, at: float) -> None:
        """Write what is asked before that time."""
        heap = self._heap
        while heap and heap[0][0] < at:
            _, _, place, session = heappop(heap)
            self._out.write(session.request(place))
