"""Rows that are left out: where they lie in their predictions, and how often predictions of 0 and 1 come true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.plots.drawing import Drawing, number_axis, value_axis
from hbm_stan.plots.style import PALETTE

_PANEL_MM, _TOP_MM, _BOTTOM_MM = 30.0, 5.0, 10.0
# Of the figure's width: a panel alone, one of two, and where these begin.
_WIDE, _HALF, _LEFTS = 0.885, 0.395, (0.095, 0.585)
_ROWS_SHARE = 0.22  # of the height of a calibration: the bars that say where the rows are
PIT_X, PIT_Y = "probability of less than what was observed, given all other rows", "ECDF less what is expected"
PIT_SHORT = "probability of less than was observed"
SHARE_X, SHARE_Y = "predicted from all other rows", "share that happened"


def plot_left_out(
    transforms: pd.DataFrame | None, calibration: pd.DataFrame | None, bins: pd.DataFrame | None
) -> Drawing:
    """LOO-PIT, calibration, or both side by side.

    Columns of transforms: x, low, high, band_low, band_high; of calibration: p, observed, low, high; of bins: low,
    high, rows.
    """
    both = transforms is not None and calibration is not None
    height = _TOP_MM + _PANEL_MM * (1.0 if calibration is None else 1.15) + _BOTTOM_MM

    def paint(figure: Any) -> None:
        bottom, share = _BOTTOM_MM / height, 1 - (_TOP_MM + _BOTTOM_MM) / height
        places = [(left, bottom, _HALF, share) for left in _LEFTS]
        if transforms is not None:
            axes = figure.add_axes(places[0] if both else (_LEFTS[0], bottom, _WIDE, share))
            _transforms(axes, transforms)
            number_axis(axes, PIT_SHORT if both else PIT_X)
        if calibration is not None:
            axes = figure.add_axes(places[int(both)])
            _calibration(axes, calibration, bins if both else None)
            number_axis(axes, SHARE_X)
        if calibration is not None and bins is not None and not both:
            _rows(figure.add_axes(places[1]), bins, limits(calibration))

    return Drawing(paint, height)


def _transforms(axes: Any, curve: pd.DataFrame) -> None:
    """The ECDF of the transforms less the straight line, as thick as rows without a place make it, in its band."""
    blue, ink, curve = PALETTE["partial"], PALETTE["ink"], curve.astype(float)
    axes.fill_between(curve["x"], curve["band_low"], curve["band_high"], color=PALETTE["fill"], alpha=0.5, linewidth=0)
    axes.axhline(0, color=PALETTE["rule"], linewidth=0.6)
    axes.fill_between(curve["x"], curve["low"], curve["high"], color=blue, alpha=0.55, linewidth=0)
    axes.plot(curve["x"], (curve["low"] + curve["high"]) / 2, color=ink, linewidth=0.9)
    axes.set_xlim(0, 1)
    value_axis(axes, PIT_Y)


def _calibration(axes: Any, curve: pd.DataFrame, bins: pd.DataFrame | None) -> None:
    """The isotonic regression in its consistency band about the diagonal, over how many rows are where."""
    blue, curve = PALETTE["partial"], curve.astype(float)
    axes.fill_between(curve["p"], curve["low"], curve["high"], color=PALETTE["fill"], alpha=0.5, linewidth=0)
    axes.plot([0, 1], [0, 1], color=PALETTE["rule"], linewidth=0.6)
    axes.plot(curve["p"], curve["observed"], color=blue, linewidth=1.1, marker="." * (len(curve) == 1) or None)
    low, high = limits(curve)
    if bins is not None:
        heights = _ROWS_SHARE * (high - low) * bins["rows"] / bins["rows"].max()
        axes.stairs(low + heights, _edges(bins), baseline=low, fill=True, color=PALETTE["muted"], alpha=0.35)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    value_axis(axes, SHARE_Y)


def _rows(axes: Any, bins: pd.DataFrame, ends: tuple[float, float]) -> None:
    """How many rows have which prediction."""
    axes.stairs(bins["rows"], _edges(bins), fill=True, color=PALETTE["muted"], alpha=0.35)
    axes.set_xlim(*ends)
    axes.set_ylim(bottom=0)
    number_axis(axes, SHARE_X)
    value_axis(axes, "rows")


def _edges(bins: pd.DataFrame) -> Any:
    return np.append(bins["low"].to_numpy(dtype=float), float(bins["high"].iloc[-1]))


def limits(curve: pd.DataFrame) -> tuple[float, float]:
    """The ends of both axes of a calibration: what curve and band reach, to the next tenth."""
    values = curve[["p", "observed", "low", "high"]].astype(float)
    low, high = np.floor(10 * values.min().min()) / 10, np.ceil(10 * values.max().max()) / 10
    return max(float(low), 0.0), min(float(high), 1.0)
