"""A conclusion by what is assumed: the estimate with its interval over delta, and where it crosses the threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.plots.drawing import Drawing, number_axis, value_axis
from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.style import LABEL_PT, PALETTE, signed

_PANEL_MM, _TOP_MM, _BOTTOM_MM = 36.0, 7.0, 11.0


def plot_tipping(rows: pd.DataFrame, delta: str = "delta", what: str = "estimate") -> Drawing:
    """Median and 90 % interval at each delta, the threshold, and dashed lines where the conclusion tips.

    Columns: delta, q05, q50, q95, threshold, main (the delta of the main fit) and tips (a list), the same in each row.
    """
    rows = rows.astype(dict.fromkeys(("delta", "q05", "q50", "q95"), float)).sort_values("delta")
    height = _PANEL_MM + _TOP_MM + _BOTTOM_MM

    def paint(figure: Any) -> None:
        axes = figure.add_axes((0.08, _BOTTOM_MM / height, 0.89, _PANEL_MM / height))
        blue, ink = PALETTE["partial"], PALETTE["ink"]
        axes.fill_between(rows["delta"], rows["q05"], rows["q95"], color=blue, alpha=0.2, linewidth=0, zorder=2)
        axes.plot(rows["delta"], rows["q50"], color=blue, linewidth=1.1, zorder=3)
        axes.errorbar(
            rows["delta"], rows["q50"], (rows["q50"] - rows["q05"], rows["q95"] - rows["q50"]), fmt="o", color=blue,
            markersize=2.6, linewidth=0.7, zorder=4,
        )  # fmt: skip
        axes.axhline(float(rows["threshold"].iloc[0]), color=ink, linewidth=0.8, zorder=1)
        main = rows[rows["delta"] == float(rows["main"].iloc[0])]
        axes.plot(main["delta"], main["q50"], "D", color=ink, markersize=4, zorder=5)
        for tip in rows["tips"].iloc[0]:
            axes.axvline(tip, color=PALETTE["no_pooling"], linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
            name = f"tips at {signed([float(f'{tip:.2g}')])[0]}"
            near_end = tip > np.mean([rows["delta"].min(), rows["delta"].max()])
            axes.annotate(
                name, (tip, 1.0), (-3 if near_end else 3, -2), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right" if near_end else "left", va="top", fontsize=LABEL_PT,
                color=PALETTE["no_pooling"],
            )  # fmt: skip
        number_axis(axes, drawable(delta), ticks=9)
        value_axis(axes, drawable(what))

    return Drawing(paint, height)
