"""The figure of page one: groups in order, raw and pooled, their population, its average, and a group not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.plots.drawing import Drawing, number_axis
from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import cells, shorten, titled
from hbm_stan.plots.style import LABEL_PT, MAX_HEIGHT_MM, PALETTE, TEXT_PT, WIDTH_MM

MOST_ROWS = 20  # of more groups the ends are drawn, and how all of them are spread (ours)
_ENDS = 6  # groups at either end
_ROW_MM, _LEAST_ROW_MM, _TOP_MM, _BOTTOM_MM = 5.0, 2.9, 6.0, 9.5
_SPREAD_ROWS = 4.0  # height of the density of all groups
_TITLE_CELL_MM = 1.55  # of a letter of 8 pt below a panel
_LABEL_CELLS = 26  # letters of 7.5 pt to the left of the rows
_CELL_MM = 1.7  # of one of them
_BINS = 30
_QUANTILES = ("q05", "q25", "q50", "q75", "q95")


def plot_answer(
    panels: Sequence[Mapping[str, Any]], one: str = "group", many: str = "groups", room_mm: float = MAX_HEIGHT_MM
) -> Drawing:
    """Panels side by side over the same rows, ordered by the first, at most ``room_mm`` high where labels allow.

    A panel is {"groups": table, "average": row or None, "new": row or None, "words", "unit"}; the table has columns
    group, raw, raw_low, raw_high, q05, q25, q50, q75, q95, and a row those of the quantiles.
    """
    order = panels[0]["groups"]["q50"].astype(float).to_numpy().argsort(kind="stable")[::-1]
    fits = _TOP_MM + _BOTTOM_MM + _LEAST_ROW_MM * (len(order) + 4) <= room_mm
    shown = [order] if len(order) <= MOST_ROWS and fits else [order[:_ENDS], order[-_ENDS:]]
    heights, labels = _places(panels, shown, one, many)
    rows = max(heights.values()) + 0.9
    row = min(max((room_mm - _TOP_MM - _BOTTOM_MM) / rows, _LEAST_ROW_MM), _ROW_MM)
    height = _TOP_MM + _BOTTOM_MM + row * rows

    def paint(figure: Any) -> None:
        left = (max((cells(text) for _, text in labels), default=0) * _CELL_MM + 3.0) / WIDTH_MM
        room = int((1 - left) * WIDTH_MM / len(panels) / _TITLE_CELL_MM)
        grid = figure.add_gridspec(
            1, len(panels), left=left, right=0.985, bottom=_BOTTOM_MM / height, top=1 - _TOP_MM / height, wspace=0.07
        )
        for k, panel in enumerate(panels):
            axes = figure.add_subplot(grid[0, k])
            _panel(axes, panel, shown, heights)
            axes.set_ylim(rows, 0.0)
            axes.set_yticks([at for at, _ in labels], [text for _, text in labels] if k == 0 else [""] * len(labels))
            axes.tick_params(axis="y", labelsize=LABEL_PT)
            number_axis(axes, titled(str(panel["words"]), str(panel["unit"]), room, str(panel.get("short", ""))))
        _legend(figure, panels)

    return Drawing(paint, height)


def _places(
    panels: Sequence[Mapping[str, Any]], shown: Sequence[Any], one: str, many: str
) -> tuple[dict[Any, float], list[tuple[float, str]]]:
    """Where each row stands, from above, and what is written beside it."""
    groups = list(panels[0]["groups"]["group"])
    heights: dict[Any, float] = {}
    labels: list[tuple[float, str]] = []
    at = 0.0
    for k, part in enumerate(shown):
        if k:
            heights["all"] = at + _SPREAD_ROWS + 0.4
            labels.append((at + _SPREAD_ROWS / 2 + 0.8, shorten(f"all {len(groups)} {many}", _LABEL_CELLS)))
            at += _SPREAD_ROWS + 0.6
        for j in part:
            at += 1.0
            heights[int(j)] = at
            labels.append((at, shorten(drawable(str(groups[int(j)])), _LABEL_CELLS)))
    at += 0.4
    for kind, text in (("average", f"average {one}"), ("new", f"new {one}")):
        if any(panel[kind] for panel in panels):
            at += 1.1
            heights[kind] = at
            labels.append((at, shorten(drawable(text), _LABEL_CELLS)))
    return heights, labels


def _panel(axes: Any, panel: Mapping[str, Any], shown: Sequence[Any], heights: Mapping[Any, float]) -> None:
    table = panel["groups"].reset_index(drop=True)
    chosen = [int(j) for part in shown for j in part]
    rows = table.iloc[chosen].astype(dict.fromkeys((*_QUANTILES, "raw", "raw_low", "raw_high"), float))
    at = np.array([heights[j] for j in chosen])
    grey, blue, ink = PALETTE["muted"], PALETTE["partial"], PALETTE["ink"]
    axes.grid(visible=False, axis="y")
    if panel["average"]:
        axes.axvline(panel["average"]["q50"], color=grey, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    axes.hlines(at - 0.22, rows["raw_low"], rows["raw_high"], color=PALETTE["rule"], linewidth=0.6, zorder=2)
    axes.plot(rows["raw"], at - 0.22, "o", color="white", markeredgecolor=grey, markersize=2.8, markeredgewidth=0.6)
    _bars(axes, rows, at, blue, "o", 3.2)
    for kind, marker in (("average", "D"), ("new", "s")):
        if panel[kind]:
            row = pd.DataFrame([{k: float(panel[kind][k]) for k in _QUANTILES}])
            _bars(axes, row, np.array([heights[kind]]), ink, marker, 3.4)
    if "all" in heights:
        _density(axes, table["q50"].astype(float).to_numpy(), heights["all"])


def _bars(axes: Any, rows: pd.DataFrame, at: Any, colour: str, marker: str, size: float) -> None:
    """Thin bars for 90 %, thick ones for 50 %, and the median."""
    axes.hlines(at, rows["q05"], rows["q95"], color=colour, linewidth=0.9, zorder=3)
    axes.hlines(at, rows["q25"], rows["q75"], color=colour, linewidth=2.4, zorder=3)
    axes.plot(
        rows["q50"], at, marker, color="white", markeredgecolor=colour, markersize=size, markeredgewidth=0.9, zorder=4
    )


def _density(axes: Any, medians: Any, foot: float) -> None:
    """How the medians of all groups are spread: a histogram that stands on its row."""
    counts, edges = np.histogram(medians, _BINS)
    top = foot - (_SPREAD_ROWS - 0.4) * counts / counts.max()
    axes.stairs(top, edges, baseline=foot, fill=True, color=PALETTE["fill"], zorder=2)


def _legend(figure: Any, panels: Sequence[Mapping[str, Any]]) -> None:
    """What the marks are, in one line above the panels."""
    from matplotlib.lines import Line2D

    def mark(marker: str, colour: str, size: float, **line: Any) -> Any:
        return Line2D([], [], marker=marker, color=line.pop("color", "none"), markerfacecolor="white",
                      markeredgecolor=colour, markersize=size, markeredgewidth=0.8, **line)  # fmt: skip

    raw = any(panel["groups"]["raw"].notna().any() for panel in panels)
    entries = [(mark("o", PALETTE["muted"], 2.8), "by itself ± standard error")] * raw
    blue, grey = PALETTE["partial"], PALETTE["muted"]
    entries.append((mark("o", blue, 3.2, color=blue, linewidth=1.6), "estimate with 50 % and 90 %"))
    if any(panel["average"] for panel in panels):
        entries.append((Line2D([], [], color=grey, linewidth=0.7, linestyle=(0, (4, 3))), "average"))
    figure.legend(
        *zip(*entries, strict=True), loc="upper left", ncols=len(entries), borderpad=0, borderaxespad=0.1,
        handlelength=1.8, columnspacing=1.6, fontsize=TEXT_PT,
    )  # fmt: skip
