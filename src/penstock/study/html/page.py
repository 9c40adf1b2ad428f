"""A whole page and its prose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from penstock.study.html.style import CSS
from penstock.study.html.text import Html, escape, join, tag

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Were any text ever let through unescaped, it could still not run or fetch anything."""


class Section(NamedTuple):
    """A heading and what stands below it."""

    heading: str
    body: Html


class Figure(NamedTuple):
    """One large number: what it is, the number as text, and a remark."""

    label: str
    value: str
    remark: str = ""


def page(kind: str, title: str, lead: str, top: Html, sections: Iterable[Section], made_by: str) -> str:
    """A whole document. ``kind`` stands small above the title, ``lead`` and ``top`` below it."""
    body = join(tag("section", tag("h2", one.heading), one.body) for one in sections)
    head = join((tag("p", kind, class_="kind"), tag("h1", title), tag("p", lead, class_="lead"), top))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)} · {escape(kind)}</title>\n<style>\n{CSS}\n</style>\n</head>\n<body>\n"
        f"{tag('header', head)}\n{tag('main', body)}\n{tag('footer', made_by)}\n</body>\n</html>\n"
    )


def figures(found: Sequence[Figure]) -> Html:
    """Large numbers in a row."""
    return tag("dl", *map(_figure, found), class_="figures")


def _figure(one: Figure) -> Html:
    remark = tag("small", one.remark) if one.remark else ""
    return tag("div", tag("dt", one.label), tag("dd", one.value, remark))


def prose(*sentences: object) -> Html:
    """A paragraph for each."""
    return join(tag("p", sentence) for sentence in sentences)


def note(sentence: object, warning: bool = False) -> Html:
    """A paragraph in small print."""
    return tag("p", sentence, class_="note warn" if warning else "note")


def side_by_side(*parts: Html) -> Html:
    """Beside each other where there is room, else below each other."""
    return tag("div", *parts, class_="side")


def pre(text: str, label: str) -> Html:
    """Text as it stands; it scrolls in its own box."""
    return tag("pre", tag("code", text), tabindex="0", role="region", aria_label=label)
