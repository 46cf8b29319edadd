"""Labels of many rows on one figure: in full where there is room, else wrapped or shortened, never cut."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.style import MAX_HEIGHT_MM, with_unit

MAX_ROWS = 60  # beyond this a label of 7 pt no longer has its own line on a page
LINE_CELLS = 34  # a third of the figure's width at 7 pt
_ROW_MM = 5.4
_LINE_MM = 3.1  # one line of 7 pt text


def cells(text: str) -> int:
    """The width of a text in half-width cells: wide and full-width characters count twice."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def shorten(text: str, room: int) -> str:
    """The text, or its start and end around an ellipsis where it is wider than ``room`` cells."""
    if cells(text) <= room:
        return text
    start = _take(text, room * 2 // 3)
    end = _take(text[::-1], room - room * 2 // 3 - 1)[::-1]
    return start.rstrip() + "…" + end.lstrip()


def titled(words: str, unit: str, room: int, short: str = "") -> str:
    """The title of an axis with its unit, in ``room`` cells; ``short`` is the unit in fewer words, if there are."""
    text = drawable(with_unit(words, unit))
    if cells(text) > room and short:
        text = drawable(with_unit(words, short))
    return shorten(text, room)


def broken(text: str, room: int) -> str:
    """The text on two lines of ``room`` cells where one has no room for it, broken after a mark, else shortened."""
    if cells(text) <= room:
        return text
    for mark in (", ", ": ", "_", "=", "["):
        at = text.rfind(mark)
        cut = at if mark == "[" else at + len(mark)
        lines = text[:cut].rstrip(), text[cut:]
        if at > 0 and max(map(cells, lines)) <= room:
            return "\n".join(lines)
    return shorten(text, room)


def _take(characters: str, room: int) -> str:
    taken = ""
    for character in characters:
        if cells(taken + character) > room:
            break
        taken += character
    return taken


def wrapped(label: str, lines: int) -> str:
    """A label on at most ``lines`` lines of the figure's margin, with an ellipsis in its middle if still too long."""
    text = shorten(drawable(label), LINE_CELLS * lines - (lines - 1) * 4)
    if cells(text) <= LINE_CELLS:
        return text
    width = LINE_CELLS if cells(text) == len(text) else LINE_CELLS // 2
    return "\n".join(textwrap.wrap(text, width)[: lines + 1]) or text


def row_labels(labels: Sequence[str]) -> list[str]:
    """What is written beside each row: the more rows, the fewer lines for each."""
    room = MAX_HEIGHT_MM / max(len(labels), 1)
    lines = max(1, min(3, int(room / _LINE_MM) - 1))
    return [wrapped(label, lines) for label in labels]


def rows_height(labels: Sequence[str], beside: float = 24.0, row_mm: float = _ROW_MM) -> float:
    """Height in millimetres of a figure with these rows; ``beside`` is for axis, legend and caption."""
    lines = max((label.count("\n") + 1 for label in labels), default=1)
    row = max(row_mm, lines * _LINE_MM + 1.2)
    return min(MAX_HEIGHT_MM, beside + row * max(len(labels), 2))


def excerpt(values: Sequence[float], limit: int = MAX_ROWS) -> list[int]:
    """Positions of the rows to draw, in rising order of their value: all, or ``limit`` evenly spaced ones."""
    order = np.argsort(np.asarray(values, dtype=float), kind="stable")
    if len(order) > limit:
        order = order[np.linspace(0, len(order) - 1, limit).round().astype(int)]
    return [int(i) for i in order]


def row_scale(labels: Sequence[str], above: float = 0.0) -> Any:
    """The axis of numbered rows, with the labels as they are: two equal labels stay two rows."""
    from plotnine import scale_y_continuous

    positions = [float(i) for i in range(1, len(labels) + 1)]
    return scale_y_continuous(
        breaks=positions, labels=list(labels), limits=(0.4, len(labels) + 0.8 + above), expand=(0, 0)
    )
