"""Keys as data: name, kind of value, explanation. Reading, messages and the reference share them.

Reading goes on after an error: a key that is absent or wrong yields its kind's neutral value,
and the whole result is thrown away when the report holds a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from penstock.config.report import BadValue, Spot, meant
from penstock.config.toml import shown

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """What a value may be: in words, as a reader (raises BadValue), and the value for nothing."""

    words: str
    read: Callable[[object, Spot], T]
    neutral: T

    def take(self, value: object, spot: Spot) -> T:
        """The value as read; a wrong one is reported and replaced by the neutral one."""
        try:
            return self.read(value, spot)
        except BadValue as wrong:
            spot.wrong(str(wrong))
            return self.neutral


@dataclass(frozen=True)
class Key(Generic[T]):
    """One key of the file. ``doc`` is all that the reference says about it."""

    name: str
    kind: Kind[T]
    doc: str
    required: bool = False


@dataclass(frozen=True)
class Section:
    """A table of the file. In ``path`` a word in capitals stands for a name of the operator's."""

    path: str
    doc: str
    keys: tuple[Key[Any], ...]

    @property
    def names(self) -> list[str]:
        """The names of its keys."""
        return [key.name for key in self.keys]


def as_table(value: object, spot: Spot) -> Mapping[str, object]:
    """The value if it is a table; anything else is reported and taken for an empty one."""
    if isinstance(value, dict):
        return value
    spot.wrong(f"{shown(value)}: must be a table")
    return {}


class Table:
    """A table of the file being read by a section's keys.

    ``own``: the keys that were written here; the others came from elsewhere and were reported
    there (None: all were written here).
    """

    def __init__(
        self, value: object, spot: Spot, section: Section, own: Collection[str] | None = None
    ) -> None:
        self._values = as_table(value, spot)
        self._spot = spot
        self._own = own
        for name in self._values:
            if name not in section.names:
                self._at(name).wrong("unknown key" + meant(name, section.names))
        if isinstance(value, dict):
            for key in section.keys:
                if key.required and key.name not in value:
                    spot.wrong(f'"{key.name}" is missing ({key.kind.words})')

    def spot(self, key: Key[Any]) -> Spot:
        """The place of a key."""
        return self._at(key.name)

    def _at(self, name: str) -> Spot:
        spot = self._spot.key(name)
        return spot if self._own is None or name in self._own else spot.unheard()

    def has(self, key: Key[Any]) -> bool:
        """The key is there."""
        return key.name in self._values

    def get(self, key: Key[T]) -> T:
        """The key's value."""
        if key.name not in self._values:
            return key.kind.neutral
        return key.kind.take(self._values[key.name], self.spot(key))
