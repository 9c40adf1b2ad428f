"""Rules for the classes of replies: TOML → core values. The built-in ones are ``penstock/replies.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from penstock.config import watch
from penstock.config.report import ConfigError, Problem, Report, Spot
from penstock.config.table import Table, as_table
from penstock.config.toml import shown
from penstock.core.replies import ReplyClass, Rule, has_words

_CODE = re.compile(r"[45]\d{0,2}|[45x](\.\d{1,3}){1,2}\.?", re.ASCII)
_GROUP = re.compile(r"[a-z0-9-]+", re.ASCII)


def reply_rules(text: str | Mapping[str, object]) -> tuple[Rule, ...]:
    """The rules of a document with ``[[replies]]`` tables; raises ConfigError with all that is wrong.

    ``[providers]`` may name groups of relays; those of the built-in rules are known to every document.
    """
    document = _document(text) if isinstance(text, str) else text
    report = Report()
    spot = Spot("", report)
    groups = {**own_groups(), **_groups(document, spot)}
    tables = watch.check_replies(document.get("replies", []), spot.key("replies"))
    rules = [_rule(table, groups, spot.key("replies").item(i)) for i, table in enumerate(tables)]
    if report.problems:
        raise ConfigError(report.problems)
    return tuple(rules)


@cache
def _own_document() -> Mapping[str, Any]:
    return _document(files("penstock").joinpath("replies.toml").read_text("utf-8"))


def own_groups() -> dict[str, tuple[str, ...]]:
    """The groups of relays that the built-in rules name."""
    return _groups(_own_document(), Spot("", Report()))


@cache
def own_rules() -> tuple[Rule, ...]:
    """The rules that come with Penstock."""
    return reply_rules(_own_document())


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as wrong:
        raise ConfigError([Problem("replies", f"not TOML: {wrong}")]) from None


def _groups(document: Mapping[str, object], spot: Spot) -> dict[str, tuple[str, ...]]:
    here = spot.key("providers")
    found: dict[str, tuple[str, ...]] = {}
    for name, members in as_table(document.get("providers", {}), here).items():
        if not _GROUP.fullmatch(name) or not isinstance(members, list):
            here.key(name).wrong("a group is a small name and a list of relay endings")
            continue
        found[name] = tuple(str(member).lower() for member in members)
    return found


def _rule(written: Mapping[str, object], groups: Mapping[str, tuple[str, ...]], spot: Spot) -> Rule:
    """One rule whose keys have been checked. What only the matcher knows to be wrong is told here."""
    table = Table(written, spot.unheard(), watch.REPLY)
    phrases, codes = table.get(watch.PHRASES), table.get(watch.CODES)
    for phrase in phrases:
        if not has_words(phrase):
            spot.key("phrases").wrong(f"{shown(phrase)}: there is no word in it")
    for code in codes:
        if not _CODE.fullmatch(code):
            spot.key("codes").wrong(f'{shown(code)}: a code begins like "550", "5.7" or "x.7.1"')
    return Rule(
        table.get(watch.NAME),
        ReplyClass(table.get(watch.CLASS)),
        phrases,
        tuple(_providers(table.get(watch.PROVIDERS), groups)),
        tuple(code.rstrip(".") for code in codes),
        table.get(watch.PERMANENT) if table.has(watch.PERMANENT) else None,
    )


def _providers(written: tuple[str, ...], groups: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for name in written:
        yield from groups.get(name, (name.lower().strip("."),))
