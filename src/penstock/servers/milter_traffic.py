"""Plain figures of a milter listener, read by metrics, status and doctor."""

from __future__ import annotations


class MilterTraffic:
    """Plain figures of one listener. ``smtp``: it is for SMTP clients, not for local mail.
    ``results``: messages by what became of them (a verb; ``left``, ``unnamed``);
    ``refused``: recipients refused one by one, by verb.
    """

    __slots__ = ("connections", "errors", "last_at", "open", "protocol_errors", "refused", "results", "smtp")

    def __init__(self, smtp: bool) -> None:
        self.smtp = smtp
        self.connections = 0
        self.open = 0
        self.errors = 0
        self.protocol_errors = 0
        self.last_at = 0.0
        self.results: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    def ended(self, result: str) -> None:
        """One more message came to this."""
        self.results[result] = self.results.get(result, 0) + 1
