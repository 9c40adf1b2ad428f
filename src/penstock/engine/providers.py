"""Mail providers that say "no such user" about people who have mailboxes there, or put everybody off.

On 15 December 2020 a large one answered so for hours. An address that somebody here has got mail through to
does not vanish often; when several of a domain do within hours, or one does while mostly dead addresses are
met there, then the fault is the provider's, and what it says is no evidence against anybody. Dead addresses
alone are none: several thieves may have one list. But no thief writes from where the owner always does: when
several who do are told by one provider that nearly half of those whom they write to do not exist, it fails,
too; and one of them to whom it says so of all but a few has met one fact, not many. A trouble lasts as long
as it goes on.

A provider answers for its customers' domains, too: hosts with one name's ending are taken together, and
believed in none of their domains while known addresses vanish behind them, or those at home say so. Nothing
else is said of them together: among so many domains somebody always leaves.

When our address is throttled or listed, or a provider is overloaded and says so in such words, each of our
senders hears "later, your rate" or "not from you": where most of those who wrote there last were put off,
that is nobody's own doing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

LASTS: Final = 2 * 3600
"""Seconds for which a domain's answers are taken together."""

VANISHED: Final = 2
SHARE: Final = 0.25
SENDERS: Final = 3
DEAD_SHARE: Final = 0.4
"""Of what was told, where so many senders met it."""

WITNESSED: Final = 5
"""Dead addresses that several senders at home must have met, where nobody whom we know has vanished."""

AT_ONCE, MOST_AT_ONCE, ALL = 3, 20, 0.8
"""From so many dead addresses on, up to so many, one sender at home has met one fact, if they are so much of
what it was told there: a thief with a made-up list of one provider is found after that."""

MOST_TOLD: Final = 64
"""Senders of whom it is known what a provider has told them."""

LEAST_SHARE: Final = 0.15
"""Of what was told: two who left are no trouble where nearly everybody else is reached."""

MOSTLY, SOME = 0.6, 4
"""Of what was told, if that is so much: few bought lists are that bad."""

LAST: Final = 12
"""Senders that a provider answered last: most of them, and SENDERS at least, must have been put off."""

MOST_DOMAINS: Final = 10_000
KNOWN_HOSTS: Final = 4096


@dataclass(slots=True)
class Trouble:
    """A domain, or hosts of a name, since ``begun`` (seconds): known addresses that vanished, and that were
    reached; senders that met dead ones; dead and reached new ones, all of them and (``home_``) those of
    senders at home; ``at_home``: these senders, once they met a dead one → dead and reached new ones."""

    begun: int
    vanished: int = 0
    reached: int = 0
    dead: int = 0
    proven: int = 0
    senders: set[str] = field(default_factory=set)
    home_dead: int = 0
    home_proven: int = 0
    at_home: dict[str, list[int]] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        """Whether what it says about its users is not to be believed."""
        if not self.vanished:
            return self.is_witnessed
        bad, told = self._told
        if len(self.senders) >= SENDERS and bad >= DEAD_SHARE * told:
            return True
        return (told >= SOME and bad >= MOSTLY * told) or self.loses or self.is_witnessed

    @property
    def loses(self) -> bool:
        """Whether it says of people who have mailboxes there that they have none."""
        bad, told = self._told
        lost = self.vanished >= VANISHED and self.vanished >= SHARE * (self.vanished + self.reached)
        return lost and bad >= LEAST_SHARE * told

    @property
    def is_witnessed(self) -> bool:
        """Whether several who write from where they always do are told so of nearly half."""
        told = self.home_dead + self.home_proven + self.vanished + self.reached
        enough = len(self.at_home) >= SENDERS and self.home_dead >= WITNESSED
        return enough and self.home_dead + self.vanished >= DEAD_SHARE * told

    def is_one_fact(self, key: str) -> bool:
        """Whether a sender at home met hardly anything but dead ones, which may be one fact."""
        dead, proven = self.at_home.get(key, (0, 0))
        return AT_ONCE <= dead <= MOST_AT_ONCE and dead >= ALL * (dead + proven)

    def tell(self, key: str, is_dead: bool) -> None:
        """A sender at home hears of a new address."""
        self.home_dead, self.home_proven = self.home_dead + is_dead, self.home_proven + (not is_dead)
        if is_dead and key not in self.at_home:
            if len(self.at_home) >= MOST_TOLD:
                del self.at_home[next(iter(self.at_home))]
            self.at_home[key] = [0, 0]
        if key in self.at_home:
            self.at_home[key][not is_dead] += 1

    @property
    def _told(self) -> tuple[int, int]:
        """Addresses that are said not to exist, and these with all that were reached."""
        bad = self.dead + self.vanished
        return bad, bad + self.proven + self.reached

    def fade(self, second: int) -> None:
        """Half of it is over, and one who left is forgotten: dead addresses alone keep no trouble up."""
        self.begun = second
        self.vanished, self.reached = self.vanished // 2, self.reached // 2
        self.dead, self.proven = self.dead // 2, self.proven // 2
        self.home_dead, self.home_proven = self.home_dead // 2, self.home_proven // 2
        self.senders.clear()
        self.at_home.clear()


class Providers:
    """Domains, and endings of hosts' names, from the first of their addresses that is said not to exist.

    ``relay``: the host that said so, as logged; "" when nobody knows. ``at_home``: the sender writes from
    where it always does.
    """

    def __init__(self) -> None:
        self._troubles: dict[str, Trouble] = {}
        self._answered: dict[str, dict[str, tuple[int, bool]]] = {}

    def puts_off(self, domain: str, relay: str, key: str, second: int) -> bool:
        """Refused for our rate or our name, for now or for ever: whether most senders are told so there."""
        said = [self._is_off(name, key, second) for name in _places(domain, relay)]
        return any(said)

    def _is_off(self, name: str, key: str, second: int) -> bool:
        found = self._answered.get(name)
        if found is None:
            if len(self._answered) >= MOST_DOMAINS:
                del self._answered[next(iter(self._answered))]
            found = self._answered[name] = {}
        _note(found, key, second, True)
        recent = [off for at, off in found.values() if second - at <= LASTS]
        off = sum(recent)
        return off >= SENDERS and 2 * off > len(recent)

    def vanished(self, domain: str, relay: str, key: str, second: int) -> None:
        """An address that got mail before is said not to exist."""
        for name in _names(domain, relay):
            found = self._of(name, second)
            found.vanished += 1
            _add(found.senders, key)

    def fails(self, domain: str, relay: str, key: str, second: int, at_home: bool) -> bool:
        """An address that nobody here knew is said not to exist; whether that is to be disbelieved."""
        first, *hosts = (self._of(name, second) for name in _names(domain, relay))
        first.dead += 1
        _add(first.senders, key)
        if at_home:
            for found in (first, *hosts):
                found.tell(key, True)
            if any(found.is_one_fact(key) for found in (first, *hosts)):
                return True
        return first.fails or any(found.loses or found.is_witnessed for found in hosts)

    def reached(self, domain: str, relay: str, key: str, second: int, known: bool, at_home: bool) -> bool:
        """An address got mail; whether that says nothing, since its provider fails."""
        names = _names(domain, relay)
        for place in _places(domain, relay):
            answered = self._answered.get(place)
            if answered is not None:
                _note(answered, key, second, False)
        failing = False
        for name in names:
            found = self._troubles.get(name)
            if found is not None and second - found.begun <= 2 * LASTS:
                failing = failing or (found.fails if name == domain else found.loses or found.is_witnessed)
                if known:
                    found.reached += 1
                    continue
                found.proven += 1
                if at_home:
                    found.tell(key, False)
        return failing

    def _of(self, name: str, second: int) -> Trouble:
        found = self._troubles.get(name)
        if found is not None and LASTS < second - found.begun <= 2 * LASTS and found.fails:
            found.fade(second)
        elif found is None or second - found.begun > LASTS:
            self._troubles.pop(name, None)
            if len(self._troubles) >= MOST_DOMAINS:
                del self._troubles[next(iter(self._troubles))]
            found = self._troubles[name] = Trouble(second)
        return found


def _names(domain: str, relay: str) -> tuple[str, ...]:
    """A domain, and what its host's name ends with, if anything is known of it."""
    return (domain, *_endings(relay))


def _places(domain: str, relay: str) -> tuple[str, ...]:
    """Where it was said: a service and its provider, which may not agree; the domain if nobody knows."""
    return _endings(relay) or (domain,)


@lru_cache(KNOWN_HOSTS)
def _endings(relay: str) -> tuple[str, ...]:
    """What a host's name shares with others of its service, and of its provider: ``.l.google.com`` and
    ``.google.com``; none if it has no name."""
    labels = relay.partition("[")[0].strip().lower().split(".")
    if len(labels) < 2 or labels[-1].isdigit():
        return ()
    short = len(labels[-1]) == 2 and len(labels[-2]) <= 3  # co.uk, com.au
    provider = "." + ".".join(labels[-3 if short else -2 :])
    service = "." + ".".join(labels[1:])
    return (service, provider) if len(service) > len(provider) else (provider,)


def _note(answered: dict[str, tuple[int, bool]], key: str, second: int, off: bool) -> None:
    """The last word to a sender, among those to the last of them."""
    answered.pop(key, None)
    answered[key] = second, off
    if len(answered) > LAST:
        del answered[next(iter(answered))]


def _add(senders: set[str], key: str) -> None:
    if len(senders) < SENDERS:
        senders.add(key)
