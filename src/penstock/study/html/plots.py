"""Plots as inline SVG: drawn for a phone's width, so that their text stays legible at every size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from penstock.study.html.text import Html, join, tag

WIDTH: Final = 340
HEIGHT: Final = 244
LEFT: Final = 44
RIGHT: Final = 10
TOP: Final = 10
BOTTOM: Final = 38
_LABEL: Final = 6.9
"""Width of a character of a label."""


class Curve(NamedTuple):
    """(value, share of all that reach it), rising by value."""

    name: str
    points: Sequence[tuple[int, float]]


class Mark(NamedTuple):
    """A point to show on the first curve's axes: ``share`` at ``value``, with a label."""

    value: int
    share: float
    label: str


class _Axes(NamedTuple):
    """Logarithmic axes: x from 1 to ``10**decades``, y from 1 down to ``10**-depth``."""

    decades: int
    depth: int

    def x(self, value: float) -> float:
        wide = WIDTH - LEFT - RIGHT
        return round(LEFT + wide * math.log10(max(value, 1)) / self.decades, 1)

    def y(self, share: float) -> float:
        high = HEIGHT - TOP - BOTTOM
        return round(TOP + high * min(-math.log10(share), self.depth) / self.depth, 1)


def curves(title: str, summary: str, drawn: Sequence[Curve], marks: Sequence[Mark], x_label: str) -> Html:
    """How large a share of all is at or above a value, both axes logarithmic."""
    most = max((point[0] for one in drawn for point in one.points), default=1)
    least = min((point[1] for one in drawn for point in one.points), default=0.1)
    axes = _Axes(max(1, math.ceil(math.log10(most + 1))), max(2, math.ceil(-math.log10(least))))
    parts = [*_grid(axes), _text(WIDTH - RIGHT, HEIGHT - 6, x_label, anchor="end")]
    for i, one in reversed(list(enumerate(drawn))):
        parts.append(tag("path", tag("title", one.name), d=_steps(axes, one), class_=f"curve c{i}"))
    for mark in marks:
        parts += _marked(axes, mark)
    return framed(title, summary, parts, HEIGHT)


def framed(title: str, summary: str, parts: Sequence[Html], height: int) -> Html:
    """A plot with its caption, and with words for those who do not see it."""
    said = (tag("title", title), tag("desc", summary))
    drawing = tag("svg", *said, *parts, viewBox=f"0 0 {WIDTH} {height}", role="img")
    return tag("figure", tag("figcaption", title), drawing)


def _grid(axes: _Axes) -> Iterator[Html]:
    floor = HEIGHT - BOTTOM
    for decade in range(axes.decades + 1):
        x = axes.x(10**decade)
        yield tag("path", d=f"M{x} {TOP}V{floor}", class_="grid")
        yield _text(x, floor + 14, short(10**decade), anchor="middle")
    for decade in range(axes.depth + 1):
        y = axes.y(10.0**-decade)
        yield tag("path", d=f"M{LEFT} {y}H{WIDTH - RIGHT}", class_="grid")
        yield _text(LEFT - 5, y + 4, percent(10.0**-decade), anchor="end")
    yield tag("path", d=f"M{LEFT} {TOP}V{floor}H{WIDTH - RIGHT}", class_="axis", fill="none")


def _steps(axes: _Axes, curve: Curve) -> str:
    """Between two values as many reach the point as reach the upper one."""
    if not curve.points:
        return ""
    value, share = curve.points[0]
    path = [f"M{LEFT} {axes.y(1)}H{axes.x(value)}"]
    for value, share in curve.points[1:]:
        path.append(f"V{axes.y(share)}H{axes.x(value)}")
    path.append(f"V{HEIGHT - BOTTOM}" if share else "")
    return "".join(path)


def _marked(axes: _Axes, mark: Mark) -> Iterator[Html]:
    x, y = axes.x(mark.value), axes.y(mark.share)
    fits = x + 8 + len(mark.label) * _LABEL < WIDTH
    yield tag("path", d=f"M{LEFT} {y}H{x}V{HEIGHT - BOTTOM}", class_="mark")
    yield tag("circle", cx=x, cy=y, r=3.5, class_="dot")
    yield _text(x + (7 if fits else -7), y - 5, mark.label, "start" if fits else "end", "label")


def bars(title: str, summary: str, values: Sequence[tuple[str, int]], every: int) -> Html:
    """One bar for each (label, value); every so many labels are written."""
    height, floor = 172, 152
    most = max((value for _, value in values), default=0) or 1
    wide = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    parts = [
        tag("path", d=f"M{LEFT} {TOP}H{WIDTH - RIGHT}", class_="grid"),
        _text(LEFT - 5, TOP + 4, short(most), anchor="end"),
        _text(LEFT - 5, floor + 4, "0", anchor="end"),
    ]
    for i, (label, value) in enumerate(values):
        high = round((floor - TOP) * value / most, 1)
        x = round(LEFT + i * wide, 1)
        said = tag("title", f"{label}: {value:,}")
        size = {"x": x, "y": round(floor - high, 1), "width": round(max(wide * 0.8, 0.5), 1), "height": high}
        parts.append(tag("rect", said, class_="bar", **size))
        if i % every == 0 and x + len(label) * _LABEL < WIDTH:
            parts.append(_text(x, floor + 14, label, anchor="start"))
    parts.append(tag("path", d=f"M{LEFT} {floor}H{WIDTH - RIGHT}", class_="axis"))
    return framed(title, summary, parts, height)


def heat(title: str, summary: str, rows: Sequence[tuple[str, Sequence[float]]], unit: str) -> Html:
    """A field for each value of each row; columns are hours of the day."""
    most = max((value for _, values in rows for value in values), default=0) or 1
    wide, high = (WIDTH - LEFT - RIGHT) / 24, 20
    parts = []
    for i, (label, values) in enumerate(rows):
        y = TOP + i * high
        parts.append(_text(LEFT - 6, y + 14, label, anchor="end"))
        for hour, value in enumerate(values):
            said = tag("title", f"{label} {hour:02}:00: {value:,.0f} {unit}")
            strength = round(0.06 + 0.94 * math.sqrt(value / most), 2) if value else 0.03
            place = {
                "x": round(LEFT + hour * wide, 1),
                "y": y,
                "width": round(wide - 1, 1),
                "height": high - 1,
            }
            parts.append(tag("rect", said, class_="heat", fill_opacity=strength, rx=1.5, **place))
    below = TOP + len(rows) * high + 12
    middle = LEFT + wide / 2
    parts += [_text(middle + hour * wide, below, f"{hour:02}", "middle") for hour in range(0, 24, 3)]
    return framed(title, summary, parts, below + 6)


def _text(x: float, y: float, said: object, anchor: str, class_: str | None = None) -> Html:
    return tag("text", said, x=round(x, 1), y=round(y, 1), text_anchor=anchor, class_=class_)


def key(*names: str) -> Html:
    """Which line is which; the first is drawn through, the second dashed."""
    return tag("ul", join(tag("li", name) for name in names), class_="key")


def short(n: float) -> str:
    """1200 → ``1.2k``, 3000000 → ``3M``."""
    for size, suffix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n / size:.3g}{suffix}"
    return f"{n:.3g}"


def percent(share: float) -> str:
    """0.001 → ``0.1%``."""
    return f"{share * 100:.6f}".rstrip("0").rstrip(".") + "%"
