"""A forest: one row for each coefficient, with its intervals, and a line where it would do nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from plotnine import (
    aes,
    element_blank,
    element_text,
    geom_point,
    geom_vline,
    ggplot,
    labs,
    scale_x_log10,
    theme,
)

from hbm_stan.plots.groups import intervals
from hbm_stan.plots.labels import MAX_ROWS, row_labels, row_scale, rows_height
from hbm_stan.plots.style import PALETTE, TEXT_PT, house_theme, signed, with_unit, x_scale

_QUANTILES = ["q05", "q25", "q50", "q75", "q95"]


def plot_forest(table: pd.DataFrame, what: str = "coefficient", unit: str = "", ratio: bool = False) -> Any:
    """The coefficients in their order from above; with ``ratio`` their exponentials, on a log axis.

    Columns: name, q05, q25, q50, q75, q95. More than a page has room for are left to the table.
    """
    rows = table.iloc[:MAX_ROWS].iloc[::-1].reset_index(drop=True).copy()
    for key in _QUANTILES:
        rows[key] = rows[key].astype(float)
        if ratio:
            rows[key] = np.exp(rows[key].clip(-600, 600))  # within a double
    rows["y"] = [float(i) for i in range(1, len(rows) + 1)]
    labels = row_labels([str(name) for name in rows["name"]])
    note = f"The first {MAX_ROWS} of {len(table)} are drawn." if len(table) > MAX_ROWS else ""
    return (
        ggplot()
        + geom_vline(xintercept=1.0 if ratio else 0.0, color=PALETTE["muted"], size=0.5)
        + intervals(rows, PALETTE["partial"])
        + geom_point(aes("q50", "y"), rows, color=PALETTE["partial"], fill="white", size=2.0, stroke=0.6)
        + row_scale(labels)
        + (scale_x_log10(labels=signed) if ratio else x_scale())
        + labs(x=with_unit(what, unit), y="", caption=note)
        + house_theme(rows_height(labels, 22.0 if note else 16.0))
        + theme(panel_grid_major_y=element_blank(), axis_text_y=element_text(size=TEXT_PT, ha="right"))
    )
