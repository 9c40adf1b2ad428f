"""Text that is HTML, and text that is not yet."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape as _escape


class Html(str):
    """Markup that may go into a page as it is."""

    __slots__ = ()


def escape(text: object) -> Html:
    """``text`` as markup: escaped unless it is ``Html``. What is not printable (a change of the writing
    direction, say) is shown by its number."""
    if isinstance(text, Html):
        return text
    said = str(text)
    if not said.isprintable():
        said = "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in said)
    return Html(_escape(said))


def join(parts: Iterable[object], between: str = "") -> Html:
    """The parts one after the other."""
    return Html(between.join(map(escape, parts)))


def tag(name: str, *inner: object, **attributes: object) -> Html:
    """An element. ``class_`` is the attribute ``class``, ``text_anchor`` is ``text-anchor``; no None."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{said}>{join(inner)}</{name}>")
