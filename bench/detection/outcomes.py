"""What becomes of each recipient at each attempt: the remote servers, with what they remember."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from bench.detection import replies
from bench.detection.mail import Mail
from bench.detection.world import ALIVE, FULL, INACTIVE, Address, Domain, World

LETTERS: Final = "abcdefghijkmnpqrstuvwxyz0123456789"
MOST_GREY: Final = 200_000


class Try(NamedTuple):
    """One attempt. ``kind``: sent, deferred, unknown (address or domain do not exist), or refused."""

    kind: str
    dsn: str
    reply: str
    relay: str


class Servers:
    """All remote servers."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.rng = world, Random(f"{seed}/servers")
        self._greeted: set[tuple[str, str]] = set()
        self._rates: dict[tuple[str, int], int] = {}
        self._trouble = {
            d.name: self.rng.choice(replies.TROUBLE) for d in [*world.companies, *world.freemail]
        }

    def troubled(self, domain: Domain) -> int:
        """How many attempts of a message to that domain fail for reasons of nobody's."""
        if domain.style == "local" or self.rng.random() >= self.world.params.trouble:
            return 0
        return 1 + int(self.rng.expovariate(0.7))

    def latency(self, domain: Domain) -> float:
        """Seconds from the attempt's begin to the answer."""
        p = self.world.params
        return min(max(domain.latency * self.rng.lognormvariate(0, 0.5), 0.05), p.latency_most)

    def attempt(self, mail: Mail, to: Address, at: float, number: int, troubled: bool) -> Try:
        """The ``number``-th attempt (from 0) for this recipient."""
        domain = to.domain
        if not domain.exists:
            return self._say("unknown", to, replies.TABLES["other"]["no-domain"])
        if domain.down[0] <= at < domain.down[1]:
            return self._say("deferred", to, replies.TABLES["other"]["away"])
        if troubled:
            return self._say("deferred", to, self._trouble.get(domain.name, replies.TROUBLE[0]))
        return (
            self._outage(to, at) or self._grey(mail, to) or self._busy(to, at) or self._rcpt(mail, to, number)
        )

    def _say(self, kind: str, to: Address, answer: replies.Answer) -> Try:
        dsn, text = answer
        domain = to.domain
        met = kind == "sent" or text.startswith("host ")
        token = "".join(self.rng.choices(LETTERS, k=9))
        text = text.replace("{to}", to.text).replace("{mx}", domain.mx).replace("{ip}", domain.ip)
        text = text.replace("{domain}", domain.name).replace("{id}", token)
        if domain.style == "local":
            return Try(kind, dsn, text, "mail.local[private/dovecot-lmtp]")
        return Try(kind, dsn, text, f"{domain.mx}[{domain.ip}]:25" if met else "none")

    def _outage(self, to: Address, at: float) -> Try | None:
        for outage in self.world.outages:
            hit = to.domain.name == outage.of or to.domain.style == outage.of
            if hit and outage.start <= at < outage.end and self.rng.random() < outage.share:
                if outage.mode == "bounce":
                    return self._say("unknown", to, replies.answer("unknown", to.domain.style))
                return self._say("deferred", to, replies.TABLES["other"]["outage"])
        return None

    def _grey(self, mail: Mail, to: Address) -> Try | None:
        """The first time that this sender and recipient meet."""
        triple = (mail.envelope, to.text)
        if not to.domain.greylists or triple in self._greeted:
            return None
        if len(self._greeted) > MOST_GREY:
            self._greeted.clear()
        self._greeted.add(triple)
        return self._say("deferred", to, replies.answer("grey", to.domain.style))

    def _busy(self, to: Address, at: float) -> Try | None:
        """Freemail providers slow down a host that sends them much, whoever's mail it is."""
        if not to.domain.freemail:
            return None
        key = (to.domain.style, int(at // 3600))
        self._rates[key] = self._rates.get(key, 0) + 1
        p = self.world.params
        if self._rates[key] > p.throttled_after and self.rng.random() < p.throttled:
            return self._say("deferred", to, replies.answer("throttled", to.domain.style))
        return None

    def _rcpt(self, mail: Mail, to: Address, number: int) -> Try:
        style = to.domain.style
        if to.state == FULL:
            answer = replies.answer("full", style)
            waits = answer[0][0] == "4" and number < 25
            return self._say("deferred" if waits else "refused", to, answer)
        if to.state != ALIVE and not to.domain.catch_all:
            kind = "inactive" if to.state == INACTIVE else "unknown"
            return self._say("unknown", to, replies.answer(kind, style))
        if self.rng.random() < max(mail.refused, self.world.params.honest_content) and style != "local":
            return self._say("refused", to, replies.answer("content", style))
        return self._say("sent", to, replies.answer("sent", style))
