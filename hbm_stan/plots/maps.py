"""Maps: areas in their outlines or as points joined to neighbours, coloured by rates and the chance of an excess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.plots.drawing import Drawing
from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.style import LABEL_PT, PALETTE, WIDTH_MM, signed
from hbm_stan.table import FloatArray

_TOP_MM, _BOTTOM_MM, _GAP_MM, _SIDE_MM = 5.0, 13.0, 4.0, 2.0
_TALLEST_MM, _FLATTEST = 75.0, 0.35  # of a panel; its height as a share of its width at least (ours)
_LARGEST_PT, _SMALLEST_PT = 7.0, 2.6  # diameters of points
# Blue to orange by way of a light grey, as the palette: told apart with any colour vision, and light in the middle.
_DIVERGING = ("#0072b2", "#7fb2d3", "#eef1f4", "#eba47a", "#d55e00")
_RISING = ("#eef1f4", "#a8cbe3", "#0072b2", "#003a5c")


def plot_map(
    areas: pd.DataFrame, borders: pd.DataFrame, rate: str = "rate", excess: str = "probability",
    outlines: Mapping[str, Sequence[FloatArray]] | None = None,
) -> Drawing:  # fmt: skip
    """Three maps side by side: raw rates, smoothed rates in the same colours, and the probability of an excess.

    Columns of areas: east, north, raw, smoothed, excess, size (of points); of borders: east, north, to_east, to_north.
    ``outlines`` are the rings of each area (its name in the column ``area``), which take the place of points and lines.
    Rates are coloured on a logarithmic scale, raw ones of 0 as the lowest colour.
    """
    width = (WIDTH_MM - 2 * _SIDE_MM - 2 * _GAP_MM) / 3
    if outlines is None:
        spread = [float(np.ptp(areas[axis])) or 1.0 for axis in ("east", "north")]
    else:
        spread = np.ptp(np.concatenate([ring for rings in outlines.values() for ring in rings]), axis=0).tolist()
    height = float(np.clip(width * spread[1] / spread[0], _FLATTEST * width, _TALLEST_MM))
    total = height + _TOP_MM + _BOTTOM_MM
    low, high = _limits(areas["smoothed"].to_numpy(float))
    panels = (
        (f"raw {rate}", np.clip(areas["raw"].to_numpy(float), low, high), low, high),
        (f"smoothed {rate}", areas["smoothed"].to_numpy(float), low, high),
        (excess, areas["excess"].to_numpy(float), 0.0, 1.0),
    )

    def paint(figure: Any) -> None:
        for k, (title, values, least, most) in enumerate(panels):
            left = _SIDE_MM + k * (width + _GAP_MM)
            axes = figure.add_axes((left / WIDTH_MM, _BOTTOM_MM / total, width / WIDTH_MM, height / total))
            axes.set_title(drawable(title), loc="left", pad=3)
            colours = _colours(least, most, log=k < 2)
            if outlines is None:
                _points(axes, areas, borders, values, colours)
            else:
                _filled(axes, [outlines[name] for name in areas["area"]], values, colours)
            _bare(axes)
            bar = figure.add_axes((left / WIDTH_MM, 7.5 / total, width / WIDTH_MM, 2.2 / total))
            _colour_bar(bar, least, most, log=k < 2)

    return Drawing(paint, total)


def _limits(rates: FloatArray) -> tuple[float, float]:
    """The ends of the colours: those of the smoothed rates, a little further, so that raw ones share them."""
    middle = np.exp(np.mean(np.log(rates)))
    reach = max(float(np.max(np.abs(np.log(rates / middle)))), 0.1)
    return float(middle * np.exp(-reach)), float(middle * np.exp(reach))


def _colours(low: float, high: float, *, log: bool) -> tuple[Any, Any]:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    colours = LinearSegmentedColormap.from_list("rates" if log else "excess", _DIVERGING if log else _RISING)
    return colours, LogNorm(low, high) if log else Normalize(low, high)


def _filled(axes: Any, areas: Sequence[Sequence[FloatArray]], values: FloatArray, colours: tuple[Any, Any]) -> None:
    """Areas in their outlines; a ring inside another one is a hole."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path

    paths = [Path.make_compound_path(*(Path(ring, closed=True) for ring in rings)) for rings in areas]
    axes.add_collection(PathCollection(
        paths, array=values, cmap=colours[0], norm=colours[1], edgecolors=PALETTE["muted"], linewidths=0.3,
    ))  # fmt: skip
    axes.autoscale_view()


def _points(
    axes: Any, areas: pd.DataFrame, borders: pd.DataFrame, values: FloatArray, colours: tuple[Any, Any]
) -> None:  # fmt: skip
    """Areas as points, and lines that join neighbours."""
    from matplotlib.collections import LineCollection

    ends = borders[["east", "north", "to_east", "to_north"]].to_numpy(float).reshape(-1, 2, 2)
    axes.add_collection(LineCollection(list(ends), colors=PALETTE["rule"], linewidths=0.5, zorder=1))
    size = np.sqrt(areas["size"].to_numpy(float) / float(areas["size"].max()))
    crowded = min(1.0, (60 / len(areas)) ** 0.5)
    points = crowded * (_SMALLEST_PT + (_LARGEST_PT - _SMALLEST_PT) * size)
    axes.scatter(
        areas["east"], areas["north"], s=points**2, c=values, cmap=colours[0], norm=colours[1],
        edgecolors=PALETTE["muted"], linewidths=0.4, zorder=2,
    )  # fmt: skip


def _bare(axes: Any) -> None:
    """A map has no axes, and one scale for both directions."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _colour_bar(axes: Any, low: float, high: float, *, log: bool) -> None:
    """The colours of a panel with a few of their numbers, below it."""
    colours, norm = _colours(low, high, log=log)
    steps = np.geomspace(low, high, 256) if log else np.linspace(low, high, 256)
    axes.imshow(norm(steps)[None], aspect="auto", cmap=colours, norm=None, extent=(0, 1, 0, 1), vmin=0, vmax=1)
    ticks = _log_ticks(low, high) if log else [0.0, 0.25, 0.5, 0.75, 1.0]
    axes.set_yticks([])
    axes.set_xticks([float(norm(t)) for t in ticks], signed(ticks), fontsize=LABEL_PT)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _log_ticks(low: float, high: float) -> list[float]:
    """At most five round numbers between the ends."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for marks in ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        ticks = [float(f"{m * 10.0**d:.6g}") for d in decades for m in marks]
        ticks = [t for t in ticks if low <= t <= high]
        if len(ticks) <= 5:
            break
    return ticks
