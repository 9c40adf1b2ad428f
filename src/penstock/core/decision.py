"""What the MTA is answered, and why: no answer but a pass is without a named reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from penstock.core.policy import Verb

PASSING = frozenset({Verb.PASS, Verb.MARK})
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Decision:
    """One answer. ``stops``: the mail does not go on as it would. ``ticket``: records up to this
    number must be durable before it is given.

    ``rendered``: the answer in the words of the last protocol that asked, so that a flood of
    equal answers is worded once.
    """

    __slots__ = ("argument", "reference", "rendered", "rule", "stops", "text", "ticket", "verb")

    def __init__(
        self,
        verb: Verb,
        argument: str = "",
        reference: str = "",
        rule: str = "",
        text: str = "",
        ticket: int = 0,
    ) -> None:
        self.verb = verb
        self.stops = verb not in PASSING
        self.argument = argument
        self.reference = reference
        self.rule = rule
        self.text = text
        self.ticket = ticket
        self.rendered = b""

    def __repr__(self) -> str:
        return f"Decision({self.verb}, {self.argument!r}, {self.reference!r}, {self.rule!r})"


PASS = Decision(Verb.PASS)


@dataclass
class Refusal:
    """One stretch of refusals of one sender for one cause: what a reference looks up.

    ``rule`` names the limit or standing; ``shadow``: it only would have been refused;
    ``figures`` are what the rule saw when the stretch began; ``recipients`` counts what was
    refused from ``first_at`` to ``last_at`` (seconds since the epoch).
    """

    reference: str
    sender: str
    rule: str
    verb: str
    shadow: bool
    first_at: float
    last_at: float
    figures: Mapping[str, str | int | float] = field(default_factory=dict)
    recipients: int = 0
    decision: Decision | None = None


def reference(sender: str, rule: str, at: float) -> str:
    """Eight Crockford base-32 characters as ``XXXX-XXXX``: the same stretch, the same reference."""
    digest = int.from_bytes(blake2b(f"{sender}\0{rule}\0{at:.3f}".encode(), digest_size=5).digest())
    code = "".join(_ALPHABET[digest >> shift & 31] for shift in range(35, -1, -5))
    return f"{code[:4]}-{code[4:]}"


def read_reference(text: str) -> str:
    """The canonical reference in what a person typed or pasted (``ref K7F3-9QX2``, ``k7f39qx2``)."""
    last = text.strip().rsplit(" ", 1)[-1].strip("()[].,").upper().replace("-", "")
    last = last.replace("O", "0").replace("I", "1").replace("L", "1")
    return f"{last[:4]}-{last[4:]}"
