"""The effective document: built-in values under the file's, profiles with all that they inherit."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from penstock.config.keys import LIKE, PATIENCE, TEXT_KEYS
from penstock.config.report import Spot, meant
from penstock.config.scalars import NAME
from penstock.config.toml import shown

Document = dict[str, Any]

_MERGED = ("listen", "names", "defaults", "detection", "content", "reports", "queue")
_DEEPEST = 50
_TYPO = 0.8
"""Likeness (difflib) from which a new profile's name is taken for a slip."""


@cache
def builtin_text() -> str:
    """The built-in policy as TOML."""
    return Path(__file__).with_name("defaults.toml").read_text(encoding="utf-8")


@cache
def builtin() -> Document:
    """The built-in policy; not to be changed."""
    import tomllib

    return tomllib.loads(builtin_text())


def effective(file: Document, spot: Spot) -> Document:
    """The file's document completed by the built-in one; what cannot be completed stays as it is."""
    base = builtin()
    found = {**base, **file}
    for name in _MERGED:
        if isinstance(file.get(name), dict):
            found[name] = {**base[name], **file[name]}
    if isinstance(file.get("texts"), dict):
        found["texts"] = _texts(base["texts"], file["texts"])
    if isinstance(file.get("profiles"), dict):
        found["profiles"] = _Profiles(base["profiles"], file["profiles"], spot.key("profiles")).all()
    if isinstance(file.get("directory"), dict):
        found["directory"] = {name: _patient(name, table) for name, table in file["directory"].items()}
    return found


def _patient(name: str, table: object) -> object:
    """A source with the times it waits."""
    return {**PATIENCE, **table} if name in ("sql", "command") and isinstance(table, dict) else table


def _texts(base: Document, own: Document) -> Document:
    """A language's texts, completed by the English ones."""
    english = own.get("en", {})
    english = {**base["en"], **english} if isinstance(english, dict) else english
    filling = english if isinstance(english, dict) else base["en"]
    missing = {name: filling[name] for name in TEXT_KEYS}
    others = {k: {**missing, **v} if isinstance(v, dict) else v for k, v in own.items() if k != "en"}
    return {"en": english, **others}


class _Profiles:
    """Profiles by name, each completed by the one that it is like."""

    def __init__(self, base: Mapping[str, Document], own: Document, spot: Spot) -> None:
        self._base = base
        self._own = own
        self._spot = spot
        self._done: dict[str, Document] = {}

    def all(self) -> Document:
        """Every profile, the built-in ones first."""
        return {name: self._complete(name, ()) for name in [*self._base, *self._own]}

    def _complete(self, name: str, path: tuple[str, ...]) -> Document:
        if name not in self._done:
            self._done[name] = self._completed(name, path)
        return self._done[name]

    def _completed(self, name: str, path: tuple[str, ...]) -> Document:
        own = self._own.get(name, {})
        NAME.take(name, self._spot.key(name))
        if not isinstance(own, dict):
            return own  # type: ignore[no-any-return]  # reported by whoever reads it
        like = self._like(name, own)
        if like == name and name in self._base:
            return {**self._base[name], **own}
        if like in path or like == name or len(path) > _DEEPEST:
            start = path.index(like) if like in path else len(path)
            circle = " → ".join([*path[start:], name, like])
            self._spot.key(name).key("like").wrong(f"{shown(like)}: goes in a circle ({circle})")
            return {**self._base["personal"], **own}
        inherited = self._complete(like, (*path, name))
        inherited = inherited if isinstance(inherited, dict) else {}
        return {"like": like, **{k: v for k, v in inherited.items() if k != "like"}, **own}

    def _like(self, name: str, own: Document) -> str:
        """The name of the profile to inherit from; a wrong one is reported."""
        spot = self._spot.key(name)
        if LIKE.name not in own:
            if name not in self._base:
                self._check_new(name, spot)
            return name if name in self._base else "personal"
        like = own[LIKE.name]
        if isinstance(like, str) and (like in self._base or like in self._own):
            return like
        if isinstance(like, str):
            known = {*self._base, *self._own} - {name}
            spot.key(LIKE.name).wrong(f"{shown(like)}: no such profile{meant(like, known)}")
        return name if name in self._base else "personal"

    def _check_new(self, name: str, spot: Spot) -> None:
        """A new profile whose name all but spells a built-in one is a slip."""
        near = get_close_matches(name.lower(), self._base, n=1, cutoff=_TYPO)
        if near:
            spot.wrong(
                f'unknown profile; did you mean "{near[0]}" '
                f'(if it is meant as a new one, give it like = "{near[0]}")'
            )
