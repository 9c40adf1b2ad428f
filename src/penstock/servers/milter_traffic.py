"""Plain figures of a milter listener, read by metrics, status and doctor."""

from __future__ import annotations

from typing import Final

LOCAL: Final = "local"
SMTP: Final = "smtp"
SMARTHOST: Final = "smarthost"


class MilterTraffic:
    """Plain figures of one listener. ``kind``: for local mail, SMTP clients, or professional customers.
    ``results``: messages by what became of them (a verb; ``left``, ``unnamed``);
    ``refused``: recipients refused one by one, by verb.
    """

    __slots__ = ("connections", "errors", "kind", "last_at", "open", "protocol_errors", "refused", "results")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.connections = 0
        self.open = 0
        self.errors = 0
        self.protocol_errors = 0
        self.last_at = 0.0
        self.results: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    @property
    def smtp(self) -> bool:
        """It is asked about SMTP clients, not about local mail."""
        return self.kind != LOCAL

    def ended(self, result: str) -> None:
        """One more message came to this."""
        self.results[result] = self.results.get(result, 0) + 1
