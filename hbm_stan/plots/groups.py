"""Figures with one row a group: shrinkage, and the levels of another factor."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotnine import (
    aes,
    annotate,
    element_blank,
    element_text,
    geom_point,
    geom_segment,
    geom_vline,
    ggplot,
    labs,
    scale_color_manual,
    scale_shape_manual,
    theme,
)

from hbm_stan.plots.labels import MAX_ROWS, excerpt, row_labels, row_scale, rows_height
from hbm_stan.plots.style import LABEL_PT, PALETTE, house_theme, with_unit, x_scale

_ESTIMATES = {  # column -> name in the legend, colour, shape
    "raw": ("raw ± SE", PALETTE["ink"], "o"),
    "complete_pooling": ("complete pooling", PALETTE["complete"], "|"),  # where it is not one line for all
    "no_pooling": ("no pooling", PALETTE["no_pooling"], "x"),
    "partial_pooling": ("partial pooling (50 %, 90 %)", PALETTE["partial"], "o"),
}
_LIFT = 0.3  # raw estimate and no pooling stand this much of a row above partial pooling


def _numbers(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    table = table.reset_index(drop=True).copy()
    for column in columns:
        table[column] = pd.to_numeric(table[column], errors="coerce").astype(float)
    return table


def _rows(table: pd.DataFrame, by: str, many: str) -> tuple[pd.DataFrame, list[str], str]:
    """The rows to draw with their position ``y``, their labels, and a sentence if it is an excerpt."""
    chosen = table.iloc[excerpt(table[by].tolist())].reset_index(drop=True)
    chosen["y"] = [float(i) for i in range(1, len(chosen) + 1)]
    note = ""
    if len(chosen) < len(table):
        note = f"{MAX_ROWS} of {len(table)} {many} are drawn, evenly spaced in the order shown."
    return chosen, row_labels([str(g) for g in chosen["group"]]), note


def _layout(labels: list[str], note: str, above: float = 0.0) -> list[Any]:
    """The axis of rows, with so much more of a row above them, and the theme."""
    return [
        row_scale(labels, above),
        x_scale(),
        house_theme(rows_height(labels, 29.0 if note else 24.0)),
        theme(
            panel_grid_major_y=element_blank(),
            axis_text_y=element_text(size=LABEL_PT, linespacing=1.05, ha="right"),
        ),
    ]


def intervals(rows: pd.DataFrame, colour: str) -> list[Any]:
    """The bars of each row: thin from q05 to q95, thick from q25 to q75."""
    wide = rows.dropna(subset=["q05", "q95"])
    narrow = rows.dropna(subset=["q25", "q75"])
    return [
        geom_segment(aes("q05", "y", xend="q95", yend="y"), wide, color=colour, size=0.45),
        geom_segment(aes("q25", "y", xend="q75", yend="y"), narrow, color=colour, size=1.5),
    ]


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    """Long form: one row a point, ``kind`` named as in the legend."""
    parts = []
    for column, (name, _, _) in _ESTIMATES.items():
        if column == "complete_pooling" and not _differ(rows[column].dropna()):
            continue
        lift = 0.0 if column == "partial_pooling" else _LIFT
        parts.append(pd.DataFrame({"x": rows[column], "y": rows["y"] + lift, "kind": name}))
    points = pd.concat(parts, ignore_index=True).dropna(subset=["x"])
    names = [name for name, _, _ in _ESTIMATES.values() if name in set(points["kind"])]
    points["kind"] = pd.Categorical(points["kind"], names)
    return points


def _moves(rows: pd.DataFrame) -> list[Any]:
    """Standard error bars of the raw estimates, and a thin line from each to its partially pooled one."""
    # Columns first, rows then: pandas would fill a frame without rows from a longer column.
    low, high = rows["raw"] - rows["raw_se"], rows["raw"] + rows["raw_se"]
    raw = rows.assign(level=rows["y"] + _LIFT, low=low, high=high).dropna(subset=["raw"])
    bars = raw.dropna(subset=["raw_se"])
    moved = raw.dropna(subset=["partial_pooling"])
    return [
        geom_segment(aes("low", "level", xend="high", yend="level"), bars, color=PALETTE["rule"], size=0.4),
        geom_segment(aes("raw", "level", xend="partial_pooling", yend="y"), moved, color=PALETTE["muted"], size=0.3),
    ]


def _differ(values: pd.Series[float]) -> bool:
    """Whether completely pooled estimates differ between groups, as they do with predictors of groups."""
    return bool(values.max() - values.min() > 1e-9 * max(abs(values.max()), abs(values.min())))


def _complete(rows: pd.DataFrame, points: pd.DataFrame) -> list[Any]:
    """The completely pooled estimate as a line with its name above the rows, on the side that has room."""
    values = rows["complete_pooling"].dropna()
    if values.empty or _differ(values):
        return []
    at, top = float(values.iloc[0]), len(rows) + 0.85
    right = at > points["x"].mean()
    name = "complete pooling " if right else " complete pooling"
    style = {"ha": "right" if right else "left", "va": "center", "size": LABEL_PT, "color": PALETTE["muted"]}
    return [
        geom_vline(xintercept=at, linetype="dashed", color=PALETTE["muted"], size=0.5),
        annotate("text", x=at, y=top, label=name, **style),
    ]


def plot_shrinkage(table: pd.DataFrame, unit: str = "", what: str = "estimate", many: str = "groups") -> Any:
    """Raw, unpooled and partially pooled estimate of each group, and the completely pooled one as a line
    (or a mark in each row, where predictors make it differ between groups); ``what`` and ``many`` name axis and groups.

    Columns: group, raw, raw_se, complete_pooling, no_pooling, partial_pooling, q05, q25, q75, q95.
    """
    estimates = [*_ESTIMATES, "raw_se", "q05", "q25", "q75", "q95"]
    table = _numbers(table, estimates)
    table["order"] = table["raw"].fillna(table["partial_pooling"]).fillna(table["no_pooling"])
    rows, labels, note = _rows(table, "order", many)
    points = _points(rows)
    shown = [e for e in _ESTIMATES.values() if e[0] in list(points["kind"].cat.categories)]
    return (
        ggplot()
        + _complete(rows, points)
        + _moves(rows)
        + intervals(rows.dropna(subset=["partial_pooling"]), PALETTE["partial"])
        + geom_point(aes("x", "y", color="kind", shape="kind"), points, size=1.5, fill="white", stroke=0.5)
        + scale_color_manual(values=[e[1] for e in shown])
        + scale_shape_manual(values=[e[2] for e in shown])
        + labs(x=with_unit(what, unit), y="", caption=note)
        + _layout(labels, note, above=0.5)
    )


def plot_caterpillar(table: pd.DataFrame, what: str = "deviation", unit: str = "", many: str = "levels") -> Any:
    """The deviation of each level of a factor, in rising order of the medians, with a line at none.

    Columns: group, q05, q25, q50, q75, q95.
    """
    table = _numbers(table, ["q05", "q25", "q50", "q75", "q95"])
    rows, labels, note = _rows(table, "q50", many)
    return (
        ggplot()
        + geom_vline(xintercept=0.0, color=PALETTE["muted"], size=0.5)
        + intervals(rows, PALETTE["partial"])
        + geom_point(aes("q50", "y"), rows, color=PALETTE["partial"], fill="white", size=1.5, stroke=0.5)
        + labs(x=with_unit(what, unit), y="", caption=note)
        + _layout(labels, note)
    )
