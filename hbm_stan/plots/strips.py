"""Figures of many groups, too many to be named: each is a bar in its place, or a point at its number of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.plots.drawing import Drawing, number_axis, value_axis
from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import cells, shorten, titled
from hbm_stan.plots.style import LABEL_PT, PALETTE, WIDTH_MM, with_unit
from hbm_stan.portions import drawn_places

_PANEL_MM, _TOP_MM, _BOTTOM_MM = 28.0, 4.5, 14.5
_MOST_NAMED, _NAME_CELLS = 40, 14  # groups that are named below a strip, and letters of a name (ours)
_NAME_MM = LABEL_PT * 25.4 / 72  # what a name takes below a strip: nearer to each other they touch
_CELL_MM = 1.65  # of a letter of 8 pt
_TITLE_CELLS = 46  # letters of 8 pt above half a figure
_RIGHT = 0.985  # where the last panel ends
# Where panels begin, the groups last, and the width of those before them: by how many there are before.
_BESIDE: Sequence[tuple[tuple[float, ...], float]] = (
    ((0.07,), 0.0),
    ((0.07, 0.44), 0.29),
    ((0.07, 0.36, 0.65), 0.21),
)
_NUMBERS = ("raw", "q05", "q25", "q50", "q75", "q95", "rows")


def plot_strips(panels: Sequence[Mapping[str, Any]], one: str = "group", many: str = "groups") -> Drawing:
    """All groups in rising order with their intervals; beside that, how far each is drawn from its raw estimate:
    by its number of rows or, where groups have equally many, against the raw estimate, if there is one.

    A panel is {"groups": table, "words", "unit"}; columns group, raw, rows (of the group), q05, q25, q50, q75, q95.
    """
    height = _TOP_MM + (_PANEL_MM + _BOTTOM_MM) * len(panels) - 5.0

    def paint(figure: Any) -> None:
        grid = figure.add_gridspec(
            len(panels), 2, left=0.07, right=_RIGHT, top=1 - _TOP_MM / height, bottom=10.0 / height,
            hspace=_BOTTOM_MM / _PANEL_MM, wspace=0.12,
        )  # fmt: skip
        for k, panel in enumerate(panels):
            table = panel["groups"].reset_index(drop=True)
            table = table.assign(**{name: table[name].astype(float) for name in _NUMBERS})
            raw, differ = bool(table["raw"].notna().any()), rows_differ(table)
            left = figure.add_subplot(grid[k, 0] if raw or differ else grid[k, :])
            value_axis(left, titled(str(panel["words"]), str(panel["unit"]), _TITLE_CELLS, str(panel.get("short", ""))))
            _in_order(left, table, many)
            if differ:
                _by_rows(figure.add_subplot(grid[k, 1], sharey=left), table, one)
            elif raw:
                _by_raw(figure.add_subplot(grid[k, 1], sharey=left), table, one)
        if rows_differ(panels[0]["groups"]):
            _legend(figure, any(panel["groups"]["raw"].notna().any() for panel in panels))

    return Drawing(paint, height)


def rows_differ(table: pd.DataFrame) -> bool:
    """Whether some groups have more rows than others."""
    return bool(table["rows"].nunique() > 1)


def _in_order(axes: Any, table: pd.DataFrame, many: str) -> None:
    at = drawn_places(len(table)) + 1
    rows = table.sort_values("q50", kind="stable").iloc[at - 1]
    width = max(0.3, min(2.4, 150 / len(rows)))
    blue = PALETTE["partial"]
    axes.vlines(at, rows["q05"], rows["q95"], color=blue, linewidth=0.35 * width, zorder=3)
    axes.vlines(at, rows["q25"], rows["q75"], color=blue, linewidth=width, zorder=3)
    axes.plot(at, rows["q50"], ".", color=PALETTE["ink"], markersize=max(1.0, width), zorder=4)
    axes.grid(visible=False, axis="x")
    number_axis(axes, drawable(f"{many} in rising order"))


def _drawn(table: pd.DataFrame) -> pd.DataFrame:
    """The groups that are drawn: of very many some, at equal distances in the order of their estimates."""
    places = drawn_places(len(table))
    return table if len(places) == len(table) else table.sort_values("q50", kind="stable").iloc[places]


def _by_rows(axes: Any, table: pd.DataFrame, one: str) -> None:
    """From the raw to the pooled estimate of each group, against its number of rows."""
    grey, blue = PALETTE["muted"], PALETTE["partial"]
    table = _drawn(table)
    moved = table.dropna(subset=["raw"])
    axes.vlines(moved["rows"], moved["raw"], moved["q50"], color=PALETTE["rule"], linewidth=0.5, zorder=2)
    axes.plot(
        moved["rows"], moved["raw"], "o", color="white", markeredgecolor=grey, markersize=2.6, markeredgewidth=0.6
    )
    axes.plot(table["rows"], table["q50"], "o", color=blue, markersize=2.0, zorder=3)
    axes.tick_params(labelleft=False)
    number_axis(axes, drawable(f"rows of the {one}"), log=bool(table["rows"].max() > 8 * table["rows"].min()))


def _by_raw(axes: Any, table: pd.DataFrame, one: str) -> None:
    """The pooled estimate of each group against its raw one, with lines where they are equal and at the mean."""
    blue, grey = PALETTE["partial"], PALETTE["muted"]
    mean, table = float(table["q50"].mean()), _drawn(table)
    shown = table[np.isfinite(table["raw"])]
    axes.vlines(shown["raw"], shown["q05"], shown["q95"], color=PALETTE["fill"], linewidth=0.5, zorder=2)
    axes.axhline(mean, color=grey, linewidth=0.8, linestyle=(0, (1, 2)), zorder=3)
    axes.axline((mean, mean), slope=1.0, color=grey, linewidth=0.8, linestyle=(0, (4, 3)), zorder=3)
    axes.plot(shown["raw"], shown["q50"], "o", color=blue, markersize=2.0, zorder=4)
    axes.tick_params(labelleft=False)
    number_axis(axes, drawable(f"raw estimate of the {one}"))


def _legend(figure: Any, raw: bool) -> None:
    from matplotlib.lines import Line2D

    def dot(**style: Any) -> Any:
        return Line2D([], [], color="none", marker="o", **style)

    entries = [(dot(markerfacecolor="white", markeredgecolor=PALETTE["muted"], markersize=2.8), "by itself")] * raw
    entries.append((dot(markerfacecolor=PALETTE["partial"], markeredgecolor="none", markersize=3), "estimate"))
    figure.legend(
        *zip(*entries, strict=True), loc="upper right", ncols=2, borderpad=0, borderaxespad=0.1, handlelength=1.2,
        columnspacing=1.6,
    )  # fmt: skip


def plot_ppc(
    table: pd.DataFrame, unit: str = "", what: str = "outcome", one: str = "group", many: str = "groups",
    rows: pd.DataFrame | None = None, whole: bool = False, left_out: Callable[[Any], None] | None = None,
) -> Drawing:  # fmt: skip
    """What was observed of each group (an outcome, or a mean, share or rate: ``what``) against its replications.

    Groups stand in rising order, bars hold the middle 50 % and 90 % of replications. Columns: group, observed, q05,
    q25, q50, q75, q95. Up to forty groups are named, fewer beside other panels. ``rows`` are counts of rows in bins
    (columns low, high, observed, q05, q25, q75, q95), drawn beside them; of ``whole`` numbers by their square roots, as
    a rootogram. ``left_out`` paints one more panel beside the groups: what rows that are left out say.
    """
    lefts, width = _BESIDE[(rows is not None) + (left_out is not None)]
    most_named = min(_MOST_NAMED, int((_RIGHT - lefts[-1]) * WIDTH_MM / _NAME_MM))
    ordered = table.astype(dict.fromkeys(("observed", "q05", "q25", "q75", "q95"), float)).sort_values("observed")
    names = [shorten(drawable(str(g)), _NAME_CELLS) for g in ordered["group"]] if len(ordered) <= most_named else []
    below = max((cells(name) for name in names), default=0) * 1.75 + 10.0
    height = _PANEL_MM + below + _TOP_MM

    def paint(figure: Any) -> None:
        axes = figure.add_axes((lefts[-1], below / height, _RIGHT - lefts[-1], _PANEL_MM / height))
        _groups(axes, ordered, names)
        axis = what if what == "outcome" else f"{what} of the {one}"
        value_axis(axes, drawable(with_unit(axis, unit)))
        order = "in the order of what was observed" if len(lefts) < 3 else "in rising order"
        number_axis(
            axes, shorten(drawable(f"{many} {order}"), _TITLE_CELLS if len(lefts) < 3 else _TITLE_CELLS * 3 // 4)
        )
        if names:
            axes.set_xticks(np.arange(1, len(names) + 1), names, rotation=90, fontsize=LABEL_PT)
        if rows is not None:
            beside = figure.add_axes((lefts[0], below / height, width, _PANEL_MM / height))
            _in_bins(beside, rows, whole)
            number_axis(beside, drawable(_of_a_row(unit, lefts[1] - lefts[0])), ticks=5)
        if left_out is not None:
            left_out(figure.add_axes((lefts[-2], below / height, width, _PANEL_MM / height)))

    return Drawing(paint, height)


def _of_a_row(unit: str, share: float) -> str:
    """The title below the bins of rows: without its unit, which the groups have, where it would reach the next panel.

    ``share`` is the part of the figure's width from this panel to the next.
    """
    title = with_unit("outcome of a row", unit)
    return title if cells(title) * _CELL_MM < share * WIDTH_MM else "outcome of a row"


def _groups(axes: Any, ordered: pd.DataFrame, names: list[str]) -> None:
    at = drawn_places(len(ordered)) + 1
    ordered = ordered.iloc[at - 1]
    width = max(0.4, min(2.4, 300 / len(ordered)))
    axes.vlines(at, ordered["q05"], ordered["q95"], color=PALETTE["fill"], linewidth=0.6 * width, zorder=2)
    axes.vlines(at, ordered["q25"], ordered["q75"], color=PALETTE["partial"], linewidth=width, zorder=3)
    axes.plot(at, ordered["observed"], "D", color=PALETTE["ink"], markersize=1.8, zorder=4)
    axes.grid(visible=False, axis="x")


def _in_bins(axes: Any, rows: pd.DataFrame, whole: bool) -> None:
    """Bands of the replicated counts in each bin, and the observed ones as steps."""
    edges = np.append(rows["low"].to_numpy(), rows["high"].to_numpy()[-1])
    for low, high, alpha in (("q05", "q95", 0.25), ("q25", "q75", 0.45)):
        axes.stairs(rows[high], edges, baseline=rows[low], fill=True, color=PALETTE["partial"], alpha=alpha)
    axes.stairs(rows["observed"], edges, color=PALETTE["ink"], linewidth=0.9)
    value_axis(axes, "rows" + ", square roots" * whole)
    if whole:
        axes.set_yscale("function", functions=(lambda v: np.sqrt(np.maximum(v, 0)), np.square))
    axes.set_ylim(bottom=0)
