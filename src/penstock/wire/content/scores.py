"""A spam filter's score, as its header field says it: rspamd's and SpamAssassin's."""

from __future__ import annotations

import re
from typing import Final

MOST_READ: Final = 1000
HIGHEST: Final = 10_000.0

_NUMBER: Final = r"([-+]?\d{1,5}(?:\.\d{1,4})?)"
_FORMS: Final = (
    re.compile(
        rf"[^\[]{{0,40}}\[\s{{0,3}}{_NUMBER}\s{{0,3}}/"
    ),  # X-Spamd-Result: default: False [4.20 / 15.00];
    re.compile(rf"(?:yes|no)\b.{{0,9}}?\bscore={_NUMBER}", re.IGNORECASE | re.DOTALL),  # X-Spam-Status
    re.compile(rf"\s{{0,9}}{_NUMBER}(?![\w.])"),  # X-Spam-Score: 12.3 (++++)
)
_BAR: Final = re.compile(r"\s{0,9}(\++|\*+)")


def score_of(value: str) -> float | None:
    """The score in a field's value: ``X-Spamd-Result``, ``X-Spam-Status``, ``X-Spam-Score``; the length of a
    bar (``X-Spamd-Bar``, ``X-Spam-Level``). None when there is none, or one below zero."""
    told = value[:MOST_READ]
    for form in _FORMS:
        found = form.match(told)
        if found:
            score = float(found[1])
            return min(score, HIGHEST) if score >= 0 else None
    bar = _BAR.match(told)
    return float(len(bar[1])) if bar else None
