"""Problems and warnings, each at its place in the file, collected until all are known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from penstock.config.toml import quoted

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class BadValue(ValueError):
    """A value is not what its key takes; the message shows it and says what is allowed."""


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where: a path such as ``profiles.personal.recipients[0]``."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


class ConfigError(Exception):
    """The policy file cannot be used; ``problems`` holds everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass
class Report:
    """What has been found so far. ``opens``: files that are named are looked into."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    opens: bool = True


@dataclass(frozen=True)
class Spot:
    """A place in the file, and the report that takes what is found there."""

    path: str
    report: Report

    def key(self, name: str) -> Spot:
        """The place of a key in the table here."""
        written = name if _BARE.fullmatch(name) else quoted(name)
        return Spot(f"{self.path}.{written}" if self.path else written, self.report)

    def item(self, index: int) -> Spot:
        """The place of an item in the list here."""
        return Spot(f"{self.path}[{index}]", self.report)

    def unheard(self) -> Spot:
        """The same place; what is found goes nowhere (it is told where it was written)."""
        return Spot(self.path, Report())

    def wrong(self, text: str) -> None:
        """The file cannot be used because of this."""
        self.report.problems.append(Problem(self.path, text))

    def warn(self, text: str) -> None:
        """The file can be used, but hardly says what was meant."""
        self.report.warnings.append(Problem(self.path, text))


def meant(name: str, known: Iterable[str]) -> str:
    """The hint behind an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    near = get_close_matches(name.lower(), names, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f" (known: {', '.join(names)})" if names else ""
