"""Mail providers that say "no such user" about people who have mailboxes there.

On 15 December 2020 a large one answered so for hours. An address that somebody here has got mail through to
does not vanish often; when several of a domain do within hours, or one does while mostly dead addresses are
met there, then the fault is the provider's, and what it says is no evidence against anybody. Dead addresses
alone are none: several thieves may have one list. A trouble lasts as long as it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LASTS: Final = 2 * 3600
"""Seconds for which a domain's answers are taken together."""

VANISHED: Final = 2
SHARE: Final = 0.25
SENDERS: Final = 3
DEAD_SHARE: Final = 0.4
"""Of what was told, where so many senders met it."""

MOSTLY, SOME = 0.6, 4
"""Of what was told, if that is so much: few bought lists are that bad."""

MOST_DOMAINS: Final = 10_000


@dataclass(slots=True)
class Trouble:
    """A domain since ``begun`` (seconds): known addresses that vanished, and that were reached; senders that
    met dead ones; dead and reached new ones."""

    begun: int
    vanished: int = 0
    reached: int = 0
    dead: int = 0
    proven: int = 0
    senders: set[str] = field(default_factory=set)

    @property
    def fails(self) -> bool:
        """Whether what it says about its users is not to be believed."""
        bad = self.dead + self.vanished
        told = bad + self.proven + self.reached
        if not self.vanished:
            return False
        if len(self.senders) >= SENDERS and bad >= DEAD_SHARE * told:
            return True
        if told >= SOME and bad >= MOSTLY * told:
            return True
        return self.vanished >= VANISHED and self.vanished >= SHARE * (self.vanished + self.reached)

    def fade(self, second: int) -> None:
        """Half of it is over, and one who left is forgotten: dead addresses alone keep no trouble up."""
        self.begun = second
        self.vanished, self.reached = self.vanished // 2, self.reached // 2
        self.dead, self.proven = self.dead // 2, self.proven // 2
        self.senders.clear()


class Providers:
    """Domains by name, from the first of their addresses that is said not to exist."""

    def __init__(self) -> None:
        self._troubles: dict[str, Trouble] = {}

    def vanished(self, domain: str, key: str, second: int) -> None:
        """An address that got mail before is said not to exist."""
        found = self._of(domain, second)
        found.vanished += 1
        _add(found.senders, key)

    def fails(self, domain: str, key: str, second: int) -> bool:
        """An address that nobody here knew is said not to exist; whether that is to be disbelieved."""
        found = self._of(domain, second)
        found.dead += 1
        _add(found.senders, key)
        return found.fails

    def reached(self, domain: str, second: int, known: bool) -> None:
        """An address got mail."""
        found = self._troubles.get(domain)
        if found is not None and second - found.begun <= 2 * LASTS:
            if known:
                found.reached += 1
            else:
                found.proven += 1

    def _of(self, domain: str, second: int) -> Trouble:
        found = self._troubles.get(domain)
        if found is not None and LASTS < second - found.begun <= 2 * LASTS and found.fails:
            found.fade(second)
        elif found is None or second - found.begun > LASTS:
            self._troubles.pop(domain, None)
            if len(self._troubles) >= MOST_DOMAINS:
                del self._troubles[next(iter(self._troubles))]
            found = self._troubles[domain] = Trouble(second)
        return found


def _add(senders: set[str], key: str) -> None:
    if len(senders) < SENDERS:
        senders.add(key)
