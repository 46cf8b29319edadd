"""Conditional effects: expected values over a column with their bands, new observations, and the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.plots.drawing import Drawing, number_axis, value_axis
from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import shorten
from hbm_stan.plots.style import LABEL_PT, PALETTE, with_unit

_PANEL_MM, _TOP_MM, _BOTTOM_MM, _LEFT = 31.0, 4.5, 10.0, 0.07
_CELLS_ACROSS = 100  # letters of 7.5 pt across the figure
_HALF = 0.3  # of a level's width: its bars, and how far its points are spread
_NUMBERS = ("q05", "q25", "q50", "q75", "q95", "new_q05", "new_q95")


def plot_effects(panels: Sequence[Mapping[str, Any]], what: str = "outcome", unit: str = "") -> Drawing:
    """Panels side by side with one vertical axis.

    A panel is {"column", "unit", "levels", "rows": table, "points": table}; columns of rows x (of levels their place
    from 0), q05, q25, q50, q75, q95, new_q05, new_q95 (missing where new observations
    are not drawn), of points x and y.
    """
    height = _TOP_MM + _PANEL_MM + _BOTTOM_MM
    across = max(len(panels), 2)

    def paint(figure: Any) -> None:
        grid = figure.add_gridspec(
            1, across, left=_LEFT, right=0.985, bottom=_BOTTOM_MM / height, top=1 - _TOP_MM / height, wspace=0.1
        )
        first = None
        for k, panel in enumerate(panels):
            axes = figure.add_subplot(grid[0, k], sharey=first)
            _panel(axes, panel, across)
            if first is None:
                value_axis(axes, drawable(with_unit(what, unit)))
                first = axes
            else:
                axes.tick_params(labelleft=False)

    return Drawing(paint, height)


def _panel(axes: Any, panel: Mapping[str, Any], across: int) -> None:
    rows = panel["rows"].astype(dict.fromkeys(_NUMBERS, float))
    name, unit = str(panel["column"]), str(panel.get("unit", ""))
    named = name if unit.casefold() == name.casefold() else with_unit(name, unit)
    points, title = panel["points"], shorten(drawable(named), _CELLS_ACROSS // across)
    if panel["levels"]:
        _levels(axes, rows, points, [str(level) for level in panel["levels"]], across)
        axes.set_xlabel(title, loc="left")
        return
    blue = PALETTE["partial"]
    axes.plot(points["x"], points["y"], ".", color=PALETTE["muted"], markersize=2.2, alpha=0.6, zorder=1)
    axes.fill_between(rows["x"].astype(float), rows["q05"], rows["q95"], color=blue, alpha=0.25, linewidth=0, zorder=2)
    axes.fill_between(rows["x"].astype(float), rows["q25"], rows["q75"], color=blue, alpha=0.45, linewidth=0, zorder=2)
    axes.plot(rows["x"].astype(float), rows["q50"], color=blue, linewidth=1.0, zorder=3)
    for end in ("new_q05", "new_q95"):
        axes.plot(rows["x"].astype(float), rows[end], color=PALETTE["muted"], linewidth=0.7, linestyle=(0, (4, 3)))
    number_axis(axes, title)


def _levels(axes: Any, rows: pd.DataFrame, points: pd.DataFrame, names: list[str], across: int) -> None:
    """Levels of a category side by side; their points are spread within the width of each."""
    at = np.arange(len(rows), dtype=float)
    spread = _HALF * (2 * ((np.arange(len(points)) * 0.6180339887) % 1) - 1)
    axes.plot(points["x"] + spread, points["y"], ".", color=PALETTE["muted"], markersize=2.2, alpha=0.6, zorder=1)
    blue = PALETTE["partial"]
    axes.bar(at, rows["q95"] - rows["q05"], 2 * _HALF, rows["q05"], color=blue, alpha=0.25, linewidth=0, zorder=2)
    axes.bar(at, rows["q75"] - rows["q25"], 2 * _HALF, rows["q25"], color=blue, alpha=0.45, linewidth=0, zorder=2)
    axes.hlines(rows["q50"], at - _HALF, at + _HALF, color=blue, linewidth=1.0, zorder=3)
    for end in ("new_q05", "new_q95"):
        dashes = (0, (4, 3))
        axes.hlines(rows[end], at - _HALF, at + _HALF, color=PALETTE["muted"], linewidth=0.7, linestyle=dashes)
    room = max(2, int(_CELLS_ACROSS / across / max(len(names), 1)) - 1)
    axes.set_xticks(at, [shorten(drawable(name), room) for name in names], fontsize=LABEL_PT)
    axes.grid(visible=False, axis="x")
