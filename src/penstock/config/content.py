"""The keys of what is read of a message's content."""

from __future__ import annotations

import re
from typing import Final

from penstock.config.report import BadValue, Spot
from penstock.config.scalars import BOOL, between, string
from penstock.config.settings import ContentSettings
from penstock.config.table import Key, Kind, Section, Table
from penstock.config.toml import shown

_NAME: Final = re.compile(r"[!-9;-~]{1,80}")


def _field(value: object, spot: Spot) -> str:
    name = string(value)
    if name and not _NAME.fullmatch(name):
        raise BadValue(
            f"{shown(name)}: must be the name of a header field, such as `X-Spamd-Result`, or empty"
        )
    return name


FINGERPRINTS = Key(
    "fingerprints",
    BOOL,
    "Tell by keyed hashes whether the same text, or links to the same domain, leave from several senders. No "
    "text is stored.",
)
CLIENTS = Key(
    "clients",
    BOOL,
    "Have the content of SMTP clients' mail shown to `milter_smtp` as well: that costs Postfix more than the "
    "envelope alone. A change takes effect at the next start.",
)
SCORE_HEADER = Key(
    "score_header",
    Kind('name of a header field, such as `"X-Spamd-Result"`; `""`: none', _field, ""),
    "The header field in which your own spam filter writes its score: `X-Spamd-Result`, `X-Spamd-Bar`, "
    "`X-Spam-Score`, `X-Spam-Status` or `X-Spam-Level`. Only a high score counts: against the sender.",
)
SCORE_LIMIT = Key(
    "score_limit",
    between(0.1, 1000, "a number above 0.1, up to 1000"),
    "From this score on a message counts.",
)
CONTENT = Section(
    "content",
    "What is read of the mail that the milter is shown, as evidence.",
    (FINGERPRINTS, CLIENTS, SCORE_HEADER, SCORE_LIMIT),
)


def content_of(value: object, spot: Spot) -> ContentSettings:
    """What is read of a message."""
    table = Table(value, spot, CONTENT)
    return ContentSettings(
        fingerprints=table.get(FINGERPRINTS),
        clients=table.get(CLIENTS),
        score_header=table.get(SCORE_HEADER).lower(),
        score_limit=table.get(SCORE_LIMIT),
    )
