"""Rows that are left out: where they lie in their predictions, and how often predictions of 0 and 1 come true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.plots.drawing import Drawing, number_axis, value_axis
from hbm_stan.plots.style import PALETTE

_PANEL_MM, _TOP_MM, _BOTTOM_MM = 30.0, 5.0, 10.0
_WIDTH, _LEFTS = 0.395, (0.095, 0.585)  # of a panel, as a share of the figure's width, and where the two begin
_ROWS_SHARE = 0.22  # of the height of a calibration: the bars that say where the rows are
PIT_X, PIT_Y = "probability of less than what was observed, given all other rows", "ECDF less expected"
PIT_SHORT, PIT_SHORTEST = "probability of less than was observed", "LOO-PIT of a row"
SHARE_X, SHARE_Y = "predicted from all other rows", "share that happened"


def plot_left_out(transforms: pd.DataFrame, calibration: pd.DataFrame, bins: pd.DataFrame) -> Drawing:
    """LOO-PIT and calibration side by side.

    Columns of transforms: x, low, high, band_low, band_high; of calibration: p, observed, low, high; of bins: low,
    high, rows.
    """
    height = _TOP_MM + _PANEL_MM + _BOTTOM_MM

    def paint(figure: Any) -> None:
        bottom, share = _BOTTOM_MM / height, 1 - (_TOP_MM + _BOTTOM_MM) / height
        first, second = (figure.add_axes((left, bottom, _WIDTH, share)) for left in _LEFTS)
        paint_transforms(first, transforms, PIT_SHORT)
        paint_calibration(second, calibration, bins)

    return Drawing(paint, height)


def paint_transforms(axes: Any, curve: pd.DataFrame, words: str = PIT_SHORTEST) -> None:
    """The ECDF of the transforms less the straight line, as thick as rows without a place make it, in its band."""
    blue, ink, curve = PALETTE["partial"], PALETTE["ink"], curve.astype(float)
    axes.fill_between(curve["x"], curve["band_low"], curve["band_high"], color=PALETTE["fill"], alpha=0.5, linewidth=0)
    axes.axhline(0, color=PALETTE["rule"], linewidth=0.6)
    axes.fill_between(curve["x"], curve["low"], curve["high"], color=blue, alpha=0.55, linewidth=0)
    axes.plot(curve["x"], (curve["low"] + curve["high"]) / 2, color=ink, linewidth=0.9)
    axes.set_xlim(0, 1)
    number_axis(axes, words)
    value_axis(axes, PIT_Y)


def paint_calibration(axes: Any, curve: pd.DataFrame, bins: pd.DataFrame) -> None:
    """The isotonic regression in its consistency band about the diagonal, over how many rows are where."""
    blue, curve = PALETTE["partial"], curve.astype(float)
    low, high = limits(curve)
    heights = low + _ROWS_SHARE * (high - low) * bins["rows"] / bins["rows"].max()
    edges = np.append(bins["low"].to_numpy(dtype=float), float(bins["high"].iloc[-1]))
    axes.stairs(heights, edges, baseline=low, fill=True, color=PALETTE["muted"], alpha=0.35)
    axes.fill_between(curve["p"], curve["low"], curve["high"], color=PALETTE["fill"], alpha=0.5, linewidth=0)
    axes.plot([0, 1], [0, 1], color=PALETTE["rule"], linewidth=0.6)
    axes.plot(curve["p"], curve["observed"], color=blue, linewidth=1.1)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    number_axis(axes, SHARE_X)
    value_axis(axes, SHARE_Y)


def limits(curve: pd.DataFrame) -> tuple[float, float]:
    """The ends of both axes of a calibration: what curve and band reach, to the next tenth."""
    values = curve[["p", "observed", "low", "high"]].astype(float)
    low, high = np.floor(10 * values.min().min()) / 10, np.ceil(10 * values.max().max()) / 10
    return max(float(low), 0.0), min(float(high), 1.0)
