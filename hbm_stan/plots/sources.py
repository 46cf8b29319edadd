"""What several sources say of one quantity of each label: the first in front, the others below it, on one axis."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hbm_stan.plots.drawing import Drawing, number_axis
from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import shorten
from hbm_stan.plots.style import PALETTE, WIDTH_MM

_ROW_MM, _BOTTOM_MM, _TOP_MM, _LEFT_MM, _RIGHT_MM = 8.5, 11.0, 7.0, 34.0, 3.0
_LABEL_CELLS = 20
# The first source is black, and the largest; colours of the others are told apart with any colour vision.
_MARKS = ((PALETTE["ink"], "o", 4.6), ("#0072b2", "s", 3.2), ("#d55e00", "^", 3.6), ("#009e73", "D", 3.0))
_APART = 0.19  # of a row, between two sources
_LOG_RATIO = 20.0  # from so many times between the ends on the axis is logarithmic (ours)


def plot_sources(intervals: pd.DataFrame, what: str = "value") -> Drawing:
    """A row for each label, in the order of the table from the top: the middle of each source with its interval.

    Columns: label, source (at most four, the first in front), low, middle, high.
    """
    labels, sources = list(dict.fromkeys(intervals["label"])), list(dict.fromkeys(intervals["source"]))
    height = _ROW_MM * len(labels) + _BOTTOM_MM + _TOP_MM
    low, high = float(intervals["low"].min()), float(intervals["high"].max())

    def paint(figure: Any) -> None:
        axes = figure.add_axes((
            _LEFT_MM / WIDTH_MM, _BOTTOM_MM / height, (WIDTH_MM - _LEFT_MM - _RIGHT_MM) / WIDTH_MM,
            (height - _BOTTOM_MM - _TOP_MM) / height,
        ))  # fmt: skip
        handles = [_source(axes, intervals, labels, source, k, len(sources)) for k, source in enumerate(sources)]
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_yticks(range(len(labels)), [drawable(shorten(label, _LABEL_CELLS)) for label in labels])
        number_axis(axes, drawable(what), log=low > 0 and high > _LOG_RATIO * low)
        figure.legend(
            handles, [drawable(source) for source in sources], loc="upper left", ncols=len(sources), borderaxespad=0,
            bbox_to_anchor=(_LEFT_MM / WIDTH_MM, 1.0), handletextpad=0.4, columnspacing=1.4,
        )  # fmt: skip

    return Drawing(paint, height)


def _source(axes: Any, intervals: pd.DataFrame, labels: list[str], source: str, k: int, n: int) -> Any:
    """The middles of a source with their intervals; what stands for it in the legend."""
    own = intervals[intervals["source"] == source]
    at = [labels.index(label) + _APART * (k - (n - 1) / 2) for label in own["label"]]
    colour, marker, size = _MARKS[k % len(_MARKS)]
    axes.hlines(at, own["low"], own["high"], colors=colour, linewidths=1.6 if k == 0 else 0.8)
    return axes.plot(own["middle"], at, marker=marker, markersize=size, color=colour, linestyle="none")[0]
