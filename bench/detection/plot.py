"""Leak against false pauses as an SVG, both on logarithmic axes; down and left is better."""

from __future__ import annotations

import math
from html import escape
from string import ascii_lowercase
from typing import Final, NamedTuple

WIDTH, HEIGHT, MARGIN = 860, 520, 70
LOW, HIGH = (0.1, 1.0), (100.0, 3000.0)
TICKS: Final = ((0.1, 0.3, 1, 3, 10, 30, 100), (1, 3, 10, 30, 100, 300, 1000, 3000))


class Point(NamedTuple):
    """``x``: honest hard cases paused, per cent. ``y``: leak, recipients. ``ours``: in another colour."""

    name: str
    x: float
    y: float
    ours: bool


def _share(value: float, axis: int) -> float:
    """How far along the axis, from 0 to 1."""
    low, high = math.log(LOW[axis]), math.log(HIGH[axis])
    return (math.log(min(max(value, LOW[axis]), HIGH[axis])) - low) / (high - low)


def _place(value: float, axis: int) -> float:
    share = _share(value, axis)
    if axis == 0:
        return MARGIN + share * (WIDTH - 2 * MARGIN)
    return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def _grid() -> list[str]:
    parts = []
    for tick in TICKS[0]:
        x = _place(tick, 0)
        parts.append(f'<line x1="{x:.1f}" y1="{MARGIN}" x2="{x:.1f}" y2="{HEIGHT - MARGIN}" stroke="#ddd"/>')
        label = f"≤ {tick:g}" if tick == LOW[0] else f"{tick:g}"
        parts.append(_text(x, HEIGHT - MARGIN + 18, label, 'text-anchor="middle"'))
    for tick in TICKS[1]:
        y = _place(tick, 1)
        parts.append(f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{WIDTH - MARGIN}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(MARGIN - 8, y + 4, f"{tick:,g}", 'text-anchor="end"'))
    return parts


def _point(point: Point) -> list[str]:
    x, y = _place(point.x, 0), _place(point.y, 1)
    colour = "#b3261e" if point.ours else "#33516e"
    anchor = "end" if x > WIDTH * 0.7 else "start"
    beside = x + (-9 if anchor == "end" else 9)
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
    return [circle, _text(beside, y + 4, point.name, f'fill="{colour}" text-anchor="{anchor}"')]


COLUMNS, ROWS = 72, 18


def text(points: list[Point]) -> str:
    """The same for a terminal: a letter for each way of judging (the first of those in one place), ours *."""
    grid = [[" "] * COLUMNS for _ in range(ROWS)]
    keys = []
    for letter, point in zip(ascii_lowercase, sorted(points, key=lambda p: not p.ours), strict=False):
        letter = "*" if point.ours else letter
        column, row = _cell(point.x, 0, COLUMNS), _cell(point.y, 1, ROWS)
        if grid[row][column] == " ":
            grid[row][column] = letter
        keys.append(f"{letter}  {point.name}: {point.x:.1f} %, {point.y:,.0f}")
    ticks = {_cell(tick, 1, ROWS): f"{tick:,g}" for tick in TICKS[1]}
    lines = [f"{ticks.get(row, ''):>5} |{''.join(grid[row])}" for row in reversed(range(ROWS))]
    below = [" "] * (COLUMNS + 4)
    for tick in TICKS[0]:
        column = _cell(tick, 0, COLUMNS)
        below[column : column + len(f"{tick:g}")] = f"{tick:g}"
    axis = [f"{'':6}+{'-' * COLUMNS}", f"{'':7}{''.join(below)} honest hard cases paused, %"]
    return "\n".join(["recipients leaked, median", *lines, *axis, *keys])


def _cell(value: float, axis: int, cells: int) -> int:
    return round(_share(value, axis) * (cells - 1))


def svg(title: str, points: list[Point]) -> str:
    """The whole picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(MARGIN, 32, title, 'font-size="16"'),
        *_grid(),
        _text(WIDTH / 2, HEIGHT - 18, "honest hard cases paused, %", 'text-anchor="middle"'),
        _text(18, MARGIN - 14, "recipients leaked (median over the attacks of the families with a bar)"),
    ]
    for point in points:
        parts += _point(point)
    return "\n".join([*parts, "</svg>", ""])
