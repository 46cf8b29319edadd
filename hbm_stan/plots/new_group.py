"""The figure of a group that was not seen: a hundred equally likely values of each predicted quantity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from plotnine import (
    aes,
    element_blank,
    facet_wrap,
    geom_point,
    geom_segment,
    geom_vline,
    ggplot,
    labs,
    scale_y_continuous,
    theme,
)

from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import shorten
from hbm_stan.plots.style import MAX_HEIGHT_MM, PALETTE, house_theme, with_unit, x_scale
from hbm_stan.table import FloatArray

_DOTS = 100
_DOT_COLUMNS = 60
_DOT_MM = 2.4  # one column, and so one dot, of the width that the axis has
_DOT_SIZE = 3.0
# The share of the room between two values that a block of dots takes, and the room of one that is alone (ours).
_FILLED, _ALONE = 0.8, 12


def _frame(values: Iterable[Any]) -> tuple[float, float]:
    """What the axis of the dots spans: all of them, but not the far tails that would flatten the rest."""
    ends = [np.quantile(v, (0.5 / _DOTS, 0.05, 0.95, 1 - 0.5 / _DOTS)) for v in values]
    reach = max(e[2] - e[1] for e in ends)
    low = min(max(e[0], e[1] - reach) for e in ends)
    high = max(min(e[3], e[2] + reach) for e in ends)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _dots(name: str, values: Any, frame: tuple[float, float]) -> pd.DataFrame:
    """A quantile dotplot (Kay et al. 2016): 100 dots, each one in a hundred of the draws, stacked in bins.

    Values that lie apart, as categories and small counts do, have blocks of dots in the place of high stacks.
    """
    width = (frame[1] - frame[0]) / _DOT_COLUMNS
    levels = (np.arange(_DOTS) + 0.5) / _DOTS
    columns = np.round(np.quantile(np.asarray(values, dtype=float), levels) / width)
    stacks, beside = pd.Series(columns).groupby(columns), _beside(columns)
    place = stacks.cumcount()
    across = place % beside - (np.minimum(stacks.transform("size"), beside) - 1) / 2
    dots = pd.DataFrame({"name": name, "x": (columns + across) * width, "y": place // beside + 0.5})
    return dots[(columns * width >= frame[0] - width) & (columns * width <= frame[1] + width)]


def _beside(columns: FloatArray) -> int:
    """How many dots of one value stand beside each other: one where values are close, else most of the room."""
    apart = np.diff(np.unique(columns))
    return max(1, int(_FILLED * (apart.min() if len(apart) else _ALONE)))


def _panels(draws: pd.DataFrame, rows: pd.DataFrame, shared: bool) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Dots, interval rows, and a zero line for those panels that reach zero; each with the panel's title."""
    values = {n: draws.loc[draws["name"] == n, "value"].to_numpy(dtype=float) for n in rows["name"]}
    every = _frame(values.values())
    frames = {n: every if shared else _frame([v]) for n, v in values.items()}
    dots = pd.concat([_dots(n, v, frames[n]) for n, v in values.items()], ignore_index=True)
    zero = [n for n, (low, high) in frames.items() if low <= 0 <= high]
    titles = dict(zip(rows["name"], rows["title"], strict=True))
    parts = [dots, rows.assign(y=-1.2), pd.DataFrame({"name": zero, "x": 0.0})]
    order = list(dict.fromkeys(titles.values()))
    dots, rows, zeros = (p.assign(panel=pd.Categorical([titles[n] for n in p["name"]], order)) for p in parts)
    return dots, rows, zeros


def _titles(quantities: pd.DataFrame) -> list[str]:
    """The meaning of each quantity with its unit, short enough for a line, no two alike."""
    units = quantities["unit"] if "unit" in quantities else [""] * len(quantities)
    titles = [
        shorten(drawable(with_unit(str(m), str(u))), 100) for m, u in zip(quantities["meaning"], units, strict=True)
    ]
    return [t if t not in titles[:k] else f"{t} ({k + 1})" for k, t in enumerate(titles)]


def plot_new_group(draws: pd.DataFrame, quantities: pd.DataFrame, unit: str = "", shared: bool = True) -> Any:
    """A hundred equally likely values of each predicted quantity, with its 50 % and 90 % intervals below.

    Columns of draws: name, value. Columns of quantities: name, meaning, q05, q25, q50, q75, q95, and unit where they
    have different ones: then ``shared`` is False, and each has an axis of its own.
    """
    shown = quantities[quantities["name"].isin(set(draws["name"]))].reset_index(drop=True)
    shown["title"] = _titles(shown.drop(columns="unit", errors="ignore") if shared else shown)
    dots, rows, zeros = _panels(draws, shown, shared)
    beyond = _DOTS * len(rows) - len(dots)
    note = f"{beyond} of {_DOTS * len(rows)} dots lie beyond the ends of the axis." if beyond else ""
    blue, ink = PALETTE["partial"], PALETTE["ink"]
    # Dots are as high as they are wide, unless many equal values would take more than a panel's share of the page.
    stack = dots["y"].max() + 0.5
    axes = len(rows) * 8.0 + (0.0 if shared else len(rows) * 5.0)
    height = min(axes + (18.0 if note else 13.0) + _DOT_MM * (stack + 3.0) * len(rows), MAX_HEIGHT_MM * 0.8)
    return (
        ggplot()
        + geom_vline(aes(xintercept="x"), zeros, color=PALETTE["rule"], size=0.4)
        + geom_point(aes("x", "y"), dots, size=_DOT_SIZE, stroke=0, color=blue, fill=blue, alpha=0.75)
        + geom_segment(aes("q05", "y", xend="q95", yend="y"), rows, color=ink, size=0.5)
        + geom_segment(aes("q25", "y", xend="q75", yend="y"), rows, color=ink, size=1.6)
        + geom_point(aes("q50", "y"), rows, color=ink, fill="white", size=2.0, stroke=0.6)
        + facet_wrap("panel", ncol=1, scales="fixed" if shared else "free_x")
        + scale_y_continuous(limits=(-2.5, stack + 0.5), expand=(0, 0), breaks=[])
        + x_scale(expand=(0.02, 0))
        + labs(x=with_unit("predicted value", unit), y="", caption=note)
        + house_theme(height)
        + theme(axis_text_y=element_blank(), panel_grid_major_y=element_blank())
    )
