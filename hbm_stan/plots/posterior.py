"""The figure of the population: each parameter's posterior with its prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.plots.drawing import Drawing, number_axis
from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import broken
from hbm_stan.plots.style import PALETTE, greek

_BINS = 40
_SHOWN = (0.001, 0.999)  # the axis ends at these quantiles; the report's caption says so
_ACROSS = 6  # panels of parameters side by side
_SMALL_MM, _BELOW_MM, _ABOVE_MM, _LEGEND_MM = 16.0, 5.5, 5.0, 5.0  # of one of them
_UNIT_MM = 4.0  # of the unit below an axis, where all have one
_LINE_MM = 3.4  # of a second line above a panel
_LETTERS = 84  # of 8 pt across the page


def _bars(name: str, values: Any) -> pd.DataFrame:
    """A density histogram as rectangles; a quantity that is never negative starts at zero."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, _SHOWN)
    if values.min() >= 0 and low < 0.1 * high:
        low = 0.0
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    heights = np.histogram(values, edges)[0] / (len(values) * np.diff(edges))
    return pd.DataFrame(
        {"parameter": name, "low": edges[:-1], "high": edges[1:], "density": heights, "what": "posterior"}
    )


def _prior_lines(priors: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """Prior density inside the histogram's frame; ``run`` numbers the pieces that stay in it."""
    parts = []
    for name, part in bars.groupby("parameter", sort=False):
        prior = priors[priors["parameter"] == name].reset_index(drop=True)
        x, density = prior["x"].astype(float), prior["density"].astype(float)
        inside = x.between(part["low"].min(), part["high"].max()) & (density <= 1.2 * part["density"].max())
        runs = [f"{name}{run}" for run in (~inside).cumsum()]
        parts.append(prior.assign(what="prior", run=runs)[inside])
    return pd.concat(parts, ignore_index=True)


def plot_population(draws: pd.DataFrame, priors: pd.DataFrame, unit: str = "") -> Drawing:
    """Posterior histogram of each population parameter with its prior density drawn over it.

    Columns of draws: parameter, value. Columns of priors: parameter, x, density (x rising).
    """
    names = list(dict.fromkeys(draws["parameter"]))
    bars = pd.concat([_bars(n, draws.loc[draws["parameter"] == n, "value"]) for n in names], ignore_index=True)
    lines = _prior_lines(priors, bars)
    rows, across = -(-len(names) // _ACROSS), min(max(len(names), 2), _ACROSS)
    below = _BELOW_MM + (_UNIT_MM if unit.strip() else 0.0)
    titles = [broken(drawable(greek(name)), _LETTERS // across) for name in names]
    above = _ABOVE_MM + (_LINE_MM if any("\n" in title for title in titles) else 0.0)
    height = _LEGEND_MM + (_SMALL_MM + below + above) * rows

    def paint(figure: Any) -> None:
        grid = figure.add_gridspec(
            rows, across, left=0.01, right=0.99, top=1 - (_LEGEND_MM + above) / height, bottom=below / height,
            hspace=(below + above) / _SMALL_MM, wspace=0.2,
        )  # fmt: skip
        for k, name in enumerate(names):
            axes = figure.add_subplot(grid[k // across, k % across])
            _posterior(axes, bars[bars["parameter"] == name], lines[lines["parameter"] == name])
            axes.set_title(titles[k], loc="left", pad=3)
            number_axis(axes, unit if k == 0 and unit.strip() else "", ticks=_LETTERS // across // 8)
        _population_legend(figure)

    return Drawing(paint, height)


def _posterior(axes: Any, bars: pd.DataFrame, lines: pd.DataFrame) -> None:
    edges = np.append(bars["low"].to_numpy(), bars["high"].to_numpy()[-1])
    axes.stairs(bars["density"].to_numpy(), edges, fill=True, color=PALETTE["fill"])
    for _, run in lines.groupby("run", sort=False):
        axes.plot(run["x"], run["density"], color=PALETTE["prior"], linewidth=1.1, linestyle=(0, (4, 2)))
    axes.set_yticks([])
    axes.set_ylim(bottom=0)


def _population_legend(figure: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [Patch(color=PALETTE["fill"]), Line2D([], [], color=PALETTE["prior"], linewidth=1.1, linestyle=(0, (4, 2)))]
    figure.legend(marks, ["posterior", "prior"], loc="upper left", ncols=2, borderpad=0, borderaxespad=0.1)
