"""What remote servers say: the texts of replies.toml by class and style of server."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

Answer = tuple[str, str]
"""Enhanced status code, and text with the placeholders that replies.toml explains."""

PLACES: Final = {
    "{rcpt}": " (in reply to RCPT TO command)",
    "{data}": " (in reply to DATA command)",
    "{end}": " (in reply to end of DATA command)",
    "{said}": "host {mx}[{ip}] said: ",
}
LIKE: Final = {"office365": "outlook", "workspace": "google"}


def _filled(text: str) -> str:
    for place, words in PLACES.items():
        text = text.replace(place, words)
    return text


def _read() -> dict[str, dict[str, Answer]]:
    tables = tomllib.loads(Path(__file__).with_name("replies.toml").read_text(encoding="utf-8"))
    return {
        name: {style: (dsn, _filled(text)) for style, (dsn, text) in table.items()}
        for name, table in tables.items()
    }


TABLES: Final = _read()
TROUBLE: Final = tuple(TABLES["trouble"].values())


def answer(kind: str, style: str) -> Answer:
    """What a server of that style says about ``kind``."""
    table = TABLES[kind]
    return table.get(style) or table.get(LIKE.get(style, "")) or table["any"]
