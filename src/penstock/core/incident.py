"""An incident: one suspected compromise, from the first suspicion to an administrator's word.

    open ──verdict──▶ closed (verdict)
    open ──suspicion fell by itself──▶ closed (calm)       within two days the same sender, or its
    open ──the pause's term ended────▶ closed (term)       campaign, opens it again: one affair is one
    open ──an administrator resumed──▶ closed (resumed)    incident
    open ──nothing more was heard────▶ closed (expiry)
    open ──found to be part of another─▶ closed (merged)

A verdict may also be given later, or changed. What an incident says can be computed again from what it
keeps: ``evidence.suspicion(prior, findings)`` is its suspicion.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from penstock.core.evidence import Finding

REJOINS: Final = 48 * 3600.0
"""Seconds after it was last suspicious in which what comes belongs to the same incident."""

AUDIBLE: Final = 0.05
"""Nats below which a signal has said nothing worth telling."""

NOTICED: Final = -50.0
"""Nats: the suspicion of a sender about whom there is only something to tell."""

MOST_SUSPECTS: Final = 1000
"""Senders of one incident; a campaign with more goes on in another one."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 6


class Verdict(StrEnum):
    """What an administrator says of an incident."""

    COMPROMISED = "compromised"
    LEGITIMATE = "legitimate"


class BadIncident(ValueError):
    """That cannot be an incident's ID, or not be done to it; the message says why."""


@dataclass(slots=True)
class Suspect:
    """One sender of an incident. Times are seconds since the epoch, None: not (yet).

    ``began_at``: its first novel recipient within the day before suspicion; ``suspicion``, ``findings``:
    when it was highest, until the pause (in shadow, where none takes effect: at all); ``prior``: what the
    findings were added to; ``counts``: counter's name → the most that a look found within 24 hours.
    ``leak``: novel recipients that got through, those of that day before suspicion included; ``stopped``:
    recipients turned away or held, those of another try counted again. ``customer``, ``profile``: whose
    it is.
    """

    sender: str
    opened_at: float
    began_at: float
    seen_at: float
    customer: str = ""
    profile: str = ""
    suspicion: float = 0.0
    prior: float = 0.0
    findings: tuple[Finding, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    slowed_at: float | None = None
    paused_at: float | None = None
    released_at: float | None = None
    leak: int = 0
    stopped: int = 0

    @property
    def spoke(self) -> dict[str, float]:
        """Signal → weight, of those that spoke against it."""
        return {finding.signal: finding.weight for finding in self.findings if finding.weight >= AUDIBLE}

    @property
    def stopped_at(self) -> float | None:
        """When it was first held up."""
        times = [at for at in (self.slowed_at, self.paused_at) if at is not None]
        return min(times, default=None)


@dataclass(slots=True)
class Incident:
    """``campaign``: what its senders share, "" for one sender alone. ``shadow``: nobody was stopped, the
    rules only watched. ``how``: why it was closed; ``into``: the incident that it has become a part of."""

    id: str
    opened_at: float
    suspects: dict[str, Suspect]
    campaign: str = ""
    shadow: bool = False
    closed_at: float | None = None
    how: str = ""
    into: str = ""
    verdict: Verdict | None = None
    verdict_at: float = 0.0
    by: str = ""
    note: str = ""

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def is_notice(self) -> bool:
        """Nobody was suspected: there is only something to tell."""
        return self.worst.suspicion <= NOTICED

    @property
    def worst(self) -> Suspect:
        """The sender under the gravest suspicion."""
        return max(self.suspects.values(), key=lambda suspect: suspect.suspicion)

    @property
    def seen_at(self) -> float:
        """When one of its senders was last suspicious."""
        return max(suspect.seen_at for suspect in self.suspects.values())

    @property
    def paused_at(self) -> float | None:
        """When the first of its senders was paused."""
        return min(self._paused(), default=None)

    def _paused(self) -> Iterator[float]:
        return (s.paused_at for s in self.suspects.values() if s.paused_at is not None)

    @property
    def leak(self) -> int:
        return sum(suspect.leak for suspect in self.suspects.values())

    @property
    def stopped(self) -> int:
        return sum(suspect.stopped for suspect in self.suspects.values())

    @property
    def spoke(self) -> dict[str, float]:
        """Signal → its greatest weight about any sender, heaviest first."""
        found: dict[str, float] = {}
        for suspect in self.suspects.values():
            for name, weight in suspect.spoke.items():
                found[name] = max(weight, found.get(name, 0.0))
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    def joins(self, at: float) -> bool:
        """Whether what happens at ``at`` still belongs to it."""
        return self.verdict is None and not self.into and (self.is_open or at - self.seen_at <= REJOINS)

    def close(self, at: float, how: str) -> None:
        """The end of it; whoever was held up is let go, a verdict of compromise left out."""
        self.closed_at, self.how = at, how
        for suspect in self.suspects.values():
            if suspect.released_at is None and self.verdict is not Verdict.COMPROMISED:
                suspect.released_at = at

    def reopen(self) -> None:
        """It was not over."""
        self.closed_at, self.how = None, ""

    def judge(self, verdict: Verdict, at: float, by: str, note: str) -> None:
        """An administrator's word, or another one than before."""
        self.verdict, self.verdict_at, self.by, self.note = verdict, at, by, note
        if self.is_open or self.how == "verdict":
            self.close(at, "verdict")


def new_id(sender: str, at: float, taken: Container[str]) -> str:
    """``I-7K3Q9X``: the same sender and time give the same ID, wherever that is computed."""
    for salt in range(1000):
        text = f"{sender}\0{at:.3f}\0{salt}".encode("utf-8", "backslashreplace")
        digest = int.from_bytes(blake2b(text, digest_size=5).digest())
        code = "I-" + "".join(_ALPHABET[digest >> 5 * i & 31] for i in range(_LENGTH))
        if code not in taken:
            return code
    raise BadIncident("no ID is free")


def read_id(text: str) -> str:
    """The ID in what a person typed: ``i-7k3q9x``, ``7K3Q9X``; raises BadIncident."""
    code = text.strip().upper().removeprefix("I-").replace("-", "").replace(" ", "")
    code = code[1:] if len(code) == _LENGTH + 1 and code[0] == "I" else code
    code = code.replace("O", "0").replace("I", "1").replace("L", "1")
    if len(code) != _LENGTH or any(letter not in _ALPHABET for letter in code):
        raise BadIncident(f"{text[:40]!r} is not an incident's ID: those look like I-7K3Q9X")
    return f"I-{code}"
