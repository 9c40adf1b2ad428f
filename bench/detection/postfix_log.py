"""Messages → the lines that Postfix writes about them, in the order of time.

Lines of a message lie up to five days ahead (retries), so they wait in a heap until their time has come.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Final, NamedTuple, TextIO

from bench.detection.draw import DAY
from bench.detection.mail import Mail
from bench.detection.outcomes import Servers, Try
from bench.detection.requests import Requests
from bench.detection.world import Address, Domain

EPOCH: Final = 1767571200
"""Monday, 5 January 2026, 0:00 UTC: second 0 of a corpus."""
LIFETIME: Final = 5 * DAY
BASE52: Final = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
STATUS: Final = {"sent": "sent", "deferred": "deferred", "unknown": "bounced", "refused": "bounced"}
HOST: Final = "mx1"


class Seen(NamedTuple):
    """What a line tells whoever watches: an acceptance (``to`` is None) or one recipient's outcome."""

    at: float
    mail: Mail
    queue_id: str
    to: Address | None
    kind: str


Watch = Callable[[Seen], None]
Line = tuple[float, int, str, str, Seen | None]


class PostfixLog:
    """Writes one log. ``watch`` is told of acceptances and outcomes in the order of the lines. ``requests``
    gets what was asked about the same mail."""

    def __init__(
        self, out: TextIO, servers: Servers, seed: int, watch: Watch, rotations: list[float]
    ) -> None:
        self._out, self._servers, self._watch = out, servers, watch
        self.requests: Requests | None = None
        self._rng = Random(f"{seed}/log")
        self._heap: list[Line] = []
        self._number = 0
        self._rotations = deque(rotations)
        self._recent: deque[str] = deque(maxlen=round(servers.world.params.repeated[1]))
        self._second, self._stamp = -1, ""
        self._names: dict[str, str] = {}
        self._pids = {d: [self._rng.randrange(900, 99999) for _ in range(9)] for d in PIDS}
        self._pids["qmgr"] = self._pids["qmgr"][:1]
        self.lines = 0

    def add(self, mail: Mail) -> None:
        """The next message; what is due before it is written."""
        self.write_until(mail.at)
        if mail.inbound:
            self._inbound(mail)
        else:
            self._outbound(mail)

    def write_until(self, at: float) -> None:
        """Write every line, and every request, before that time."""
        heap = self._heap
        if self.requests is not None:
            self.requests.write_until(at)
        while heap and heap[0][0] < at:
            due, _, daemon, text, seen = heappop(heap)
            if self._rotations and due >= self._rotations[0]:
                self._rotations.popleft()
                self._repeat()
            self._write(due, daemon, text)
            if seen is not None:
                self._watch(seen)

    def _write(self, at: float, daemon: str, text: str) -> None:
        second = int(at)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(EPOCH + second))
        pid = self._rng.choice(self._pids[daemon])
        line = f"{self._stamp}.{int((at - second) * 1e6):06d}+00:00 {HOST} postfix/{daemon}[{pid}]: {text}\n"
        self._recent.append(line)
        self._out.write(line)
        self.lines += 1

    def _repeat(self) -> None:
        """The log shipper begins again a little before where it was."""
        rng, params = self._rng, self._servers.world.params
        n = int(rng.uniform(*params.repeated))
        for line in list(self._recent)[-n:]:
            self._out.write(line)
            self.lines += 1

    def _push(self, at: float, daemon: str, text: str, seen: Seen | None = None) -> None:
        self._number += 1
        heappush(self._heap, (at, self._number, daemon, text, seen))

    def _queue_id(self, at: float) -> str:
        """As ``enable_long_queue_ids`` makes them: seconds and microseconds in base 52, z, an inode."""
        self._number += 1
        micro = int(at % 1 * 1e6)
        return f"{_base52(int(EPOCH + at), 6)}{_base52(micro, 4)}z{_base52(self._number * 7 + 104729, 5)}"

    def _client(self, ip: str) -> str:
        """``name[address]``: the same name for an address as long as we remember it."""
        if ip not in self._names:
            if len(self._names) > 100_000:
                self._names.clear()
            dashed = ip.replace(".", "-").replace(":", "-")
            named = self._rng.random() < self._servers.world.params.hostname
            self._names[ip] = f"{dashed}.net.example" if named else "unknown"
        return f"{self._names[ip]}[{ip}]"

    # --- a message's way in

    def _outbound(self, mail: Mail) -> None:
        rng, at = self._rng, mail.at
        queue_id = self._queue_id(at)
        client = "" if mail.account.uid else self._client(mail.ip)
        named = at + rng.uniform(0.01, 0.15) + 0.02 * len(mail.recipients)
        self._submission(mail, queue_id, client, named)
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(EPOCH + named))
        message_id = mail.message_id or f"{stamp}.{queue_id}@{HOST}.example"
        self._push(named, "cleanup", f"{queue_id}: message-id=<{message_id}>")
        queued = named + rng.uniform(0.005, 0.05) + min(mail.size / 4e6, 20) * rng.random()
        seen = Seen(queued, mail, queue_id, None, "accepted")
        self._active(queued, queue_id, mail, len(mail.recipients), seen)
        self._deliver(mail, queue_id, queued)

    def _submission(self, mail: Mail, queue_id: str, client: str, named: float) -> None:
        """Who hands it in: a script, or a login that the policy service is asked about."""
        account, at = mail.account, mail.at
        if account.uid:
            self._push(at, "pickup", f"{queue_id}: uid={account.uid} from=<{mail.envelope}>")
            return
        method = "PLAIN" if account.shift < 1 else "LOGIN"
        login = f"sasl_method={method}, sasl_username={account.login}"
        self._push(at, "submission/smtpd", f"{queue_id}: client={client}, {login}")
        if self.requests is not None:
            self.requests.add(mail, named, queue_id, method, client)

    def _active(self, at: float, queue_id: str, mail: Mail, n: int, seen: Seen | None = None) -> None:
        text = f"{queue_id}: from=<{mail.envelope}>, size={mail.size}, nrcpt={n} (queue active)"
        self._push(at, "qmgr", text, seen)

    def _inbound(self, mail: Mail) -> None:
        """A notice from outside to one of our accounts."""
        at, queue_id = mail.at, self._queue_id(mail.at)
        self._push(at, "smtpd", f"{queue_id}: client={self._client(mail.ip)}")
        self._push(at + 0.05, "cleanup", f"{queue_id}: message-id=<{mail.message_id}>")
        self._push(at + 0.1, "qmgr", f"{queue_id}: from=<>, size={mail.size}, nrcpt=1 (queue active)")
        self._local(at + 0.1, queue_id, mail.account.login)

    def _local(self, at: float, queue_id: str, to: str) -> None:
        took = self._rng.uniform(0.02, 0.4)
        delays = f"delay={took + 0.1:.2f}, delays=0.1/0/{took / 3:.2g}/{took / 2:.2g}"
        text = f"dsn=2.0.0, status=sent (250 2.0.0 <{to}> {queue_id[:8]} Saved)"
        relay = "relay=mail.local[private/dovecot-lmtp]"
        self._push(at + took, "lmtp", f"{queue_id}: to=<{to}>, {relay}, {delays}, {text}")
        self._push(at + took + 0.01, "qmgr", f"{queue_id}: removed")

    # --- delivery

    def _deliver(self, mail: Mail, queue_id: str, begun: float) -> None:
        waiting: dict[Domain, list[Address]] = {}
        for to in mail.recipients:
            waiting.setdefault(to.domain, []).append(to)
        troubles = {domain: self._servers.troubled(domain) for domain in waiting}
        at, number, pause = begun, 0, self._rng.uniform(300, 600)
        while True:
            expired = at - mail.at > LIFETIME
            end, bounced, left = self._run(mail, queue_id, at, number, waiting, troubles)
            if bounced or (expired and left):
                self._notice(mail, queue_id, end)
            if not left:
                self._push(end + 0.02, "qmgr", f"{queue_id}: removed")
                return
            if expired:
                text = f"{queue_id}: from=<{mail.envelope}>, status=expired, returned to sender"
                self._push(end, "qmgr", text)
                self._push(end + 0.02, "qmgr", f"{queue_id}: removed")
                return
            waiting, at, number = left, at + pause, number + 1
            pause = min(pause * 2, 4000.0) * self._rng.uniform(0.9, 1.1)
            self._active(at, queue_id, mail, sum(map(len, left.values())))

    def _run(
        self, mail: Mail, queue_id: str, at: float, number: int, waiting: dict[Domain, list[Address]],
        troubles: dict[Domain, int],
    ) -> tuple[float, bool, dict[Domain, list[Address]]]:  # fmt: skip
        """One attempt at all that waits: (when it ended, whether anything bounced, what waits still)."""
        servers, end, bounced = self._servers, at, False
        left: dict[Domain, list[Address]] = {}
        for place, (domain, recipients) in enumerate(waiting.items()):
            took = servers.latency(domain) + place // 20 * 0.8
            for to in recipients:
                tried = servers.attempt(mail, to, at + took, number, number < troubles[domain])
                early = 0.4 * took if tried.kind == "unknown" and "RCPT" in tried.reply else 0.0
                self._outcome(mail, queue_id, to, at + took - early, tried, number)
                bounced = bounced or tried.kind in ("unknown", "refused")
                if tried.kind == "deferred":
                    left.setdefault(domain, []).append(to)
            end = max(end, at + took)
        return end, bounced, left

    def _outcome(self, mail: Mail, queue_id: str, to: Address, at: float, tried: Try, number: int) -> None:
        since = at - mail.at
        last = self._rng.uniform(0.2, 0.6) * min(since, 20)
        delays = f"delays={_took(since - last)}/0.01/{_took(last * 0.6)}/{_took(last * 0.4)}"
        text = (
            f"{queue_id}: to=<{to.text}>, relay={tried.relay}, delay={_took(since)}, {delays}, "
            f"dsn={tried.dsn}, status={STATUS[tried.kind]} ({tried.reply})"
        )
        seen = None if tried.kind == "deferred" and number else Seen(at, mail, queue_id, to, tried.kind)
        daemon = "lmtp" if to.domain.style == "local" else "smtp"
        self._push(at, daemon, text, seen)

    def _notice(self, mail: Mail, queue_id: str, at: float) -> None:
        notice = self._queue_id(at)
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(EPOCH + at))
        self._push(at + 0.004, "cleanup", f"{notice}: message-id=<{stamp}.{notice}@{HOST}.example>")
        self._push(at + 0.006, "bounce", f"{queue_id}: sender non-delivery notification: {notice}")
        size = min(mail.size, 50_000) + 2400
        self._push(at + 0.008, "qmgr", f"{notice}: from=<>, size={size}, nrcpt=1 (queue active)")
        if mail.envelope.rpartition("@")[2] == mail.account.domain.name:
            self._local(at + 0.01, notice, mail.envelope)
            return
        domain = mail.envelope.rpartition("@")[2]
        took = self._rng.uniform(0.3, 6)
        half = _took(took / 2)
        text = f"delay={_took(took)}, delays=0/0/{half}/{half}, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
        relay = f"relay=mx.{domain}[{self._servers.world.company(self._rng).ip}]:25"
        self._push(at + took, "smtp", f"{notice}: to=<{mail.envelope}>, {relay}, {text}")
        self._push(at + took + 0.01, "qmgr", f"{notice}: removed")


PIDS: Final = ("submission/smtpd", "smtpd", "pickup", "cleanup", "qmgr", "smtp", "lmtp", "bounce")


def _took(seconds: float) -> str:
    """Two digits, as Postfix writes times."""
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"


def _base52(n: int, width: int) -> str:
    digits = ""
    while n or len(digits) < width:
        n, digit = divmod(n, 52)
        digits = BASE52[digit] + digits
    return digits
