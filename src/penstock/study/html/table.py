"""Tables that scroll in their own box on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from penstock.study.html.text import Html, escape, join, tag

_BREAKS: Final = re.compile(r"([@:/])(?=\w)")


class Column(NamedTuple):
    """A heading; numbers stand to the right."""

    heading: str
    number: bool = True


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Html:
    """Rows of cells (text, or ``Html`` from ``cell``); the first cell of each row is its heading."""
    classes = ["n" if column.number else None for column in columns]
    head = join(
        tag("th", column.heading, scope="col", class_=name)
        for column, name in zip(columns, classes, strict=True)
    )
    body = join(_row(row, classes) for row in rows)
    whole = tag("table", tag("thead", tag("tr", head)), tag("tbody", body), aria_label=caption)
    box = tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return join((tag("p", caption, class_="caption"), box))


def _row(row: Sequence[object], classes: Sequence[str | None]) -> Html:
    cells = [
        tag("td" if i else "th", value, class_=name, scope=None if i else "row")
        for i, (value, name) in enumerate(zip(row, classes, strict=True))
    ]
    return tag("tr", *cells)


def name(text: str) -> Html:
    """A sender's name or an address that may be broken where a reader would."""
    return Html(_BREAKS.sub(r"\1<wbr>", escape(text)))


def cell(text: object, below: object = "", badge: str = "", good: bool = False) -> Html:
    """A cell with a mark beside its text and small print below."""
    mark = (" ", tag("span", badge, class_="tag good" if good else "tag bad")) if badge else ()
    return join((text, *mark, tag("small", below) if below else ""))
