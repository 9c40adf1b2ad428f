"""Pieces of a report in HTML: one file without scripts or anything from elsewhere.

Everything is text until a function here has escaped it: what goes into a page is ``Html``, and a plain string
that gets there is escaped, because attackers write log lines.
"""

from penstock.study.html.page import Figure, Section, figures, note, page, pre, prose, side_by_side
from penstock.study.html.plots import Curve, Mark, bars, curves, heat, key
from penstock.study.html.table import Column, cell, name, table
from penstock.study.html.text import Html, escape, join, tag

__all__ = [
    "Column",
    "Curve",
    "Figure",
    "Html",
    "Mark",
    "Section",
    "bars",
    "cell",
    "curves",
    "escape",
    "figures",
    "heat",
    "join",
    "key",
    "name",
    "note",
    "page",
    "pre",
    "prose",
    "side_by_side",
    "table",
    "tag",
]
