"""Rules for the classes of replies: TOML text or tables → core values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from penstock.core.replies import ReplyClass, Rule


def reply_rules(text: str | Mapping[str, object]) -> tuple[Rule, ...]:
    document = tomllib.loads(text) if isinstance(text, str) else text
    providers = document.get("providers", {})
    rules = []
    for table in document.get("replies", []):
        names = tuple(n for p in table.get("providers", ()) for n in providers.get(p, (p,)))
        rules.append(
            Rule(
                table["name"],
                ReplyClass(table["class"]),
                tuple(table.get("phrases", ())),
                names,
                tuple(table.get("codes", ())),
                table.get("permanent"),
            )
        )
    return tuple(rules)


@cache
def own_rules() -> tuple[Rule, ...]:
    """The rules that come with Penstock."""
    return reply_rules(files("penstock").joinpath("replies.toml").read_text("utf-8"))
