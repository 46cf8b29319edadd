"""The figures of the page: the single point, and the scores by kind of set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from planck_study.single_point import SPECTRUM, WAYS, quantiles
from planck_study.spectra import GRID, KINDS, curve

_BAND, _LINE, _TRUTH = "#9ecae1", "#08519c", "#d94801"


def single_point_figure(weights: dict[str, Any], point: tuple[float, float, float], path: Path) -> None:
    """A panel for each way: the curve with its 80 % and 50 % bands, the point and the true curve."""
    nu, flux, temperature = point
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, len(weights), sharey=True)
    top = 1.6 * float(curve(GRID, temperature).max())
    for panel, (way, own) in zip(panels, weights.items(), strict=True):
        low, inner_low, middle, inner_high, high = (curve(GRID, t) for t in quantiles(own, (0.1, 0.25, 0.5, 0.75, 0.9)))
        panel.fill_between(GRID, low, high, color=_BAND, alpha=0.45, lw=0, label="80 % band")
        panel.fill_between(GRID, inner_low, inner_high, color=_BAND, lw=0, label="50 % band")
        panel.plot(GRID, middle, color=_LINE, lw=1.2, label="median")
        panel.plot(GRID, curve(GRID, temperature), color=_TRUTH, lw=1, ls="--", label="truth")
        panel.plot([nu], [flux], "o", color="black", ms=4, label=f"the point of {SPECTRUM}")
        panel.set(title=WAYS[way], xlabel="frequency", ylim=(0, top))
        panel.title.set_fontsize(8.5)
    panels[0].set_ylabel("flux")
    panels[0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=110)


def scores_figure(scores: pd.DataFrame, methods: list[str], path: Path) -> None:
    """RMSE by kind of set inside and outside the range of the points, each collection a dot, their median a line."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    panels = figure.subplots(2, len(KINDS), sharey="row")
    for row, where in zip(panels, ("inside", "outside"), strict=True):
        for panel, kind in zip(row, KINDS, strict=True):
            for k, method in enumerate(methods):
                own = scores[(scores["method"] == method) & (scores["kind"] == kind) & (scores["where"] == where)]
                values = np.maximum(own["rmse"].to_numpy(), 1e-3)
                color = _TRUTH if "law" in method else _LINE if "pooling" in method else "#238b45"
                panel.plot(values, np.full(len(values), -k), ".", color=color, alpha=0.35, ms=4)
                if len(values):
                    panel.plot([np.median(values)], [-k], "|", color=color, ms=11, mew=2)
            panel.set_xscale("log")
            panel.xaxis.set_minor_formatter(NullFormatter())  # labels of a narrow range would overlap
            panel.set_yticks(-np.arange(len(methods)), methods, fontsize=8)
            panel.tick_params(axis="x", labelsize=7)
            panel.grid(axis="x", color="0.92")
            if where == "inside":
                panel.set_title(kind, fontsize=9)
            else:
                panel.set_xlabel("RMSE", fontsize=8)
        row[0].set_ylabel(f"{where} the range", fontsize=9)
    figure.savefig(path, dpi=110)
